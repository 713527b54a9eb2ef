"""`headway replay`: what a gateway with `policy: auto` asks every few minutes."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec

from headway.cli.exit import fail
from headway.cli.priority import give_way
from headway.gateway.foresight.question import Question
from headway.lab.simulation.captured import Captured, captured
from headway.lab.simulation.choice import Choice, choose
from headway.lab.simulation.errors import SimulationError
from headway.lab.simulation.importers.request_log import answered
from headway.lab.simulation.logged_profile import logged_sites
from headway.lab.simulation.recent import recent_traffic
from headway.lab.simulation.slo import NOTHING, parse_objective
from headway.store.event_log import settings_from_values
from headway.store.request_log import newest
from headway.store.request_record import RequestRecord


def replay() -> None:
    """Read a question from standard input, and print the answer: which policy to serve with, or
    what the one in use gains."""
    give_way()
    question = msgspec.json.decode(sys.stdin.buffer.read(), type=Question)
    log = Path(question.log)
    try:
        records = _until(
            question.now_unix_s, answered(log, max(0, newest(log) - question.most_requests))
        )
        recent = recent_traffic(records, unfinished_of(question), question.window_s, log.name)
        sites = logged_sites(records, question.slots)
        settings = settings_from_values(question.settings)
        answer: Choice | Captured
        if question.about == "gain":
            answer = captured(recent, sites, settings, question.current)
        else:
            objective = parse_objective(question.slo) if question.slo else NOTHING
            answer = choose(recent, sites, settings, question.current, objective)
    except (SimulationError, OSError) as error:
        fail("replay", error)
    print(msgspec.json.encode(answer).decode())


def _until(now_unix_s: float, records: Sequence[RequestRecord]) -> list[RequestRecord]:
    """Without what was logged before the clock was set back. Raises SimulationError."""
    known = [record for record in records if record.arrival_unix_s <= now_unix_s]
    if not known:
        raise SimulationError(
            "all requests in the log came later than now: the clock was set back; newer requests "
            "will count"
        )
    return known


def unfinished_of(question: Question) -> list[RequestRecord]:
    """What is not in the log yet, at its predicted length."""
    return [
        RequestRecord(
            id=one.id,
            arrival_unix_s=one.arrival_unix_s,
            tier=one.tier,
            tenant=one.tenant,
            program=one.program,
            prompt_tokens=max(1, one.prompt_tokens),
            max_tokens=one.max_tokens,
            predicted_tokens=one.predicted_tokens,
            output_tokens=max(1, one.output_tokens + 1, round(one.predicted_tokens)),
            queue_ms=None if one.queue_s is None else 1000.0 * one.queue_s,
            outcome="finished",
            status=200,
        )
        for one in question.unfinished
    ]
