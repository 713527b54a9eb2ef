"""What the runs of requests will still do: claimed by clients, or learned from earlier runs."""

from __future__ import annotations

from collections.abc import Sequence

from headway.core.estimate import SizeEstimate
from headway.core.request import Request
from headway.core.scheduler import Scheduler
from headway.gateway.foresight import earlier_runs
from headway.gateway.work.work import Work
from headway.prediction.live.cached_prompts import CachedPrompts
from headway.prediction.live.history import Origin
from headway.prediction.live.run_history import RunHistory
from headway.store.request_record import RequestRecord

LEAST_QUANTILE = 0.1
"""A claim counts as at least this quantile of what runs like this one did."""


class RunsAhead:
    """Predicts what comes after an answer in its run, and what is cached of a prompt.

    Args:
        scheduler: has the cost of tokens.
        history: what earlier runs did; learns while serving.
    """

    def __init__(self, scheduler: Scheduler, history: RunHistory) -> None:
        self.history = history
        self._scheduler = scheduler
        self._cached = CachedPrompts()

    def recall(self, answered: Sequence[RequestRecord], now_s: float, now_unix_s: float) -> None:
        """Learn from requests that were answered before a restart.

        Their service is counted by the scheduler's cost of tokens: it has to have one.
        """
        cost = self._scheduler.cost
        earlier_runs.learn(answered, self.history, self._cached, cost, now_unix_s - now_s)

    def arrives(
        self, request: Request, origin: Origin, claimed_ms: int | None, now_s: float
    ) -> None:
        """Set `cached_tokens` and `to_come` of `request`, which the scheduler does not have yet.

        Args:
            request: a new one.
            origin: of the request.
            claimed_ms: what comes after its answer, as the client says; None: it does not say.
            now_s: the time.
        """
        learned: SizeEstimate | None = None
        if request.program:
            request.cached_tokens = self._cached.expected(origin, request.prompt_tokens)
            own_s = self._scheduler.cost.service_s(request)
            learned = self.history.arrived(origin, request.step, own_s, now_s)
        request.to_come = learned
        if claimed_ms is not None:
            least_ms = 1 if learned is None else learned.quantile(LEAST_QUANTILE)
            request.to_come = SizeEstimate.exactly(max(claimed_ms, least_ms))

    def left(self, work: Work, finished: bool) -> None:
        """`work` neither waits nor runs any more; `finished`: it has its whole answer."""
        request, origin, served = work.request, work.origin, work.served
        if not request.program:
            return
        path_s = None
        if finished:
            cost = self._scheduler.cost
            own_s = cost.prefill_work_s(request) + cost.decode_s_per_token * work.output_tokens
            path_s = request.run_path_s + own_s
            prompt_tokens = served.prompt_tokens or request.prompt_tokens
            self._cached.answered(origin, prompt_tokens, work.output_tokens, served.cached_tokens)
        predicted = request.to_come if work.claimed_to_come_ms is None else None
        self.history.left(origin, request.step, path_s, served.ended_s, predicted)
        if finished and work.claimed_to_come_ms == 0:
            self.history.ended(origin)
