"""One served model: loads on demand, batches, unloads when idle."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from headway.batching.driver import Driver
from headway.core.batching import Batcher, BatchingSettings
from headway.core.request import Tier
from headway.models.length import length_of
from headway.models.scaler import Scaler
from headway.models.signature import ModelFailure, Signature
from headway.models.statistics import Statistics
from headway.models.tokens import Tokens

logger = logging.getLogger(__name__)


class Backing(Protocol):
    """What runs the batches: `Instances` on this machine, or a `RemoteModel`."""

    on_change: Callable[[int, ModelFailure | None], None]

    async def load(self) -> Signature: ...

    async def run(self, items: list[Any]) -> Sequence[Any]: ...

    async def unload(self) -> None: ...


class ServedModel:
    """A model that clients know by its name.

    Args:
        name: the model's name for clients.
        backing: runs the batches.
        settings: how batches are formed.
        unload_after_s: unload after this time without work; None: never.
        length_unit: number of characters, entries or values of an item that count as 1.
        scaler: changes the number of its instances; None: that is fixed.
    """

    def __init__(
        self,
        name: str,
        backing: Backing,
        settings: BatchingSettings,
        unload_after_s: float | None = None,
        length_unit: int = 1,
        scaler: Scaler | None = None,
    ) -> None:
        self.name = name
        self.backing = backing
        self.settings = settings
        self.signature: Signature | None = None
        """What it takes; None until it was first loaded."""
        self.tokens: Tokens | None = None
        """Its tokenizer, if it takes texts."""
        self.loaded = False
        self.error: ModelFailure | None = None
        """Why the last attempt to load it failed."""
        self.batches = 0
        self.items = 0
        self.statistics = Statistics()
        self.cold_starts = 0
        self.cold_start_s = 0.0
        """Total time of all cold starts."""
        self._unload_after_s = unload_after_s
        self._length_unit = length_unit
        self._scaler = scaler
        self._driver: Driver[Any, Any] | None = None
        self._loading: asyncio.Task[None] | None = None
        self._unloading: asyncio.Task[None] | None = None
        self._under_way = 0
        self._idle: asyncio.TimerHandle | None = None

    @property
    def waiting(self) -> int:
        """Number of items that wait for a batch."""
        return 0 if self._driver is None else self._driver.batcher.waiting()

    @property
    def instances(self) -> int:
        """Number of batches that may run at a time now; 0 while it is not loaded."""
        return 0 if self._driver is None else self._driver.batcher.workers

    @property
    def waited_s(self) -> float:
        """Total time that items waited before their batches ran."""
        return 0.0 if self._driver is None else self._driver.waited_s

    @property
    def computed_s(self) -> float:
        """Total time that items spent in batches that succeeded."""
        return 0.0 if self._driver is None else self._driver.computed_s

    def length_of(self, item: Any) -> int:
        """The length of an item that is not token ids, in this model's unit."""
        return length_of(item, self.signature, self._length_unit)

    async def load(self) -> Signature:
        """Load the model, unless it is loaded, and return its signature.

        Raises:
            ModelFailure: it cannot be loaded.
        """
        while not self.loaded:
            # A caller may be cancelled; loading continues for the others.
            await asyncio.shield(self._begin_loading())
        assert self.signature is not None
        return self.signature

    async def described(self) -> Signature:
        """Its signature, known once it was loaded, even while it is unloaded.

        Raises:
            ModelFailure: it cannot be loaded.
        """
        return self.signature if self.signature is not None else await self.load()

    async def run(
        self,
        items: Sequence[Any],
        lengths: Sequence[int],
        tier: Tier = Tier.STANDARD,
        tenant: str = "",
        deadline_s: float | None = None,
    ) -> list[Any]:
        """Return the results of `items`, in order; an exception for each item that failed.

        While the model loads, the items wait in their order, as behind any other work. If loading
        fails, all of them fail with its ModelFailure.

        Raises:
            Refused: the queue is full, an item is too long, or the deadline cannot be met.
        """
        if not self.loaded:
            self._begin_loading()
        self._under_way += 1
        loop = asyncio.get_running_loop()
        began_s, well = loop.time(), False
        try:
            results = await self._get_driver().run(items, lengths, tier, tenant, deadline_s)
            well = not any(isinstance(result, Exception) for result in results)
            return results
        finally:
            self.statistics.answered(loop.time() - began_s, well)
            self._under_way -= 1
            if not self._under_way:
                self._start_idling()

    async def unload(self) -> None:
        """Unload the model. Waiting requests and later ones load it again."""
        await self._unload()
        if self._under_way and not self.loaded:
            self._begin_loading()

    async def close(self) -> None:
        """Unload the model for good."""
        await self._unload()
        if self._driver is not None:
            self._driver.close()

    def _begin_loading(self) -> asyncio.Task[None]:
        if self._loading is None:
            self._loading = asyncio.get_running_loop().create_task(self._load())
            self._loading.add_done_callback(_retrieve_exception)
        return self._loading

    async def _unload(self) -> None:
        if self._idle is not None:
            self._idle.cancel()
        if self._loading is not None:
            self._loading.cancel()
            await asyncio.gather(self._loading, return_exceptions=True)
        self._begin_unloading()
        assert self._unloading is not None
        await asyncio.shield(self._unloading)

    def _begin_unloading(self) -> None:
        self.loaded = False
        if self._scaler is not None:
            self._scaler.end()
        if self._unloading is None or self._unloading.done():
            self._unloading = asyncio.get_running_loop().create_task(self.backing.unload())

    def _get_driver(self) -> Driver[Any, Any]:
        if self._driver is None:
            loop = asyncio.get_running_loop()
            self._driver = Driver(Batcher(self.settings, 0), self._run_batch, loop)
            self.backing.on_change = self._changed
        return self._driver

    async def _run_batch(self, items: list[Any]) -> Sequence[Any]:
        self.batches += 1
        self.items += len(items)
        return await self.backing.run(items)

    def _changed(self, workers: int, error: ModelFailure | None) -> None:
        driver = self._get_driver()
        driver.set_workers(workers)
        self.error = error
        if error is not None:
            driver.fail_waiting(error)

    async def _load(self) -> None:
        loop = asyncio.get_running_loop()
        driver = self._get_driver()
        began_s = loop.time()
        try:
            if self._unloading is not None:
                await asyncio.shield(self._unloading)
            signature = await self.backing.load()
            if signature.takes_text and signature != self.signature:
                self.tokens = await self._tokens(signature)
        except Exception as error:
            self.error = ModelFailure(f"the model {self.name!r} cannot be loaded: {error}")
            driver.fail_waiting(self.error)
            raise self.error from error
        finally:
            self._loading = None
        self.signature, self.error, self.loaded = signature, None, True
        took_s = loop.time() - began_s
        self.cold_starts += 1
        self.cold_start_s += took_s
        logger.info("model %s loaded in %.1f s", self.name, took_s)
        if self._scaler is not None:
            self._scaler.begin(driver.batcher, took_s)
        if not self._under_way:
            self._start_idling()

    async def _tokens(self, signature: Signature) -> Tokens:
        try:
            return Tokens(signature)
        except ModelFailure:
            await self.backing.unload()
            raise
        except Exception as error:  # the library has no exception class of its own
            await self.backing.unload()
            raise ModelFailure(f"its tokenizer is damaged ({error})") from None

    def _start_idling(self) -> None:
        """Nothing is under way: unload the model later, unless a request comes."""
        if self._unload_after_s is None or not self.loaded:
            return
        if self._idle is not None:
            self._idle.cancel()
        loop = asyncio.get_running_loop()
        self._idle = loop.call_later(self._unload_after_s, self._unload_if_idle)

    def _unload_if_idle(self) -> None:
        if self._under_way or not self.loaded:
            return
        logger.info("model %s unloaded: no requests for %.0f s", self.name, self._unload_after_s)
        self._begin_unloading()


def _retrieve_exception(loading: asyncio.Task[None]) -> None:
    """Keep asyncio from logging an error that waiting requests have already got."""
    if not loading.cancelled():
        loading.exception()
