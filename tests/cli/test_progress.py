"""How far a command is: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import io
import threading

import pytest
from rich.console import Console

from headway.cli.progress import LINE_EVERY_S, Stages, waiting


class Clock:
    """Seconds that a test sets."""

    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def test_elsewhere_there_is_a_line_every_some_seconds() -> None:
    lines, clock = io.StringIO(), Clock()
    with Stages(lines, Console(file=io.StringIO()), clock) as report:
        report("round 1 of 2", 0.0)
        for second in range(1, 31):
            clock.now_s = float(second)
            report(f"round {1 + second // 20} of 2", second / 40)
    assert LINE_EVERY_S == 10.0
    assert lines.getvalue().splitlines() == [
        "round 1 of 2: 0% done",
        "round 1 of 2: 25% done, about 30 s left",
        "round 2 of 2: 50% done, about 20 s left",
        "round 2 of 2: 75% done, about 10 s left",
    ]


def test_on_a_terminal_there_is_a_bar_that_leaves_nothing_behind() -> None:
    lines, screen = io.StringIO(), io.StringIO()
    console = Console(file=screen, force_terminal=True, width=80, height=20)
    with Stages(lines, console) as report:
        report("round 1 of 2", 0.5)
        report("round 2 of 2", 0.75)
    assert lines.getvalue() == ""
    assert "round 2 of 2" in screen.getvalue() and "75%" in screen.getvalue()


def test_short_work_has_no_line_where_the_first_is_held_back() -> None:
    lines, clock = io.StringIO(), Clock()
    with Stages(lines, Console(file=io.StringIO()), clock, quiet_s=LINE_EVERY_S) as report:
        for second in (0.0, 9.0, 10.0):
            clock.now_s = second
            report("simulating", second / 20)
    assert lines.getvalue() == "simulating: 50% done, about 10 s left\n"


def test_no_time_is_predicted_where_the_caller_knows_better() -> None:
    lines, clock = io.StringIO(), Clock()
    with Stages(lines, Console(file=io.StringIO()), clock, predicts=False) as report:
        clock.now_s = 10.0
        report("paused", 0.5)
    assert lines.getvalue() == "paused: 50% done\n"
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=80, height=20)
    with Stages(lines, console, predicts=False) as report:
        report("paused", 0.5)
    assert "50%" in screen.getvalue() and "-:--:--" not in screen.getvalue()


def test_work_whose_end_is_not_known_says_that_it_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    said = threading.Event()

    class Lines(io.StringIO):
        def write(self, text: str) -> int:
            said.set()
            return super().write(text)

    lines = Lines()
    monkeypatch.setattr("headway.cli.progress.LINE_EVERY_S", 0.01)
    monkeypatch.setattr("sys.stderr", lines)
    with waiting(Console(file=io.StringIO()), "simulating"):
        assert said.wait(10)
    assert lines.getvalue().startswith("simulating: 0 s so far\n")
