"""Resolves the model names that clients use."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from functools import lru_cache


class Aliases:
    """The operator's names of models; `*` matches any text.

    The keys of a backend's `models` may have wildcards, too. They are passed as known names.
    """

    def __init__(self, aliases: Mapping[str, str]) -> None:
        self.replace(aliases)

    def replace(self, aliases: Mapping[str, str]) -> None:
        """These are all names from now on."""
        self._exact = {alias: model for alias, model in aliases.items() if "*" not in alias}
        self._patterns = {alias: model for alias, model in aliases.items() if "*" in alias}

    def model(self, asked: str, known: Collection[str]) -> str:
        """The known name for `asked`; if there is none, what its alias stands for, or `asked`.

        An alias without a wildcard comes before a known name, and that before wildcards. Of
        matching wildcards, the longest wins.
        """
        name = self._exact.get(asked, asked)
        if name in known:
            return name
        if name is asked:
            best = _longest(asked, [*self._patterns, *known])
            if best is None:
                return asked
            name = self._patterns.get(best, best)
            if name in known:
                return name
        return _longest(name, known) or name

    def listed(self, known: Collection[str]) -> list[str]:
        """The names that clients may use, except wildcards, which cannot be listed."""
        names = [name for name in known if "*" not in name]
        names += [alias for alias in self._exact if self.model(alias, known) in known]
        return list(dict.fromkeys(names))


def _longest(name: str, candidates: Iterable[str]) -> str | None:
    """The longest of the patterns among `candidates` that `name` matches."""
    patterns = [one for one in candidates if "*" in one and _expression(one).fullmatch(name)]
    return max(patterns, key=len, default=None)


@lru_cache(maxsize=1024)
def _expression(pattern: str) -> re.Pattern[str]:
    return re.compile(".*".join(map(re.escape, pattern.split("*"))), re.DOTALL)
