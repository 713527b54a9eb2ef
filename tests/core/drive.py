"""Generated event sequences for the scheduler, and a driver that checks every decision."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from hypothesis import strategies as st
from tests.core.event_driver import EventDriver

from headway.core.backend import Backend
from headway.core.cost import CostModel
from headway.core.decision import Decision, Preempt, Reject, Start
from headway.core.estimate import SizeEstimate
from headway.core.policies import POLICIES
from headway.core.request import Request, State, Tier
from headway.core.scheduler import Scheduler
from headway.core.settings import PreemptionSettings, SchedulerSettings, TierSettings
from headway.core.transitions import IN_SCHEDULER

COST = CostModel(prefill_s_per_token=0.001, decode_s_per_token=0.02, preempt_s=0.05)
FREE = replace(COST, preempt_s=0.0)
"""With this a preemption costs nothing."""
INF = float("inf")

tier_settings = st.builds(
    TierSettings,
    max_wait_s=st.sampled_from([INF, 1.0, 5.0]),
    max_slowdown=st.sampled_from([INF, 3.0, 20.0]),
    max_queue=st.sampled_from([None, None, 5]),
    max_running=st.sampled_from([None, None, 1, 2]),
    weight=st.sampled_from([1.0, 3.0]),
)

settings_of_every_kind = st.builds(
    SchedulerSettings,
    policy=st.sampled_from(sorted(POLICIES)),
    tier_mode=st.sampled_from(["strict", "weighted"]),
    tiers=st.fixed_dictionaries(dict.fromkeys(Tier, tier_settings)),
    fairness=st.sampled_from(["off", "vtc", "drr"]),
    tenant_weights=st.sampled_from([{}, {"a": 2.0}]),
    tenant_max_running=st.sampled_from([None, None, 1, 2]),
    max_queue=st.sampled_from([None, 12]),
    on_missed_deadline=st.sampled_from(["reject", "downgrade"]),
    preemption=st.builds(
        PreemptionSettings,
        enabled=st.booleans(),
        min_run_s=st.sampled_from([0.0, 0.25]),
        max_preemptions=st.sampled_from([1, 16]),
        trail_c=st.sampled_from([None, 0.8]),
    ),
    cost=st.sampled_from([COST, FREE]),
)

new_requests = st.fixed_dictionaries(
    {
        "prompt_tokens": st.integers(1, 500),
        "lengths": st.lists(st.integers(1, 400), min_size=1, max_size=3),
        "tier": st.sampled_from(list(Tier)),
        "tenant": st.sampled_from(["a", "b", "c"]),
        "program": st.sampled_from(["", "p", "q"]),
        "step": st.sampled_from(["", "s", "t"]),
        "parents": st.sampled_from([(), ("s",), ("s", "t")]),
        "to_come": st.sampled_from([None, SizeEstimate((1, 5000), (1.0, 3.0))]),
        "priority": st.integers(-2, 2),
        "deadline_in_s": st.sampled_from([None, None, 1.0, 5.0, 60.0]),
        "preemptible": st.booleans(),
        "lane": st.sampled_from(["m", "m", "n"]),
    }
)

pick = st.integers(0, 10**6)
events = st.one_of(
    *[st.tuples(st.just("add"), new_requests)] * 6,
    *[st.tuples(st.just("finish"), pick)] * 2,
    st.tuples(st.just("wait"), st.sampled_from([0.01, 0.3, 1.0, 5.0])),
    st.tuples(st.just("progress"), pick),
    st.tuples(st.just("pin"), st.tuples(pick, st.sampled_from(["m", "n"]))),
    st.tuples(st.just("cancel"), pick),
    st.tuples(st.just("requeue"), st.tuples(pick, st.frozensets(st.sampled_from(["x", "y"])))),
    st.tuples(st.just("revise"), st.tuples(pick, st.integers(1, 400))),
    st.tuples(st.just("move"), st.tuples(pick, st.sampled_from(Tier))),
    st.tuples(st.just("use_policy"), st.sampled_from(sorted(POLICIES))),
    st.tuples(st.just("set_slots"), st.tuples(st.sampled_from(["x", "y"]), st.integers(0, 3))),
    st.tuples(st.just("remove"), st.just("y")),
)
event_lists = st.lists(events, min_size=25, max_size=60)


# Caps, due times and preemption together: few values of each, so that they interact often.

tight_tiers = st.builds(
    TierSettings,
    max_wait_s=st.sampled_from([1.0, 2.0, INF]),
    max_running=st.sampled_from([None, None, None, 1]),
)

tight_settings = st.builds(
    SchedulerSettings,
    policy=st.sampled_from(["srpt", "fcfs", "priority", "edf"]),
    tier_mode=st.sampled_from(["strict", "strict", "strict", "weighted"]),
    tiers=st.fixed_dictionaries(dict.fromkeys(Tier, tight_tiers)),
    fairness=st.sampled_from(["off", "off", "vtc", "drr"]),
    tenant_max_running=st.sampled_from([1, 1, 1, None]),
    on_missed_deadline=st.sampled_from(["reject", "downgrade"]),
    preemption=st.builds(PreemptionSettings, min_run_s=st.sampled_from([0.0, 0.25])),
    cost=st.just(FREE),
)

tight_requests = st.fixed_dictionaries(
    {
        "prompt_tokens": st.just(1),
        "lengths": st.sampled_from([[5], [50], [400]]),
        "tier": st.sampled_from(list(Tier)),
        "tenant": st.sampled_from(["a", "a", "b"]),
        "priority": st.integers(0, 1),
        "deadline_in_s": st.sampled_from([None, None, None, 9.0]),
        "preemptible": st.just(True),
        "lane": st.sampled_from(["m", "m", "n"]),
    }
)

tight_events = st.lists(
    st.one_of(
        *[st.tuples(st.just("add"), tight_requests)] * 5,
        *[st.tuples(st.just("run_on"), st.sampled_from([1.0, 0.5, 2.0]))] * 4,
        st.one_of(
            st.tuples(st.just("finish"), pick),
            st.tuples(st.just("finish"), pick),
            st.tuples(st.just("use_policy"), st.sampled_from(["srpt", "fcfs"])),
        ),
    ),
    min_size=8,
    max_size=20,
)
tight_slots = st.sampled_from([{"x": 1, "y": 0}, {"x": 1, "y": 1}, {"x": 2, "y": 0}])


def backend(name: str, slots: int, cost: CostModel, piecewise: bool = False) -> Backend:
    """Backend x serves both models, y only one, with little KV cache."""
    lanes = frozenset({"m", "n"}) if name == "x" else frozenset({"m"})
    return Backend(name, slots, lanes, None if name == "x" else 2000, cost, piecewise)


@dataclass
class Driver(EventDriver):
    """Feeds events to a Scheduler and checks its promises after each."""

    settings: SchedulerSettings
    rejected: set[str] = field(default_factory=set)
    slots: dict[str, int] = field(default_factory=lambda: {"x": 2, "y": 1})
    piecewise: bool = False
    """Whether the backends take prompts in pieces."""

    def __post_init__(self) -> None:
        self.scheduler = Scheduler(self.settings)
        self.slots = dict(self.slots)
        for name, slots in self.slots.items():
            self.set_backend(self.backend(name, slots))

    def backend(self, name: str, slots: int) -> Backend:
        return backend(name, slots, self.settings.cost, self.piecewise)

    @property
    def machine(self) -> Scheduler:
        return self.scheduler

    # events

    def add(self, facts: dict[str, object]) -> None:
        facts = dict(facts)
        estimate = SizeEstimate.from_lengths(facts.pop("lengths"))  # type: ignore[arg-type]
        rejection = self.add_new(estimate, facts)
        if rejection is not None:
            self.rejected.add(rejection.request.id)

    def progress(self, which: int) -> None:
        request = self.one({State.RUNNING}, which)
        if request is not None:
            self.scheduler.progress(request.id, request.output_tokens + 1 + which % 50, self.now_s)

    def pin(self, of: tuple[int, str]) -> None:
        which, lane = of
        request = self.one({State.RUNNING}, which)
        if request is not None:
            self.scheduler.pin(request.id, lane, self.now_s)

    def finish(self, which: int) -> None:
        request = self.one({State.RUNNING}, which)
        if request is not None:
            self.scheduler.finish(request.id, self.now_s)

    def cancel(self, which: int) -> None:
        self.cancel_one(which)

    def requeue(self, of: tuple[int, frozenset[str]]) -> None:
        which, avoid = of
        request = self.one({State.RUNNING}, which)
        if request is not None:
            self.scheduler.requeue(request.id, self.now_s, avoid)

    def revise(self, of: tuple[int, int]) -> None:
        which, tokens = of
        request = self.one({State.WAITING, State.PREEMPTED, State.RUNNING}, which)
        if request is not None:
            due_s = request.due_s
            estimate = SizeEstimate.exactly(tokens)
            self.scheduler.revise(request.id, estimate, None, self.now_s)
            assert request.due_s <= due_s, "a promise was taken back"

    def move(self, of: tuple[int, Tier]) -> None:
        which, tier = of
        request = self.one({State.WAITING, State.PREEMPTED}, which)
        if request is not None:
            due_s = request.due_s
            self.scheduler.move(request.id, tier, self.now_s)
            assert request.tier is tier
            assert request.due_s <= due_s, "a promise was taken back"

    def use_policy(self, name: str) -> None:
        self.scheduler.use_policy(name, self.now_s)

    def set_slots(self, of: tuple[str, int]) -> None:
        name, slots = of
        self.slots[name] = slots
        self.set_backend(self.backend(name, slots))

    def set_backend(self, backend: Backend) -> None:
        self.scheduler.set_backend(backend, self.now_s)

    def remove_backend(self, name: str) -> list[Request]:
        return self.scheduler.remove_backend(name, self.now_s)

    def remove(self, name: str) -> None:
        if name in self.scheduler.backends:
            orphans = self.remove_backend(name)
            assert all(request.state is State.PREEMPTED for request in orphans)
            self.slots.pop(name, None)

    def run_on(self, seconds: float) -> None:
        """Time passes, and each running request has one more token, so that it may be stopped."""
        self.now_s += seconds
        for request in self.added.values():
            if request.state is State.RUNNING:
                self.scheduler.progress(request.id, request.output_tokens + 1, self.now_s)

    # decisions

    def step(self) -> list[Decision]:
        self.transitions_are_legal(IN_SCHEDULER)
        live = {State.WAITING, State.PREEMPTED, State.RUNNING}
        # The waiting and running requests, updated with each decision.
        waiting = {
            r.id: (r.due_s, r.tier)
            for r in self.added.values()
            if r.state in live - {State.RUNNING}
        }
        running = [r for r in self.added.values() if r.state is State.RUNNING]
        decisions = self.decide()
        for decision in decisions:
            self.log.append(str(decision))
            request = decision.request
            if isinstance(decision, Start):
                assert waiting.pop(request.id, None), "started without having waited"
                self.starvation_bound_holds(decision, waiting, running)
                assert not self.avoids(request, decision.backend), "it failed there before"
                running.append(request)
            elif isinstance(decision, Preempt):
                assert request.preemptible
                running.remove(request)
                waiting[request.id] = (request.due_s, request.tier)
            elif isinstance(decision, Reject):
                assert not request.output_tokens, "rejected after the client got tokens"
                waiting.pop(request.id, None)
                self.rejected.add(request.id)
        self.transitions_are_legal(IN_SCHEDULER)
        self.capacity_is_kept(decisions)
        self.no_request_is_lost()
        self.rejections_are_known()
        self.work_is_conserved()
        return decisions

    def decide(self) -> list[Decision]:
        return self.scheduler.step(self.now_s)

    def avoids(self, request: Request, name: str) -> bool:
        """Whether `request` must not run there, because it failed there and may run elsewhere."""
        return name in request.avoid and any(
            request.lane in other.lanes and other.slots and other.name not in request.avoid
            for other in self.scheduler.backends.values()
        )

    def starvation_bound_holds(
        self, start: Start, waiting: dict[str, tuple[float, Tier]], running: list[Request]
    ) -> None:
        """No request starts before one that was due earlier and could run in its place."""
        started, backend = start.request, self.scheduler.backends[start.backend]
        for other_id, (due_s, tier) in waiting.items():
            other = self.added[other_id]
            if other.tier is not tier:
                continue  # downgraded in this very step: the bound of its new tier holds
            if due_s > self.now_s or due_s >= started.due_s or other.lane not in backend.lanes:
                continue
            if other.lane != started.lane and backend.kv_tokens is not None:
                continue  # it waits for more room than this slot has
            if self.avoids(other, backend.name):
                continue
            assert not self.below_caps(tier, other.tenant, running), (
                f"{started.id} overtook {other_id}, which is due"
            )

    def below_caps(self, tier: Tier, tenant: str, running: list[Request]) -> bool:
        tier_cap = self.settings.tier(tier).max_running
        tenant_cap = self.settings.tenant_max_running
        return (tier_cap is None or sum(r.tier is tier for r in running) < tier_cap) and (
            tenant_cap is None or sum(r.tenant == tenant for r in running) < tenant_cap
        )

    def capacity_is_kept(self, decisions: list[Decision]) -> None:
        started_on = {d.backend for d in decisions if isinstance(d, Start)}
        for name, held in self.scheduler.backends.items():
            running = [
                r for r in self.added.values() if r.state is State.RUNNING and r.backend == name
            ]
            assert {r.id for r in running} == set(held.running)
            assert held.kv_reserved == sum(r.reserved_kv_tokens for r in running)
            if name in started_on:
                assert len(running) <= self.slots[name]
            if held.kv_tokens is not None:
                assert held.kv_reserved <= held.kv_tokens
        for tier in Tier:
            cap = self.settings.tier(tier).max_running
            assert cap is None or self.scheduler.running(tier) <= cap
        cap = self.settings.tenant_max_running
        if cap is not None:
            for tenant in "abc":
                running = [
                    r
                    for r in self.added.values()
                    if r.state is State.RUNNING and r.tenant == tenant
                ]
                assert len(running) <= cap

    def rejections_are_known(self) -> None:
        assert {r.id for r in self.added.values() if r.state is State.REJECTED} == self.rejected

    def work_is_conserved(self) -> None:
        """A slot is free only if no request that may run is served by its backend."""
        running = [r for r in self.added.values() if r.state is State.RUNNING]
        for request in self.added.values():
            if request.state not in {State.WAITING, State.PREEMPTED}:
                continue
            if not self.below_caps(request.tier, request.tenant, running):
                continue
            for held in self.scheduler.backends.values():
                # With a KV budget, the next request may wait for room, and all others behind it.
                if self.avoids(request, held.name):
                    continue
                if request.lane in held.lanes and held.kv_tokens is None:
                    assert len(held.running) >= held.slots, f"{request.id} waits beside a free slot"

    def drain(self) -> None:
        """Finish requests until none is left."""
        self.set_slots(("x", 3))
        for _ in range(4 * len(self.added) + 10):
            self.step()
            running = [r for r in self.added.values() if r.state is State.RUNNING]
            if not running:
                break
            self.now_s += 0.5
            self.scheduler.finish(running[0].id, self.now_s)
        assert not self.scheduler.requests, "a request never ran"
