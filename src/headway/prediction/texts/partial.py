"""An unfinished answer as numbers that hint at how much of it is still to come."""

from __future__ import annotations

import re
from math import log1p

LAST_CHARACTERS = 240
"""The end of the answer, where closing words count as current."""
LOOKED_AT = 20_000
"""Only this many characters at the end of an answer are read."""

_ITEM = re.compile(r"^[ \t]*(?:(\d{1,3})[.):]|[-*•+] )", re.MULTILINE)
_HEADING = re.compile(r"^(?:#{1,6} |\*\*[^*\n]+\*\*:?\s*$)", re.MULTILINE)
_SENTENCE = re.compile(r"[.!?](?:\s|$)")
_CLOSING = re.compile(
    r"\b(?:in (?:conclusion|summary|short)|to (?:conclude|summari[sz]e|sum up)|overall|finally|"
    r"lastly|ultimately|in the end|remember|i hope|hope (?:this|that) helps|let me know|"
    r"feel free|good luck|enjoy|sincerely|best regards|the end|final answer|therefore|"
    r"happily ever after|thank you)\b",
    re.IGNORECASE,
)
_LAST_LINES = re.compile(r"[^\n]+")

NAMES: tuple[str, ...] = (
    "produced",
    "asked_items",
    "items",
    "last_number",
    "items_left",
    "headings",
    "paragraphs",
    "sentences",
    "code_fences",
    "in_code",
    "closing_words",
    "closed",
    "since_newline",
    "ends_sentence",
    "ends_line",
    "ends_question",
    "in_item",
    "repetition",
    "characters_per_token",
)
"""Names of the numbers of `partial`, in order."""


def partial(text: str, output_tokens: int, asked_items: float) -> list[float]:
    """Numbers that describe the unfinished answer `text`, in the order of NAMES.

    Args:
        text: the answer so far.
        output_tokens: its length.
        asked_items: number of list items that the prompt asked for, 0 if it named none.
    """
    looked = text[-LOOKED_AT:]
    end = looked[-LAST_CHARACTERS:]
    marks = list(_ITEM.finditer(looked))
    numbers = [int(mark[1]) for mark in marks if mark[1]]
    last_number = float(numbers[-1]) if numbers else 0.0
    fences = looked.count("```")
    closing = [match.start() for match in _CLOSING.finditer(looked)]
    stripped = end.rstrip()
    last_line = end.rpartition("\n")[2]
    done = max(last_number, float(len(marks)))
    return [
        log1p(output_tokens),
        log1p(asked_items),
        log1p(len(marks)),
        log1p(last_number),
        max(-5.0, min(20.0, asked_items - done)) if asked_items else 0.0,
        log1p(len(_HEADING.findall(looked))),
        log1p(looked.count("\n\n")),
        log1p(len(_SENTENCE.findall(looked))),
        log1p(fences),
        float(fences % 2),
        log1p(len(closing)),
        1.0 if closing and closing[-1] >= len(looked) - LAST_CHARACTERS else 0.0,
        log1p(len(looked) - looked.rfind("\n") - 1),
        1.0 if stripped.endswith((".", "!", "?", '."', ".)")) else 0.0,
        1.0 if end.endswith("\n") else 0.0,
        1.0 if stripped.endswith("?") else 0.0,
        1.0 if _ITEM.match(last_line) else 0.0,
        _repetition(looked),
        len(text) / (output_tokens + 1.0),
    ]


def _repetition(text: str) -> float:
    """How often the last full line, or the last 40 characters, occurred before (log1p)."""
    lines = _LAST_LINES.findall(text[-4000:])
    of_line = lines[:-2].count(lines[-2]) if len(lines) > 2 else 0
    tail = text[-40:]
    of_tail = text.count(tail) - 1 if len(tail) == 40 else 0
    return log1p(max(of_line, of_tail, 0))
