"""Prompts for load tests: the shipped ones, a JSONL file, or a set in a data folder."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from headway.text_files import TextFileError, reading

SHIPPED = Path(__file__).with_name("prompts.jsonl")
"""A small set written for Headway, from one-word questions to essays."""


class PromptsError(ValueError):
    """The prompts asked for cannot be read; the message says what to give instead."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """One user turn, and the system prompt before it, if any."""

    text: str
    system: str = ""

    @property
    def messages(self) -> tuple[dict[str, str], ...]:
        """The chat messages to send."""
        user = {"role": "user", "content": self.text}
        if not self.system:
            return (user,)
        return ({"role": "system", "content": self.system}, user)


def load_prompts(source: str | None = None, data: Path | None = None) -> list[Prompt]:
    """All prompts of `source`, in the file's order.

    Args:
        source: a JSONL file, compressed or not (`prompt` on each line, `system` where wanted), or
            the name of a set in `data`; None: the set that ships.
        data: a folder that holds `NAME/prompts.jsonl.gz`, itself or in its folder `text`.

    Raises:
        PromptsError: there is no such file or set, or a line is not as described.
    """
    path = SHIPPED if source is None else _find(source, data)
    try:
        with reading(path) as file:
            lines = list(file)
    except TextFileError as error:
        raise PromptsError(str(error)) from None
    prompts = [_parse(line, f"{path}:{n}") for n, line in enumerate(lines, 1) if line.strip()]
    if not prompts:
        raise PromptsError(f"{path}: holds no prompts; write one JSON object with `prompt` a line")
    return prompts


def _parse(line: str, place: str) -> Prompt:
    try:
        fields = json.loads(line)
    except ValueError as error:
        raise PromptsError(f"{place}: is not JSON: {error}") from None
    text = fields.get("prompt") if isinstance(fields, dict) else None
    system = fields.get("system", "") if isinstance(fields, dict) else ""
    if not isinstance(text, str) or not text or not isinstance(system, str):
        raise PromptsError(f"{place}: needs a text under `prompt` (and a text under `system`)")
    return Prompt(text, system)


def _find(source: str, data: Path | None) -> Path:
    path = Path(source)
    if path.is_file():
        return path
    folders = () if data is None else (data, data / "text")
    for folder in folders:
        if (found := folder / source / "prompts.jsonl.gz").is_file():
            return found
    sets = sorted({p.parent.name for folder in folders for p in folder.glob("*/prompts.jsonl.gz")})
    if sets:
        raise PromptsError(f"no prompts {source!r}; give a JSONL file or one of {', '.join(sets)}")
    raise PromptsError(
        f"no prompts file {source!r}; give a JSONL file, or set HEADWAY_DATA to a folder of sets"
    )
