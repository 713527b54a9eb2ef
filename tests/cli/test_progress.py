"""How far a command is: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import io

from rich.console import Console

from headway.cli.progress import LINE_EVERY_S, Stages


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
