"""The scheduler on virtual time, over engines that are models.

The very `headway.core.Scheduler` of the gateway is told what happens and carries on as there;
only time is computed, and not waited for.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from math import inf, isnan, nan

import numpy as np

from headway.core.backend import Backend
from headway.core.cost import CostModel
from headway.core.decision import Preempt, Start
from headway.core.request import Request, State, Tier
from headway.core.scheduler import Scheduler
from headway.core.settings import SchedulerSettings
from headway.simulation.engine import EngineModel, EngineRequest, FirstToken
from headway.simulation.errors import SimulationError
from headway.simulation.foresight import Foresight
from headway.simulation.outcome import Outcome
from headway.simulation.profile import Profile
from headway.simulation.trace import Trace

TELL_EVERY = 2000
"""Events between two calls of `progress`."""
MOST_SPANS = 3000
"""Stretches of service that are kept, to be drawn."""


@dataclass(frozen=True, slots=True)
class Site:
    """One backend: an engine as its profile says, and how many requests are sent there at once."""

    name: str
    profile: Profile
    slots: int = 0
    """0: as many as the profile says."""

    @property
    def backend(self) -> Backend:
        """As the scheduler sees it."""
        slots = self.slots or self.profile.slots
        return Backend(self.name, slots, cost=cost_of(self.profile, slots))


def cost_of(profile: Profile, slots: int = 0) -> CostModel:
    """What the scheduler would know of an engine: seconds of a slot, with all others busy.

    An output token takes a slot for one iteration. A prompt token makes the iteration longer for
    everybody, and so takes its time of every slot.
    """
    slots = slots or profile.slots
    chunk = max(2, min(512, profile.batch_tokens - slots))
    iteration_s = profile.dense(slots) + profile.sequence_s * slots
    longer_s = profile.dense(slots + chunk) - profile.dense(slots)
    return CostModel(
        prefill_s_per_token=longer_s / chunk * slots,
        decode_s_per_token=iteration_s,
        preempt_s=2.0 * iteration_s,
        recompute_share=1.0 if profile.kv_tokens else 0.0,
    )


def simulate(
    trace: Trace,
    sites: Sequence[Site],
    settings: SchedulerSettings,
    foresight: Foresight,
    progress: Callable[[int], None] | None = None,
) -> Outcome:
    """Run `trace` through the scheduler and what `sites` model, to the end of its last request.

    Args:
        trace: what is sent, and when.
        sites: where it runs.
        settings: of the scheduler.
        foresight: what the scheduler is told of lengths.
        progress: told the number of requests that ended, now and then.

    Raises:
        SimulationError: a request is larger than the memory of every site.
        ValueError: `settings` name no policy.
    """
    return Simulation(trace, sites, settings, foresight).run(progress)


class Simulation:
    """One run: its state between two events."""

    def __init__(
        self,
        trace: Trace,
        sites: Sequence[Site],
        settings: SchedulerSettings,
        foresight: Foresight,
    ) -> None:
        self.scheduler = Scheduler(settings, self._produced)
        self._trace = trace
        self._foresight = foresight
        self._engines: dict[str, EngineModel] = {}
        self._place = {site.name: number for number, site in enumerate(sites)}
        _check_memory(trace, sites)
        self.scheduler.calibrate(sites[0].backend.cost, 0.0)
        for site in sites:
            self.scheduler.set_backend(site.backend, 0.0)
            self._engines[site.name] = EngineModel(site.profile)
        self._sequences: dict[str, EngineRequest] = {}
        self._requests: dict[int, Request] = {}
        self._resumed_s: dict[int, float] = {}
        self._released: list[tuple[float, int]] = []
        """Requests of sessions, of which the one before has ended."""
        # Lists, here and below: one by one they are read and written faster than arrays.
        self._released_s, self._started_s = ([nan] * len(trace) for _ in range(2))
        self._first_s, self._ended_s = ([nan] * len(trace) for _ in range(2))
        self._preemptions = [0] * len(trace)
        self._backend = [-1] * len(trace)
        self._spans: list[tuple[int, int, float, float]] = []
        self._ended = 0
        self._events = 0
        self._arrival_s = trace.arrival_s.tolist()
        self._prompt_tokens = trace.prompt_tokens.tolist()
        self._output_tokens = trace.output_tokens.tolist()
        self._max_tokens = trace.max_tokens.tolist()
        self._deadline_s = trace.deadline_s.tolist()
        waits = trace.after >= 0 if len(trace.after) else np.zeros(len(trace), bool)
        self._free: list[int] = np.flatnonzero(~waits).tolist()
        """Requests that wait for no other's end."""

    def run(self, progress: Callable[[int], None] | None = None) -> Outcome:
        """To the end."""
        began_s = time.perf_counter()
        engines = list(self._engines.values())
        arrivals, free, arrival_s = 0, self._free, self._arrival_s
        wakeup_s = inf
        next_arrival_s = arrival_s[free[0]] if free else inf
        while True:
            now_s = min(wakeup_s, next_arrival_s)
            for engine in engines:
                if engine.next_event_s < now_s:
                    now_s = engine.next_event_s
            if self._released and self._released[0][0] < now_s:
                now_s = self._released[0][0]
            if now_s == inf:
                break
            self._events += 1
            changed = now_s >= wakeup_s
            for engine in engines:
                if engine.next_event_s <= now_s and self._heard(engine, now_s):
                    changed = True
            while next_arrival_s <= now_s:
                self._send(free[arrivals], now_s)
                arrivals += 1
                next_arrival_s = arrival_s[free[arrivals]] if arrivals < len(free) else inf
                changed = True
            while self._released and self._released[0][0] <= now_s:
                self._send(heappop(self._released)[1], now_s)
                changed = True
            if changed:
                wakeup_s = self._step(now_s)
            if progress is not None and not self._events % TELL_EVERY:
                progress(self._ended)
        return Outcome(
            np.array(self._released_s),
            np.array(self._started_s),
            np.array(self._first_s),
            np.array(self._ended_s),
            np.array(self._preemptions),
            list(self._place),
            np.array(self._backend),
            sum(engine.busy_s for engine in engines),
            sum(engine.kv_token_s for engine in engines),
            sum(engine.recomputed for engine in engines),
            self._spans,
            time.perf_counter() - began_s,
        )

    def _send(self, number: int, now_s: float) -> None:
        """A client sends request `number`."""
        trace = self._trace
        estimate, score = self._foresight.foretell(number)
        limit = self._max_tokens[number] if self._max_tokens else 0
        deadline_s = self._deadline_s[number] if self._deadline_s else nan
        request = Request(
            id=str(number),
            arrival_s=now_s,
            prompt_tokens=self._prompt_tokens[number],
            estimate=estimate,
            tier=trace.tiers[number] if trace.tiers else Tier.STANDARD,
            tenant=trace.tenants[number] if trace.tenants else "",
            program=trace.programs[number] if trace.programs else "",
            deadline_s=None if isnan(deadline_s) else now_s + deadline_s,
            prefix=self._prefix(number),
            max_tokens=limit or None,
            score=score,
        )
        self._released_s[number] = now_s
        if self.scheduler.add(request, now_s) is not None:
            self._over(number, now_s)
        else:
            self._requests[number] = request

    def _prefix(self, number: int) -> int:
        """What placement knows requests by that begin alike."""
        trace = self._trace
        if trace.prefix_hashes and trace.prefix_hashes[number]:
            return trace.prefix_hashes[number][0] + 1
        if trace.programs and trace.programs[number]:
            return hash(trace.programs[number]) or 1
        return 0

    def _step(self, now_s: float) -> float:
        """Let the scheduler decide, carry it out; when to come back even if nothing happens."""
        scheduler = self.scheduler
        if not scheduler.waiting():
            return inf
        for decision in scheduler.step(now_s):
            request = decision.request
            number = int(request.id)
            if isinstance(decision, Start):
                engine = self._engines[decision.backend]
                running = self._sequence(number, request)
                self._sequences[request.id] = running
                self._backend[number] = self._place[decision.backend]
                engine.submit(running, now_s)
                self._resumed_s[number] = now_s
            elif isinstance(decision, Preempt):
                running = self._sequences.pop(request.id)
                self._engines[decision.backend].cancel(running, now_s)
                self._served(number, self._resumed_s.pop(number), now_s)
            else:
                self._over(number, now_s)
        return scheduler.next_wakeup_s(now_s) or inf

    def _sequence(self, number: int, request: Request) -> EngineRequest:
        trace = self._trace
        program = trace.programs[number] if trace.programs else ""
        return EngineRequest(
            number,
            request.prompt_tokens,
            self._output_tokens[number],
            request.output_tokens,
            trace.prefix_hashes[number] if trace.prefix_hashes else (),
            ("session", program) if program else None,
            int(trace.shared_tokens[number]) if len(trace.shared_tokens) else 0,
        )

    def _produced(self, backend: Backend, now_s: float) -> Iterator[tuple[Request, int]]:
        """What the requests on a backend have produced."""
        step, in_engine = self._engines[backend.name].step_at(now_s), self._sequences
        for request in backend.running.values():
            running = in_engine.get(request.id)
            # Whom this very step starts is not there yet.
            if running is not None and running.decodes:
                yield request, running.produced_at(step)

    def _heard(self, engine: EngineModel, now_s: float) -> bool:
        """Tell the scheduler what came of an engine; whether a slot is free now."""
        freed = False
        for event in engine.advance(now_s):
            number = event.request.number
            if isinstance(event, FirstToken):
                if isnan(self._first_s[number]):
                    self._first_s[number] = now_s
                continue
            request = self._requests[number]
            del self._sequences[request.id]
            self.scheduler.progress(request.id, event.request.output_tokens, now_s)
            self.scheduler.finish(request.id, now_s)
            self._foresight.finished(number)
            self._ended_s[number] = now_s
            self._served(number, self._resumed_s.pop(number), now_s)
            self._over(number, now_s)
            freed = True
        return freed

    def _served(self, number: int, from_s: float, to_s: float) -> None:
        if len(self._spans) < MOST_SPANS:
            self._spans.append((number, self._backend[number], from_s, to_s))

    def _over(self, number: int, now_s: float) -> None:
        """A request is done with, answered or not."""
        request = self._requests.pop(number, None)
        if request is not None:
            self._started_s[number] = request.started_s if request.started_s >= 0.0 else nan
            self._preemptions[number] = request.preemptions
            assert request.state in (State.FINISHED, State.REJECTED)
        self._ended += 1
        for follower in self._trace.followers.get(number, ()):
            at_s = now_s + float(self._trace.gap_s[follower])
            heappush(self._released, (at_s, follower))


def _check_memory(trace: Trace, sites: Sequence[Site]) -> None:
    if not sites:
        raise ValueError("a simulation needs an engine to run on")
    if any(not site.profile.kv_tokens for site in sites):
        return
    largest = max(sites, key=lambda site: site.profile.kv_tokens).profile
    tokens = trace.prompt_tokens + trace.output_tokens
    too_large = np.flatnonzero(tokens > largest.kv_tokens)
    if len(too_large):
        row = int(too_large[0])
        raise SimulationError(
            f"{trace.name}, row {row + 1}: {tokens[row]} tokens of prompt and answer are more than "
            f"the KV memory of {largest.name} ({largest.kv_tokens}); take a profile with more, or "
            f"`headway trace convert --most-tokens {largest.kv_tokens}`"
        )
