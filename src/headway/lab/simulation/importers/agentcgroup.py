"""Claude Code's transcripts, as AgentCgroup publishes them: JSON lines of events."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from headway.lab.simulation.errors import SimulationError
from headway.lab.simulation.importers.dates import unix_s
from headway.lab.simulation.importers.folders import json_files
from headway.lab.simulation.importers.rows import json_lines, read_cell
from headway.lab.simulation.importers.sessions import Session, Step, trace_of
from headway.lab.simulation.importers.text_tokens import tokens_of
from headway.lab.simulation.trace import Trace

KEYS = {"type", "sessionId"}
KEYS_OF_SUMMARY = {"type", "leafUuid"}
"""Of the first line of a session that goes on from another."""


class _Usage(msgspec.Struct):
    input_tokens: int = 0
    """Without those that follow."""
    cache_read_input_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    output_tokens: int = 0


class _Message(msgspec.Struct):
    id: str | None = None
    content: Any = None
    stop_reason: str | None = None
    usage: _Usage | None = None


class _Event(msgspec.Struct):
    type: str = ""
    timestamp: str = ""
    sessionId: str = ""
    isSidechain: bool = False
    """Of a subagent, whose context is its own."""
    agentId: str | None = None
    message: _Message | None = None


@dataclass(slots=True)
class _Call:
    """One call of the model, whose answer is written down in several events."""

    asked_s: float
    answered_s: float
    usage: _Usage
    stopped: bool = False
    visible_tokens: int = 0

    @property
    def step(self) -> Step:
        """Tokens as the server counted them. While an answer streams its count is a beginning:
        where no event says how it ended, it has at least the tokens of what can be seen."""
        usage = self.usage
        cached = usage.cache_read_input_tokens or 0
        output = usage.output_tokens
        return Step(
            usage.input_tokens + cached + (usage.cache_creation_input_tokens or 0),
            output if self.stopped else max(output, self.visible_tokens),
            t_request_s=self.asked_s,
            t_response_s=self.answered_s,
            cached_tokens=cached,
        )


def load(path: Path) -> Trace:
    """The sessions of a transcript, or of all in a folder and those below it.

    A call is sent at the event before its answer. Raises SimulationError.
    """
    sessions: list[Session] = []
    for file in json_files(path):
        for name, calls in _calls(file).items():
            first_s = calls[0].asked_s
            for call in calls:
                call.asked_s, call.answered_s = call.asked_s - first_s, call.answered_s - first_s
            sessions.append(Session(name, [call.step for call in calls], first_s))
    if not sessions:
        raise SimulationError(f"{path} holds no call of a model; name a transcript with answers")
    return trace_of(sessions, path.name)


def _calls(file: Path) -> dict[str, list[_Call]]:
    """The calls of each session in the order of their answers."""
    found: dict[str, list[_Call]] = {}
    by_id: dict[tuple[str, str], _Call] = {}
    latest_s: dict[str, float] = {}
    for row, event in enumerate(json_lines(file, _Event), start=1):
        if event.type not in ("user", "assistant") or event.message is None:
            continue
        session = event.sessionId
        if event.isSidechain or event.agentId:
            session += f" {event.agentId or 'subagent'}"
        now_s = read_cell(file, row, "timestamp", event.timestamp, unix_s)
        message = event.message
        if event.type == "assistant" and message.usage is not None:
            key = session, message.id or f"row {row}"
            if key not in by_id:
                asked_s = latest_s.get(session, latest_s.get(event.sessionId, now_s))
                by_id[key] = _Call(asked_s, now_s, message.usage)
                found.setdefault(session, []).append(by_id[key])
            call = by_id[key]
            call.answered_s = max(call.answered_s, now_s)
            if message.usage.output_tokens >= call.usage.output_tokens:
                call.usage = message.usage
            call.stopped |= message.stop_reason is not None
            call.visible_tokens += tokens_of(_visible(message.content))
        latest_s[session] = now_s
    return found


def _visible(content: object) -> str:
    """What an answer holds: texts, thoughts and the input of tools."""
    if isinstance(content, str):
        return content
    parts = []
    for part in content if isinstance(content, list) else ():
        if isinstance(part, dict):
            parts += [str(part[key]) for key in ("text", "thinking") if key in part]
            if "input" in part:
                parts.append(msgspec.json.encode(part["input"]).decode())
    return "".join(parts)
