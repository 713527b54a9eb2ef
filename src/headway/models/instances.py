"""The instances of one model: worker processes, each of which is replaced when it dies."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from headway.batching.driver import WorkerLost
from headway.models.signature import ModelFailure, Signature
from headway.models.source import ModelSource
from headway.models.worker import Worker

logger = logging.getLogger(__name__)

FIRST_BACK_OFF_S = 0.1
MOST_BACK_OFF_S = 10.0


class Instances:
    """Worker processes that hold the same model; any of them may run a batch.

    Args:
        source: the model.
        count: number of processes; `resize` changes it.
        threads: threads of each process.
    """

    def __init__(self, source: ModelSource, count: int, threads: int) -> None:
        self.count = count
        self.on_change: Callable[[int, ModelFailure | None], None] = lambda alive, error: None
        """Called with the number of live workers whenever it changes, and why if none can start."""
        self.restarts = 0
        """How many processes had to be replaced."""
        self._source = source
        self._threads = threads
        self._signature: Signature | None = None
        self._alive: set[Worker] = set()
        self._free: deque[Worker] = deque()
        self._starting: set[asyncio.Task[None]] = set()
        self._ending: set[asyncio.Task[None]] = set()

    async def load(self) -> Signature:
        """Start all workers and wait until they have loaded the model.

        Raises:
            ModelFailure: the model cannot be loaded.
        """
        workers = [Worker(self._source, self._threads) for _ in range(self.count)]
        starts = [asyncio.ensure_future(worker.start()) for worker in workers]
        try:
            signatures = await asyncio.gather(*starts)
        except BaseException:
            for start in starts:
                start.cancel()
            await asyncio.gather(*starts, return_exceptions=True)
            await asyncio.gather(*(worker.stop() for worker in workers))
            raise
        self._signature = signatures[0]
        for worker in workers:
            self._use(worker)
        return signatures[0]

    def resize(self, count: int) -> None:
        """Have `count` workers: start more, or end some as soon as they run nothing.

        Only while the model is loaded.
        """
        self.count = count
        for _ in range(count - len(self._alive) - len(self._starting)):
            self._begin(self._starting, self._start())
        while self._free and len(self._alive) > count:
            self._retire(self._free.pop())

    async def run(self, items: list[Any]) -> Sequence[Any]:
        """Run a batch on a free worker and return the results.

        Raises:
            WorkerLost: the worker died and is being replaced, or the model was just unloaded.
            BadItem: the batch holds an item that the model does not take.
            ModelFailure: the model raised an exception.
        """
        if not self._free:
            raise WorkerLost("the model was unloaded before the batch began")
        worker = self._free.popleft()
        try:
            return await worker.run(items)
        except (WorkerLost, asyncio.CancelledError):
            self._lost(worker)
            raise
        finally:
            if worker not in self._alive:  # it died, or was unloaded meanwhile
                pass
            elif len(self._alive) > self.count:
                self._retire(worker)
            else:
                self._free.append(worker)

    async def unload(self) -> None:
        """End all workers."""
        starting = list(self._starting)
        for task in starting:
            task.cancel()
        await asyncio.gather(*starting, return_exceptions=True)
        workers, self._alive = self._alive, set()
        self._free.clear()
        self.on_change(0, None)
        await asyncio.gather(*(worker.stop() for worker in workers), *self._ending)

    def pids(self) -> list[int]:
        """Process ids of the live workers."""
        return [worker.pid for worker in self._alive if worker.pid is not None]

    def _use(self, worker: Worker) -> None:
        self._alive.add(worker)
        self._free.append(worker)
        self.on_change(len(self._alive), None)

    def _lost(self, worker: Worker) -> None:
        if worker not in self._alive:
            return  # unloaded meanwhile
        self._alive.discard(worker)
        self.on_change(len(self._alive), None)
        if len(self._alive) + len(self._starting) < self.count:
            self._begin(self._starting, self._replace(worker))
        else:
            self._begin(self._ending, worker.stop())

    def _retire(self, worker: Worker) -> None:
        self._alive.discard(worker)
        self._begin(self._ending, worker.stop())
        self.on_change(len(self._alive), None)

    def _begin(self, tasks: set[asyncio.Task[None]], work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    async def _replace(self, lost: Worker) -> None:
        await lost.stop()
        self.restarts += 1
        await self._start()

    async def _start(self) -> None:
        """Start a worker, however often that fails; stop if it is wanted no more."""
        back_off_s = FIRST_BACK_OFF_S
        while len(self._alive) < self.count:
            worker = Worker(self._source, self._threads)
            try:
                if await worker.start() != self._signature:
                    await worker.stop()
                    raise ModelFailure("its files have changed; unload the model and load it again")
            except ModelFailure as error:
                logger.warning("cannot start another worker for %s: %s", self._source, error)
                if not self._alive:
                    self.on_change(0, error)
                await asyncio.sleep(back_off_s)
                back_off_s = min(2.0 * back_off_s, MOST_BACK_OFF_S)
                continue
            self._use(worker)
            if len(self._alive) > self.count:
                self._retire(self._free.pop())
            return
