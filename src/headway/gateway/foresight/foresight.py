"""Predicts output lengths in a thread, and watches how good the predictions are."""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeVar

from headway.core.estimate import SizeEstimate
from headway.core.policies import POLICIES
from headway.core.scheduler import Scheduler
from headway.engines.engine import Piece
from headway.gateway.foresight.claimed import ClaimedLengths, larger
from headway.gateway.foresight.policy_choice import PolicyChoice
from headway.gateway.foresight.refits import Refits
from headway.gateway.work.work import Work
from headway.prediction.live.live_predictor import (
    Forecast,
    LivePredictor,
    Look,
    Reading,
    Unfinished,
)
from headway.prediction.models.bins import score_within
from headway.prediction.models.refinement import next_cut
from headway.prediction.texts.prompt import Prompt
from headway.prediction.texts.words import without_middle

logger = logging.getLogger(__name__)

Input = TypeVar("Input")
Output = TypeVar("Output")
OnReading = Callable[[Work, Reading], None]
"""Called with a request and what was predicted from its prompt."""

MOST_AT_ONCE = 64
"""Maximum number of prompts and unfinished answers in one batch."""
GATHER_S = 0.02
"""How long a batch that is not full is gathered. A batch costs little more than one prompt, and
requests that finish meanwhile need no prediction."""
PATIENCE_S = 1.0
"""How long a prediction without a request is waited for."""
MOST_WAITING = 4096
"""Maximum number of requests that wait for the predictor; others keep their estimate."""


@dataclass(frozen=True, slots=True)
class _Part:
    """The answer so far."""

    pieces: Sequence[Piece]
    output_tokens: int
    predicted: SizeEstimate
    """Output tokens of the whole answer, predicted from the prompt only."""


class Foresight:
    """Predicts output lengths in a separate thread, and revises the scheduler's estimates.

    A request starts with an estimate from the history of similar requests, and runs at once if it
    can. While any request waits, all waiting and running requests are predicted from their
    prompts in a separate thread and ranked again with the result; running requests are predicted
    again from the answer so far. So no request ever waits for a prediction, and a slow or broken
    predictor costs nothing but its predictions.

    Args:
        scheduler: gets every prediction.
        works: every live request by id.
        clock: the scheduler's clock.
        live: predicts from prompts; None: there is only history.
        choice: the policy, and the watch that compares every prediction with its outcome. While
            that does not trust the predicted order, the scheduler gets estimates from history.
        refits: retrains predictors; None: they do not change.
        claimed: handles lengths that clients claim; None: claims are ignored here.
    """

    def __init__(
        self,
        scheduler: Scheduler,
        works: Mapping[str, Work],
        clock: Callable[[], float],
        live: LivePredictor | None,
        choice: PolicyChoice,
        refits: Refits | None = None,
        claimed: ClaimedLengths | None = None,
    ) -> None:
        self.watch = choice.watch
        self.live = live
        self.predicted = 0
        """Number of predictions from prompts."""
        self.refined = 0
        """Number of predictions from unfinished answers."""
        self.failed = 0
        """Number of prompts and answers that the predictor failed on."""
        self.spent_s = 0.0
        """Total time of the predictor."""
        self.refits = refits
        self._scheduler = scheduler
        self._works = works
        self._claimed = claimed
        self._clock = clock
        self._choice = choice
        self._ask_model: Callable[[Work, OnReading], None] | None = None
        self._asked: queue.SimpleQueue[tuple[Work, _Part | None] | None] = queue.SimpleQueue()
        self._replies: dict[str, asyncio.Future[Forecast]] = {}
        """Who waits for the prediction of a request that is not submitted, by its id."""
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    def start(self, ask: Callable[[Work, OnReading], None] | None = None) -> None:
        """Start to predict; called in the event loop.

        Args:
            ask: asks the model itself about a waiting request, if the policy orders by length, and
                calls back with the reply, which replaces the prediction; None: it is not asked.
        """
        if self.live is None:
            return
        if POLICIES[self._choice.policy].by_length:
            self._ask_model = ask
        if self.refits is not None:
            self.refits.start()
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._run, name="headway-predictor", daemon=True)
        self._thread.start()

    async def close(self) -> None:
        """End the thread; predictions in progress are dropped."""
        if self.refits is not None:
            await self.refits.close()
        if self._thread is not None:
            self._loop = None
            self._asked.put(None)
            self._thread.join(timeout=1.0)

    def contended(self, waiting: Iterable[Work]) -> None:
        """Predict `waiting` and all running requests, except those already predicted."""
        if self._thread is None:
            return
        for work in waiting:
            self._ask(work)
        for backend in self._scheduler.backends.values():
            for request_id in backend.running:
                running = self._works.get(request_id)
                if running is not None:
                    self._ask(running)

    async def estimate(self, work: Work) -> SizeEstimate:
        """The length of `work`, which is not submitted: from its prompt, if that does not take
        long, else from history."""
        if self._thread is None or work.kind is None or work.predicted.claim_counts:
            return work.request.estimate
        reply = self._replies[work.request.id] = asyncio.get_running_loop().create_future()
        self._ask(work)
        try:
            async with asyncio.timeout(PATIENCE_S):
                forecast = await reply
        except TimeoutError:
            return work.request.estimate
        finally:
            del self._replies[work.request.id]
            work.served.ended_s = self._clock()  # if it is read later, nobody wants to know
        return self._best(work, forecast)[0]

    def progressed(self, work: Work) -> None:
        """`work` reached its `look_at`: predicts its length again, if any request waits."""
        predicted = work.predicted
        predicted.look_at = next_cut(work.output_tokens)
        claims = work.claimed_tokens is not None and predicted.claim_counts
        if claims and self._claimed is not None:
            self._disbelieved(self._claimed.exceeded(work))
        forecast, generation = predicted.forecast, work.generation
        if forecast is None or generation is None or not self._scheduler.waiting():
            return
        if self._asked.qsize() < MOST_WAITING:
            # `Generation.rewind` removes pieces, so the thread gets its own list of them.
            part = _Part(list(generation.pieces), work.output_tokens, forecast.estimate)
            self._asked.put((work, part))

    def claim_ended(self, work: Work, finished: bool) -> None:
        """`work`, which had a claim, has ended; `finished`: with its whole answer."""
        if self._claimed is not None:
            self._disbelieved(self._claimed.ended(work, finished))

    def _disbelieved(self, works: Sequence[Work]) -> None:
        """Predict `works` like other requests, as their claims no longer count."""
        if works and self._scheduler.waiting():
            self.contended(works)

    def ended(self, work: Work) -> None:
        """`work` has its answer: learns from it, and checks whether to trust predictions."""
        if self.refits is not None:
            self.refits.answered(work.origin.model)
        tokens = work.output_tokens
        forecast = work.predicted.forecast
        if forecast is not None and self.live is not None:
            model = work.origin.model
            self.live.observe(forecast, work.origin, tokens, work.cut_off)
            self.live.looked(work.predicted.looks, model, tokens, work.cut_off)
            limit = work.request.max_tokens
            if self.watch.observe(model, forecast.score, forecast.estimate, tokens, limit):
                self._trust_changed()

    def _trust_changed(self) -> None:
        trusted, quality = self.watch.trusted, self.watch.quality
        assert quality is not None
        before, policy = self._scheduler.policy_name, self._choice.in_use
        logger.warning(
            "predictions are %s: Kendall's tau of predicted and real order over the last %d "
            "requests is %.2f%s",
            "trusted again" if trusted else "not trusted any more",
            quality.n,
            quality.tau_of_all,
            f"; policy {before} -> {policy}" if policy != before else "",
        )
        # Revises live requests, too: otherwise the old predictions would order a burst to its end.
        # Under `fcfs`, as revisions do not move requests there; under `hrrn`, 10,000 of them would
        # take ten seconds.
        self._scheduler.use_policy("fcfs", self._clock())
        for work in self._works.values():
            if work.predicted.forecast is not None:
                self._revise(work, work.predicted.forecast)
        self._scheduler.use_policy(policy, self._clock())

    def _ask(self, work: Work) -> None:
        if work.predicted.asked or work.predicted.claim_counts or work.kind is None:
            return
        if self._asked.qsize() < MOST_WAITING:
            work.predicted.asked = True
            self._asked.put((work, None))

    def _run(self) -> None:
        assert self.live is not None
        while (first := self._asked.get()) is not None:
            if self._asked.qsize() < MOST_AT_ONCE:
                time.sleep(GATHER_S)
            asked = [first]
            while len(asked) < MOST_AT_ONCE and not self._asked.empty():
                another = self._asked.get()
                if another is None:
                    return
                asked.append(another)
            asked = [(work, part) for work, part in asked if work.served.ended_s < 0.0]
            start_s = time.perf_counter()
            read = self._each(self._read, [work for work, part in asked if part is None])
            parts = [(work, part) for work, part in asked if part is not None]
            looked = self._each(self._look, parts)
            self.spent_s += time.perf_counter() - start_s
            loop = self._loop
            if loop is None:
                return
            with suppress(RuntimeError):  # it has just been closed
                loop.call_soon_threadsafe(self._foreseen, read)
                loop.call_soon_threadsafe(
                    self._looked, [(work, look) for (work, _), look in looked]
                )

    def _each(
        self, predict: Callable[[Sequence[Input]], list[Output]], inputs: Sequence[Input]
    ) -> list[tuple[Input, Output]]:
        """Each input with its prediction. If a batch fails, its inputs are tried one by one."""
        try:
            return list(zip(inputs, predict(inputs), strict=True))
        except Exception as error:
            # Requests go on without a broken predictor.
            if len(inputs) == 1:
                # It may fail on every request: the traceback is logged only once.
                first = error if not self.failed else None
                logger.error("the predictor failed on a request: %r", error, exc_info=first)
                self.failed += 1
                return []
        return [pair for one in inputs for pair in self._each(predict, [one])]

    def _read(self, works: Sequence[Work]) -> list[Reading]:
        assert self.live is not None
        prompts = []
        for work in works:
            assert work.kind is not None
            prompt = Prompt.from_fields(work.kind, work.fields)
            work.predicted.prompt = Prompt(without_middle(prompt.text))
            prompts.append((work.origin.model, prompt))
        return self.live.read(prompts)

    def _look(self, parts: Sequence[tuple[Work, _Part]]) -> list[Look]:
        assert self.live is not None
        answers = []
        for work, part in parts:
            prompt = work.predicted.prompt
            assert prompt is not None
            text = "".join([piece.text for piece in part.pieces])
            answers.append(Unfinished(prompt, text, part.output_tokens, part.predicted))
        return self.live.look(answers)

    def _foreseen(self, read: Sequence[tuple[Work, Reading]]) -> None:
        self.predicted += len(read)
        for work, reading in read:
            reply = self._replies.get(work.request.id)
            if reply is not None:
                assert self.live is not None
                if not reply.done():
                    reply.set_result(self.live.forecast(reading, work.origin))
                continue
            self._forecast(work, reading)
            waits = not work.request.backend and work.served.ended_s < 0.0
            if waits and self._ask_model is not None:
                self._ask_model(work, self._forecast)

    def _forecast(self, work: Work, reading: Reading) -> None:
        assert self.live is not None
        work.predicted.forecast = forecast = self.live.forecast(reading, work.origin)
        self.watch.predicted(work.origin.model, forecast.score)
        if self.watch.trusted:
            self._revise(work, forecast)

    def _looked(self, looked: Sequence[tuple[Work, Look]]) -> None:
        self.refined += len(looked)
        for work, look in looked:
            work.predicted.looks += (look,)
            if self.watch.trusted and work.predicted.forecast is not None:
                self._revise(work, work.predicted.forecast)

    def _revise(self, work: Work, forecast: Forecast) -> None:
        """Pass the best current estimate of `work` to the scheduler."""
        expected, score = self._best(work, forecast)
        self._scheduler.revise(work.request.id, expected, score, self._clock())

    def _best(self, work: Work, forecast: Forecast) -> tuple[SizeEstimate, float | None]:
        """The best current estimate of `work`, and the ranker's score; None: it has none."""
        assert self.live is not None
        limit = work.request.max_tokens
        estimate, score = forecast.of_history, None
        if self.watch.trusted:
            estimate = forecast.estimate
            score = score_within(forecast.score, estimate, limit)
            if work.predicted.looks:
                estimate = self.live.refined(work.predicted.looks[-1], work.origin.model)
        estimate = estimate.capped(limit)
        expected = larger(estimate, work.claimed_tokens)
        return expected, score if expected is estimate else None
