"""An engine with continuous batching, advanced event by event instead of token by token.

While no request comes or goes, every iteration gives each request one token and makes every context
one longer, so that the time of k iterations is a quadratic in k. Only prompts are computed
iteration by iteration.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from heapq import heappop, heappush
from math import inf, sqrt

from headway.lab.simulation.engine_request import EngineRequest
from headway.lab.simulation.prefix_cache import PrefixCache
from headway.lab.simulation.profile import Profile

INSTANT_S = 1e-9
"""Times closer than this are the same moment."""


@dataclass(slots=True)
class FirstToken:
    """The prompt of a request was computed, and its next token with it."""

    request: EngineRequest


@dataclass(slots=True)
class PieceDone:
    """A piece of the prompt of a request was computed: it waits outside to be submitted again."""

    request: EngineRequest


@dataclass(slots=True)
class Finished:
    """The answer of a request is complete."""

    request: EngineRequest


Event = FirstToken | PieceDone | Finished


class EngineModel:
    """One engine as its profile says. Times are the simulation's seconds and never go back.

    Requests wait in the engine's own queue, first come first served, for a slot and for memory for
    their prompt. If memory runs out, the last admitted gives back all of its own and is recomputed
    later (as in vLLM), or swapped to the host if the profile says so.
    """

    def __init__(self, profile: Profile) -> None:
        self.profile = profile
        self.recomputed = 0
        """Times that a request had to give its memory back."""
        self.busy_s = 0.0
        self.kv_token_s = 0.0
        """KV memory in use, over time."""
        self._arriving: list[tuple[float, int, EngineRequest]] = []
        self._queue: deque[EngineRequest] = deque()
        self._prefilling: deque[EngineRequest] = deque()
        self._decoding: dict[int, EngineRequest] = {}
        self._leaving: list[EngineRequest] = []
        self._ends: list[tuple[int, int, EngineRequest]] = []
        self._cache = PrefixCache()
        self._admitted = 0
        self._clock_s = 0.0
        """When the stretch of iterations that runs now began."""
        self._step = 0
        """Decoding iterations before this stretch."""
        self._contexts = 0
        """Context tokens of all decoding requests at that moment."""
        self._prompts = 0
        """KV memory of requests in prefill."""
        self._moved_tokens = 0
        """KV memory to swap before the next iteration, out and in."""
        self._steps = 0
        """Iterations of this stretch; 0: an iteration with prompts, or nothing runs."""
        self._first_s = 0.0
        self._longer_s = 0.0
        """Time of its first iteration, and the growth from each iteration to the next."""
        self._end_s = inf
        self.next_event_s = inf
        """When `advance` has something to do."""
        self._chunks: list[tuple[EngineRequest, int]] = []

    # ---- from outside -----------------------------------------------------------------------

    @property
    def kv_used_tokens(self) -> int:
        """KV memory in use at the beginning of the present stretch."""
        half_a_block = self.profile.block_tokens * len(self._decoding) // 2
        return self._contexts + self._prompts + half_a_block

    def submit(self, request: EngineRequest, now_s: float) -> None:
        """Submit a request."""
        if self.profile.request_s:
            self._admitted += 1
            heappush(self._arriving, (now_s + self.profile.request_s, self._admitted, request))
        else:
            self._queue.append(request)
            self._cut(now_s)
        self._look_ahead()

    def go_on(self, request: EngineRequest, now_s: float) -> None:
        """Submit a request that ran before: its context is still in the KV memory."""
        self._cache.keep(("own", request.number), request.context_tokens)
        self._queue.append(request)
        self._cut(now_s)
        self._look_ahead()

    def cancel(self, request: EngineRequest, now_s: float) -> None:
        """Cancel a request; it stays in the iteration that runs now."""
        request.here = False
        if request.decodes:
            step = self.step_at(now_s)
            request.produced, request.began_step = request.produced_at(step), step
            self._cache.keep(("own", request.number), request.context_tokens)
        self._leaving.append(request)
        self._cut(now_s)
        self._look_ahead()

    def stop(self, now_s: float) -> None:
        """Switch it off, or let it fail: its requests and its KV memory are lost."""
        if self._end_s < inf:
            spent_s = max(0.0, now_s - self._clock_s)
            self.busy_s += spent_s
            self.kv_token_s += spent_s * self.kv_used_tokens
        self._arriving.clear()
        self._queue.clear()
        self._prefilling.clear()
        self._decoding.clear()
        self._leaving.clear()
        self._ends.clear()
        self._chunks = []
        self._cache = PrefixCache()
        self._contexts = self._prompts = self._steps = self._moved_tokens = 0
        self._clock_s = max(self._clock_s, now_s)
        self._end_s = self.next_event_s = inf

    def produced(self, request: EngineRequest, now_s: float) -> int:
        """Output tokens that `request` has at `now_s`."""
        if request.decodes and request.here:
            return request.produced_at(self.step_at(now_s))
        return request.produced

    def step_at(self, now_s: float) -> int:
        """Decoding iterations up to `now_s`."""
        return self._step + self.steps_done(now_s)

    def steps_done(self, now_s: float) -> int:
        """Iterations of the present stretch that are complete at `now_s`."""
        if not self._steps or now_s <= self._clock_s:
            return 0
        return min(self._steps, int(self._steps_in(now_s - self._clock_s + INSTANT_S)))

    def advance(self, now_s: float) -> list[Event]:
        """What happened up to `now_s`, in order. Call it at every `next_event_s`."""
        events: list[Event] = []
        while self.next_event_s <= now_s + INSTANT_S:
            if self._arriving and self._arriving[0][0] <= self._end_s:
                at_s, _, request = heappop(self._arriving)
                if request.here:
                    self._queue.append(request)
                    self._cut(at_s)
            else:
                self._boundary(events)
            self._look_ahead()
        return events

    def _look_ahead(self) -> None:
        self.next_event_s = self._end_s
        if self._arriving and self._arriving[0][0] < self._end_s:
            self.next_event_s = self._arriving[0][0]

    # ---- iterations -------------------------------------------------------------------------

    def _steps_in(self, spent_s: float) -> float:
        """Iterations, whole and in part, that take `spent_s`."""
        first, half = self._first_s, self._longer_s / 2.0
        if half < first * 1e-12:
            return spent_s / first
        linear = first - half
        return (sqrt(linear * linear + 4.0 * half * spent_s) - linear) / (2.0 * half)

    def _time_of(self, steps: int) -> float:
        return steps * self._first_s + self._longer_s * (steps * (steps - 1) / 2.0)

    def _cut(self, now_s: float) -> None:
        """End the stretch with the iteration that runs at `now_s`: a request comes or goes."""
        if self._end_s == inf:
            self._clock_s = max(self._clock_s, now_s)
            self._end_s = self._clock_s
        elif self._steps:
            done = self.steps_done(now_s)
            if self._clock_s + self._time_of(done) < now_s - INSTANT_S:
                done += 1
            self._steps = min(self._steps, done)
            self._end_s = self._clock_s + self._time_of(self._steps)

    def _boundary(self, events: list[Event]) -> None:
        """End the stretch, collect its events and begin the next."""
        decoded, decoding = self._steps, len(self._decoding)
        spent_s = self._end_s - self._clock_s
        self.busy_s += spent_s
        self.kv_token_s += spent_s * (self.kv_used_tokens + decoded * decoding / 2.0)
        self._clock_s = self._end_s
        if self._chunks:
            decoded = 1 if self.profile.mixed else 0
        self._step += decoded
        self._contexts += decoded * decoding
        if self.profile.kv_tokens:  # requests grew into memory of the prefix cache
            self._cache.shrink(self.profile.kv_tokens - self.kv_used_tokens)
        if self._chunks:
            for request, tokens in self._chunks:
                request.to_prefill -= tokens
                if request.to_prefill and request.piece_tokens:
                    self._piece_done(request, tokens, events)
                elif not request.to_prefill and request.here:
                    self._prefilled(request, events)
            self._chunks = []
        ends, step = self._ends, self._step
        while ends and ends[0][0] <= step:
            end = heappop(ends)
            if _holds(end):
                self._finished(end[2], events)
        if self._leaving:
            for request in self._leaving:
                self._remove(request)
            self._leaving.clear()
        if self._queue:
            self._admit()
        self._begin()

    def _piece_done(self, request: EngineRequest, tokens: int, events: list[Event]) -> None:
        self._prefilling.remove(request)
        self._prompts -= request.context_tokens
        request.prefilled += tokens
        self._cache.keep(("own", request.number), request.context_tokens - request.to_prefill)
        if request.here:
            events.append(PieceDone(request))

    def _prefilled(self, request: EngineRequest, events: list[Event]) -> None:
        self._prefilling.remove(request)
        self._prompts -= request.context_tokens
        self._cache.keep_blocks(request.hashes, request.prompt_tokens)
        request.produced += 1
        request.began_step, request.decodes = self._step, True
        self._decoding[request.number] = request
        self._contexts += request.context_tokens
        events.append(FirstToken(request))
        end = self._step + request.output_tokens - request.produced
        heappush(self._ends, (end, request.order, request))

    def _finished(self, request: EngineRequest, events: list[Event]) -> None:
        self._release(request, self._step)
        request.produced, request.here = request.output_tokens, False
        if request.session is not None:
            self._cache.keep(request.session, request.context_tokens)
        events.append(Finished(request))

    def _release(self, request: EngineRequest, step: int) -> None:
        del self._decoding[request.number]
        request.decodes = False
        self._contexts -= request.context_tokens + step - request.began_step

    def _remove(self, request: EngineRequest) -> None:
        """Remove a cancelled request."""
        if request.decodes:
            self._release(request, self._step)
        elif request in self._prefilling:
            self._prefilling.remove(request)
            self._prompts -= request.context_tokens
            if request.piece_tokens:
                computed = request.context_tokens - request.to_prefill
                self._cache.keep(("own", request.number), computed)
        elif request in self._queue:
            self._queue.remove(request)

    def _admit(self) -> None:
        profile = self.profile
        while self._queue and len(self._decoding) + len(self._prefilling) < profile.slots:
            request = self._queue[0]
            tokens = request.context_tokens
            if profile.kv_tokens:
                room = profile.kv_tokens - self.kv_used_tokens
                if tokens + profile.block_tokens > room and (self._decoding or self._prefilling):
                    return
            self._queue.popleft()
            self._admitted += 1
            request.order = self._admitted
            if request.swapped:
                request.swapped, cached = False, tokens - 1
                self._moved_tokens += tokens
            else:
                cached = self._cache.found(request) if profile.prefix_cache else 0
            if profile.kv_tokens:
                self._cache.shrink(room - tokens)
            request.to_prefill = max(1, tokens - cached)
            request.cached_tokens = max(0, min(cached, request.prompt_tokens) - request.prefilled)
            self._prefilling.append(request)
            self._prompts += tokens

    def _begin(self) -> None:
        """Plan the next stretch."""
        profile = self.profile
        running = len(self._decoding)
        self._steps, self._chunks = 0, []
        if running and profile.kv_tokens:
            running = self._make_room()
        if self._moved_tokens:
            pause_s = self._moved_tokens * profile.swap_s_per_token
            self._clock_s, self.busy_s = self._clock_s + pause_s, self.busy_s + pause_s
            self._moved_tokens = 0
        if self._prefilling:
            decoding = running if profile.mixed else 0
            budget = left = max(1, profile.batch_tokens - decoding)
            attention = 0.0
            for request in self._prefilling:
                tokens = min(left, request.to_prefill, request.piece_tokens or left)
                context = request.context_tokens - request.to_prefill
                attention += tokens * (context + tokens / 2.0)
                self._chunks.append((request, tokens))
                left -= tokens
                if not left:
                    break
            spent_s = profile.mixed_s(budget - left, decoding) + profile.prefill_kv_s * attention
            spent_s += profile.sequence_s * (decoding + len(self._chunks))
            if decoding:
                spent_s += (profile.mixed_kv_s or profile.decode_kv_s) * self._contexts
            self._end_s = self._clock_s + spent_s
        elif running:
            self._first_s = (
                profile.dense(running)
                + profile.sequence_s * running
                + profile.decode_kv_s * self._contexts
            )
            self._longer_s = profile.decode_kv_s * running
            while not _holds(self._ends[0]):
                heappop(self._ends)
            self._steps = self._ends[0][0] - self._step
            if profile.kv_tokens:
                room = profile.kv_tokens - self.kv_used_tokens
                self._steps = max(1, min(self._steps, room // running))
            self._end_s = self._clock_s + self._time_of(self._steps)
        else:
            self._end_s = inf

    def _make_room(self) -> int:
        """Evict the last admitted until each other has room for one more token; return how many
        are left."""
        room = self.profile.kv_tokens - self.kv_used_tokens
        while len(self._decoding) > 1 and room < len(self._decoding):
            last = max(self._decoding.values(), key=lambda request: request.order)
            produced = last.produced + self._step - last.began_step
            self._release(last, self._step)
            last.produced = produced
            if self.profile.swap_s_per_token:
                last.swapped = True
                self._moved_tokens += last.context_tokens
            else:
                self._cache.keep(("own", last.number), last.context_tokens)
            self._queue.appendleft(last)
            self.recomputed += 1
            room = self.profile.kv_tokens - self.kv_used_tokens
        return len(self._decoding)


def _holds(end: tuple[int, int, EngineRequest]) -> bool:
    """Whether a request still ends at that iteration: one that lost its memory since was
    admitted again, and ends later."""
    _, order, request = end
    return request.here and request.decodes and request.order == order
