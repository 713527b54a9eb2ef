"""A request: what is known about it, and its state."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import Enum, IntEnum

from headway.core.estimate import SizeEstimate


class Tier(IntEnum):
    """A class of requests: a smaller value outranks a larger one."""

    INTERACTIVE = 0
    STANDARD = 1
    BATCH = 2

    @property
    def label(self) -> str:
        """The tier's name on the wire and in the configuration."""
        return _LABELS[self]

    @classmethod
    def parse(cls, label: str) -> Tier:
        """The tier named `label`. Raises ValueError, which lists the tiers."""
        try:
            return cls[label.upper()]
        except KeyError:
            known = ", ".join(tier.label for tier in cls)
            raise ValueError(f"unknown tier {label!r}; the tiers are {known}") from None


_LABELS = tuple(tier.name.lower() for tier in Tier)


class State(Enum):
    """Where a request stands; `transitions` says what may follow."""

    NEW = "new"
    WAITING = "waiting"
    RUNNING = "running"
    PREEMPTED = "preempted"
    FINISHED = "finished"
    CANCELLED = "cancelled"
    REJECTED = "rejected"


@dataclass(slots=True, eq=False)
class Request:
    """One request: facts given at arrival, then state that only the Scheduler writes.

    All times are seconds on the clock of the scheduler's driver.
    """

    id: str
    arrival_s: float
    prompt_tokens: int
    estimate: SizeEstimate
    lane: str = ""
    """What a backend must serve to run it, usually the name of a model."""
    tier: Tier = Tier.STANDARD
    tenant: str = ""
    program: str = ""
    """The run that it is part of; empty: it is a run of its own."""
    step: str = ""
    """Its name in the run; empty: it has none."""
    parents: tuple[str, ...] = ()
    """Names of the steps of its run that it waited for; empty: all that had ended."""
    to_come: SizeEstimate | None = None
    """What its run does after its answer, on the longest path to its end: a distribution, in ms of
    a slot. None: not known."""
    priority: int = 0
    """The client's integer in vLLM's sense: smaller runs first."""
    deadline_s: float | None = None
    cached_tokens: int = 0
    """Prompt tokens expected to come from the prefix cache."""
    prefix: int = 0
    """Hash of the prompt's first part, for prefix-affine placement; 0 is unknown."""
    max_tokens: int | None = None
    preemptible: bool = True
    """Whether it can be continued exactly after a stop."""
    score: float | None = None
    """A ranker's score: expected log2 of its output tokens; None: it has none."""
    avoid: frozenset[str] = frozenset()
    """Backends it failed on: it runs there only while no other that serves it has slots."""

    state: State = field(default=State.NEW, init=False)
    sequence: int = field(default=0, init=False)
    """Order of arrival: breaks every tie, and survives preemption."""
    output_tokens: int = field(default=0, init=False)
    backend: str = field(default="", init=False)
    preemptions: int = field(default=0, init=False)
    started_s: float = field(default=-1.0, init=False)
    """When it first started; -1 before."""
    resumed_s: float = field(default=-1.0, init=False)
    """When it last started; -1 before."""
    resumed_tokens: int = field(default=0, init=False)
    """Output tokens it had when it last started."""
    run_arrival_s: float = field(default=0.0, init=False)
    """When the first request of its run arrived."""
    run_service_s: float = field(default=0.0, init=False)
    """Service that its run had attained when it arrived."""
    run_path_s: float = field(default=0.0, init=False)
    """The same along the longest path of steps that led to it."""
    due_s: float = field(default=float("inf"), init=False)
    """From then on no request that is due later may overtake it (starvation bound)."""
    latest_start_s: float = field(default=float("inf"), init=False)
    """After that, even a short answer would miss the deadline."""
    predicted_tokens: float = field(default=0.0, init=False)
    """Mean of its estimate before its first token."""
    service_s: float = field(default=0.0, init=False)
    """Predicted work when it was added, by the reference cost model."""
    queued_work_s: float = field(default=0.0, init=False)
    """Its share of the predicted backlog while it waits."""
    ticket: int = field(default=0, init=False)
    """Number of its valid queue entry; entries with older numbers are dead."""
    reserved_kv_tokens: int = field(default=0, init=False)
    """KV cache that its backend reserves for it."""
    outstanding_tokens: float = field(default=0.0, init=False)
    """Output tokens that its backend still expects from it."""
    in_pieces: bool = field(default=False, init=False)
    """Whether its prompt comes in pieces in this run, between which others have their turn."""
    pending_prefill_s: float = field(default=0.0, init=False)
    """Time of its prompt until its backend has computed it."""

    @property
    def remaining_tokens(self) -> float:
        """Expected remaining output tokens, given those produced."""
        return self.estimate.remaining_mean(self.output_tokens)

    @property
    def after_s(self) -> float:
        """Expected service of its run after its answer, in seconds of a slot; 0 if not known."""
        return 0.0 if self.to_come is None else self.to_come.mean / 1000.0

    @property
    def kv_tokens(self) -> int:
        """KV cache to reserve, in tokens: its prompt and its longest possible answer."""
        longest = self.max_tokens if self.max_tokens is not None else self.estimate.longest
        return self.prompt_tokens + max(longest, self.output_tokens)

    def continued(self) -> Request:
        """A new request with the same facts and tokens, to be added to any scheduler."""
        other = replace(self)
        other.output_tokens = self.output_tokens
        other.predicted_tokens = self.predicted_tokens
        other.started_s = self.started_s
        other.preemptions = self.preemptions
        return other
