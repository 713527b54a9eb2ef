"""The scheduler: events go in with their time, decisions come out.

A pure state machine. It reads no clock, does no I/O and draws no random number, so the same
events give the same decisions under the gateway, under the simulator and in a test.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from math import inf, nextafter
from types import MappingProxyType

from headway.core.admission import Admission
from headway.core.backend import Backend
from headway.core.cost import CostModel
from headway.core.decision import Decision, Preempt, Reject, RejectReason, Start
from headway.core.estimate import SizeEstimate
from headway.core.fairness import OUTPUT_WEIGHT, PROMPT_WEIGHT, Fairness, fairness
from headway.core.forecast import predicted_wait_s
from headway.core.lanes import Lanes
from headway.core.placement import choose
from headway.core.policies import POLICIES, Policy
from headway.core.preemption import PreemptionRule
from headway.core.request import Request, State, Tier
from headway.core.running import Running
from headway.core.settings import SchedulerSettings
from headway.core.starvation import due_s
from headway.core.takeover import Takeovers
from headway.core.tiers import tier_order

OPTIMISTIC_QUANTILE = 0.1
"""A deadline is given up when even an answer this short would miss it."""

MOST_PASSED = 8
"""Requests a step that may be passed over because the backends with room failed on them before."""


class Scheduler:
    """Decides who runs and who waits.

    Events are methods; each takes the time `now_s`, which must not go backwards. Call `step`
    after an event, and at `next_wakeup_s`, and carry out the decisions in their order.

    Args:
        settings: everything an operator decides.
        produced: asked before running requests are compared, of a driver that does not tell
            every token at once: the output tokens of what runs on a backend. None: `progress`
            tells them all.

    Raises:
        ValueError: on construction, if the policy has no such name; on an event that cannot
            happen in the request's state. Nothing has changed then.
    """

    def __init__(
        self,
        settings: SchedulerSettings,
        produced: Callable[[Backend, float], Sequence[tuple[Request, int]]] | None = None,
    ) -> None:
        policy = _policy_class(settings.policy)(settings)
        self.settings = settings
        self.policy_name = settings.policy
        self._cost = settings.cost
        self.backends: dict[str, Backend] = {}
        self._requests: dict[str, Request] = {}
        self._policy = policy
        self._tier_order = tier_order(settings)
        self._ledger = fairness(settings)
        self._preemption = self._preemption_rule()
        self._serving: dict[str, list[Backend]] = {}
        self._running = Running(settings)
        by_tenant = settings.tenant_max_running is not None
        self._lanes = Lanes(policy, self._tier_order, self._ledger, by_tenant)
        self._backlog = self._lanes.backlog
        self._admission = Admission(
            settings, self._backlog, self._running, self.backlog_s, self.predicted_wait_s
        )
        self._tiers = [settings.tier(tier) for tier in Tier]
        self._sequence = 0
        self._produced = produced
        self._takeovers = Takeovers(
            self._lanes,
            self._running,
            self._tier_order,
            self._ledger,
            settings.preemption.min_run_s,
            self.catch_up,
        )

    # ---- events -----------------------------------------------------------------------------

    def set_backend(self, backend: Backend, now_s: float) -> None:
        """Add `backend`, or give the one of that name new slots, lanes, KV budget and cost.

        What runs on it goes on, even above its new number of slots.
        """
        known = self.backends.get(backend.name)
        if known is None:
            self.backends[backend.name] = backend
        else:
            known.slots = backend.slots
            known.lanes = backend.lanes
            known.kv_tokens = backend.kv_tokens
            known.cost = backend.cost
        self._map_lanes()

    def remove_backend(self, name: str, now_s: float) -> list[Request]:
        """Take a backend out for good. What ran there waits again, its place kept."""
        backend = self.backends[name]
        orphans = list(backend.running.values())
        for request in orphans:
            self._send_back(request)
        del self.backends[name]
        self._map_lanes()
        return orphans

    def calibrate(self, cost: CostModel, now_s: float) -> None:
        """Rank and predict by `cost` from now on, for example by what a first probe measured.

        Ranks made by different cost models do not compare, so all that waits is ranked anew.
        """
        waiting = self._pull_all()
        self._takeovers.forget()
        self._cost = self._policy.cost = cost
        for request in waiting:
            self._measure(request)
            self._lanes.push(request)

    def use_policy(self, name: str, now_s: float) -> None:
        """Order by another policy from now on; all that waits is ranked anew.

        Raises:
            ValueError: if there is no policy `name`. Nothing has changed then.
        """
        policy = _policy_class(name)(replace(self.settings, policy=name, cost=self._cost))
        waiting = self._pull_all()
        self._takeovers.forget()
        self.policy_name, self._policy = name, policy
        self._preemption = self._preemption_rule()
        self._lanes.use(self._policy)
        for request in waiting:
            self._lanes.push(request)

    def revise(
        self,
        request_id: str,
        estimate: SizeEstimate,
        score: float | None,
        now_s: float,
        from_start: bool = False,
    ) -> None:
        """More is known of how long a request is. One that is not known (any more) is ignored.

        It keeps the due time that it was promised, unless the new one is earlier.

        Args:
            request_id: of the request.
            estimate: of all of its output tokens.
            score: a ranker's; None: nobody looked.
            now_s: the time.
            from_start: the estimate before was a claim that is not believed any more: the due time
                and the initial prediction are those that the new one would have given.
        """
        request = self._requests.get(request_id)
        if request is None:
            return
        waits = request.state is not State.RUNNING
        if waits:
            self._lanes.pull(request)
        promised_s = request.due_s
        request.estimate, request.score = estimate, score
        self._measure(request)
        if from_start:
            request.predicted_tokens = estimate.mean
            tier = self._tiers[request.tier]
            request.due_s = due_s(request, tier, self._cost.whole_s(request))
        else:
            request.due_s = min(promised_s, request.due_s)
        if waits:
            self._lanes.push(request)
        else:
            self.backends[request.backend].revised(request)

    def add(self, request: Request, now_s: float) -> Reject | None:
        """A new request. It waits from now on, or the reason why not is returned.

        One that another scheduler handed over with a part of its answer is not refused.

        Raises:
            ValueError: if the request is not new, or its id is in use.
        """
        if request.state is not State.NEW:
            raise ValueError(f"request {request.id!r} was added before; add a new one")
        if request.id in self._requests:
            raise ValueError(f"request id {request.id!r} is in use; give every request its own")
        self._measure(request)
        rejection = None
        if not request.output_tokens:
            serving = self._serving.get(request.lane, ())
            queue = self._lanes.queues.get(request.lane)
            rejection = self._admission.refusal(request, now_s, serving, queue)
        if rejection is not None:
            if (
                rejection.reason is not RejectReason.DEADLINE
                or self.settings.on_missed_deadline == "reject"
            ):
                request.state = State.REJECTED
                return rejection
            self._downgrade(request)
            self._measure(request)
        self._sequence += 1
        request.sequence = self._sequence
        request.state = State.WAITING
        self._requests[request.id] = request
        self._lanes.enqueue(request)
        return None

    def progress(self, request_id: str, output_tokens: int, now_s: float) -> None:
        """A running request has produced `output_tokens` in all."""
        request = self._one_that_runs(request_id)
        if output_tokens < request.output_tokens:
            raise ValueError(
                f"request {request_id!r} had {request.output_tokens} output tokens already; "
                f"progress is told as the total, not {output_tokens}"
            )
        self._progressed(self.backends[request.backend], [(request, output_tokens)])

    def finish(self, request_id: str, now_s: float) -> None:
        """A running request is done."""
        request = self._one_that_runs(request_id)
        self._stop(request)
        request.state = State.FINISHED
        del self._requests[request_id]
        if self._ledger is not None:
            self._left(request, self._ledger)

    def cancel(self, request_id: str, now_s: float) -> None:
        """A request is not wanted any more. One that is not known (any more) is ignored."""
        request = self._requests.pop(request_id, None)
        if request is None:
            return
        if request.state is State.RUNNING:
            self._stop(request)
        else:
            self._lanes.dequeue(request)
        request.state = State.CANCELLED
        if self._ledger is not None:
            self._left(request, self._ledger)

    def hand_over(self, request_id: str, now_s: float) -> Request:
        """A request leaves for another scheduler, which may `add` what is returned.

        It keeps its tokens. It is another object, as queues here may hold the old one still.
        """
        request = self._requests[request_id]
        self.cancel(request_id, now_s)
        moved = replace(request)
        moved.output_tokens = request.output_tokens
        moved.predicted_tokens = request.predicted_tokens
        moved.started_s = request.started_s
        moved.preemptions = request.preemptions
        return moved

    def requeue(self, request_id: str, now_s: float, avoid: frozenset[str] = frozenset()) -> None:
        """A running request lost its backend: it waits again, in its old place, for a backend
        other than those in `avoid`, if there is one."""
        request = self._one_that_runs(request_id)
        request.avoid = avoid
        self._send_back(request)

    def catch_up(self, backends: Iterable[Backend], now_s: float) -> None:
        """Ask the driver what was produced, if it does not tell by itself."""
        if self._produced is not None:
            for backend in backends:
                self._progressed(backend, self._produced(backend, now_s))

    # ---- decisions --------------------------------------------------------------------------

    def step(self, now_s: float) -> list[Decision]:
        """What to do now. A Preempt comes right before the Start that takes its slot."""
        decisions: list[Decision] = []
        if self._lanes.deadlines:
            self._give_up_deadlines(now_s, decisions)
        preempted = True
        while preempted and self._backlog.requests:
            self._fill(now_s, decisions)
            preempted = bool(self._backlog.requests) and self.may_preempt
            # Whoever left may have freed a cap, and somebody else may now take a free slot.
            preempted = preempted and self._preempt(now_s, decisions) and self._running.capped
        return decisions

    def next_wakeup_s(self, now_s: float) -> float | None:
        """When to call `step` again even if nothing happens; None if not at all."""
        times = []
        most_urgent = self._lanes.deadlines.peek(now_s)
        if most_urgent is not None:
            # It may still start at that very moment: it is given up after it.
            times.append(nextafter(most_urgent.latest_start_s, inf))
        if self._backlog.requests and self.may_preempt:
            if self._running.requests:
                times.append(now_s + max(0.01, self.settings.preemption.min_run_s))
            for queue in self._lanes.queues.values():
                due = queue.next_due_s(now_s)
                if due is not None and due > now_s:
                    times.append(due)
        return min(times) if times else None

    # ---- questions --------------------------------------------------------------------------

    @property
    def requests(self) -> Mapping[str, Request]:
        """All requests that wait or run, by id."""
        return MappingProxyType(self._requests)

    def waiting(self, tier: Tier | None = None) -> int:
        """Requests that wait, in `tier` or in all."""
        return self._backlog.requests if tier is None else self._backlog.in_tier(tier)

    def running(self, tier: Tier | None = None) -> int:
        """Requests that run, in `tier` or in all."""
        return self._running.requests if tier is None else self._running.in_tier(tier)

    @property
    def may_preempt(self) -> bool:
        """Whether somebody who waits might take the slot of somebody who runs."""
        if not self._preemption.possible:
            return False
        if self._policy.preemptive:
            return True
        waiting, running = self._backlog.in_tier, self._running.in_tier
        if running(Tier.BATCH) and (waiting(Tier.STANDARD) or waiting(Tier.INTERACTIVE)):
            return True
        return bool(running(Tier.STANDARD) and waiting(Tier.INTERACTIVE))

    def backlog_s(self, tier: Tier | None = None) -> float:
        """Predicted time to serve what waits, in `tier` or in all, with every slot."""
        slots = sum(backend.slots for backend in self.backends.values())
        return self._backlog.work_s(tier) / max(1, slots)

    def predicted_wait_s(self, request: Request) -> float:
        """Predicted time until `request`, added now, would start."""
        serving = self._serving.get(request.lane, [])
        queue = self._lanes.queues.get(request.lane)
        return predicted_wait_s(request, serving, queue, self._policy, self._preemption)

    def explain(self, request: Request, now_s: float) -> str:
        """Why `request` runs or waits, in one sentence."""
        if request.state is State.RUNNING:
            return f"runs on {request.backend} for {now_s - request.resumed_s:.1f} s"
        serving = self._serving.get(request.lane, [])
        if not any(backend.slots for backend in serving):
            return "waits for a backend that serves its model"
        if not self._running.tier_ok(request.tier):
            return f"waits: tier {request.tier.label} runs at its cap"
        if not self._running.tenant_ok(request.tenant):
            return f"waits: tenant {request.tenant} runs at its cap"
        if request.due_s <= now_s:
            return "waits for the next slot: it is due by its starvation bound"
        rank = self._policy.rank(request)
        return (
            f"waits in tier {request.tier.label} at {self.policy_name} rank {rank:.3f}, "
            f"predicted wait {self.predicted_wait_s(request):.1f} s"
        )

    # ---- what a request was promised ---------------------------------------------------------

    def _measure(self, request: Request) -> None:
        """Write down what follows from the cost model: service time, due time, latest start."""
        cost = self._cost
        request.service_s = cost.service_s(request)
        if not request.output_tokens:
            request.predicted_tokens = request.estimate.mean
        request.due_s = due_s(request, self._tiers[request.tier], cost.duration_s(request))
        if request.deadline_s is not None:
            shortest_s = (
                cost.prefill_s(request)
                + request.estimate.quantile(OPTIMISTIC_QUANTILE) * cost.decode_s_per_token
            )
            request.latest_start_s = request.deadline_s - shortest_s

    def _downgrade(self, request: Request) -> None:
        request.deadline_s = None
        request.tier = Tier.BATCH

    def _give_up_deadlines(self, now_s: float, decisions: list[Decision]) -> None:
        deadlines = self._lanes.deadlines
        while (request := deadlines.peek(now_s)) and request.latest_start_s < now_s:
            self._lanes.dequeue(request)
            if self.settings.on_missed_deadline == "downgrade":
                self._downgrade(request)
                self._measure(request)
                self._lanes.enqueue(request)
                continue
            del self._requests[request.id]
            request.state = State.REJECTED
            if self._ledger is not None:
                self._left(request, self._ledger)
            decisions.append(Reject(request, RejectReason.DEADLINE, self.backlog_s()))

    # ---- starting and stopping --------------------------------------------------------------

    def _fill(self, now_s: float, decisions: list[Decision]) -> None:
        blocked: set[str] = set()
        passed: list[Request] = []
        while self._backlog.requests:
            best: Request | None = None
            for name, queue in self._lanes.queues.items():
                if not queue.count or name in blocked or not self._has_free_slot(name):
                    continue
                request = queue.next(now_s, self._running.tier_ok, self._running.tenant_gate)
                if request is not None and (best is None or self._precedes(request, best, now_s)):
                    best = request
            if best is None:
                break
            backend = choose(best, self._serving[best.lane])
            if backend is None and best.avoid and len(passed) < MOST_PASSED:
                # Those behind it may take the backend that it avoids.
                self._lanes.pull(best)
                passed.append(best)
                continue
            if backend is None:
                # It is next and its KV cache does not fit yet: nobody smaller overtakes it.
                blocked.add(best.lane)
                continue
            self._start(best, backend, now_s)
            decisions.append(Start(best, backend.name))
        for request in passed:
            self._lanes.push(request)

    def _preempt(self, now_s: float, decisions: list[Decision]) -> bool:
        """Whether anybody had to give way."""
        before = len(decisions)
        for request, victim in self._takeovers.found(self._preemption, self._serving, now_s):
            backend = self.backends[victim.backend]
            victim.preemptions += 1
            self._send_back(victim)
            decisions.append(Preempt(victim, backend.name))
            self._start(request, backend, now_s)
            decisions.append(Start(request, backend.name))
        return len(decisions) > before

    def _start(self, request: Request, backend: Backend, now_s: float) -> None:
        self._lanes.dequeue(request)
        first = request.started_s < 0.0
        if first:
            request.started_s = now_s
        request.resumed_s = now_s
        request.resumed_tokens = request.output_tokens
        request.state = State.RUNNING
        backend.take(request)
        self._running.add(request)
        if first:
            self._tier_order.served(request.tier, request.service_s)
            if self._ledger is not None:
                uncached = max(0, request.prompt_tokens - request.cached_tokens)
                self._ledger.charge(request.tenant, PROMPT_WEIGHT * uncached)

    def _stop(self, request: Request) -> None:
        self.backends[request.backend].release(request)
        self._running.remove(request)

    def _left(self, request: Request, ledger: Fairness) -> None:
        """`request` neither waits nor runs any more."""
        tenant = request.tenant
        if not self._backlog.of_tenant(tenant) and not self._running.of_tenant(tenant):
            ledger.departed(tenant)

    def _send_back(self, request: Request) -> None:
        """A running request waits again."""
        self._stop(request)
        request.state = State.PREEMPTED
        self._lanes.enqueue(request)

    def _pull_all(self) -> list[Request]:
        waiting = [r for r in self._requests.values() if r.state is not State.RUNNING]
        for request in waiting:
            self._lanes.pull(request)
        return waiting

    def _progressed(self, backend: Backend, told: Sequence[tuple[Request, int]]) -> None:
        """What runs on `backend` has so many output tokens in all."""
        if self._ledger is not None:
            for request, output_tokens in told:
                new_tokens = output_tokens - request.output_tokens
                self._ledger.charge(request.tenant, OUTPUT_WEIGHT * new_tokens)
        backend.progressed(told)

    # ---- small facts ------------------------------------------------------------------------

    def _preemption_rule(self) -> PreemptionRule:
        return PreemptionRule(self.settings.preemption, self._policy, self._tier_order.preempts)

    def _one_that_runs(self, request_id: str) -> Request:
        request = self._requests.get(request_id)
        if request is None or request.state is not State.RUNNING:
            state = "not known" if request is None else request.state.value
            raise ValueError(f"request {request_id!r} is {state}; only a running one can do that")
        return request

    def _map_lanes(self) -> None:
        self._serving = {}
        for backend in self.backends.values():
            for lane in backend.lanes:
                self._serving.setdefault(lane, []).append(backend)

    def _has_free_slot(self, lane: str) -> bool:
        for backend in self._serving.get(lane, ()):  # noqa: SIM110 - a generator takes twice as long
            if len(backend.running) < backend.slots:
                return True
        return False

    def _precedes(self, one: Request, other: Request, now_s: float) -> bool:
        """Whether `one`, next in its lane, goes before `other`, next in another lane."""
        if (one.due_s <= now_s) != (other.due_s <= now_s):
            return one.due_s <= now_s
        if one.due_s <= now_s and one.due_s != other.due_s:
            return one.due_s < other.due_s
        if one.tier != other.tier:
            return self._tier_order.ordered([one.tier, other.tier])[0] is one.tier
        ranks = self._policy.rank(one), self._policy.rank(other)
        return ranks[0] < ranks[1] or (ranks[0] == ranks[1] and one.sequence < other.sequence)


def _policy_class(name: str) -> type[Policy]:
    if name not in POLICIES:
        raise ValueError(f"unknown policy {name!r}; the policies are {', '.join(POLICIES)}")
    return POLICIES[name]
