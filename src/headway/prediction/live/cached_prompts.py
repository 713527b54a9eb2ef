"""How much of a prompt is cached, because an earlier request of its run had it."""

from __future__ import annotations

from collections import OrderedDict

from headway.prediction.live.history import Origin

PSEUDO_TOKENS = 2000.0
"""Prompt tokens without any cached that every group begins with."""
REMEMBERED_TOKENS = 10_000_000.0
"""Above this, the counts of a group are halved, so that they follow the traffic."""
REMEMBERED_RUNS = 8192
REMEMBERED_GROUPS = 8192


class CachedPrompts:
    """Learns from what backends report which share of its run's last context a prompt finds cached.

    An agent sends what it sent before, the answer and what its tool said; other runs share a
    system prompt at most, and some backends keep nothing. So the share is learned, for each model,
    tenant and template. A backend that reports no cached tokens teaches nothing, and without any
    report nothing counts as cached.
    """

    def __init__(self) -> None:
        self._contexts: OrderedDict[tuple[str, str], int] = OrderedDict()
        """Tokens of the last prompt and its answer, by tenant and program."""
        self._groups: OrderedDict[tuple[str, str, int], tuple[float, float]] = OrderedDict()
        """Tokens that were cached, and those that might have been."""

    def expected(self, origin: Origin, prompt_tokens: int) -> int:
        """Expected cached tokens of a prompt, less than all of it."""
        context = self._contexts.get((origin.tenant, origin.program)) if origin.program else None
        group = None if context is None else self._groups.get(_group(origin))
        if context is None or group is None:
            return 0
        cached, possible = group
        share = cached / (possible + PSEUDO_TOKENS)
        return min(prompt_tokens - 1, int(share * min(prompt_tokens, context)))

    def answered(
        self, origin: Origin, prompt_tokens: int, output_tokens: int, cached_tokens: int | None
    ) -> None:
        """A request was answered; `cached_tokens` as its backend reports them, None if not."""
        if not origin.program:
            return
        run, group = (origin.tenant, origin.program), _group(origin)
        context = self._contexts.get(run)
        if context is not None and cached_tokens is not None:
            cached, possible = self._groups.pop(group, (0.0, 0.0))
            most = min(prompt_tokens, context)
            cached, possible = cached + min(most, cached_tokens), possible + most
            halved = 0.5 if possible > REMEMBERED_TOKENS else 1.0
            self._groups[group] = halved * cached, halved * possible
            if len(self._groups) > REMEMBERED_GROUPS:
                self._groups.popitem(last=False)
        self._contexts[run] = prompt_tokens + output_tokens
        self._contexts.move_to_end(run)
        if len(self._contexts) > REMEMBERED_RUNS:
            self._contexts.popitem(last=False)


def _group(origin: Origin) -> tuple[str, str, int]:
    return origin.model, origin.tenant, origin.template
