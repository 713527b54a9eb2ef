"""The command that stands below an answer of What if: it asks the same."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
from tests.cli.test_simulate import run
from tests.lab.simulation.what_if.logs import busy, written

from headway.cli.what_if import command_of
from headway.gateway.foresight.question import About, Question, WhatIfQuestion


def question(about: About, log: str, file: str = "") -> WhatIfQuestion:
    return WhatIfQuestion(
        about=about,
        traffic=Question(
            log=log,
            now_unix_s=0.0,
            unfinished=[],
            window_s=900.0,
            most_requests=1000,
            slots={},
            current="fcfs",
            slo="",
            settings={},
        ),
        file=file,
        report="",
        policies=["srpt"] if about != "engines" else [],
        slots=[8] if about == "policies" else [],
        profile="",
        slo="latency_p50=9s",
    )


@pytest.mark.parametrize(
    ("about", "says"),
    [
        ("policies", "times the mean latency of fcfs"),
        ("settings", "Use: headway serve "),
        ("engines", " of exact."),
    ],
)
def test_it_runs(about: About, says: str, tmp_path: Path) -> None:
    log = written(tmp_path / "its log.db", busy(200))
    commands = command_of(question(about, str(log))).splitlines()
    assert len(commands) == (2 if about == "policies" else 1)
    for command in commands:
        words = shlex.split(command)
        assert words[0] == "headway" and "15min" in words
        code, out, err = run(*words[1:])
        assert code == 0, err
        assert says in out


def test_it_has_the_slots_of_the_gateways_engines() -> None:
    asked = question("policies", "requests.db")
    asked.traffic.slots = {"one": 4, "two": 4}
    now, more = command_of(asked).splitlines()
    assert now.endswith(" --slots 4") and more.endswith(" --slots 8")
    asked.profile = "llama-3.1-8b-h100"
    assert "--slots" not in command_of(asked).splitlines()[0]
    asked.profile, asked.traffic.slots = "", {"one": 4, "two": 6}
    assert "--slots" not in command_of(asked).splitlines()[0]


def test_a_trace_is_named_as_the_person_named_it() -> None:
    command = command_of(question("policies", "", "/tmp/headway-what-if-x/mine.csv"))
    assert command.startswith("headway simulate mine.csv --profile ")
    assert "--last" not in command
