"""One engine endpoint as the scheduler sees it: its capacity and its load."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field
from math import inf

from headway.core.cost import CostModel
from headway.core.request import Request, Tier

REMEMBERED_PREFIXES = 1024
UNSHARED = 1 << 30
"""More slots than any backend has."""


@dataclass(slots=True)
class Backend:
    """Capacity of one backend. The driver fills in the facts, the Scheduler keeps the load."""

    name: str
    slots: int
    """Requests it may run at once; with 0 it finishes what runs and takes nothing new."""
    lanes: frozenset[str] = frozenset({""})
    """The lanes (model names) it serves."""
    kv_tokens: int | None = None
    """KV cache budget in tokens; None where the engine guarantees every slot its context."""
    cost: CostModel = field(default_factory=CostModel)
    """Its measured cost: to compare it with other backends, and to predict times."""
    piecewise: bool = False
    """Whether it takes prompts in pieces (see `prompt_turns`)."""

    granted: int = field(default=UNSHARED, init=False)
    """Of its slots, those that are this scheduler's, where several share the backend."""
    running: dict[str, Request] = field(default_factory=dict, init=False, repr=False)
    kv_reserved: int = field(default=0, init=False)
    work_tokens: float = field(default=0.0, init=False)
    """Predicted remaining output tokens of all requests that run here."""
    prefilling_s: float = field(default=0.0, init=False)
    """Time of the prompts of requests that run here and have no token yet."""
    prompts: dict[str, Request] = field(default_factory=dict, init=False, repr=False)
    """The requests that run here and have no token yet, where prompts come in pieces."""
    last_start_s: list[float] = field(
        default_factory=lambda: [-inf] * len(Tier), init=False, repr=False
    )
    """When a request last started here, by tier, where prompts come in pieces."""
    _prefixes: OrderedDict[int, None] = field(default_factory=OrderedDict, init=False, repr=False)

    @property
    def shared(self) -> bool:
        """Whether other schedulers use slots of it."""
        return self.granted < UNSHARED

    def has_room_for(self, request: Request) -> bool:
        """Whether `request` could start here now."""
        return len(self.running) < self.granted and self.may_have_room_for(request)

    def may_have_room_for(self, request: Request) -> bool:
        """The same as far as is known here: others may use the slots that are free."""
        if len(self.running) >= self.slots:
            return False
        return self.kv_tokens is None or self.kv_reserved + request.kv_tokens <= self.kv_tokens

    def has_room_without(self, victim: Request, request: Request) -> bool:
        """Whether `request` could take the slot of `victim`, which runs here."""
        if self.kv_tokens is None:
            return True
        freed = self.kv_reserved - victim.reserved_kv_tokens
        return freed + request.kv_tokens <= self.kv_tokens

    def could_ever_hold(self, request: Request) -> bool:
        """Whether `request` fits here when nothing else runs."""
        return self.kv_tokens is None or request.kv_tokens <= self.kv_tokens

    def finish_s(self, request: Request) -> float:
        """Predicted time until `request` would be done here, for comparing backends."""
        return self.queue_s() + self.own_s(request)

    def queue_s(self) -> float:
        """Predicted time that what runs here delays a new request, for comparing backends."""
        queue_s = self.cost.decode_s_per_token * self.work_tokens / max(1, self.slots)
        return queue_s + self.prefilling_s

    def adds_s(self, request: Request) -> float:
        """By how much `queue_s` would grow if `request` started here."""
        adds_s = self.cost.decode_s_per_token * request.remaining_tokens / max(1, self.slots)
        return adds_s if request.output_tokens else adds_s + self.cost.prefill_s(request)

    def own_s(self, request: Request) -> float:
        """Predicted time of `request` itself here, for comparing backends."""
        own_s = self.cost.decode_s_per_token * request.remaining_tokens
        if not request.prefix or request.prefix not in self._prefixes:
            own_s += self.cost.prefill_s_per_token * request.prompt_tokens
        elif request.cached_tokens:  # it is known how much of the prompt is cached
            own_s += self.cost.prefill_s(request)
        return own_s

    def take(self, request: Request) -> None:
        """`request` starts here."""
        self.running[request.id] = request
        request.backend = self.name
        request.reserved_kv_tokens = request.kv_tokens
        request.outstanding_tokens = request.remaining_tokens
        self.kv_reserved += request.reserved_kv_tokens
        self.work_tokens += request.outstanding_tokens
        if not request.output_tokens:
            # The whole prompt, even if its prefix was served here: only the engine knows how much
            # that saves, and a prefix that all requests share must not draw them all here.
            request.pending_prefill_s = self.cost.prefill_s(request)
            self.prefilling_s += request.pending_prefill_s
            if self.piecewise:
                self.prompts[request.id] = request
        if request.prefix:
            self._prefixes[request.prefix] = None
            self._prefixes.move_to_end(request.prefix)
            if len(self._prefixes) > REMEMBERED_PREFIXES:
                self._prefixes.popitem(last=False)

    def progressed(self, produced: Iterable[tuple[Request, int]]) -> None:
        """Each of these requests, which run here, has that many output tokens in all."""
        # One loop without calls: it covers all running requests before each comparison.
        work_tokens, prompts = self.work_tokens, self.prompts
        for request, output_tokens in produced:
            outstanding_tokens = request.outstanding_tokens
            if outstanding_tokens:
                new_tokens = output_tokens - request.output_tokens
                if new_tokens < outstanding_tokens:
                    request.outstanding_tokens = outstanding_tokens - new_tokens
                    work_tokens -= new_tokens
                else:
                    request.outstanding_tokens = 0.0
                    work_tokens -= outstanding_tokens
            request.output_tokens = output_tokens
            if output_tokens and (request.pending_prefill_s or prompts):
                self._prefilled(request)
        self.work_tokens = work_tokens

    def revised(self, request: Request) -> None:
        """`request`, which runs here, has a new estimate; its KV reservation stays."""
        remaining_tokens = request.remaining_tokens
        self.work_tokens += remaining_tokens - request.outstanding_tokens
        request.outstanding_tokens = remaining_tokens

    def release(self, request: Request) -> None:
        """`request` no longer runs here."""
        del self.running[request.id]
        self.kv_reserved -= request.reserved_kv_tokens
        self.work_tokens -= request.outstanding_tokens
        self._prefilled(request)
        request.backend = ""
        if not self.running:
            self.work_tokens = self.prefilling_s = 0.0  # no drift from rounding

    def _prefilled(self, request: Request) -> None:
        self.prefilling_s -= request.pending_prefill_s
        request.pending_prefill_s = 0.0
        self.prompts.pop(request.id, None)
