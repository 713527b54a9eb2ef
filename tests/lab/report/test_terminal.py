"""Tables fit their terminal: names fold, columns are left out in a sentence, numbers stay whole."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from headway.lab.report.terminal import Results, show
from headway.lab.simulation.table import COLUMNS, LEAST_FIRST, WHERE_IT_MATTERS

HEADINGS = ["policy", "mean s", "p99 s", "worst wait s", "pre- empted"]
ROWS = [["fcfs", "123.45", "999.12", "888.88", "0"], ["srpt", "12.3", "1000.7", "900.1", "77777"]]


def printed(width: int, results: Results, terminal: bool = True) -> list[str]:
    screen = io.StringIO()
    show(Console(file=screen, width=width, force_terminal=terminal, color_system=None), results)
    return [line.rstrip() for line in screen.getvalue().splitlines() if line.strip()]


def test_a_wide_terminal_gets_all_columns() -> None:
    lines = printed(80, Results(HEADINGS, ROWS, ["pre- empted"]))
    assert lines[-1].split() == ROWS[1]
    assert not any("Left out" in line for line in lines)


def test_a_narrow_terminal_goes_without_the_columns_that_matter_least() -> None:
    lines = printed(30, Results(HEADINGS, ROWS, ["pre- empted", "worst wait s", "p99 s"]))
    assert lines[-1] == (
        "Left out, as this terminal is narrow: preempted, worst wait s. "
        "`| cat` after the command shows all."
    )
    assert lines[-2].split() == ["srpt", "12.3", "1000.7"]
    assert all(len(line) <= 30 for line in lines[:-1])


def test_a_pipe_gets_all_of_them_however_narrow_it_says_it_is() -> None:
    lines = printed(30, Results(HEADINGS, ROWS, ["pre- empted"]), terminal=False)
    assert lines[-1].split() == ROWS[1]


def test_a_long_name_is_folded_before_numbers_are_left_out() -> None:
    name = "srpt, interactive.max_wait_s 12.5, trail_c 1.2, slots 8"
    lines = printed(60, Results(HEADINGS, [[name, *ROWS[0][1:]]], ["pre- empted"]))
    text = " ".join(lines)
    assert all(cell in text for cell in ROWS[0][1:]) and "Left out" not in text
    assert all(word in text for word in name.split())
    assert all(len(line) <= 60 for line in lines)


@pytest.mark.parametrize("width", range(8, 60, 4))
def test_no_number_is_ever_cut(width: int) -> None:
    text = " ".join(printed(width, Results(HEADINGS, ROWS, ["pre- empted"])))
    assert "…" not in text
    assert all(cell in text for row in ROWS for cell in row[1:4])


def test_what_may_be_left_out_is_a_column_of_simulations() -> None:
    headings = {column[0] for column in (*COLUMNS, *WHERE_IT_MATTERS)}
    assert set(LEAST_FIRST) < headings
    assert {"mean s", "p99 s", "rejected"}.isdisjoint(LEAST_FIRST)


def test_a_simulation_fits_eighty_columns() -> None:
    headings = ["policy", *(column[0] for column in COLUMNS), "oracle gain"]
    rows = [["srpt+oracle", *["123.45"] * len(COLUMNS), "100%"]]
    lines = printed(80, Results(headings, rows, LEAST_FIRST))
    assert all(len(line) <= 80 for line in lines[:-1])
    assert "p90" in " ".join(lines[:-1]), "no more than needed is left out"
