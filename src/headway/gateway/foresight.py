"""Predicts how long requests will run, beside the event loop, and watches what that is worth."""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

from headway.core.estimate import SizeEstimate
from headway.core.scheduler import Scheduler
from headway.gateway.refits import Refits
from headway.gateway.work import Work
from headway.prediction.live import LivePredictor, Look, Reading, Unfinished
from headway.prediction.prompt import Prompt
from headway.prediction.refinement import next_cut
from headway.prediction.watch import Watch

logger = logging.getLogger(__name__)

MOST_AT_ONCE = 64
"""Prompts and unfinished answers read together."""
MOST_WAITING = 4096
"""That may wait for the predictor; more keep what is known of them."""


class Foresight:
    """The scheduler's view into the future.

    A request is let in with what history says of its like, and runs at once if it can. Where
    anybody must wait, whoever waits and runs is predicted from its prompt, in a thread of its
    own, and ranked anew when the prediction is there; whoever runs meanwhile is, again and again,
    by what there is of its answer. So no request ever waits for a prediction,
    and a predictor that is slow or broken costs nothing but its predictions.

    Args:
        scheduler: told every prediction.
        clock: the scheduler's.
        live: reads prompts; None: there is no predictor, history is all.
        watch: told every prediction and its outcome. While it does not trust the order, the
            scheduler orders by `fallback` instead of its own policy.
        fallback: name of a policy that needs no predictions.
        refits: trains predictors anew; None: they stay as they are.
    """

    def __init__(
        self,
        scheduler: Scheduler,
        clock: Callable[[], float],
        live: LivePredictor | None,
        watch: Watch,
        fallback: str,
        refits: Refits | None = None,
    ) -> None:
        self.watch = watch
        self.live = live
        self.predicted = 0
        """Prompts predicted so far."""
        self.refined = 0
        """Times that an unfinished answer was predicted anew."""
        self.failed = 0
        """Prompts and answers that could not be read."""
        self.spent_s = 0.0
        """Time the predictor took for them."""
        self.refits = refits
        self._scheduler = scheduler
        self._clock = clock
        self._policy = scheduler.policy_name
        self._fallback = fallback
        self._asked: queue.SimpleQueue[tuple[Work, Unfinished | None] | None] = queue.SimpleQueue()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to predict; called in the event loop."""
        if self.live is None:
            return
        if self.refits is not None:
            self.refits.start()
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._run, name="headway-predictor", daemon=True)
        self._thread.start()

    async def close(self) -> None:
        """End the thread; predictions that are under way are dropped."""
        if self.refits is not None:
            await self.refits.close()
        if self._thread is not None:
            self._loop = None
            self._asked.put(None)
            self._thread.join(timeout=1.0)

    def contended(self, work: Work, works: dict[str, Work]) -> None:
        """`work` must wait: predict it, and everybody who runs and was not predicted yet."""
        if self._thread is None:
            return
        self._ask(work)
        for backend in self._scheduler.backends.values():
            for request_id in backend.running:
                running = works.get(request_id)
                if running is not None:
                    self._ask(running)

    def progressed(self, work: Work) -> None:
        """`work` runs and has reached `look_at`: if anybody waits, foresee what is left of it."""
        work.look_at = next_cut(work.output_tokens)
        forecast, generation = work.forecast, work.generation
        if forecast is None or generation is None or not self._scheduler.waiting():
            return
        if self._asked.qsize() < MOST_WAITING:
            text = "".join([piece.text for piece in generation.pieces])
            unfinished = Unfinished(_prompt(work), text, work.output_tokens, forecast.estimate)
            self._asked.put((work, unfinished))

    def ended(self, work: Work) -> None:
        """`work` finished by itself: learn from it, and see whether the order is still trusted."""
        if self.refits is not None:
            self.refits.answered(work.origin.model)
        tokens = work.output_tokens
        forecast = work.forecast
        if forecast is not None and self.live is not None:
            self.live.observe(forecast, work.origin, tokens)
            self.live.looked(work.looks, work.origin.model, tokens)
            changed = self.watch.observe(forecast.score, forecast.estimate, tokens)
            if changed:
                self._hand_over()

    def _hand_over(self) -> None:
        policy = self._policy if self.watch.trusted else self._fallback
        quality = self.watch.quality
        assert quality is not None
        logger.warning(
            "policy %s -> %s: Kendall's tau of predicted and real order over the last %d "
            "requests is %.2f",
            self._scheduler.policy_name,
            policy,
            quality.n,
            quality.tau_of_all,
        )
        self._scheduler.use_policy(policy, self._clock())

    def _ask(self, work: Work) -> None:
        if work.foreseen or work.told or work.kind is None:
            return
        if self._asked.qsize() < MOST_WAITING:
            work.foreseen = True
            self._asked.put((work, None))

    def _run(self) -> None:
        assert self.live is not None
        while (first := self._asked.get()) is not None:
            asked = [first]
            while len(asked) < MOST_AT_ONCE and not self._asked.empty():
                another = self._asked.get()
                if another is None:
                    return
                asked.append(another)
            unread = [work for work, answer in asked if answer is None]
            unfinished = [(work, answer) for work, answer in asked if answer is not None]
            start_s = time.perf_counter()
            try:
                readings = self.live.read([(work.origin.model, _prompt(work)) for work in unread])
                looks = self.live.look([answer for _, answer in unfinished])
            except Exception:
                # Whatever is wrong with the predictor, requests go on without it.
                logger.exception("the predictor failed on %d requests", len(asked))
                self.failed += len(asked)
                continue
            self.spent_s += time.perf_counter() - start_s
            loop = self._loop
            if loop is None:
                return
            with suppress(RuntimeError):  # it has just been closed
                loop.call_soon_threadsafe(self._foreseen, list(zip(unread, readings, strict=True)))
                works = [work for work, _ in unfinished]
                loop.call_soon_threadsafe(self._looked, list(zip(works, looks, strict=True)))

    def _foreseen(self, read: Sequence[tuple[Work, Reading]]) -> None:
        assert self.live is not None
        self.predicted += len(read)
        for work, reading in read:
            work.forecast = self.live.forecast(reading, work.origin)
            self.watch.foretold(work.forecast.score)
            self._revise(work, work.forecast.estimate)

    def _looked(self, looked: Sequence[tuple[Work, Look]]) -> None:
        assert self.live is not None
        self.refined += len(looked)
        for work, look in looked:
            work.looks.append(look)
            self._revise(work, self.live.refined(look, work.origin.model))

    def _revise(self, work: Work, estimate: SizeEstimate) -> None:
        assert work.forecast is not None
        if self.watch.trusted:
            capped = estimate.capped(work.request.max_tokens)
            self._scheduler.revise(work.request.id, capped, work.forecast.score, self._clock())


def _prompt(work: Work) -> Prompt:
    assert work.kind is not None
    return Prompt.from_fields(work.kind, work.fields)
