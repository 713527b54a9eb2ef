"""`headway replay`: what a gateway with `policy: auto` asks every few minutes."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import msgspec

from headway.cli.exit import fail
from headway.gateway.foresight.advisor import Question
from headway.lab.simulation.choice import choose
from headway.lab.simulation.errors import SimulationError
from headway.lab.simulation.importers.request_log import answered, trace_of
from headway.lab.simulation.logged_profile import logged_sites
from headway.lab.simulation.slo import parse_targets
from headway.store.event_log import settings_from_values
from headway.store.request_log import newest


def replay() -> None:
    """Read a question from standard input, and print which policy to serve with."""
    _give_way()
    question = msgspec.json.decode(sys.stdin.buffer.read(), type=Question)
    log = Path(question.log)
    try:
        records = answered(log, max(0, newest(log) - question.most_requests))
        since_unix_s = records[-1].arrival_unix_s - question.window_s
        records = [one for one in records if one.arrival_unix_s >= since_unix_s]
        choice = choose(
            trace_of(records, log.name),
            logged_sites(records, question.slots),
            settings_from_values(question.settings),
            question.current,
            question.tail,
            parse_targets(question.slo) if question.slo else (),
        )
    except (SimulationError, OSError) as error:
        fail("replay", error)
    print(msgspec.json.encode(choice).decode())


def _give_way() -> None:
    """Run only when nobody else wants the processor."""
    os.nice(19)
    if sys.platform == "linux":
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
