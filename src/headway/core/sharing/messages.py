"""What gateways and the shared state of their slots say to each other: plain values.

Times in whole microseconds, so that sums are the same in any order and in any language.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

NO_SCALE = 1 << 50


@dataclass(frozen=True, slots=True)
class Choice:
    """A backend that may run a waiting request."""

    backend: str
    own_us: int = 0
    """How long the request itself would take there."""
    adds_us: int = 0
    """By how much it would raise the load there (`Post.loads_us`)."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A waiting request of a gateway."""

    id: str
    tier: int
    """0 is the highest."""
    place: str
    """`place.place`: the smallest of all gateways goes first."""
    choices: tuple[Choice, ...]
    """It takes the free one where load and own time are least; ties go to the first."""
    asks: bool = True
    """Whether running requests shall yield to it now: not where none would a moment ago."""


@dataclass(frozen=True, slots=True)
class Offer:
    """A running request that may be stopped now for a better-placed one of another gateway."""

    id: str
    backend: str
    tier: int
    bar: str = ""
    """It yields to higher tiers, and to entries of its own tier that are placed before this; empty:
    to none of them."""
    worth: str = ""
    """Where several would yield, the one with the largest tier, then `worth` does."""


@dataclass(frozen=True, slots=True)
class Post:
    """What a gateway holds, wants and offers. Each replaces the one before as a whole."""

    seen: int
    """Number of the last Grant that the gateway has taken notice of; 0 before the first."""
    held: Mapping[str, int] = field(default_factory=dict)
    """By backend: the slots that it keeps, of those granted until `seen`. The others are free."""
    entries: tuple[Entry, ...] = ()
    """Its first waiting requests, in its own order."""
    offers: tuple[Offer, ...] = ()
    """Its running requests that may be stopped now."""
    loads_us: Mapping[str, int] = field(default_factory=dict)
    """By backend: predicted time that what it runs there delays a new request."""
    scale_us: int = NO_SCALE
    """Of its policy's head starts (`boost`): all use the mean of those who have one."""


@dataclass(frozen=True, slots=True)
class Grant:
    """The gateway may use one more slot of the backend, at best for this request."""

    gateway: str
    token: int
    """Of the gateway's lease; void under any other."""
    number: int
    """1, 2, 3 ... under one token."""
    backend: str
    id: str


@dataclass(frozen=True, slots=True)
class Yield:
    """The gateway must stop this running request and post that it no longer holds the slot."""

    gateway: str
    token: int
    backend: str
    id: str


@dataclass(frozen=True, slots=True)
class Rescale:
    """The mean scale of the gateways has changed (`Post.scale_us`): post places by it."""

    gateway: str
    token: int
    scale_us: int
    """NO_SCALE: fewer than two gateways have one, and each uses its own."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Requests of other gateways are yielding for these; none of its own should."""

    gateway: str
    token: int
    ids: frozenset[str]
    """As a whole: it replaces the one before."""


SlotDecision = Grant | Yield | Wait | Rescale
