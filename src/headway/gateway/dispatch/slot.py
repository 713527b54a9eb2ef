"""The lifetime of one request in the dispatcher, for the task that serves its client."""

from __future__ import annotations

import logging
import random
from collections.abc import AsyncGenerator, Awaitable
from contextlib import aclosing
from types import TracebackType
from typing import Self, TypeVar, cast

from headway.engines.engine import (
    BackendGone,
    BackendSilent,
    Delta,
    Engine,
    EngineError,
    Generation,
)
from headway.gateway.api.errors import from_engine, gave_up
from headway.gateway.dispatch.dispatcher import Dispatcher
from headway.gateway.work.retries import FIRST_PAUSE_OF_LINE_S, FIRST_PAUSE_S, Retries
from headway.gateway.work.turn import Interrupted
from headway.gateway.work.work import Work

logger = logging.getLogger(__name__)

T = TypeVar("T")


class Slot:
    """A place in the queue, then a slot of a backend; again after each preemption or failure.

        with Slot(dispatcher, work) as slot:    # raises ApiError if it is refused
            engine = await slot.engine()        # waits; raises ApiError if it never runs
            ...                                 # read from it with `slot.read`
            slot.finish()                       # the answer is complete: others may run

    Leaving the block always gives the slot back.
    """

    __slots__ = ("_backend", "_dispatcher", "work")

    def __init__(self, dispatcher: Dispatcher, work: Work) -> None:
        self._dispatcher = dispatcher
        self.work = work
        self._backend = ""
        """Where the present run is, or the last one was."""

    def __enter__(self) -> Self:
        self._dispatcher.submit(self.work)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.leave()

    async def wait(self) -> None:
        """Wait until the request may run. Raises ApiError if it never will."""
        # Ten thousand requests may wait in here: each coroutine more would be 2 MB.
        turn = self.work.turn
        while turn.failure is None and not self.work.request.backend:
            await turn.change()
        if turn.failure is not None:
            raise turn.failure

    def finish(self) -> None:
        """The answer is complete: gives the slot back now. A second call has no effect."""
        self._dispatcher.release(self.work, finished=True)

    def leave(self) -> None:
        """The answer ends early: give the slot back now. The second call does nothing."""
        self._dispatcher.release(self.work, finished=False)

    async def engine(self) -> Engine:
        """Wait until the request may run; returns the client of its backend.

        Raises:
            ApiError: it will never run: deadline missed, no backend, shutdown.
            BackendGone: its backend went down at this moment.
        """
        await self.wait()
        turn, pool, backend = self.work.turn, self._dispatcher.pool, self.work.request.backend
        turn.stopped, turn.interrupted = None, False  # of the run before
        self._backend = backend
        engine = pool.engine(backend)
        turn.begin(pool.activity(backend), self._dispatcher.clock())
        return engine

    async def read(self, coming: Awaitable[T]) -> T:
        """Await `coming`, which reads from the engine.

        Raises:
            Interrupted: the request lost its slot; it may call `engine` again.
            ApiError: the gateway is stopping.
            BackendSilent: the backend was silent for longer than its limit.
            BackendGone, EngineError: from the engine.
        """
        return await self.work.turn.read(coming)

    async def generate(self) -> AsyncGenerator[Delta, None]:
        """Yield the whole output, across preemptions and failing backends.

        Raises:
            ApiError: the engine refuses the request, it will not run again, or it failed too often.
        """
        work = self.work
        generation = work.generation
        assert generation is not None
        while True:
            try:
                engine = await self.engine()
                if work.request.in_pieces:
                    await self._prefill(engine, generation)
                stream = cast(AsyncGenerator[Delta, None], engine.generate(generation))
                async with aclosing(stream) as deltas:
                    while (delta := await self.read(anext(deltas, None))) is not None:
                        self.progress(generation.output_tokens - work.request.output_tokens)
                        served = work.served
                        if delta.prompt_tokens is not None:
                            self._dispatcher.pricing.prefilled(work, delta.cached_tokens)
                        if served.prompt_tokens is None and delta.prompt_tokens is not None:
                            served.prompt_tokens = delta.prompt_tokens
                            served.cached_tokens = delta.cached_tokens
                        yield delta
                return
            except Interrupted:
                continue
            except (BackendGone, EngineError) as error:
                await self.failed(error)

    async def _prefill(self, engine: Engine, generation: Generation) -> None:
        """Compute the prompt piece by piece; between two, prompts that go first have their turn.

        Raises what `read` does.
        """
        dispatcher, work = self._dispatcher, self.work
        more = True
        while more:
            await dispatcher.prompts.turn(work)
            tokens = dispatcher.prompts.piece_tokens(work)
            more = await self.read(engine.prefill(generation, tokens))
            work.turn.prefilled(dispatcher.clock())

    def progress(self, tokens: int) -> None:
        """The engine delivered a part of the answer with `tokens` new tokens."""
        work, now_s = self.work, self._dispatcher.clock()
        request, turn, served = work.request, work.turn, work.served
        turn.heard(now_s)
        served.last_token_s = now_s
        if served.first_token_s < 0.0:
            served.first_token_s = now_s
        if tokens <= 0 or not request.backend:
            return
        turn.retries = None  # earlier failures no longer count
        if request.output_tokens == 0 and work.generation is not None:
            self._dispatcher.pin(work, now_s)
        self._dispatcher.progressed(work, request.output_tokens + tokens, now_s)

    async def failed(self, error: BackendGone | EngineError) -> None:
        """A run failed, and the client has received nothing that cannot be continued.

        Returns once the request waits for another run.

        Raises:
            ApiError: another run would not help: the request is at fault, no backend can run it,
                or it failed too often.
        """
        work, dispatcher = self.work, self._dispatcher
        turn, request, backend = work.turn, work.request, self._backend
        silent = isinstance(error, BackendSilent)
        if turn.interrupted:  # it lost that backend already
            if silent:
                dispatcher.pool.failed(backend, request.id, error)
            return
        answer = error if isinstance(error, EngineError) else None
        if answer is not None and not (answer.transient or answer.backend_specific):
            raise from_engine(answer.status, answer.body, answer.headers) from None
        dispatcher.pool.failed(backend, request.id, error)
        if turn.retries is None:
            turn.retries = Retries(FIRST_PAUSE_OF_LINE_S if work.batch else FIRST_PAUSE_S)
        retries = turn.retries
        pause_s = retries.failed(
            backend,
            dispatcher.able(request, even_busy=silent),
            most_runs=dispatcher.settings.attempts,
            here_again=not silent and (answer is None or not answer.backend_specific),
            retry_after_s=answer.retry_after_s if answer is not None else None,
            jitter=random.random(),
        )
        if pause_s is None:
            _log_failure(work, error, "giving up")
            if len(retries.failed_on) > 1:
                dispatcher.pool.forgive(request.id)
            raise gave_up(retries.runs, error)
        if turn.interrupted:
            return  # the pool found the backend down: it already waits for another
        if not pause_s:
            _log_failure(work, error, "trying another backend")
            dispatcher.requeue(work, retries.avoid)
        else:
            _log_failure(work, error, f"trying again in {pause_s:.1f} s")
            await dispatcher.pause(work, pause_s, retries.avoid)

    def lost(self, error: BackendGone | EngineError) -> None:
        """The backend failed in the middle of an answer that cannot be continued."""
        _log_failure(self.work, error, "its answer ends here")
        self._dispatcher.pool.failed(self._backend, self.work.request.id, error)


def _log_failure(work: Work, error: Exception, next: str) -> None:
    status = f"{error.status} " if isinstance(error, EngineError) else ""
    logger.warning(
        "request %s failed on backend %s (%s%s); %s",
        work.request.id,
        work.served.backend,
        status,
        str(error)[:200],
        next,
    )
