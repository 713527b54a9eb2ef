"""Sessions of agents: JSON lines, each a session with its steps, one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np

from headway.lab.simulation.importers.recorded import (
    prompts_column,
    refuse_repeated,
    tokens_column,
)
from headway.lab.simulation.importers.rows import json_lines
from headway.lab.simulation.trace import Trace

TYPICAL_TPOT_S = 0.02
"""Where a session does not say when its answers ended: what a token of them took."""


KEYS = {"steps"}


class Step(msgspec.Struct):
    """One call of a model."""

    prompt_tokens: int
    output_tokens: int
    t_s: float | None = None
    t_request_s: float | None = None
    t_response_s: float | None = None
    cached_tokens: int = 0
    shared_prefix_tokens: int = 0

    @property
    def began_s(self) -> float:
        """When it was sent."""
        return self.t_request_s if self.t_request_s is not None else self.t_s or 0.0

    @property
    def ended_s(self) -> float:
        """When its answer ended, or about so."""
        if self.t_response_s is not None:
            return self.t_response_s
        return self.began_s + TYPICAL_TPOT_S * self.output_tokens


class Session(msgspec.Struct):
    """An agent's calls, one after the other."""

    session: str
    steps: list[Step]
    start_unix: float = 0.0
    workflow: str = ""
    model: str = ""


def load(path: Path) -> Trace:
    """The sessions of a file. Raises SimulationError."""
    return trace_of(list(json_lines(path, Session)), path.name)


def trace_of(sessions: Sequence[Session], name: str) -> Trace:
    """A step is sent when the one before has ended, plus what came between: a tool, a person.

    Steps without output are left out. The context that a step shares with the one before is what
    the session says, or else what was cached then. Its workflow, or else its model, is the tenant.

    Raises:
        SimulationError: a session comes twice, or a number of tokens makes no sense.
    """
    refuse_repeated(name, [session.session for session in sessions])
    calls = sum(len(session.steps) for session in sessions)
    for session in sessions:
        session.steps = [step for step in session.steps if step.output_tokens >= 1]
    rows: list[tuple[float, int, int]] = []
    first_s = min((session.start_unix for session in sessions), default=0.0)
    for number, one in enumerate(sessions):
        latest_s = 0.0
        for place, step in enumerate(one.steps):
            latest_s = max(latest_s, one.start_unix - first_s + max(0.0, step.began_s))
            rows.append((latest_s, number, place))
    rows.sort()
    place_of = {row[1:]: number for number, row in enumerate(rows)}
    steps = [sessions[session].steps[place] for _, session, place in rows]
    after, gap_s = np.full(len(rows), -1), np.zeros(len(rows))
    for number, (_, of_session, place) in enumerate(rows):
        if place:
            after[number] = place_of[(of_session, place - 1)]
            before = sessions[of_session].steps[place - 1]
            gap_s[number] = max(0.0, steps[number].began_s - before.ended_s)
    return Trace(
        name,
        np.array([at_s for at_s, _, _ in rows]),
        prompts_column(name, [step.prompt_tokens for step in steps]),
        tokens_column(name, [step.output_tokens for step in steps]),
        tenants=[sessions[session].workflow or sessions[session].model for _, session, _ in rows],
        programs=[sessions[session].session for _, session, _ in rows],
        after=after,
        gap_s=gap_s,
        shared_tokens=tokens_column(
            name,
            [
                min(step.prompt_tokens, step.shared_prefix_tokens or step.cached_tokens)
                for step in steps
            ],
        ),
        left_out=calls - len(rows),
    )
