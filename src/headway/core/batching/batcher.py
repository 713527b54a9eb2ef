"""The batcher: events go in with their time, batches come out.

A pure state machine, as the scheduler is. It reads no clock, does no I/O and draws no random
number, so the same events give the same decisions under a server, a simulator and a test.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from math import inf, nextafter
from types import MappingProxyType

from headway.core.batching.admission import ItemAdmission
from headway.core.batching.assembly import Assembly
from headway.core.batching.batch import Batch, BatchDecision, Launch
from headway.core.batching.curve import Curve, CurveFit
from headway.core.batching.draft import Draft
from headway.core.batching.outlook import BatchOutlook
from headway.core.batching.pending import PendingItems
from headway.core.batching.retries import Retries
from headway.core.batching.settings import BatchingSettings
from headway.core.batching.smdp import Problem, Table
from headway.core.batching.workers import Workers
from headway.core.decision import Reject, RejectReason
from headway.core.request import Request, State, Tier


class Batcher:
    """Decides when to launch a batch on one model's workers, and which items it holds.

    Events are methods; each takes the time `now_s`, which must not go backwards. Call `step`
    after an event, and at `next_wakeup_s`, and carry out the decisions in their order.

    Args:
        settings: everything an operator decides.
        workers: instances of the model; each runs one batch at a time.

    Raises:
        ValueError: on construction, if the order has no such name; on an event that cannot
            happen. Nothing has changed then.
    """

    def __init__(self, settings: BatchingSettings, workers: int = 1) -> None:
        self._fit = CurveFit(settings.prior)
        self._workers = Workers(workers)
        self._pending = PendingItems(settings)
        self._retries = Retries()
        self._outlook = BatchOutlook(settings, self._fit, self._pending, self._workers)
        self._admission = ItemAdmission(settings, self._outlook, self._pending, self._retries)
        self._assembly = Assembly(settings, self._fit, self._pending, self._workers)
        self._requests: dict[str, Request] = {}
        self._sequence = 0

    # ---- events -----------------------------------------------------------------------------

    def set_workers(self, workers: int, now_s: float) -> None:
        """Change the number of instances. Running batches continue, even above that number."""
        self._workers.count = workers

    def add(self, request: Request, now_s: float) -> Reject | None:
        """Add a new item. It waits from now on, or the reason why not is returned.

        Its length is `prompt_tokens`, at least 1.

        Raises:
            ValueError: if the request is not new, its id is in use, or its length is below 1.
        """
        if request.state is not State.NEW:
            raise ValueError(f"request {request.id!r} was added before; add a new one")
        if request.id in self._requests:
            raise ValueError(f"request id {request.id!r} is in use; give every request its own")
        if request.prompt_tokens < 1:
            raise ValueError(f"request {request.id!r} has no length; an item has at least 1 token")
        self._outlook.measure(request)
        rejection = self._admission.refusal(request, now_s)
        if rejection is not None:
            request.state = State.REJECTED
            return rejection
        self._sequence += 1
        request.sequence = self._sequence
        self._requests[request.id] = request
        self._pending.queues[request.tier].arrived(request, now_s)
        self._wait(request)
        return None

    def finished(self, batch: Batch, now_s: float, took_s: float) -> None:
        """A batch has its results; `took_s` is the time that the model took for it.

        Items that were cancelled meanwhile are ignored; the others are finished.
        """
        self._workers.end(batch)
        self._fit.observe(batch.size, batch.length, took_s)
        self._pending.queues[batch.requests[0].tier].policy.finished(batch, took_s)
        for request in _not_cancelled(batch):
            self._end(request, State.FINISHED)

    def failed(self, batch: Batch, now_s: float) -> list[Request]:
        """A batch raised an error. It is bisected, and both halves run again.

        Returns:
            The culprit, if only one item was left in the batch; it is finished, with that error.
        """
        self._workers.end(batch)
        return self._bisect(_not_cancelled(batch))

    def lost(self, batch: Batch, now_s: float) -> list[Request]:
        """The worker of a batch died. Its items wait again, each in its place.

        An item may be what kills workers, so a batch with an item that lost several workers is
        bisected, like one that failed.

        Returns:
            The culprit, if only one item is left of such a batch; it is finished, with an error.
        """
        self._workers.end(batch)
        requests = _not_cancelled(batch)
        if self._retries.count_loss(requests):
            return self._bisect(requests)
        for request in requests:
            self._wait(request)
        return []

    def cancel(self, request_id: str, now_s: float) -> None:
        """An item is no longer wanted. An id that is unknown, or has ended, is ignored.

        An item in a running batch runs on, as a batch cannot be stopped; nobody gets its result.
        """
        request = self._requests.get(request_id)
        if request is None:
            return
        if request_id in self._retries:
            self._retries.remove(request)
        elif request.state is State.WAITING:
            self._pending.remove(request)
        self._end(request, State.CANCELLED)

    def use_table(self, tier: Tier, table: Table, now_s: float) -> None:
        """The solution of the problem that `problems` posed for `tier`."""
        self._pending.queues[tier].policy.use(table)

    # ---- decisions --------------------------------------------------------------------------

    def step(self, now_s: float) -> list[BatchDecision]:
        """What to do now."""
        decisions: list[BatchDecision] = []
        self._reject_late(now_s, decisions)
        while self._workers.free and self.waiting():
            draft = self._next_draft(now_s, decisions)
            if draft is None:
                break
            decisions.append(Launch(self._launch(draft, now_s)))
        return decisions

    def next_wakeup_s(self, now_s: float) -> float | None:
        """When to call `step` again even if nothing happens; None: only after an event."""
        times = []
        for queue in self._pending.queues.values():
            first = queue.first_deadline(now_s)
            if first is not None:
                # At that very moment it can still be launched; it is rejected after it.
                times.append(nextafter(first.latest_start_s, inf))
            if queue.waiting and self._workers.free:
                times.append(queue.policy.until_s(self._assembly.snapshot(queue, now_s)))
                if first is not None:
                    times.append(queue.launch_by_s(first, self.curve))
        return max(now_s, min(times)) if times else None

    def problems(self, now_s: float, solving: Collection[Tier] = ()) -> dict[Tier, Problem]:
        """The decision problems to solve, by tier, where the policy needs a new table.

        Solving takes longer than a step may: call `smdp.solve` where it delays nothing, then
        `use_table`. Tiers in `solving` are left out, as posing a problem takes time, too.
        """
        found = {}
        for tier, queue in self._pending.queues.items():
            if queue.waiting and queue.policy.solves and tier not in solving:
                problem = queue.policy.problem(self._assembly.snapshot(queue, now_s))
                if problem is not None:
                    found[tier] = problem
        return found

    # ---- questions --------------------------------------------------------------------------

    @property
    def curve(self) -> Curve:
        """The present fit of how long batches take."""
        return self._fit.curve

    @property
    def requests(self) -> Mapping[str, Request]:
        """All items that wait or run, by id."""
        return MappingProxyType(self._requests)

    @property
    def batches(self) -> Mapping[int, Batch]:
        """The running batches, by id."""
        return MappingProxyType(self._workers.running)

    @property
    def workers(self) -> int:
        """Instances that batches may run on."""
        return self._workers.count

    @property
    def free_workers(self) -> int:
        """Workers that run nothing."""
        return self._workers.free

    @property
    def waiting_batches(self) -> int:
        """How many batches the waiting items make, where each is as large as it may be."""
        return len(self._retries) + self._pending.batches

    @property
    def waiting_s(self) -> float:
        """Predicted time to run all waiting items, in the largest batches on one worker."""
        return self._outlook.work_s()

    def longest_wait_s(self, now_s: float) -> float:
        """How long the item waits that has waited longest; 0 if none waits."""
        return max(queue.longest_wait_s(now_s) for queue in self._pending.queues.values())

    def waiting(self, tier: Tier | None = None) -> int:
        """Number of items that wait, in `tier` or in all; retried halves count only in all."""
        if tier is None:
            return len(self._pending) + len(self._retries)
        return self._pending.in_tier(tier)

    # ---- steps ------------------------------------------------------------------------------

    def _reject_late(self, now_s: float, decisions: list[BatchDecision]) -> None:
        """Reject items that would miss their deadline even if they were launched now."""
        for queue in self._pending.queues.values():
            while (first := queue.first_deadline(now_s)) and first.latest_start_s < now_s:
                # That was set with the curve of its arrival; the present curve decides.
                if self._outlook.latest_start_s(first) < now_s:
                    self._pending.remove(first)
                    self._reject(first, decisions)
                else:
                    self._pending.set_aside(first)
                    self._outlook.measure(first)
                    self._pending.put_back(first)

    def _next_draft(self, now_s: float, decisions: list[BatchDecision]) -> Draft | None:
        """The batch to launch now, or None: wait. A half goes before all but higher tiers."""
        while True:
            leader, size = self._assembly.leader(now_s, above=self._retries.tier)
            if leader is not None:
                draft = self._assembly.draft(leader, size, now_s)
                if draft is not None:
                    return draft
                self._pending.remove(leader)
                self._reject(leader, decisions)
            elif self._retries:
                draft, late = self._assembly.retry(self._retries.pop(), now_s)
                for request in late:
                    self._reject(request, decisions)
                if draft.requests:
                    return draft
            else:
                return None

    def _launch(self, draft: Draft, now_s: float) -> Batch:
        self._pending.settled(draft.requests)
        for request in draft.requests:
            if request.started_s < 0.0:
                request.started_s = now_s
            request.resumed_s = now_s
            request.state = State.RUNNING
        batch = self._workers.launch(draft, now_s)
        self._pending.queues[batch.requests[0].tier].launched(batch)
        return batch

    def _wait(self, request: Request) -> None:
        request.state = State.WAITING
        self._pending.add(request)

    def _bisect(self, requests: list[Request]) -> list[Request]:
        """Run the halves of `requests` again, or end and return the only one."""
        if len(requests) == 1:
            self._end(requests[0], State.FINISHED)
            return requests
        for request in requests:
            request.state = State.WAITING
        if requests:
            self._retries.bisect(requests)
        return []

    def _reject(self, request: Request, decisions: list[BatchDecision]) -> None:
        """End an item that no longer waits, as it would miss its deadline."""
        self._end(request, State.REJECTED)
        decisions.append(Reject(request, RejectReason.DEADLINE, self._outlook.backlog_s()))

    def _end(self, request: Request, state: State) -> None:
        request.state = state
        del self._requests[request.id]
        self._retries.forget(request)


def _not_cancelled(batch: Batch) -> list[Request]:
    return [request for request in batch.requests if request.state is State.RUNNING]
