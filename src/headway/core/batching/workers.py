"""The workers of one model, and the batches that they run."""

from __future__ import annotations

from headway.core.batching.batch import Batch
from headway.core.batching.draft import Draft
from headway.core.settings import INFINITE


class Workers:
    """Instances of a model, each of which runs one batch at a time.

    Args:
        count: number of instances. When it falls, running batches continue above it.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self.running: dict[int, Batch] = {}
        """Running batches, by id."""
        self._launched = 0

    @property
    def free(self) -> int:
        """Workers that run nothing."""
        free = self.count - len(self.running)
        return free if free > 0 else 0

    def launch(self, draft: Draft, now_s: float) -> Batch:
        """Occupy a worker with the batch that `draft` has become."""
        self._launched += 1
        batch = Batch(
            self._launched,
            tuple(draft.requests),
            draft.size,
            draft.length,
            now_s,
            draft.predicted_s,
        )
        self.running[batch.id] = batch
        return batch

    def end(self, batch: Batch) -> None:
        """Free the worker of `batch`.

        Raises:
            ValueError: `batch` is not running.
        """
        if self.running.get(batch.id) is not batch:
            raise ValueError(f"batch {batch.id} does not run; it ended before, or is another's")
        del self.running[batch.id]

    def next_end_s(self) -> float:
        """Predicted end of the batch that ends first; infinite if none runs."""
        return min((_ends_s(batch) for batch in self.running.values()), default=INFINITE)

    def next_free_s(self, now_s: float) -> float:
        """When a worker is free, by the predicted ends of running batches."""
        if self.free or not self.running:
            return now_s
        return max(now_s, self.next_end_s())


def _ends_s(batch: Batch) -> float:
    return batch.launched_s + batch.predicted_s
