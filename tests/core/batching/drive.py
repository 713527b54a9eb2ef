"""Generated event sequences for the batcher, and a driver that checks every decision."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import strategies as st
from tests.core.event_driver import LIVE, EventDriver

from headway.core.batching import (
    Batch,
    Batcher,
    BatchingSettings,
    Curve,
    Launch,
    Limits,
    TierBatching,
    solve,
)
from headway.core.decision import Reject
from headway.core.estimate import SizeEstimate
from headway.core.policies import POLICIES
from headway.core.request import Request, State, Tier
from headway.core.settings import TierSettings
from headway.core.transitions import IN_BATCHER

CURVE = Curve(fixed_s=0.005, item_s=0.0005, token_s=0.00001)
"""How long the batches of the driver really take; the batcher has it as its prior."""

LONGEST = 500


def item(name: str, length: int = 10, arrival_s: float = 0.0, **facts) -> Request:
    return Request(name, arrival_s, length, SizeEstimate.exactly(1), **facts)


def at_once(limits: Limits, workers: int = 1, **facts) -> Batcher:
    """A batcher that launches whenever a worker is free."""
    batching = TierBatching("constant", max_delay_s=0.0)
    tiers = dict.fromkeys(Tier, batching)
    return Batcher(BatchingSettings(limits=limits, tiers=tiers, **facts), workers)


tier_batchings = st.builds(
    TierBatching,
    policy=st.sampled_from(["constant", "adaptive", "optimal"]),
    max_size=st.sampled_from([None, None, 1, 5]),
    max_delay_s=st.sampled_from([0.0, 0.004, 0.1]),
    slo_s=st.sampled_from([None, 0.02]),
    queue=st.builds(
        TierSettings,
        max_wait_s=st.sampled_from([float("inf"), 0.05, 1.0]),
        max_queue=st.sampled_from([None, None, 6]),
        weight=st.sampled_from([1.0, 3.0]),
    ),
)

limits_of_every_kind = st.builds(
    Limits,
    max_size=st.sampled_from([1, 4, 8, 32]),
    sizes=st.sampled_from([(), (), (1, 2, 4, 8), (4, 16)]),
    lengths=st.sampled_from([(), (), (16, 64, 256, LONGEST), (64,)]),
    max_tokens=st.sampled_from([None, None, 2000, 300]),
)

settings_of_every_kind = st.builds(
    BatchingSettings,
    limits=limits_of_every_kind,
    tiers=st.fixed_dictionaries(dict.fromkeys(Tier, tier_batchings)),
    length_aware=st.booleans(),
    slice_s=st.sampled_from([None, 0.008, 0.02]),
    order=st.sampled_from(sorted(POLICIES)),
    tier_mode=st.sampled_from(["strict", "weighted"]),
    fairness=st.sampled_from(["off", "vtc", "drr"]),
    tenant_weights=st.sampled_from([{}, {"a": 2.0}]),
    max_queue=st.sampled_from([None, 20]),
    prior=st.just(CURVE),
)

new_items = st.fixed_dictionaries(
    {
        "prompt_tokens": st.integers(1, LONGEST),
        "tier": st.sampled_from(list(Tier)),
        "tenant": st.sampled_from(["a", "b", "c"]),
        "priority": st.integers(-2, 2),
        "deadline_in_s": st.sampled_from([None, None, None, 0.01, 0.03, 1.0]),
    }
)

pick = st.integers(0, 10**6)
events = st.one_of(
    *[st.tuples(st.just("add"), new_items)] * 8,
    *[st.tuples(st.just("finish"), pick)] * 3,
    *[st.tuples(st.just("wait"), st.sampled_from([0.0005, 0.003, 0.02, 0.3]))] * 2,
    st.tuples(st.just("wake"), st.none()),
    st.tuples(st.just("fail"), pick),
    st.tuples(st.just("lose"), pick),
    st.tuples(st.just("cancel"), pick),
    st.tuples(st.just("set_workers"), st.integers(0, 3)),
    st.tuples(st.just("solve"), st.none()),
)
event_lists = st.lists(events, min_size=25, max_size=70)


@dataclass
class Driver(EventDriver):
    """Feeds events to a Batcher and checks its guarantees after each one."""

    settings: BatchingSettings
    workers: int = 1
    answers: dict[str, str] = field(default_factory=dict)
    """What every client got: done, failed, refused or nothing (cancelled)."""
    running: dict[int, Batch] = field(default_factory=dict)
    launches: int = 0

    def __post_init__(self) -> None:
        self.batcher = Batcher(self.settings, self.workers)

    @property
    def machine(self) -> Batcher:
        return self.batcher

    # events

    def add(self, facts: dict[str, object]) -> None:
        rejection = self.add_new(SizeEstimate.exactly(1), facts)
        if rejection is not None:
            self.answer(rejection.request, "refused")

    def wake(self, _: None) -> None:
        wakeup_s = self.batcher.next_wakeup_s(self.now_s)
        if wakeup_s is not None:
            assert wakeup_s >= self.now_s
            self.now_s = wakeup_s

    def one_batch(self, which: int) -> Batch | None:
        running = list(self.running.values())
        return self.running.pop(running[which % len(running)].id) if running else None

    def finish(self, which: int) -> None:
        batch = self.one_batch(which)
        if batch is not None:
            took_s = CURVE.batch_s(batch.size, batch.length)
            self.now_s = max(self.now_s, batch.launched_s + took_s)
            for request in batch.requests:
                if request.state is State.RUNNING:
                    self.answer(request, "done")
            self.batcher.finished(batch, self.now_s, took_s)

    def fail(self, which: int) -> None:
        batch = self.one_batch(which)
        if batch is not None:
            for culprit in self.batcher.failed(batch, self.now_s):
                self.answer(culprit, "failed")

    def lose(self, which: int) -> None:
        batch = self.one_batch(which)
        if batch is not None:
            for culprit in self.batcher.lost(batch, self.now_s):
                self.answer(culprit, "failed")

    def cancel(self, which: int) -> None:
        request = self.cancel_one(which)
        if request is not None:
            self.answer(request, "nothing")

    def set_workers(self, workers: int) -> None:
        self.workers = workers
        self.batcher.set_workers(workers, self.now_s)

    def solve(self, _: None) -> None:
        for tier, problem in self.batcher.problems(self.now_s).items():
            self.batcher.use_table(tier, solve(problem, states=40), self.now_s)

    # decisions

    def step(self) -> None:
        self.transitions_are_legal(IN_BATCHER)
        for decision in self.batcher.step(self.now_s):
            self.log.append(str(decision))
            if isinstance(decision, Reject):
                self.answer(decision.request, "refused")
            elif isinstance(decision, Launch):
                self.launches += 1
                self.running[decision.batch.id] = decision.batch
                self.limits_are_kept(decision.batch)
                self.deadlines_are_kept(decision.batch)
        self.transitions_are_legal(IN_BATCHER)
        self.workers_are_kept()
        self.no_request_is_lost()
        self.each_item_runs_once_and_gets_one_answer()
        self.delays_are_kept()

    def answer(self, request: Request, what: str) -> None:
        assert request.id not in self.answers, f"{request.id} was answered twice"
        self.answers[request.id] = what

    def limits_are_kept(self, batch: Batch) -> None:
        limits = self.settings.limits
        assert 1 <= len(batch) <= batch.size <= max(limits.sizes, default=limits.max_size)
        assert len(batch) <= limits.max_size
        assert all(request.prompt_tokens <= batch.length for request in batch.requests)
        assert not limits.sizes or batch.size in limits.sizes
        assert not limits.lengths or batch.length in limits.lengths
        assert limits.max_tokens is None or batch.size * batch.length <= limits.max_tokens
        assert all(request.state is State.RUNNING for request in batch.requests)
        slice_s = self.settings.slice_s
        higher = any(request.tier is Tier.INTERACTIVE for request in batch.requests)
        if slice_s is not None and not higher and batch.predicted_s > slice_s:
            # One item cannot be cut, and padding takes no time.
            assert batch.size == limits.padded_size(1), "a lower tier is over its slice"

    def deadlines_are_kept(self, batch: Batch) -> None:
        """A launched batch ends in time if it takes its predicted duration."""
        took_s = batch.predicted_s
        if len(batch) == 1:  # a single item has the benefit of the doubt
            took_s = self.batcher.curve.soonest_s(batch.size, batch.length)
        for request in batch.requests:
            if request.deadline_s is not None:
                assert self.now_s + took_s <= request.deadline_s + 1e-9

    def workers_are_kept(self) -> None:
        assert set(self.running) == set(self.batcher.batches)
        assert self.batcher.free_workers == max(0, self.workers - len(self.running))

    def each_item_runs_once_and_gets_one_answer(self) -> None:
        assert {r.id for r in self.added.values() if r.state not in LIVE} == set(self.answers)
        in_batches = [r.id for batch in self.running.values() for r in batch.requests]
        assert len(in_batches) == len(set(in_batches)), "an item runs twice"

    def delays_are_kept(self) -> None:
        """With a free worker no item waits past the delay of `constant`, nor is left behind."""
        if not self.batcher.free_workers:
            return
        for request in self.added.values():
            if request.state is not State.WAITING:
                continue
            batching = self.settings.tiers[request.tier]
            if batching.policy == "constant":
                assert self.now_s < request.arrival_s + batching.max_delay_s
            assert self.batcher.next_wakeup_s(self.now_s) is not None
            assert len(self.running) < self.workers

    def drain(self) -> None:
        """Finish running batches and wake up at `next_wakeup_s`, until nothing is left."""
        if not self.workers:
            self.set_workers(1)
        for _ in range(20 * len(self.added) + 20):
            self.step()
            if self.running:
                self.finish(0)
            elif self.batcher.requests:
                before_s = self.now_s
                self.wake(None)
                self.step()
                assert self.now_s > before_s or self.running or not self.batcher.requests, (
                    "woke up for nothing"
                )
            else:
                break
        assert not self.batcher.requests, "an item never ran"
