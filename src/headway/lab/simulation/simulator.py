"""The scheduler on virtual time, over engines that are models.

This is the gateway's own `headway.core.Scheduler`, driven by the same events; time is computed
instead of waited for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from math import inf, isnan

from headway.core.backend import Backend
from headway.core.decision import Decision, Preempt, Start
from headway.core.fleet.fleet import Change, ReplicaState
from headway.core.fleet.scaling import Scaling
from headway.core.request import Request, State
from headway.core.routing import router_of
from headway.core.scheduler import Scheduler
from headway.core.settings import SchedulerSettings
from headway.lab.simulation.arrivals import Arrivals
from headway.lab.simulation.cluster import Cluster
from headway.lab.simulation.engine import EngineModel, FirstToken, PieceDone
from headway.lab.simulation.engine_request import EngineRequest
from headway.lab.simulation.errors import SimulationError
from headway.lab.simulation.fitting import Fitting
from headway.lab.simulation.gateways import Gateways
from headway.lab.simulation.held_prompts import HeldPrompts
from headway.lab.simulation.outcome import Outcome
from headway.lab.simulation.predictions import Predictions
from headway.lab.simulation.record import Record
from headway.lab.simulation.replicas import Replicas
from headway.lab.simulation.requests import TraceRequests
from headway.lab.simulation.site import Site
from headway.lab.simulation.station import Station
from headway.lab.simulation.steering import Steering, Unsteered
from headway.lab.simulation.trace import Trace

PROGRESS_EVERY = 2000
"""Events between two calls of `progress`."""
MOST_FAILOVERS = 1000
"""Limit for one request: some prompts take longer than backends live."""
ALWAYS_ON = Cluster()
UNSTEERED = Unsteered()


def simulate(
    trace: Trace,
    sites: Sequence[Site],
    settings: SchedulerSettings,
    predictions: Predictions,
    progress: Callable[[int], None] | None = None,
    cluster: Cluster = ALWAYS_ON,
    steering: Steering = UNSTEERED,
) -> Outcome:
    """Run `trace` through the scheduler on the engines of `sites`, to the end of its last request.

    Args:
        trace: what is sent, and when.
        sites: where it runs.
        settings: of the scheduler.
        predictions: of the lengths, for the scheduler.
        progress: called now and then with the number of requests that have ended.
        cluster: how requests are routed, and what fails and scales.
        steering: changes the policy on the way.

    Raises:
        SimulationError: a request is larger than the memory of every site; there is no such
            routing, or no such site to fail; backends fail faster than prompts are computed.
        ValueError: `settings` name no policy.
    """
    return Simulation(trace, sites, settings, predictions, cluster, steering).run(progress)


class Simulation:
    """One run: its state between two events."""

    def __init__(
        self,
        trace: Trace,
        sites: Sequence[Site],
        settings: SchedulerSettings,
        predictions: Predictions,
        cluster: Cluster,
        steering: Steering,
    ) -> None:
        self._steering = steering
        self._fitting = Fitting(trace, sites)
        self._trace = trace
        self._predictions = predictions
        self._runs = predictions.runs(trace, sites[0].backend.cost)
        self._from_trace = TraceRequests(trace, predictions, self._runs, self._fitting.lane_of)
        self._sites = sites
        self._place = {site.name: number for number, site in enumerate(sites)}
        self._engines = {site.name: EngineModel(site.engine) for site in sites}
        self._router = router_of(cluster.routing)
        queues = [sites] if self._router is None else [[site] for site in sites]
        if cluster.sharing is not None:
            queues = [sites] * cluster.sharing.gateways
        self._stations = [Station(queue, settings, self._produced) for queue in queues]
        self._stations_at: dict[str, list[Station]] = {site.name: [] for site in sites}
        for station, queue in zip(self._stations, queues, strict=True):
            for site in queue:
                self._stations_at[site.name].append(station)
        self._gateways: Gateways | None = None
        if cluster.sharing is not None:
            self._gateways = Gateways(cluster.sharing, self._stations, len(trace), cluster.seed)
        self._home: dict[int, Station] = {}
        """Where each request waits or runs."""
        self._held = HeldPrompts()
        self._open: list[Station] = []
        """Where requests may be routed to."""
        self._unrouted: list[Request] = []
        """Requests that came while there was none that has memory for them."""
        self._unrouted_s = 0.0
        self._replicas = Replicas(
            cluster.failures.outages(list(self._place), cluster.seed),
            cluster.scaling or Scaling(len(sites), len(sites), cold_start_s=0.0),
            sites[0].backend.slots,
        )
        self._sequences: dict[str, EngineRequest] = {}
        self._requests: dict[int, Request] = {}
        self._arrivals = Arrivals(trace)
        self._record = Record(len(trace), list(self._place))
        self._ended = 0
        self._events = 0

    def run(self, progress: Callable[[int], None] | None = None) -> Outcome:
        """To the end."""
        engines, stations, replicas = list(self._engines.values()), self._stations, self._replicas
        arrivals, steering, gateways = self._arrivals, self._steering, self._gateways
        now_s, requests, fixed = 0.0, len(self._trace), replicas.fixed
        on = [
            Change(number, ReplicaState.OFF, state)
            for number, state in enumerate(replicas.states)
            if state is ReplicaState.ON
        ]
        self._change(on, now_s)
        for number in range(arrivals.running):
            self._send(number, now_s)
        for station in stations if arrivals.running else ():
            self._step(station, now_s)
        if gateways is not None:
            self._pass_messages(gateways, now_s)
        while self._ended < requests:
            now_s = arrivals.next_s
            for station in stations:
                if station.wakeup_s < now_s:
                    now_s = station.wakeup_s
            for engine in engines:
                if engine.next_event_s < now_s:
                    now_s = engine.next_event_s
            if replicas.next_s < now_s:
                now_s = replicas.next_s
            if steering.next_s < now_s:
                now_s = steering.next_s
            if gateways is not None and gateways.next_s < now_s:
                now_s = gateways.next_s
            assert now_s < inf, "requests wait, and nothing will happen"
            self._events += 1
            for engine in engines:
                if engine.next_event_s <= now_s:
                    self._pass_events(engine, now_s)
            while arrivals.next_s <= now_s:
                for number in arrivals.due(now_s):
                    self._send(number, now_s)
            if replicas.next_s <= now_s:
                self._change(replicas.advance(now_s), now_s)
            if steering.next_s <= now_s:
                self._use(steering.policy(now_s, self._outcome()), now_s)
            for station in stations:
                if station.wakeup_s <= now_s:
                    self._step(station, now_s)
            if gateways is not None:
                self._pass_messages(gateways, now_s)
            if not fixed:
                self._change(replicas.adjust(now_s, *self._work()), now_s)
            if progress is not None and not self._events % PROGRESS_EVERY:
                progress(self._ended)
        replicas.close(now_s)
        return self._outcome()

    def _outcome(self) -> Outcome:
        """What has happened so far."""
        inversions = 0.0 if self._gateways is None else self._gateways.inversions
        return self._record.outcome(self._engines.values(), self._replicas, inversions)

    def _use(self, policy: str, now_s: float) -> None:
        for station in self._stations:
            if station.scheduler.policy_name != policy:
                station.scheduler.use_policy(policy, now_s)
                station.wakeup_s = now_s

    def _send(self, number: int, now_s: float) -> None:
        """A client sends request `number`."""
        request = self._from_trace.request(number, now_s)
        self._record.released_s[number] = request.arrival_s
        self._dispatch(number, request, now_s)

    def _dispatch(self, number: int, request: Request, now_s: float) -> None:
        """Put a request into the queue that is its own."""
        if self._gateways is not None:
            station = self._gateways.of(number, request)
        elif self._router is None:
            station = self._stations[0]
        else:
            fitting = self._open
            if request.lane:
                fitting = [one for one in fitting if one.serves(request.lane)]
            if not fitting:
                self._hold(request)
                return
            station = fitting[self._router.route(request, fitting, now_s)]
        self._requests[number] = request
        self._home[number] = station
        if station.scheduler.add(request, now_s) is not None:
            self._over(number, now_s)
        station.wakeup_s = now_s

    def _step(self, station: Station, now_s: float) -> None:
        """Let the scheduler decide, and carry it out."""
        scheduler = station.scheduler
        if self._gateways is not None:
            self._carry_out(self._gateways.step(station, now_s), now_s)
        elif scheduler.waiting():
            self._carry_out(scheduler.step(now_s), now_s)
            station.wakeup_s = scheduler.next_wakeup_s(now_s) or inf
        else:
            station.wakeup_s = inf

    def _pass_messages(self, gateways: Gateways, now_s: float) -> None:
        """Let gateways hear of each other, and carry out what follows."""
        for station, decisions in gateways.messages(now_s):
            self._carry_out(decisions, now_s)
            self._step(station, now_s)

    def _carry_out(self, decisions: Sequence[Decision], now_s: float) -> None:
        """Pass a scheduler's decisions to the engines."""
        for decision in decisions:
            request = decision.request
            number = int(request.id)
            if isinstance(decision, Start):
                engine = self._engines[decision.backend]
                running = self._from_trace.sequence(number, request)
                self._sequences[request.id] = running
                first = self._record.resumed(number, self._place[decision.backend], now_s)
                if request.in_pieces:
                    self._held.hold(request, running, engine, self._home[number].scheduler)
                elif first and running.produced:
                    engine.go_on(running, now_s)
                else:
                    engine.submit(running, now_s)
            elif isinstance(decision, Preempt):
                running = self._sequences.pop(request.id)
                self._held.stop(request.id)
                self._engines[decision.backend].cancel(running, now_s)
                self._record.stopped(number, now_s)
            else:
                self._over(number, now_s)
        self._held.let_on(now_s)

    def _produced(self, backend: Backend, now_s: float) -> list[tuple[Request, int]]:
        """What the requests on a backend have produced."""
        step, in_engine = self._engines[backend.name].step_at(now_s), self._sequences
        return [
            (request, running.produced + step - running.began_step)
            for request in backend.running.values()
            # Whom this very step starts is not there yet.
            if (running := in_engine.get(request.id)) is not None and running.decodes
        ]

    def _pass_events(self, engine: EngineModel, now_s: float) -> None:
        """Pass an engine's events to the scheduler."""
        record = self._record
        for event in engine.advance(now_s):
            number = event.request.number
            request = self._requests[number]
            station = self._home[number]
            scheduler = station.scheduler
            if isinstance(event, PieceDone):
                self._held.hold(request, event.request, engine, scheduler)
                continue
            if isinstance(event, FirstToken):
                if isnan(record.first_s[number]):
                    record.first_s[number] = now_s
                if len(self._sites) > 1 or engine.profile.piecewise:  # it hinders none any more
                    scheduler.progress(request.id, event.request.produced, now_s)
                continue
            del self._sequences[request.id]
            scheduler.progress(request.id, event.request.output_tokens, now_s)
            scheduler.finish(request.id, now_s)
            station.wakeup_s = now_s
            self._predictions.finished(number)
            record.ended_s[number] = now_s
            record.stopped(number, now_s)
            self._over(number, now_s, event.request.cached_tokens)
        self._held.let_on(now_s)

    def _over(self, number: int, now_s: float, cached_tokens: int | None = None) -> None:
        """A request is done with: answered, with so many `cached_tokens`, or not."""
        request = self._requests.pop(number, None)
        if request is not None:
            del self._home[number]
            self._runs.left(number, request, cached_tokens, now_s)
            self._record.preemptions[number] = request.preemptions
            assert request.state in (State.FINISHED, State.REJECTED)
        self._ended += 1
        self._arrivals.ended(number, now_s)

    # ---- replicas come and go ---------------------------------------------------------------

    def _change(self, changes: Sequence[Change], now_s: float) -> None:
        """Pass the fleet's decisions to schedulers and engines."""
        for change in changes:
            site = self._sites[change.replica]
            stations = self._stations_at[site.name]
            if change.state is ReplicaState.ON:
                self._set_backend(self._backend_of(site), now_s)
            elif change.state is ReplicaState.DRAINING:
                if self._router is None:  # else it ends its own queue, too
                    self._set_backend(replace(self._backend_of(site), slots=0), now_s)
            elif site.name in stations[0].scheduler.backends:
                self._stop(site.name, now_s)
            for station in stations:
                station.wakeup_s = now_s
        if changes:
            states = zip(self._sites, self._replicas.states, strict=True)
            on = [self._stations_at[s.name][0] for s, state in states if state is ReplicaState.ON]
            self._open = on
            if on:
                unrouted, self._unrouted, self._unrouted_s = self._unrouted, [], 0.0
                for request in unrouted:
                    self._dispatch(int(request.id), request, now_s)

    def _set_backend(self, backend: Backend, now_s: float) -> None:
        if self._gateways is not None:
            self._gateways.set_backend(backend, now_s)
        else:
            self._stations_at[backend.name][0].scheduler.set_backend(backend, now_s)

    def _backend_of(self, site: Site) -> Backend:
        """A site as the scheduler sees it, for requests that fit into its memory."""
        return replace(site.backend, lanes=self._fitting.lanes_of(site))

    def _stop(self, name: str, now_s: float) -> None:
        """A backend is gone: what it had goes on elsewhere, from the tokens that there are."""
        engine = self._engines[name]
        for station in self._stations_at[name]:
            self._lose(station.scheduler, engine, name, now_s)
        if self._gateways is not None:
            self._gateways.remove_backend(name)
        engine.stop(now_s)

    def _lose(self, scheduler: Scheduler, engine: EngineModel, name: str, now_s: float) -> None:
        """A scheduler lost a backend."""
        for request in scheduler.backends[name].running.values():
            number = int(request.id)
            tokens = engine.produced(self._sequences.pop(request.id), now_s)
            scheduler.progress(request.id, tokens, now_s)
            self._record.stopped(number, now_s)
            self._held.stop(request.id)
            self._record.failovers[number] += 1
            if self._record.failovers[number] > MOST_FAILOVERS:
                raise SimulationError(
                    f"request {number + 1} lost its backend {MOST_FAILOVERS} times: backends fail "
                    f"faster than its prompt is computed; take a longer --mtbf"
                )
        scheduler.remove_backend(name, now_s)
        if self._router is not None:
            for request_id in list(scheduler.requests):
                self._hold(scheduler.hand_over(request_id, now_s))

    def _hold(self, request: Request) -> None:
        """A request waits until a site takes it."""
        self._unrouted.append(request)
        self._unrouted_s += self._stations[0].remaining_s(request)

    def _work(self) -> tuple[int, float, list[int]]:
        """How many wait, their predicted service time, and how many run on each site."""
        waiting = len(self._unrouted) + sum(one.scheduler.waiting() for one in self._stations)
        waiting_s = self._unrouted_s + sum(one.waiting_s for one in self._stations)
        running = [0] * len(self._sites)
        for station in self._stations:
            for name, backend in station.scheduler.backends.items():
                running[self._place[name]] += len(backend.running)
        return waiting, waiting_s, running
