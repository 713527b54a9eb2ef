"""Kinds of words, and the kinds that one word belongs to."""

from __future__ import annotations

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
"""Groups of words, each counted in the whole prompt and in its first words."""

_DIGITS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_NUMBERS = {word: value for value, word in enumerate(_DIGITS, start=1)}
_GROUP_OF: dict[str, tuple[int, ...]] = {}
for _index, _members in enumerate(GROUPS.values()):
    for _word in _members.split():
        _GROUP_OF[_word] = (*_GROUP_OF.get(_word, ()), _index)

KINDS: tuple[str, ...] = (
    "question_marks",
    "full_stops",
    "commas",
    "colons",
    "quotes",
    "operators",
    "brackets",
    "characters",
    "numbers",
    "foreign",
    *GROUPS,
)
"""Names of the columns of `kinds_of`."""

_MARKS = ("?", ".!", ",", ":", "\"'", "=+*/^\\$", "([{<`")
CHARACTERS, NUMBER, FOREIGN, FIRST_GROUP = (len(_MARKS) + n for n in range(4))
"""Column numbers. Punctuation marks come before these, GROUPS begin at FIRST_GROUP."""


def kinds_of(word: str) -> list[float]:
    """How much one word counts towards each of KINDS."""
    kinds = [0.0] * len(KINDS)
    kinds[CHARACTERS] = len(word)
    if len(word) == 1 and not word.isalnum():
        for column, marks in enumerate(_MARKS):
            if word in marks:
                kinds[column] = 1.0
        return kinds
    for group in _GROUP_OF.get(word, ()):
        kinds[FIRST_GROUP + group] += 1.0
    if word.isdecimal():
        kinds[NUMBER] = 1.0
    elif not word.isascii():
        kinds[FOREIGN] = 1.0
    return kinds


def number_named(word: str) -> int:
    """The number that a word means; 0 if none."""
    return int(word[:6]) if word.isdecimal() else _NUMBERS.get(word, 0)
