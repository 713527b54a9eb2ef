"""Shares of names, such as `interactive=0.2,batch=0.8`, dealt out exactly."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass


class MixError(ValueError):
    """A mix cannot be read; the message says which part."""


@dataclass(frozen=True, slots=True)
class Mix:
    """Names and their shares; an empty mix has no names."""

    shares: Mapping[str, float]

    @classmethod
    def parse(cls, text: str) -> Mix:
        """Read `name=share,name=share` or a single `name`; shares are relative to their sum.

        Raises:
            MixError: a part is not `name=share`, a name comes twice, or a share is not above 0.
        """
        shares: dict[str, float] = {}
        parts = [part.strip() for part in text.split(",") if part.strip()]
        for part in parts:
            name, equals, number = (word.strip() for word in part.partition("="))
            if not equals and len(parts) == 1:
                number = "1"
            try:
                share = float(number)
            except ValueError:
                raise MixError(
                    f"cannot read share {part!r}; write name=share, as in a=0.3"
                ) from None
            if not name or not 0 < share < float("inf"):
                raise MixError(f"share {part!r} must name something and be above 0")
            if name in shares:
                raise MixError(f"{name!r} has two shares; give it one")
            shares[name] = share
        return cls(shares)

    def deal(self, count: int, rng: random.Random) -> list[str]:
        """`count` names in random order, each as often as its share (rounded)."""
        if not self.shares:
            return [""] * count
        total = sum(self.shares.values())
        exact = {name: count * share / total for name, share in self.shares.items()}
        names = [name for name, wanted in exact.items() for _ in range(int(wanted))]
        by_remainder = sorted(exact, key=lambda name: exact[name] % 1.0, reverse=True)
        names += by_remainder[: count - len(names)]
        rng.shuffle(names)
        return names
