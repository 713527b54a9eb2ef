"""How long answers were so far: the estimate that needs no model and no training."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from math import exp, log2
from zlib import crc32

import msgspec

from headway.core.estimate import SizeEstimate
from headway.prediction.live.censored import teaches
from headway.prediction.models.bins import BIN_TOKENS, bin_of
from headway.prediction.texts.prompt import SYSTEM_ROLES, text_of

PRIOR_MEAN_OCTAVES = 7.0
PRIOR_SPREAD_OCTAVES = 1.5
"""Before anything was seen: log-normal around 128 tokens, as chat answers are."""

PSEUDO_COUNTS = 8.0
"""A history of so many answers counts as much as what is known without it."""

REMEMBERED_ANSWERS = 1024.0
"""Above so many, old answers are forgotten by half, so that the estimate follows the traffic."""

REMEMBERED_KEYS = 8192

MOST_STEPS = 32
"""Steps of a program that are counts apart; later ones are alike."""

TEMPLATE_CHARACTERS = 160
_NOTHING = msgspec.Raw(b"null")
_DIGITS = bytes.maketrans(b"0123456789", b"0000000000")


class _Message(msgspec.Struct):
    role: str = ""
    content: msgspec.Raw = _NOTHING


_messages = msgspec.json.Decoder(list[_Message])


def template_hash(kind: str, fields: Mapping[str, msgspec.Raw]) -> int:
    """Hash of what requests made from one template have in common: how the prompt begins.

    Of the first characters of the first system message, without one of the first message; of a
    completion, of its prompt. Digits count as equal, and how the JSON is written does not count.
    Never raises: a prompt without text has the hash of none.
    """
    try:
        raw = _first_message(fields) if kind == "chat" else fields.get("prompt", _NOTHING)
        text = text_of(msgspec.json.decode(raw))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        text = ""
    beginning = text[:TEMPLATE_CHARACTERS].encode("utf-8", "surrogatepass")
    return crc32(beginning.translate(_DIGITS))


def _first_message(fields: Mapping[str, msgspec.Raw]) -> msgspec.Raw:
    messages = _messages.decode(fields.get("messages", b"[]"))
    system = (m.content for m in messages if m.role in SYSTEM_ROLES)
    return next(system, messages[0].content if messages else _NOTHING)


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a request comes from."""

    model: str
    tenant: str = ""
    template: int = 0
    """Hash of how its prompt begins, see `template_hash`."""
    program: str = ""
    """The agent's or conversation's run that it is one call of; empty if it is none."""

    def levels(self, step: int) -> tuple[tuple[object, ...], ...]:
        """From the widest to the narrowest: requests that agree on one of them are alike.

        `step` is how many calls of the program were answered before.
        """
        model, tenant, template = self.model, self.tenant, self.template
        wide = ((model,), (model, tenant), (model, tenant, template))
        if not self.program:
            return wide
        return (*wide, (*wide[-1], step), (*wide[-1], self.program))


class LengthHistory:
    """Output lengths of finished requests by model, tenant, template, step and program.

    Each level leans on the one above it: the calls of a program on those that came at the same
    step of other programs, these on their template, a template on its tenant, a tenant on its
    model, a model on the prior, with PSEUDO_COUNTS observations' weight (Dirichlet shrinkage).
    """

    def __init__(self) -> None:
        self._histograms: OrderedDict[tuple[object, ...], LengthCounts] = OrderedDict()
        self._steps: OrderedDict[tuple[str, str], int] = OrderedDict()
        """Calls that were answered, by tenant and program."""
        self._prior = _prior()

    def estimate(self, origin: Origin, max_tokens: int | None) -> SizeEstimate:
        """The distribution of output tokens to expect, under the request's `max_tokens`."""
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
        """A request finished with `output_tokens`: by itself, or `cut_off` by its own limit."""
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
        # Most requests are of no program: they pay nothing for those that are.
        return self._steps.get((origin.tenant, origin.program), 0) if origin.program else 0

    def _stepped(self, origin: Origin, step: int) -> None:
        key = (origin.tenant, origin.program)
        self._steps[key] = min(MOST_STEPS, step + 1)
        self._steps.move_to_end(key)
        if len(self._steps) > REMEMBERED_KEYS:
            self._steps.popitem(last=False)


class LengthCounts:
    """Counts over BIN_TOKENS, with the estimate they give kept until they change."""

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
        """The counts, shrunk towards the `parent`'s weights."""
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
