"""The scheduler: events go in with their time, decisions come out.

A pure state machine. It reads no clock, does no I/O and draws no random number, so the same
events give the same decisions under the gateway, under the simulator and in a test.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import inf
from types import MappingProxyType

from headway.core.admission import Admission
from headway.core.backend import Backend
from headway.core.backends import Backends, Produced
from headway.core.cost import CostModel
from headway.core.decision import Decision, Preempt, Reject, RejectReason, Start
from headway.core.estimate import SizeEstimate
from headway.core.fairness import fairness
from headway.core.lanes import Lanes
from headway.core.live_requests import LiveRequests
from headway.core.outlook import Outlook
from headway.core.placement import placements
from headway.core.policy_in_use import PolicyInUse
from headway.core.preemption import PreemptionRule
from headway.core.programs import Programs
from headway.core.promises import Promises
from headway.core.prompt_turns import PromptTurns
from headway.core.request import Request, State, Tier
from headway.core.settings import SchedulerSettings
from headway.core.sharing.standings import Standings
from headway.core.tail_keeper import TailKeeper
from headway.core.takeover import Takeovers
from headway.core.tiers import tier_order


class Scheduler:
    """Decides which requests run and which wait.

    Events are methods; each takes the time `now_s`, which must not go backwards, whether or not
    it is needed now: a log of events can be replayed. Call `step` after an event, and at
    `next_wakeup_s`, and carry out the decisions in their order.

    Args:
        settings: everything an operator decides.
        produced: for a driver that does not report every token as it comes: called before running
            requests are compared for preemption, returns the output tokens of each one on a
            backend. None: `progress` reports every token.

    Raises:
        ValueError: on construction, if `settings.policy` is not a known policy; on an event that
            cannot happen in the request's state. Nothing has changed then.
    """

    def __init__(self, settings: SchedulerSettings, produced: Produced | None = None) -> None:
        self.settings = settings
        self._requests = LiveRequests()
        self._sequence = 0
        self._policies = PolicyInUse(settings)
        policy = self._policies.policy
        tiers, by_tenant = tier_order(settings), settings.tenant_max_running is not None
        self._tier_order = tiers
        self._ledger = ledger = fairness(settings)
        self._promises = Promises(settings)
        self._programs = Programs()
        self._backends = Backends(settings, ledger, produced)
        self._lanes = Lanes(policy, tiers, ledger, self._backends, by_tenant)
        self._backlog, self._running = self._lanes.backlog, self._backends.running
        self._preemption = PreemptionRule(settings.preemption, policy, tiers.preempts)
        self._turns = PromptTurns(settings.preemption.enabled and tiers.preempts)
        self._takeovers = Takeovers(self._preemption, self._lanes, self._backends, tiers, ledger)
        self.outlook = Outlook(self._lanes, self._backends, self._preemption, self._policies)
        """Predicts waits, and explains them."""
        self.standings = Standings(self._lanes, self._backends, self._preemption, self._takeovers)
        """What others who share the backends have to know."""
        self._admission = Admission(settings, self._lanes, self._backends, self.outlook)

    # ---- events -----------------------------------------------------------------------------

    def set_backend(self, backend: Backend, now_s: float) -> None:
        """Add `backend`, or update slots, lanes, KV budget and cost of the one with its name.

        Requests that run on it continue, even if they exceed the new number of slots.
        """
        self._backends.set(backend)
        self._policies.policy.use_slots(self._backends.slots)

    def remove_backend(self, name: str, now_s: float) -> list[Request]:
        """Remove a backend. Returns the requests that ran there: they wait in their old places.

        Raises:
            ValueError: if there is no backend of that name.
        """
        if name not in self.backends:
            known = ", ".join(self.backends) or "none"
            raise ValueError(f"there is no backend {name!r}; there are: {known}")
        orphans = list(self.backends[name].running.values())
        for request in orphans:
            self._send_back(request)
        self._backends.remove(name)
        self._policies.policy.use_slots(self._backends.slots)
        return orphans

    def calibrate(self, cost: CostModel, now_s: float) -> None:
        """Rank and predict by `cost` from now on, for example by what a first probe measured.

        Ranks from different cost models are not comparable, so all waiting requests are re-ranked.
        """
        waiting = self._pull_all()
        self._promises.cost = self._policies.policy.cost = cost
        for request in waiting:
            self._promises.make(request)
            self._lanes.push(request)
        self._policies.calibrated(cost, waiting)

    def use_policy(self, name: str, now_s: float) -> None:
        """Order by another policy from now on; all waiting requests are ranked anew.

        Raises:
            ValueError: if there is no policy `name`. Nothing has changed then.
        """
        cost, slots = self._promises.cost, self._backends.slots
        policy = self._policies.use(name, cost, slots, self._requests.values())
        waiting = self._pull_all()
        self._preemption.policy = policy
        self._lanes.use(policy)
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
        """Replace the prediction of a request's length. Ignores an unknown request.

        Its due time stays, unless the new one is earlier.

        Args:
            request_id: the request.
            estimate: its output tokens in all.
            score: the ranker's, or None.
            now_s: the time.
            from_start: the previous estimate was a claim of the client's, and wrong: due time and
                initial prediction become what this estimate would have given at arrival.
        """
        request = self._requests.get(request_id)
        if request is None:
            return
        waits = request.state is not State.RUNNING
        if waits:
            self._lanes.pull(request)
        self._promises.revise(request, estimate, score, from_start)
        self._policies.revised(request)
        if waits:
            self._lanes.push(request)
        else:
            self.backends[request.backend].revised(request)

    def move(self, request_id: str, tier: Tier, now_s: float) -> None:
        """A waiting request belongs to `tier` from now on; its due time only moves earlier."""
        request = self._requests.waiting(request_id)
        self._lanes.dequeue(request)
        self._promises.move(request, tier)
        self._lanes.enqueue(request)

    def add(self, request: Request, now_s: float) -> Reject | None:
        """Add a new request. It waits from now on; returns the rejection if it is refused.

        A request that another scheduler handed over with part of its answer is never refused.

        Raises:
            ValueError: if the request is not new, or its id is in use.
        """
        if request.state is not State.NEW:
            raise ValueError(f"request {request.id!r} was added before; add a new one")
        if request.id in self._requests:
            raise ValueError(f"request id {request.id!r} is in use; give every request its own")
        self._promises.make(request)
        refusal = None if request.output_tokens else self._admission.refusal(request, now_s)
        if refusal is not None:
            downgrade = self.settings.on_missed_deadline == "downgrade"
            if refusal.reason is not RejectReason.DEADLINE or not downgrade:
                request.state = State.REJECTED
                return refusal
            self._promises.downgrade(request)
        self._sequence += 1
        request.sequence = self._sequence
        request.state = State.WAITING
        self._requests[request.id] = request
        self._programs.arrived(request)
        self._lanes.enqueue(request)
        self._policies.arrived(request)
        return None

    def progress(self, request_id: str, output_tokens: int, now_s: float) -> None:
        """A running request has produced `output_tokens` in all."""
        request = self._requests.running(request_id)
        if output_tokens < request.output_tokens:
            raise ValueError(
                f"request {request_id!r} had {request.output_tokens} output tokens already; "
                f"report progress as the total, not as {output_tokens}"
            )
        self._backends.progressed(self.backends[request.backend], [(request, output_tokens)])

    def pin(self, request_id: str, lane: str, now_s: float) -> None:
        """A running request can continue only on backends that serve `lane`."""
        self._requests.running(request_id).lane = lane

    def finish(self, request_id: str, now_s: float) -> None:
        """A running request is done."""
        request = self._requests.running(request_id)
        self._backends.release(request)
        self._policies.finished(request, now_s)
        self._retire(request, State.FINISHED, now_s)

    def cancel(self, request_id: str, now_s: float) -> None:
        """A request is no longer wanted. Ignores an unknown request."""
        request = self._requests.get(request_id)
        if request is None:
            return
        if request.state is State.RUNNING:
            self._backends.release(request)
        else:
            self._lanes.dequeue(request)
        self._retire(request, State.CANCELLED, now_s)

    def hand_over(self, request_id: str, now_s: float) -> Request:
        """Cancel a request here. Returns a new one with its tokens, for any scheduler to `add`.

        The new one is another object, because the queues here may still hold the old one.

        Raises:
            ValueError: if the request neither waits nor runs.
        """
        request = self._requests.known(request_id)
        self.cancel(request_id, now_s)
        return request.continued()

    def requeue(self, request_id: str, now_s: float, avoid: frozenset[str] = frozenset()) -> None:
        """A running request lost its backend: it waits in its old place for another one.

        It runs on the backends in `avoid` only if no other can run it.
        """
        request = self._requests.running(request_id)
        request.avoid = avoid
        self._send_back(request)

    def grant(self, backend: str, slots: int, now_s: float) -> None:
        """So many slots of a backend are this scheduler's from now on; others use the rest."""
        self.backends[backend].granted = slots

    def give_way(self, request_id: str, now_s: float) -> Preempt:
        """A running request is preempted for one that waits elsewhere."""
        return self._preempted(self._requests.running(request_id))

    def catch_up(self, backends: Iterable[Backend], now_s: float) -> None:
        """Ask a driver that does not report every token what the requests have produced."""
        self._backends.catch_up(backends, now_s)

    # ---- decisions --------------------------------------------------------------------------

    def step(self, now_s: float) -> list[Decision]:
        """What to do now. A Preempt comes right before the Start that takes its slot."""
        decisions: list[Decision] = []
        self._give_up_deadlines(now_s, decisions)
        again = True
        while again and self._backlog.requests:
            for request, backend in placements(self._lanes, self._backends, now_s):
                self._start(request, backend, now_s, decisions)
            # Under a cap, a preemption may have let another request take a free slot.
            again = self._takeovers.possible and self._preempt(now_s, decisions)
            again = again and self._running.capped
        return decisions

    def next_wakeup_s(self, now_s: float) -> float | None:
        """When to call `step` again even if nothing happens; None if never."""
        wakeup_s = self._lanes.next_missed_s(now_s)
        if self._takeovers.possible:
            if self._running.requests:
                look_again_s = now_s + max(0.01, self._takeovers.pause_s)
                wakeup_s = min(wakeup_s, look_again_s)
            wakeup_s = min(wakeup_s, self._lanes.next_due_s(now_s))
        return wakeup_s if wakeup_s < inf else None

    # ---- questions --------------------------------------------------------------------------

    def may_go_on(self, request_id: str, now_s: float) -> bool:
        """Whether the next piece of the prompt of a running request may be computed now.

        It may be from the first token, the end or the stop of another request on its backend on,
        or from its own due time on.
        """
        request = self._requests.running(request_id)
        return self._turns.may_go_on(request, self.backends[request.backend], now_s)

    @property
    def backends(self) -> Mapping[str, Backend]:
        """All backends, by name."""
        return self._backends.by_name

    @property
    def requests(self) -> Mapping[str, Request]:
        """All requests that wait or run, by id."""
        return MappingProxyType(self._requests)

    @property
    def cost(self) -> CostModel:
        """The reference cost model: ranks are in its seconds."""
        return self._promises.cost

    @property
    def policy_name(self) -> str:
        """The policy that orders requests now."""
        return self._policies.policy.name

    @property
    def tail(self) -> TailKeeper | None:
        """What keeps the promise of the policy; None: it makes none."""
        return self._policies.policy.tail

    def waiting(self, tier: Tier | None = None) -> int:
        """Number of waiting requests, in `tier` or in all."""
        return self._backlog.requests if tier is None else self._backlog.in_tier(tier)

    def running(self, tier: Tier | None = None) -> int:
        """Number of running requests, in `tier` or in all."""
        return self._running.requests if tier is None else self._running.in_tier(tier)

    # ---- how a decision is made and carried out ---------------------------------------------

    def _give_up_deadlines(self, now_s: float, decisions: list[Decision]) -> None:
        """Reject or downgrade waiting requests that can no longer meet their deadlines."""
        while (request := self._lanes.missed(now_s)) is not None:
            self._lanes.dequeue(request)
            if self.settings.on_missed_deadline == "downgrade":
                self._promises.downgrade(request)
                self._lanes.enqueue(request)
            else:
                self._retire(request, State.REJECTED, now_s)
                backlog_s = self.outlook.backlog_s()
                decisions.append(Reject(request, RejectReason.DEADLINE, backlog_s))

    def _preempt(self, now_s: float, decisions: list[Decision]) -> bool:
        """Start waiting requests in slots of running ones. Returns whether any had to yield."""
        before = len(decisions)
        for request, victim in self._takeovers.found(now_s):
            backend = self.backends[victim.backend]
            decisions.append(self._preempted(victim))
            self._start(request, backend, now_s, decisions)
        return len(decisions) > before

    def _start(
        self, request: Request, backend: Backend, now_s: float, decisions: list[Decision]
    ) -> None:
        """A waiting request runs on `backend` from now on."""
        self._lanes.dequeue(request)
        if request.started_s < 0.0:
            self._tier_order.served(request.tier, request.service_s)
        request.state = State.RUNNING
        self._turns.start(request, backend, now_s)
        self._backends.take(request, backend, now_s)
        self._policies.started(request, now_s)
        decisions.append(Start(request, backend.name))

    def _preempted(self, request: Request) -> Preempt:
        """A running request is stopped, and waits in its old place."""
        backend = request.backend
        request.preemptions += 1
        self._send_back(request)
        return Preempt(request, backend)

    def _send_back(self, request: Request) -> None:
        """A running request waits again."""
        self._backends.release(request)
        request.state = State.PREEMPTED
        self._lanes.enqueue(request)

    def _retire(self, request: Request, state: State, now_s: float) -> None:
        """Forget `request`, which neither waits nor runs any more; `state` is its last."""
        request.state = state
        del self._requests[request.id]
        self._programs.left(request, self._promises.cost)
        self._policies.left(request, now_s)
        if self._ledger is not None:
            tenant = request.tenant
            if not self._backlog.of_tenant(tenant) and not self._running.of_tenant(tenant):
                self._ledger.departed(tenant)

    def _pull_all(self) -> list[Request]:
        """Take all waiting requests out of their places, because their ranks will change."""
        self._takeovers.forget()
        waiting = [r for r in self._requests.values() if r.state is not State.RUNNING]
        for request in waiting:
            self._lanes.pull(request)
        return waiting
