"""Estimates from the lengths of earlier answers: no model, no training."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from math import exp, log2
from zlib import crc32

from headway.core.estimate import SizeEstimate
from headway.prediction.live.censored import teaches
from headway.prediction.models.bins import BIN_TOKENS, bin_of

PRIOR_MEAN_OCTAVES = 7.0
PRIOR_SPREAD_OCTAVES = 1.5
"""Prior before any answer: log-normal around 128 tokens, as chat answers are."""

PSEUDO_COUNTS = 8.0
"""Weight of the prior or parent level, as a number of answers."""

REMEMBERED_ANSWERS = 1024.0
"""Above this, all counts are halved, so that the estimate follows the traffic."""

REMEMBERED_KEYS = 8192

MOST_STEPS = 32
"""Steps of a program that are distinguished; all later ones count as one."""

TEMPLATE_CHARACTERS = 160
_DIGITS = bytes.maketrans(b"0123456789", b"0000000000")


def template_hash(opening: str) -> int:
    """Hash of the beginning of a prompt's `opening`, which requests made from one template share.

    All digits are equal.
    """
    beginning = opening[:TEMPLATE_CHARACTERS].encode("utf-8", "surrogatepass")
    return crc32(beginning.translate(_DIGITS))


def registered_template(id: str) -> int:
    """The same for a prompt that was made from a registered template, whose id has its version."""
    return crc32(b"registered " + id.encode())


@dataclass(frozen=True, slots=True)
class Origin:
    """What similar requests have in common."""

    model: str
    tenant: str = ""
    template: int = 0
    """See `template_hash` and `registered_template`."""
    program: str = ""
    """The agent run or conversation that it belongs to; empty: none."""

    def levels(self, step: int) -> tuple[tuple[object, ...], ...]:
        """Keys from the widest to the narrowest group of similar requests.

        `step` is the number of earlier answers in the program.
        """
        model, tenant, template = self.model, self.tenant, self.template
        wide = ((model,), (model, tenant), (model, tenant, template))
        if not self.program:
            return wide
        return (*wide, (*wide[-1], step), (*wide[-1], self.program))


class LengthHistory:
    """Output lengths of finished requests by model, tenant, template, step and program.

    Each level shrinks towards the one above it with the weight of PSEUDO_COUNTS observations
    (Dirichlet shrinkage): a program towards the same step of other programs, that towards its
    template, a template towards its tenant, a tenant towards its model, a model towards the prior.
    """

    def __init__(self) -> None:
        self._histograms: OrderedDict[tuple[object, ...], LengthCounts] = OrderedDict()
        self._steps: OrderedDict[tuple[str, str], int] = OrderedDict()
        """Number of answers, by tenant and program."""
        self._prior = _prior()

    def estimate(self, origin: Origin, max_tokens: int | None) -> SizeEstimate:
        """The expected distribution of output tokens, capped at `max_tokens`."""
        weights = self._prior
        estimate: SizeEstimate | None = None
        for key in origin.levels(self._step(origin)):
            histogram = self._histograms.get(key)
            if histogram is None:
                continue
            estimate = histogram.estimate(weights)
            weights = estimate.weights
        if estimate is None:
            estimate = _PRIOR_ESTIMATE
        return estimate.capped(max_tokens)

    def observe(self, origin: Origin, output_tokens: int, cut_off: bool = False) -> None:
        """A request finished with `output_tokens`, by itself or `cut_off` by its own limit."""
        step = self._step(origin)
        counts = not cut_off or teaches(output_tokens, self.estimate(origin, None).quantile(0.5))
        if origin.program:
            self._stepped(origin, step)
        if not counts:
            return
        for key in origin.levels(step):
            histogram = self._histograms.get(key)
            if histogram is None:
                histogram = self._histograms[key] = LengthCounts()
                if len(self._histograms) > REMEMBERED_KEYS:
                    self._histograms.popitem(last=False)
            self._histograms.move_to_end(key)
            histogram.observe(output_tokens)

    def _step(self, origin: Origin) -> int:
        # Most requests belong to no program: no lookup for them.
        return self._steps.get((origin.tenant, origin.program), 0) if origin.program else 0

    def _stepped(self, origin: Origin, step: int) -> None:
        key = (origin.tenant, origin.program)
        self._steps[key] = min(MOST_STEPS, step + 1)
        self._steps.move_to_end(key)
        if len(self._steps) > REMEMBERED_KEYS:
            self._steps.popitem(last=False)


class LengthCounts:
    """Counts over BIN_TOKENS, with their estimate cached until they change."""

    __slots__ = ("_cached", "_parent", "counts", "total")

    def __init__(self) -> None:
        self.counts = [0.0] * len(BIN_TOKENS)
        self.total = 0.0
        self._cached: SizeEstimate | None = None
        self._parent: tuple[float, ...] = ()

    def observe(self, output_tokens: int) -> None:
        """Count one answer."""
        self.counts[bin_of(output_tokens)] += 1.0
        self.total += 1.0
        if self.total > REMEMBERED_ANSWERS:
            self.counts = [count / 2.0 for count in self.counts]
            self.total /= 2.0
        self._cached = None

    def estimate(self, parent: tuple[float, ...]) -> SizeEstimate:
        """The estimate from the counts, shrunk towards the `parent`'s weights."""
        if self._cached is None or self._parent is not parent:
            self._parent = parent
            self._cached = SizeEstimate(
                BIN_TOKENS,
                [
                    count + PSEUDO_COUNTS * weight
                    for count, weight in zip(self.counts, parent, strict=True)
                ],
            )
        return self._cached


def _prior() -> tuple[float, ...]:
    weights = [
        exp(-(((log2(edge) - PRIOR_MEAN_OCTAVES) / PRIOR_SPREAD_OCTAVES) ** 2) / 2.0)
        for edge in BIN_TOKENS
    ]
    total = sum(weights)
    return tuple(weight / total for weight in weights)


_PRIOR_ESTIMATE = SizeEstimate(BIN_TOKENS, _prior())
