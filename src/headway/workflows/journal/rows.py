"""What the journal holds: a row for each run, and one for each step that it began."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


class RunState(StrEnum):
    """Where a run stands."""

    READY = "ready"
    """A worker may claim it."""
    RUNNING = "running"
    WAITING = "waiting"
    """For a time, a person, an event or another run: no worker holds it."""
    BLOCKED = "blocked"
    """It cannot go on by itself: `why` says why, and what to do."""
    FINISHED = "finished"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def ended(self) -> bool:
        """Whether nothing of it runs again unless somebody asks for it."""
        return self in (RunState.FINISHED, RunState.FAILED, RunState.CANCELLED)


class StepState(StrEnum):
    """Where a step stands."""

    RUNNING = "running"
    """It began. Whether it ended is not known: it runs again."""
    WAITING = "waiting"
    FINISHED = "finished"
    FAILED = "failed"

    @property
    def ended(self) -> bool:
        """Whether its outcome is known: it never runs again."""
        return self in (StepState.FINISHED, StepState.FAILED)


@dataclass(frozen=True, slots=True)
class RunRow:
    """One run of a workflow. Times are seconds since 1970; texts in `…_json` are JSON."""

    id: str
    workflow: str
    definition: str
    """The hash of the source that it runs on: a key of the table of definitions."""
    input_json: str
    state: RunState = RunState.READY
    output_json: str | None = None
    error_json: str | None = None
    why: str | None = None
    """Why it is blocked."""
    key: str | None = None
    """The event that started it: there is one run an event."""
    tier: str | None = None
    created_at: float = 0.0
    started_at: float | None = None
    ended_at: float | None = None
    deadline_at: float | None = None
    wake_at: float | None = None
    """When the first of its waits is due."""
    parent_run: str | None = None
    parent_path: str | None = None
    """The run and the step that wait for its end."""
    root_workflow: str = ""
    """The workflow of the run that began it all: who knows that one can run this one, too."""
    owner: str | None = None
    """The worker that holds it."""
    fence: int = 0
    """Counts its claims: what a worker writes with an older number is refused."""
    lease_until: float | None = None
    cancelling: bool = False
    rounds: int = 0
    """How often somebody asked for it to run again: its calls are new ones then."""
    pruned: bool = False
    """Whether its steps and its result were deleted. What is left keeps its key from starting
    another run."""


@dataclass(frozen=True, slots=True)
class StepRow:
    """One step of a run, known by its path, such as `answer/generate#2/llm`."""

    run: str
    path: str
    kind: str
    """`task`, `llm`, `embed`, `value`, `timer`, `person`, `event` or `run`."""
    state: StepState
    fingerprint: str = ""
    """A hash of what it was called with: another one shows that the workflow has changed."""
    attempt: int = 1
    output_json: str | None = None
    error_json: str | None = None
    question_json: str | None = None
    """What a person or a model is asked."""
    due_at: float | None = None
    """When it stops waiting."""
    answered_by: str | None = None
    started_at: float | None = None
    ended_at: float | None = None
    model: str | None = None
    prompt_tokens: int | None = None
    output_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class Definition:
    """The source of a workflow, kept so that its runs end on what they began with."""

    hash: str
    workflow: str
    file: str
    source: str
    saved_at: float = field(default=0.0, compare=False)
