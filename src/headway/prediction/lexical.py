"""What the words of a prompt say about the length of its answer."""

from __future__ import annotations

from collections.abc import Sequence
from math import log1p

from headway.prediction.prompt import Prompt

GROUPS: dict[str, str] = {
    "code": "code program function script python java javascript sql query html css regex "
    "algorithm class implement implementation bug library api loop array",
    "list": "list bullet items steps ways tips ideas examples reasons facts names points pros "
    "cons itinerary recipe outline several some five ten three",
    "prose": "story essay article poem blog letter email speech song lyrics paragraph paragraphs "
    "report review plot dialogue description post narrative conversation",
    "explain": "explain describe discuss why how compare contrast analyze analyse summarize "
    "elaborate detail evaluate argue difference differences",
    "pick": "classify identify name choose select find determine categorize which sentiment "
    "label true false correct option answer guess",
    "change": "rewrite edit convert translate replace paraphrase reword rephrase change fix "
    "transform grammar spelling remove",
    "brief": "brief short concise single shortly briefly quick simple only just word title "
    "headline slogan tweet synonym antonym sentence phrase",
    "long": "long detailed comprehensive depth thorough complete full extensive step",
    "make": "generate write create compose design develop draft construct produce make plan "
    "brainstorm suggest provide give",
    "ask": "what who when where is are do does did can could would will should",
    "format": "json xml yaml csv table format markdown html schema",
    "sum": "each every per times twice half double triple total altogether remaining left more "
    "less fewer than percent many much cost sum product equation solve calculate compute",
    "unit": "words sentences paragraphs characters lines pages",
    "you": "you your i my me we our",
}
"""Kinds of words, each counted in the whole prompt and in how it begins."""

HEAD_WORDS = 16

_DIGITS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_NUMBERS = {word: value for value, word in enumerate(_DIGITS, start=1)}
_KIND_OF_UNIT = {
    "word": 0,
    "words": 0,
    "sentence": 1,
    "sentences": 1,
    "line": 1,
    "lines": 1,
    "paragraph": 2,
    "paragraphs": 2,
    "page": 2,
    "pages": 2,
}
_ASKED = ("asked_words", "asked_sentences", "asked_paragraphs", "asked_items")

_GROUP_OF: dict[str, tuple[int, ...]] = {}
for _index, _members in enumerate(GROUPS.values()):
    for _word in _members.split():
        _GROUP_OF[_word] = (*_GROUP_OF.get(_word, ()), _index)

NAMES: tuple[str, ...] = (
    "words",
    "characters",
    "lines",
    "words_of_last_line",
    "question_marks",
    "full_stops",
    "commas",
    "colons",
    "quotes",
    "operators",
    "brackets",
    "numbers",
    "word_length",
    "foreign",
    *_ASKED,
    *(f"{group}_words" for group in GROUPS),
    *(f"{group}_at_start" for group in GROUPS),
    "system",
    "turns",
    "previous_answer",
    "limit",
    "unlimited",
    "temperature",
    "tools",
    "structured",
    "stops",
)
"""What each number of `lexical` is, in its order."""


def lexical(prompt: Prompt, text: str, words: Sequence[str]) -> list[float]:
    """Counts (in logarithms) of what `text`, the own part of `prompt`, asks for.

    `words` are those of `text`. As many numbers as NAMES.
    """
    counts = [0.0] * len(GROUPS)
    at_start = [0.0] * len(GROUPS)
    numbers = characters = foreign = 0
    marks: dict[str, int] = {}
    for index, word in enumerate(words):
        characters += len(word)
        if len(word) == 1 and not word.isalnum():
            marks[word] = marks.get(word, 0) + 1
            continue
        for group in _GROUP_OF.get(word, ()):
            counts[group] += 1.0
            if index < HEAD_WORDS:
                at_start[group] += 1.0
        if word.isdecimal():
            numbers += 1
        elif not word.isascii():
            foreign += 1
    get = marks.get
    last_line = text.rstrip()[-400:].rpartition("\n")[2]
    limit = prompt.max_tokens
    return [
        log1p(len(words)),
        log1p(len(text)),
        log1p(text.count("\n")),
        log1p(last_line.count(" ")),
        log1p(get("?", 0)),
        log1p(get(".", 0) + get("!", 0)),
        log1p(get(",", 0)),
        log1p(get(":", 0)),
        log1p(get('"', 0) + get("'", 0)),
        log1p(sum(get(mark, 0) for mark in "=+*/^\\$")),
        log1p(sum(get(mark, 0) for mark in "([{<`")),
        log1p(numbers),
        characters / (len(words) + 1.0),
        foreign / (len(words) + 1.0),
        *map(log1p, _asked(words)),
        *map(log1p, counts),
        *map(log1p, at_start),
        log1p(len(prompt.system)),
        log1p(prompt.turns - 1.0),
        log1p(prompt.previous_chars),
        log1p(limit) if limit is not None else 0.0,
        1.0 if limit is None else 0.0,
        min(2.0, prompt.temperature) if prompt.temperature is not None else 1.0,
        log1p(prompt.tools),
        1.0 if prompt.structured else 0.0,
        log1p(prompt.stops),
    ]


def asked_items(words: Sequence[str]) -> float:
    """How many things of a kind a prompt with these words asks for by number; 0 if it does not."""
    return _asked(words)[_ASKED.index("asked_items")]


def _asked(words: Sequence[str]) -> list[float]:
    """How much of each of _ASKED these words name by number; 0 where they do not."""
    asked = [0.0] * len(_ASKED)
    for index, word in enumerate(words):
        value = int(word[:6]) if word.isdecimal() else _NUMBERS.get(word, 0)
        if value:
            _count_asked(value, words[index + 1 : index + 3], asked)
    return asked


def _count_asked(value: int, following: Sequence[str], asked: list[float]) -> None:
    """Five words, three short paragraphs, 10 tips: what a number counts."""
    for unit in following:
        kind = _KIND_OF_UNIT.get(unit)
        if kind is None and len(unit) > 3 and unit.endswith("s"):
            kind = 3
        if kind is not None:
            asked[kind] = max(asked[kind], float(value))
            return
