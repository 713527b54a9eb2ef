"""The noun everybody shares: what is known of a request, and where it stands."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, IntEnum

from headway.core.estimate import SizeEstimate


class Tier(IntEnum):
    """Who goes first: a smaller value outranks a larger one."""

    INTERACTIVE = 0
    STANDARD = 1
    BATCH = 2

    @property
    def label(self) -> str:
        """The tier's name on the wire and in the configuration."""
        return _LABELS[self]

    @classmethod
    def parse(cls, label: str) -> Tier:
        """The tier of that name; ValueError names the ones there are."""
        try:
            return cls[label.upper()]
        except KeyError:
            known = ", ".join(tier.label for tier in cls)
            raise ValueError(f"unknown tier {label!r}; the tiers are {known}") from None


_LABELS = tuple(tier.name.lower() for tier in Tier)


class State(Enum):
    """NEW, WAITING, RUNNING, any number of PREEMPTED and RUNNING, then one of the last three."""

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

    All times are seconds on the clock of whoever drives the scheduler.
    """

    id: str
    arrival_s: float
    prompt_tokens: int
    estimate: SizeEstimate
    lane: str = ""
    """What a backend must serve to run it: the model's name, as a rule."""
    tier: Tier = Tier.STANDARD
    tenant: str = ""
    program: str = ""
    priority: int = 0
    """The client's integer in vLLM's sense: smaller runs first."""
    deadline_s: float | None = None
    cached_tokens: int = 0
    """Prompt tokens expected to come from the prefix cache."""
    prefix: int = 0
    """Hash of the prompt's first part, for prefix-affine placement; 0 is unknown."""
    max_tokens: int | None = None
    preemptible: bool = True
    """Whether it can be continued exactly after being stopped."""
    score: float | None = None
    """What a ranker made of it: expected log2 of its output tokens; None: nobody looked."""
    avoid: frozenset[str] = frozenset()
    """Backends that it failed on: it runs there only while no other that serves it has slots."""

    state: State = field(default=State.NEW, init=False)
    sequence: int = field(default=0, init=False)
    """Order of arrival: breaks every tie, and is kept through preemption."""
    output_tokens: int = field(default=0, init=False)
    backend: str = field(default="", init=False)
    preemptions: int = field(default=0, init=False)
    started_s: float = field(default=-1.0, init=False)
    """When it first ran; -1 before."""
    resumed_s: float = field(default=-1.0, init=False)
    """When it last began to run; -1 before."""
    resumed_tokens: int = field(default=0, init=False)
    """Output tokens it had when it last began to run."""
    due_s: float = field(default=float("inf"), init=False)
    """From this moment nothing that is due later may overtake it (starvation bound)."""
    latest_start_s: float = field(default=float("inf"), init=False)
    """After this moment even a short answer would miss the deadline."""
    predicted_tokens: float = field(default=0.0, init=False)
    """Mean of its estimate, as it was before its first token."""
    service_s: float = field(default=0.0, init=False)
    """Predicted work when it was added, by the reference cost model."""
    queued_work_s: float = field(default=0.0, init=False)
    """What it adds to the predicted backlog while it waits."""
    ticket: int = field(default=0, init=False)
    """Number of the queue entry that is valid; older entries of this request are dead."""
    reserved_kv_tokens: int = field(default=0, init=False)
    """KV cache held for it by its backend."""
    outstanding_tokens: float = field(default=0.0, init=False)
    """Output tokens that its backend still expects of it."""
    pending_prefill_s: float = field(default=0.0, init=False)
    """Time of its prompt, while its backend computes that."""

    @property
    def remaining_tokens(self) -> float:
        """Expected output tokens still to come, given those produced."""
        return self.estimate.remaining_mean(self.output_tokens)

    @property
    def kv_tokens(self) -> int:
        """KV cache to reserve, in tokens: the prompt and the longest answer it may give."""
        longest = self.max_tokens if self.max_tokens is not None else self.estimate.longest
        return self.prompt_tokens + max(longest, self.output_tokens)
