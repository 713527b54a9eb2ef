"""Qwen-Bailian's traces: JSON lines with chat_id and parent_chat_id, hashes of 16 tokens a block.

Wang et al., KVCache Cache in the Wild, USENIX ATC 2025.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from headway.lab.simulation.importers.recorded import recorded
from headway.lab.simulation.importers.rows import in_order, json_lines
from headway.lab.simulation.importers.sessions import TYPICAL_TPOT_S
from headway.lab.simulation.trace import BLOCK_TOKENS, Trace

KEYS = {"chat_id", "timestamp", "input_length", "output_length"}
OWN_BLOCK_TOKENS = 16
ROOT = -1


class _Line(msgspec.Struct):
    chat_id: int
    timestamp: float
    """Seconds from the beginning of the trace."""
    input_length: int
    output_length: int
    parent_chat_id: int = ROOT
    """The turn before this one."""
    hash_ids: tuple[int, ...] = ()


def load(path: Path, unit_s: float) -> Trace:
    """A later turn of a chat is sent when the one before has ended, plus what came between.

    The traces do not say when answers ended: they are taken to have come at TYPICAL_TPOT_S.
    Requests without output are left out. Raises SimulationError.
    """
    every = list(json_lines(path, _Line))
    lines = [line for line in every if line.output_length >= 1]
    lines = [lines[number] for number in in_order([line.timestamp for line in lines])]
    place: dict[int, int] = {}
    after, gaps_s, shared = [], [], []
    for number, line in enumerate(lines):
        before = place.get(line.parent_chat_id, -1)
        gap_s, tokens = 0.0, 0
        if before >= 0:
            parent = lines[before]
            took_s = TYPICAL_TPOT_S * parent.output_length
            gap_s = max(0.0, (line.timestamp - parent.timestamp) * unit_s - took_s)
            tokens = min(_shared_tokens(parent.hash_ids, line.hash_ids), line.input_length)
        place[line.chat_id] = number
        after.append(before)
        gaps_s.append(gap_s)
        shared.append(tokens)
    return recorded(
        path.name,
        [line.timestamp * unit_s for line in lines],
        [line.input_length for line in lines],
        [line.output_length for line in lines],
        ids=[str(line.chat_id) for line in lines],
        prefix_hashes=_larger_blocks(lines),
        after=after,
        gap_s=gaps_s,
        shared_tokens=shared,
        left_out=len(every) - len(lines),
    )


def _shared_tokens(first: tuple[int, ...], second: tuple[int, ...]) -> int:
    blocks = 0
    for one, other in zip(first, second, strict=False):
        if one != other:
            break
        blocks += 1
    return OWN_BLOCK_TOKENS * blocks


def _larger_blocks(lines: list[_Line]) -> list[tuple[int, ...]]:
    """Hashes of BLOCK_TOKENS each, one for every run of theirs that occurs."""
    size = BLOCK_TOKENS // OWN_BLOCK_TOKENS
    known: dict[tuple[int, ...], int] = {}
    return [
        tuple(
            known.setdefault(line.hash_ids[first : first + size], len(known))
            for first in range(0, len(line.hash_ids), size)
        )
        for line in lines
    ]
