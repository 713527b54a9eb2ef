"""The batcher: events go in with their time, batches come out.

A pure state machine, as the scheduler is. It reads no clock, does no I/O and draws no random
number, so the same events give the same decisions under a server, a simulator and a test.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from math import inf, nextafter
from types import MappingProxyType

from headway.core.backlog import Backlog
from headway.core.batching.batch import Batch, BatchDecision, Launch
from headway.core.batching.curve import Curve, CurveFit
from headway.core.batching.draft import Draft
from headway.core.batching.item_queue import ItemQueue
from headway.core.batching.length_aware import companions
from headway.core.batching.optimal import Optimal
from headway.core.batching.policy import QueueSnapshot
from headway.core.batching.retries import Retries
from headway.core.batching.settings import BatchingSettings
from headway.core.batching.slices import Slices
from headway.core.batching.smdp import Problem, Table
from headway.core.decision import Reject, RejectReason
from headway.core.fairness import PROMPT_WEIGHT, fairness
from headway.core.policies import POLICIES
from headway.core.request import Request, State, Tier
from headway.core.settings import INFINITE
from headway.core.starvation import due_s
from headway.core.tiers import tier_order
from headway.core.waiting import Waiting

MOST_MISFITS = 8
"""Items in order that may be passed over while a batch is put together."""

MOST_LOSSES = 2
"""A batch with an item that lost so many workers before is cut in halves, not run again whole."""

SAMPLED_REQUESTS = 64
"""Waiting items with deadlines that are looked at to predict a wait."""


class Batcher:
    """Decides when to launch a batch on one model's workers, and with whom.

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
        if settings.order not in POLICIES:
            raise ValueError(
                f"unknown order {settings.order!r}; the orders are {', '.join(POLICIES)}"
            )
        scheduling = settings.scheduling()
        self.settings = settings
        self.workers = workers
        self._limits = settings.limits
        self._scheduling = scheduling
        self._fit = CurveFit(settings.prior)
        self._tier_order = tier_order(scheduling)
        self._ledger = fairness(scheduling)
        policy = POLICIES[settings.order](scheduling)
        self._waiting = Waiting(policy, self._tier_order, self._ledger, by_tenant=False)
        self._queues = {
            tier: ItemQueue(tier, settings.tiers[tier], settings.limits, settings.length_aware)
            for tier in Tier
        }
        self._slices = Slices(settings.slice_s, settings.limits, self._queues)
        self._backlog = Backlog(self._tier_order, self._ledger)
        self._requests: dict[str, Request] = {}
        self._running: dict[int, Batch] = {}
        self._retries = Retries()
        self._losses: dict[str, int] = {}
        self._sequence = 0
        self._batches = 0

    # ---- events -----------------------------------------------------------------------------

    def set_workers(self, workers: int, now_s: float) -> None:
        """There are so many instances now. What runs goes on, even above that number."""
        self.workers = workers

    def add(self, request: Request, now_s: float) -> Reject | None:
        """A new item. It waits from now on, or the reason why not is returned.

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
        self._measure(request)
        rejection = self._refusal(request, now_s)
        if rejection is not None:
            request.state = State.REJECTED
            return rejection
        self._sequence += 1
        request.sequence = self._sequence
        request.state = State.WAITING
        self._requests[request.id] = request
        self._queues[request.tier].arrived(request, now_s)
        self._enqueue(request)
        return None

    def finished(self, batch: Batch, now_s: float, took_s: float) -> None:
        """A batch has its results; `took_s` is what the model took for it.

        Items that were cancelled meanwhile are none of ours any more; the rest are finished.
        """
        self._end(batch)
        self._fit.observe(batch.size, batch.length, took_s)
        self._queues[batch.requests[0].tier].policy.finished(batch, took_s)
        for request in self._still_wanted(batch):
            self._forget(request, State.FINISHED)

    def failed(self, batch: Batch, now_s: float) -> list[Request]:
        """A batch raised an error. It is cut in two, and the halves are launched again.

        Returns:
            The culprit, where the batch had only one item; it is finished, with that error.
        """
        self._end(batch)
        return self._bisect(self._still_wanted(batch))

    def lost(self, batch: Batch, now_s: float) -> list[Request]:
        """The worker of a batch died. All of it wait again, each in its place.

        An item may be what kills workers. So a batch with one that lost several is cut in two, as
        one that failed.

        Returns:
            The culprit, if only one item is left of such a batch; it is finished, with an error.
        """
        self._end(batch)
        requests = self._still_wanted(batch)
        for request in requests:
            self._losses[request.id] = self._losses.get(request.id, 0) + 1
        if any(self._losses[request.id] > MOST_LOSSES for request in requests):
            return self._bisect(requests)
        for request in requests:
            request.state = State.WAITING
            self._enqueue(request)
        return []

    def cancel(self, request_id: str, now_s: float) -> None:
        """An item is not wanted any more. One that is not known (any more) is ignored.

        In a batch that runs it runs on, as a batch cannot be stopped; its result is for nobody.
        """
        request = self._requests.get(request_id)
        if request is None:
            return
        if request.state is State.WAITING:
            if request_id in self._retries:
                self._retries.remove(request)
            else:
                self._dequeue(request)
                self._left(request)
        self._forget(request, State.CANCELLED)

    def use_table(self, tier: Tier, table: Table, now_s: float) -> None:
        """The solution of what `problems` asked for `tier`; ignored if that is not `optimal`."""
        policy = self._queues[tier].policy
        if isinstance(policy, Optimal):
            policy.use(table)

    # ---- decisions --------------------------------------------------------------------------

    def step(self, now_s: float) -> list[BatchDecision]:
        """What to do now."""
        decisions: list[BatchDecision] = []
        self._give_up_deadlines(now_s, decisions)
        while self.free_workers > 0 and self.waiting():
            batch = self._next_batch(now_s, decisions)
            if batch is None:
                break
            decisions.append(Launch(batch))
        return decisions

    def next_wakeup_s(self, now_s: float) -> float | None:
        """When to call `step` again even if nothing happens; None if not at all."""
        times = []
        for queue in self._queues.values():
            first = queue.first_deadline(now_s)
            if first is not None:
                # It may still be launched at that very moment: it is given up after it.
                times.append(nextafter(first.latest_start_s, inf))
            if queue.waiting and self.free_workers > 0:
                times.append(queue.policy.until_s(self._snapshot(queue, now_s)))
                if first is not None:
                    times.append(queue.launch_by_s(first, queue.waiting, self.curve))
        return max(now_s, min(times)) if times else None

    # ---- questions --------------------------------------------------------------------------

    @property
    def curve(self) -> Curve:
        """How long batches take, as fitted now."""
        return self._fit.curve

    @property
    def drifts(self) -> int:
        """How often the curve was seen to have changed."""
        return self._fit.drifts

    @property
    def requests(self) -> Mapping[str, Request]:
        """All items that wait or run, by id."""
        return MappingProxyType(self._requests)

    @property
    def batches(self) -> Mapping[int, Batch]:
        """The batches that run, by id."""
        return MappingProxyType(self._running)

    @property
    def free_workers(self) -> int:
        """Workers that run nothing."""
        return max(0, self.workers - len(self._running))

    def waiting(self, tier: Tier | None = None) -> int:
        """Items that wait, in `tier` or in all; those of failed batches only in all."""
        if tier is None:
            return self._backlog.requests + len(self._retries)
        return self._backlog.in_tier(tier)

    def backlog_s(self) -> float:
        """Predicted time to run what waits, with every worker and in the largest batches."""
        return sum(self._work_s(queue, queue.waiting) for queue in self._queues.values())

    def predicted_wait_s(self, request: Request, now_s: float) -> float:
        """Predicted time until `request`, added now, would be launched.

        At the least: for the first worker, for the higher tiers, and for those of its tier with
        an earlier deadline. It need not wait for others, as its deadline would put it before them.
        """
        ahead_s = 0.0
        for tier, queue in self._queues.items():
            if tier < request.tier:
                ahead_s += self._work_s(queue, queue.waiting)
            elif tier is request.tier:
                ahead_s += self._work_s(
                    queue, queue.before(request.latest_start_s, SAMPLED_REQUESTS)
                )
        return self._worker_free_s(now_s) - now_s + ahead_s

    def problems(self, now_s: float, solving: Collection[Tier] = ()) -> dict[Tier, Problem]:
        """What to solve for the tiers whose policy is `optimal`, where no table fits (any more).

        Solving takes longer than a step may: call `smdp.solve` where it holds up nobody, then
        `use_table`. For tiers in `solving` nothing is posed: to pose a problem takes time, too.
        """
        found = {}
        for tier, queue in self._queues.items():
            if queue.waiting and isinstance(queue.policy, Optimal) and tier not in solving:
                problem = queue.policy.problem(self._snapshot(queue, now_s))
                if problem is not None:
                    found[tier] = problem
        return found

    # ---- admission --------------------------------------------------------------------------

    def _refusal(self, request: Request, now_s: float) -> Reject | None:
        if not self._limits.could_ever_hold(request.prompt_tokens):
            return Reject(request, RejectReason.TOO_LARGE, 0.0)
        of_tier = self.settings.tiers[request.tier].queue.max_queue
        total = self.settings.max_queue
        if (of_tier is not None and self._backlog.in_tier(request.tier) >= of_tier) or (
            total is not None and self.waiting() >= total
        ):
            return Reject(request, RejectReason.QUEUE_FULL, self.backlog_s())
        if request.deadline_s is not None:
            wait_s = self.predicted_wait_s(request, now_s)
            if now_s + wait_s > request.latest_start_s:
                return Reject(request, RejectReason.DEADLINE, wait_s, wait_s)
        return None

    def _measure(self, request: Request) -> None:
        """Write down what follows from the curve: latest start, work, due time."""
        tier = self._scheduling.tier(request.tier)
        request.due_s = due_s(request, tier, self._scheduling.cost.duration_s(request))
        if not self._limits.could_ever_hold(request.prompt_tokens):
            return
        length = self._limits.padded_length(request.prompt_tokens)
        request.queued_work_s = request.service_s = self.curve.per_item_s(length)
        if request.deadline_s is not None:
            request.latest_start_s = self._latest_start_s(request)

    def _latest_start_s(self, request: Request) -> float:
        assert request.deadline_s is not None
        size = self._limits.padded_size(1)
        length = self._limits.padded_length(request.prompt_tokens)
        return request.deadline_s - self.curve.soonest_s(size, length)

    def _give_up_deadlines(self, now_s: float, decisions: list[BatchDecision]) -> None:
        for queue in self._queues.values():
            while (first := queue.first_deadline(now_s)) and first.latest_start_s < now_s:
                # By the curve as it is now, not as it was when the item came.
                if self._latest_start_s(first) < now_s:
                    self._reject(first, decisions)
                else:
                    self._pull(first)
                    self._measure(first)
                    self._push(first)

    def _reject(self, request: Request, decisions: list[BatchDecision]) -> None:
        """Give up the deadline of an item that waits in order."""
        self._dequeue(request)
        self._left(request)
        self._forget(request, State.REJECTED)
        decisions.append(Reject(request, RejectReason.DEADLINE, self.backlog_s()))

    # ---- launching --------------------------------------------------------------------------

    def _next_batch(self, now_s: float, decisions: list[BatchDecision]) -> Batch | None:
        """The batch to launch now, or None: wait."""
        while True:
            leader, size = self._leader(now_s)
            if leader is not None:
                draft = self._draft(leader, size, now_s)
                if draft is not None:
                    return self._launched(draft, now_s)
                # Not even alone would it meet its deadline.
                self._reject(leader, decisions)
            elif self._retries:
                draft = self._half(now_s, decisions)
                if draft.requests:
                    return self._launched(draft, now_s)
            else:
                return None

    def _leader(self, now_s: float) -> tuple[Request | None, int]:
        """Who is next and how many to launch with it; None: wait, or launch a half again."""
        may_lead: Callable[[Tier], bool] = _every_tier
        while (leader := self._waiting.next(now_s, may_lead, None)) is not None:
            if self._retries and leader.tier >= self._retries.tier:
                break
            queue = self._queues[leader.tier]
            size = self._size(queue, now_s)
            if size:
                return self._at_risk(queue, leader, size, now_s), size
            # It waits for company; that is no reason for a higher tier to wait behind it.
            may_lead = queue.is_below
        return None, 0

    def _size(self, queue: ItemQueue, now_s: float) -> int:
        """How many items of `queue`, which is next, to launch now; 0: wait."""
        snapshot = self._snapshot(queue, now_s)
        size = queue.policy.size(snapshot)
        if size:
            return size
        first = queue.first_deadline(now_s)
        due = first is not None and queue.launch_by_s(first, queue.waiting, self.curve) <= now_s
        # Waiting is for company: where lower tiers have some, it is there.
        if due or any(self._queues[tier].waiting for tier in Tier if tier > queue.tier):
            return min(queue.waiting, snapshot.sizes[-1])
        return 0

    def _at_risk(self, queue: ItemQueue, leader: Request, size: int, now_s: float) -> Request:
        """Who leads instead of `leader`: the first deadline, if it could not be met any more when
        the next worker is free. Who is due by its starvation bound keeps its turn."""
        first = queue.first_deadline(now_s)
        if first is None or leader.due_s <= now_s or self.free_workers > 1:
            return leader
        ends_s = now_s + self.curve.batch_s(self._limits.padded_size(size), queue.mean_length)
        next_s = min((_ends_s(batch) for batch in self._running.values()), default=INFINITE)
        return first if min(ends_s, next_s) > first.latest_start_s else leader

    def _draft(self, leader: Request, size: int, now_s: float) -> Draft | None:
        """A batch that holds `leader`, with its items taken out; None if its deadline is lost."""
        queue = self._queues[leader.tier]
        # Places that are only padding cost nothing.
        most = min(self._limits.padded_size(size), queue.most)
        within_s = self._slices.within_s(queue, self.curve, now_s)
        draft = Draft(self._limits, self.curve, now_s, most, within_s)
        if not draft.admit(leader):
            return None
        self._take(leader)
        self._company(draft, queue, now_s)
        for tier in Tier:
            if tier > queue.tier and self._queues[tier].waiting:
                # Its own tier has the room first, and what is left of that must not wait longer.
                filler = self._queues[tier]
                within_s = 0.0
                if not queue.waiting:
                    within_s = self._slices.filled_within_s(queue, filler, self.curve, now_s)
                draft.open_to_fillers(queue.most, within_s)
                self._company(draft, filler, now_s)
        return draft

    def _company(self, draft: Draft, queue: ItemQueue, now_s: float) -> None:
        """Fill `draft` with items of `queue`."""
        if queue.lengths is not None:
            leader = draft.requests[0]
            if leader.tier is queue.tier:
                near = companions(leader, queue.lengths, draft.most, self._limits, self.curve)
            else:
                near = queue.lengths.longest_within(draft.length, draft.room + MOST_MISFITS)
            for request in near:
                if not draft.room:
                    break
                if draft.admit(request):
                    self._take(request)
            return
        misfits: list[Request] = []
        while draft.room and queue.waiting and len(misfits) < MOST_MISFITS:
            candidate = self._waiting.next(now_s, queue.is_of, None)
            if candidate is None:
                break
            if draft.admit(candidate):
                self._take(candidate)
            else:
                self._pull(candidate)
                misfits.append(candidate)
        for misfit in misfits:
            self._push(misfit)

    def _take(self, request: Request) -> None:
        """`request` waits no more, as it is in the next batch."""
        self._dequeue(request)
        self._tier_order.served(request.tier, request.service_s)
        if self._ledger is not None:
            self._ledger.charge(request.tenant, PROMPT_WEIGHT * request.prompt_tokens)

    def _launched(self, draft: Draft, now_s: float) -> Batch:
        self._batches += 1
        for request in draft.requests:
            self._left(request)
            if request.started_s < 0.0:
                request.started_s = now_s
            request.resumed_s = now_s
            request.state = State.RUNNING
        batch = Batch(
            self._batches,
            tuple(draft.requests),
            draft.size,
            draft.length,
            now_s,
            draft.predicted_s,
        )
        self._running[batch.id] = batch
        self._queues[batch.requests[0].tier].launched(batch)
        return batch

    # ---- batches that failed ----------------------------------------------------------------

    def _bisect(self, requests: list[Request]) -> list[Request]:
        """Launch the halves of `requests` again, or return the one that is left."""
        if len(requests) == 1:
            self._forget(requests[0], State.FINISHED)
            return requests
        for request in requests:
            request.state = State.WAITING
        if requests:
            self._retries.bisect(requests)
        return []

    def _half(self, now_s: float, decisions: list[BatchDecision]) -> Draft:
        """The next half, without those whose deadline is lost; perhaps nothing is left of it."""
        half = self._retries.pop()
        draft = Draft(self._limits, self.curve, now_s, len(half))
        for request in half:
            if not draft.admit(request):
                self._forget(request, State.REJECTED)
                decisions.append(Reject(request, RejectReason.DEADLINE, self.backlog_s()))
        return draft

    # ---- small facts ------------------------------------------------------------------------

    def _end(self, batch: Batch) -> None:
        """`batch` runs no more."""
        if self._running.get(batch.id) is not batch:
            raise ValueError(f"batch {batch.id} does not run; it ended before, or is another's")
        del self._running[batch.id]

    def _still_wanted(self, batch: Batch) -> list[Request]:
        return [request for request in batch.requests if request.state is State.RUNNING]

    def _forget(self, request: Request, state: State) -> None:
        """`request` is done with, in `state`."""
        request.state = state
        del self._requests[request.id]
        self._losses.pop(request.id, None)

    def _snapshot(self, queue: ItemQueue, now_s: float) -> QueueSnapshot:
        within_s = self._slices.within_s(queue, self.curve, now_s)
        free = max(1, self.free_workers)
        return queue.snapshot(now_s, max(1, self.workers), free, self.curve, within_s)

    def _worker_free_s(self, now_s: float) -> float:
        """When the first worker is free, by the predicted ends of what runs."""
        if self.free_workers or not self._running:
            return now_s
        return max(now_s, min(_ends_s(batch) for batch in self._running.values()))

    def _work_s(self, queue: ItemQueue, items: float) -> float:
        """Predicted time of `items` of `queue` with every worker and in the largest batches."""
        full_s = self.curve.batch_s(self._limits.padded_size(queue.most), queue.mean_length)
        return items / queue.most * full_s / max(1, self.workers)

    def _enqueue(self, request: Request) -> None:
        """`request` begins to wait in order."""
        self._backlog.began(request)
        self._push(request)

    def _dequeue(self, request: Request) -> None:
        """`request` waits in order no more."""
        self._pull(request)
        self._backlog.ended(request)

    def _left(self, request: Request) -> None:
        """`request` waits no more, and is paid for."""
        if self._ledger is not None and not self._backlog.of_tenant(request.tenant):
            self._ledger.departed(request.tenant)

    def _push(self, request: Request) -> None:
        self._backlog.add(request)
        self._waiting.push(request)
        self._queues[request.tier].push(request)

    def _pull(self, request: Request) -> None:
        self._waiting.take(request)
        self._queues[request.tier].removed(request)
        self._backlog.remove(request)


def _ends_s(batch: Batch) -> float:
    return batch.launched_s + batch.predicted_s


def _every_tier(tier: Tier) -> bool:
    return True
