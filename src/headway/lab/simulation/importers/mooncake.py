"""Mooncake's traces: JSON lines with `hash_ids`, and AIPerf's further fields.

AIPerf adds sessions (`session_id`), whose later turns come a `delay` after the answer before them,
and texts (`text_input`, `messages`) in the place of `input_length`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from headway.lab.simulation.errors import SimulationError
from headway.lab.simulation.importers.recorded import recorded
from headway.lab.simulation.importers.rows import json_lines
from headway.lab.simulation.importers.text_tokens import tokens_of
from headway.lab.simulation.trace import Trace

KEYS = {"timestamp", "hash_ids"}


class _Line(msgspec.Struct):
    output_length: int
    timestamp: float | None = None
    input_length: int | None = None
    hash_ids: tuple[int, ...] = ()
    session_id: str | int | None = None
    delay: float = 0.0
    text_input: str = ""
    messages: list[Any] = []


@dataclass(slots=True)
class _Columns:
    at_s: list[float] = field(default_factory=list)
    prompts: list[int] = field(default_factory=list)
    outputs: list[int] = field(default_factory=list)
    hashes: list[tuple[int, ...]] = field(default_factory=list)
    programs: list[str] = field(default_factory=list)
    after: list[int] = field(default_factory=list)
    gaps_s: list[float] = field(default_factory=list)
    shared: list[int] = field(default_factory=list)
    left_out: int = 0


def load(path: Path, unit_s: float) -> Trace:
    """Requests without output are left out. Raises SimulationError."""
    found = _Columns()
    latest: dict[str, int] = {}
    """Place of the latest turn of each session."""
    for row, line in enumerate(json_lines(path, _Line), start=1):
        if line.output_length < 1:
            found.left_out += 1
            continue
        session = "" if line.session_id is None else str(line.session_id)
        before = latest.get(session, -1) if session else -1
        if line.timestamp is None and before < 0:
            raise SimulationError(
                f"{path}, row {row}: there is no timestamp; add it, or leave the row out"
            )
        follows = line.timestamp is None
        context = 0
        if before >= 0 and not line.messages:  # messages hold the whole conversation
            context = found.prompts[before] + found.outputs[before]
        found.at_s.append(
            found.at_s[before] + line.delay * unit_s
            if line.timestamp is None
            else line.timestamp * unit_s
        )
        found.prompts.append(context + _prompt_tokens(path, row, line))
        found.outputs.append(line.output_length)
        found.hashes.append(line.hash_ids)
        found.programs.append(session)
        found.after.append(before if follows else -1)
        found.gaps_s.append(line.delay * unit_s if follows else 0.0)
        found.shared.append(context if follows else 0)
        if session:
            latest[session] = len(found.prompts) - 1
    sessions = any(number >= 0 for number in found.after)
    return recorded(
        path.name,
        found.at_s,
        found.prompts,
        found.outputs,
        prefix_hashes=found.hashes if any(found.hashes) else (),
        programs=found.programs if any(found.programs) else (),
        after=found.after if sessions else (),
        gap_s=found.gaps_s if sessions else (),
        shared_tokens=found.shared if sessions else (),
        left_out=found.left_out,
    )


def _prompt_tokens(path: Path, row: int, line: _Line) -> int:
    if line.input_length is not None:
        return line.input_length
    texts = [line.text_input, *(_content(message) for message in line.messages)]
    if not any(texts):
        raise SimulationError(
            f"{path}, row {row}: there is no input_length, text_input or messages; add one, or "
            f"leave the row out"
        )
    return sum(map(tokens_of, texts))


def _content(message: object) -> str:
    content = message.get("content") if isinstance(message, dict) else message
    return content if isinstance(content, str) else msgspec.json.encode(content).decode()
