"""The shapes that a batch may have."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Largest batch, and the sizes and lengths that a model takes.

    Raises:
        ValueError: if a limit is below 1, or sizes or lengths do not ascend.
    """

    max_size: int = 32
    """Most items in a batch."""
    sizes: tuple[int, ...] = ()
    """Sizes that the model takes, ascending; a batch is padded to the next one. Empty: any."""
    lengths: tuple[int, ...] = ()
    """Padded lengths (buckets) that the model takes, ascending. Empty: any."""
    max_tokens: int | None = None
    """Memory limit: padded size times padded length. None: no limit."""

    def __post_init__(self) -> None:
        if self.max_size < 1 or (self.max_tokens is not None and self.max_tokens < 1):
            raise ValueError("a batch has room for at least one item and one token")
        for name, values in (("sizes", self.sizes), ("lengths", self.lengths)):
            if list(values) != sorted(set(values)) or (values and values[0] < 1):
                raise ValueError(f"{name} must ascend and be at least 1; got {values}")

    @property
    def largest(self) -> int:
        """Number of items in the largest allowed batch."""
        return min(self.max_size, self.sizes[-1]) if self.sizes else self.max_size

    def padded_size(self, size: int) -> int:
        """The size that a batch of `size` items is padded to.

        Raises:
            ValueError: if no batch may be that large.
        """
        if size > self.largest:
            raise ValueError(f"a batch may have {self.largest} items, not {size}")
        return self.sizes[bisect_left(self.sizes, size)] if self.sizes else size

    def padded_length(self, length: int) -> int:
        """The length that a single item of `length` is padded to.

        Raises:
            ValueError: if the model takes no item that long.
        """
        if not self.lengths:
            return length
        place = bisect_left(self.lengths, length)
        if place == len(self.lengths):
            raise ValueError(f"the model takes lengths up to {self.lengths[-1]}, not {length}")
        return self.lengths[place]

    def could_ever_hold(self, length: int) -> bool:
        """Whether an item of `length` fits into any batch, if only alone."""
        if self.lengths and length > self.lengths[-1]:
            return False
        return self.holds(1, length)

    def holds(self, size: int, length: int) -> bool:
        """Whether a batch of `size` items, the longest of which has `length`, is allowed."""
        if size > self.largest:
            return False
        if self.max_tokens is None:
            return True
        return self.padded_size(size) * self.padded_length(length) <= self.max_tokens

    def launchable(self) -> tuple[int, ...]:
        """The batch sizes to plan with, ascending.

        These are the sizes that need no padding. If every size is allowed, they are a grid, as a
        batch of 60 items is as good as one of 61.
        """
        if self.sizes:
            return (*(size for size in self.sizes if size < self.largest), self.largest)
        planned = [1]
        while (size := planned[-1] + 1 + planned[-1] // 8) < self.max_size:
            planned.append(size)
        return (*planned, self.max_size) if planned[-1] < self.max_size else tuple(planned)
