"""The number of instances of a model follows the work that waits for it."""

from __future__ import annotations

import asyncio
import logging

from headway.core.batching import Batcher
from headway.core.fleet.fleet import Fleet, ReplicaState
from headway.core.fleet.scaling import Scaling
from headway.models.instances import Instances

logger = logging.getLogger(__name__)

TICK_S = 0.1


class Scaler:
    """Drives a `Fleet`, as the simulator does, and has `Instances` carry out what it decides.

    Another instance is started when those that there are would take longer for the waiting work
    than it takes to start one: sooner, it would come too late to help. Work that has waited for so
    long counts, whatever is predicted: nothing is, until the first batch has ended.

    Args:
        name: of the model.
        instances: its instances; at first as many as there are at least.
        most: how many there may be.
        idle_s: one goes when the others could have run everything for this long.
    """

    def __init__(self, name: str, instances: Instances, most: int, idle_s: float) -> None:
        self._name = name
        self._instances = instances
        self._least = instances.count
        self._most = most
        self._idle_s = idle_s
        self._timer: asyncio.TimerHandle | None = None

    def begin(self, batcher: Batcher, start_s: float) -> None:
        """The model is loaded.

        Args:
            batcher: has its waiting work.
            start_s: how long an instance took to start.
        """
        scaling = Scaling(
            self._least, self._most, cold_start_s=0.0, idle_s=self._idle_s, backlog_s=start_s
        )
        self._tick(batcher, Fleet(self._most, scaling, slots=1))

    def end(self) -> None:
        """The model is unloaded."""
        if self._timer is not None:
            self._timer.cancel()
        self._instances.count = self._least

    def _tick(self, batcher: Batcher, fleet: Fleet) -> None:
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(TICK_S, self._tick, batcher, fleet)
        now_s = loop.time()
        waiting_s = max(batcher.waiting_s, batcher.longest_wait_s(now_s))
        # Instances are alike: those that run a batch are the first ones of the fleet.
        running = [int(number < len(batcher.batches)) for number in range(self._most)]
        if fleet.adjust(now_s, batcher.waiting_batches, waiting_s, running):
            count = fleet.states.count(ReplicaState.ON)
            logger.info("model %s: %d instances, not %d", self._name, count, self._instances.count)
            self._instances.resize(count)
