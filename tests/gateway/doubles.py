"""Engines that need no process, and a predictor: they do what a test says."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import replace
from typing import Any

import msgspec

from headway.core.cost import CostModel
from headway.core.estimate import SizeEstimate
from headway.core.request import Request, Tier
from headway.core.scheduler import Scheduler
from headway.engines.activity import Activity
from headway.engines.backend_status import BackendStatus
from headway.engines.engine import BackendGone, Delta, Description, Engine, Generation, Piece
from headway.engines.patience import Patience
from headway.gateway.dispatch.dispatcher import Dispatcher
from headway.gateway.dispatch.slot import Slot
from headway.gateway.foresight.foresight import Foresight
from headway.gateway.foresight.policy_choice import PolicyChoice
from headway.gateway.money.pricing import Pricing
from headway.gateway.settings import GatewaySettings
from headway.gateway.work.work import Work
from headway.prediction.live.history import Origin
from headway.prediction.live.watch import Watch
from headway.prediction.models.bins import BIN_TOKENS, bin_of


class ExactEngine:
    """Counts upwards: token number i is the text "i ". Can be stopped and continued exactly."""

    def __init__(self, name: str = "exact", *, slots: int = 1, vocabulary: str = "v") -> None:
        self.name = name
        self.url = ""
        self.description = Description(
            models=("counter",),
            slots=slots,
            exact_resume=True,
            vocabulary=vocabulary,
            cost=CostModel(preempt_s=0.0),
        )
        self.tokens = asyncio.Semaphore(0)
        """How many more tokens it may produce; released by the test."""
        self.running = 0
        self.most_running = 0
        self.headers: list[dict[str, str]] = []
        """What each run was to send along."""
        self.starts: list[int] = []
        """Tokens that each run found there already."""
        self.dies_at: int | None = None
        """It breaks before this token."""

    def allow(self, tokens: int = 1_000_000) -> None:
        for _ in range(min(tokens, 10_000)):
            self.tokens.release()

    async def generate(self, generation: Generation) -> AsyncGenerator[Delta, None]:
        body = {name: msgspec.json.decode(value) for name, value in generation.body.items()}
        limit = body.get("max_tokens") or 20
        self.starts.append(generation.output_tokens)
        self.headers.append(dict(generation.headers))
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        try:
            for number in range(generation.output_tokens, limit):
                await self.tokens.acquire()
                if number == self.dies_at:
                    raise BackendGone("the test killed it")
                text = generation.accept(Piece(f"{number} ", [number], 1))
                yield Delta(text=text, tokens=1, prompt_tokens=5, cached_tokens=0)
            yield Delta(finish_reason="length")
        finally:
            self.running -= 1

    async def prompt_tokens(self, generation: Generation) -> int:
        return 5

    async def forward(self, path: str, body: bytes, headers: Any = None) -> Any:
        raise BackendGone("it only generates")


class PiecewiseEngine(ExactEngine):
    """The same; prompts have 10 pieces, each computed when the test says so."""

    def __init__(self, *, slots: int) -> None:
        super().__init__(slots=slots)
        self.description = replace(self.description, piecewise=True)
        self.pieces = asyncio.Semaphore(0)
        """How many more pieces it may compute; released by the test."""
        self.asked = 0
        """Pieces that it was to compute."""
        self.computed = 0

    async def prefill(self, generation: Generation, tokens: int) -> bool:
        self.asked += 1
        await self.pieces.acquire()
        self.computed += 1
        generation.prefilled_tokens += 1
        return generation.prefilled_tokens < 10


class EnginePool:
    """A pool of engines that are what the test says they are."""

    def __init__(self, *engines: Any) -> None:
        self.engines = {engine.name: engine for engine in engines}
        self.statuses: dict[str, BackendStatus] = {}
        self.activities: dict[str, Activity] = {}
        self.patiences: dict[str, Patience] = {}
        self.failures: list[tuple[str, Exception]] = []
        self.forgiven: list[str] = []
        self.on_change: Callable[[BackendStatus], None] = lambda status: None

    def __call__(self, endpoints: Any, *, embedded: Any = ()) -> EnginePool:
        return self

    async def start(self, on_change: Callable[[BackendStatus], None]) -> None:
        self.on_change = on_change
        for name in self.engines:
            self.set(name)

    def set(
        self,
        name: str,
        *,
        healthy: bool = True,
        slots: int | None = None,
        leaving: bool = False,
        held: bool = False,
    ) -> None:
        """Let that backend come or go."""
        engine = self.engines[name]
        if slots is None:
            slots = engine.description.slots
        if leaving or held or not healthy:
            slots = 0
        self.statuses[name] = BackendStatus(
            name, engine.url, engine.description, healthy, slots, None, leaving=leaving, held=held
        )
        self.on_change(self.statuses[name])

    def hold(self, name: str, held: bool) -> None:
        self.set(name, held=held)

    def drop(self, name: str) -> None:
        del self.statuses[name]

    async def wait_for_models(self, limit_s: float) -> None:
        pass

    async def close(self) -> None:
        pass

    def engine(self, name: str) -> Engine:
        return self.engines[name]

    def models(self) -> list[str]:
        here = [status for status in self.statuses.values() if not status.leaving]
        names = [model for status in here for model in status.description.models]
        return list(dict.fromkeys(names))

    def activity(self, name: str) -> Activity:
        return self.activities.setdefault(name, Activity())

    def patience(self, name: str) -> Patience:
        return self.patiences.setdefault(name, Patience())

    def succeeded(self, name: str, request: str, **speed: Any) -> None:
        pass

    def left(self, name: str) -> None:
        pass

    def forgive(self, request: str) -> None:
        self.forgiven.append(request)

    def failed(self, name: str, request: str, error: Exception) -> None:
        self.failures.append((name, error))
        if self.engines[name].dies_at is not None:
            self.set(name, healthy=False)


class Reader:
    """A predictor that goes by the number in the prompt."""

    def __init__(self, broken: bool = False) -> None:
        self.broken = broken
        self.calibration = self
        self.open = threading.Event()
        """Cleared: nothing is read until it is set."""
        self.open.set()
        self.asked: list[list[str]] = []

    def scores(self, prompts):
        self.asked.append([prompt.text for prompt in prompts])
        assert self.open.wait(5.0)
        if self.broken:
            raise RuntimeError("no idea")
        return [float(prompt.text) for prompt in prompts]

    def estimate(self, score: float) -> SizeEstimate:
        place = bin_of(round(2.0**score))
        return SizeEstimate(BIN_TOKENS, [0.5 ** abs(n - place) for n in range(len(BIN_TOKENS))])


def dispatcher_of(
    pool: EnginePool, settings: GatewaySettings | None = None
) -> tuple[Dispatcher, Foresight]:
    """A dispatcher for that pool, without a predictor."""
    settings = settings or GatewaySettings()
    scheduler, works = Scheduler(settings.scheduler), dict[str, Work]()
    choice = PolicyChoice(scheduler, Watch(), "fcfs", time.monotonic)
    foresight = Foresight(scheduler, works, time.monotonic, None, choice)
    pricing = Pricing(settings.prices, time.monotonic)
    dispatcher = Dispatcher(scheduler, pool, works, foresight, pricing, settings)  # type: ignore[arg-type]
    return dispatcher, foresight


def work(name: str, tokens: int = 5, tier: Tier = Tier.STANDARD) -> Work:
    """A request for so many numbers, which can be stopped and continued."""
    fields = {"max_tokens": msgspec.Raw(str(tokens).encode())}
    request = Request(name, 0.0, 5, SizeEstimate.exactly(tokens), lane="counter", tier=tier)
    generation = Generation(kind="completion", body=fields, model="counter")
    origin = Origin("counter")
    return Work(
        request, "completion", "/v1/completions", origin, b"", fields, generation=generation
    )


async def run(dispatcher: Dispatcher, work: Work) -> str:
    """The whole answer to `work`."""
    with Slot(dispatcher, work) as slot:
        async with aclosing(slot.generate()) as deltas:
            texts = [delta.text async for delta in deltas]
        slot.finish()
    return "".join(texts)
