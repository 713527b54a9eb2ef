"""ShareGPT's conversations: texts, without times or numbers of tokens."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from headway.extras import install_extra
from headway.lab.simulation.errors import SimulationError
from headway.lab.simulation.generated import Recipe
from headway.lab.simulation.importers.recorded import recorded
from headway.lab.simulation.importers.rows import json_lines
from headway.lab.simulation.trace import Trace

KEYS = {"conversations"}
ASKS = ("human", "user", "system")
ANSWERS = ("gpt", "assistant", "chatgpt", "bing", "bard")
TOKENIZER = "tokenizer.json"


class _Turn(msgspec.Struct):
    role: str | None = msgspec.field(name="from", default=None)
    value: str | None = None


class _Row(msgspec.Struct):
    id: str = ""
    conversations: list[_Turn] = []


def load(path: Path, tokenizer: Path | None, arrivals: str, seed: int) -> Trace:
    """The first question of each conversation and its answer, as vLLM's benchmark takes them.

    Conversations that do not begin with a question and an answer are left out.

    Args:
        path: the file.
        tokenizer: counts the tokens of texts, without a chat template: `tokenizer.json`, or a
            folder with one.
        arrivals: when they come, as `Recipe.arrivals`.
        seed: of the arrivals.

    Raises:
        SimulationError: there is no tokenizer or are no arrivals, or the file cannot be read.
    """
    if tokenizer is None or not arrivals:
        raise SimulationError(
            f"{path} holds ShareGPT's conversations, which have neither times nor numbers of "
            f"tokens; name a tokenizer that counts them, and how they arrive: `headway trace "
            f"convert {path} --tokenizer tokenizer.json --arrivals poisson:2 --out trace.csv`"
        )
    pairs = [pair for row in json_lines(path, _Row) if (pair := _pair(row)) is not None]
    if not pairs:
        raise SimulationError(f"{path} holds no conversation that begins with a question")
    counts = _counted(tokenizer, [text for pair in pairs for text in pair])
    at_s = Recipe(arrivals, "fixed:1", "fixed:1", len(pairs)).make(seed).arrival_s
    return recorded(path.name, at_s.tolist(), counts[::2], counts[1::2])


def _pair(row: _Row) -> tuple[str, str] | None:
    asked = []
    for turn in row.conversations:
        if turn.role in ASKS:
            asked.append(turn.value or "")
        elif turn.role in ANSWERS and any(asked):
            return "\n".join(asked), turn.value or ""
        else:
            return None
    return None


def _counted(place: Path, texts: list[str]) -> list[int]:
    try:
        from tokenizers import Tokenizer
    except ImportError:
        raise SimulationError(f"tokenizers is not installed: {install_extra('encoder')}") from None
    file = place / TOKENIZER if place.is_dir() else place
    try:
        tokenizer: Any = Tokenizer.from_file(str(file))
    except Exception as error:  # its errors have no class of their own
        raise SimulationError(f"{file} is no tokenizer that can be read ({error})") from None
    tokenizer.no_truncation()
    tokenizer.no_padding()
    encoded = tokenizer.encode_batch_fast(texts, add_special_tokens=False)
    return [len(one.ids) for one in encoded]
