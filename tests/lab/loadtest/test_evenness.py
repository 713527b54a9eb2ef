"""A machine that changed its speed between the policies that it was to compare."""

from __future__ import annotations

from tests.lab.loadtest.test_report import result, row

from headway.lab.loadtest.evenness import unevenness
from headway.lab.loadtest.result import BenchResult


def test_it_is_said_with_the_rows_and_their_throughputs() -> None:
    rows = row("fcfs", [4.0, 8.0, 12.0]), row("srpt", [2.0, 6.0, 10.0]), row("mlfq", [40.0] * 3)
    said = unevenness(BenchResult(rows, {}))
    assert said.startswith("The machine changed its speed: 5.00 tokens/s under srpt, 1.43 under ml")
    assert "--repeats 3" in said


def test_what_policies_cost_is_no_change_of_speed() -> None:
    assert unevenness(result()) == ""
    assert unevenness(BenchResult((row("fcfs", [4.0, 8.0, 12.0]),), {})) == ""
