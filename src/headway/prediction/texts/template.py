"""The lines that many prompts share, which say nothing about any one of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from zlib import crc32

FREQUENT_LINE = 0.05
"""Lines in at least this share of prompts belong to their template."""
LEAST_PROMPTS = 5
"""Lines in fewer prompts do not."""
MOST_LINES = 400
"""Lines of a prompt that are looked up; the rest counts as one line."""


class Template:
    """The lines that many prompts share.

    Args:
        lines: their hashes.
    """

    def __init__(self, lines: Iterable[int] = ()) -> None:
        self.lines = frozenset(lines)

    @classmethod
    def learned_from(cls, texts: Sequence[str]) -> Template:
        """The lines that many of `texts` share."""
        counts = Counter(line for text in texts for line in set(map(_hash, _lines(text))))
        frequent = max(LEAST_PROMPTS, FREQUENT_LINE * len(texts))
        return cls(line for line, count in counts.items() if count >= frequent)

    def own(self, text: str) -> str:
        """A prompt without the lines of the template."""
        if not self.lines:
            return text
        lines = _lines(text)
        own = [line for line in lines if _hash(line) not in self.lines]
        return "\n".join(own) if len(own) < len(lines) else text


def _lines(text: str) -> list[str]:
    return [line for line in text.split("\n", MOST_LINES) if line.strip()]


def _hash(line: str) -> int:
    return crc32(line.strip().encode("utf-8", "surrogatepass"))
