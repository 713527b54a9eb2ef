"""LMCache's agent traces: a file for each session, with a JSON line for each call of a model."""

from __future__ import annotations

from pathlib import Path

import msgspec

from headway.lab.simulation.errors import SimulationError
from headway.lab.simulation.importers.folders import json_files
from headway.lab.simulation.importers.rows import json_lines
from headway.lab.simulation.importers.sessions import Session, Step, trace_of
from headway.lab.simulation.importers.text_tokens import shared_tokens, tokens_of
from headway.lab.simulation.trace import Trace

KEYS = {"timestamp", "input", "output"}


class _Line(msgspec.Struct):
    timestamp: int
    """Microseconds since 1970."""
    input: str
    output: str
    session_id: str = ""


def load(path: Path) -> Trace:
    """The sessions of a file, or of all files in a folder and those below it.

    They hold texts; tokens are counted as `tokens_of` does. Raises SimulationError.
    """
    sessions: list[Session] = []
    for file in json_files(path):
        calls: dict[str, list[_Line]] = {}
        for line in json_lines(file, _Line):
            calls.setdefault(line.session_id, []).append(line)
        workflow = file.parent.name if path.is_dir() else ""
        sessions += [_session(name, of, workflow) for name, of in calls.items()]
    if not sessions:
        raise SimulationError(f"{path} holds no session; name a file of JSON lines, or its folder")
    return trace_of(sessions, path.name)


def _session(name: str, calls: list[_Line], workflow: str) -> Session:
    calls.sort(key=lambda call: call.timestamp)
    first = calls[0].timestamp
    steps = [
        Step(
            tokens_of(call.input),
            tokens_of(call.output),
            t_s=(call.timestamp - first) * 1e-6,
            shared_prefix_tokens=shared_tokens(before.input, call.input) if number else 0,
        )
        for number, (before, call) in enumerate(zip([calls[0], *calls], calls, strict=False))
    ]
    return Session(name, steps, first * 1e-6, workflow)
