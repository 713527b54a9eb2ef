"""Tables of pages say what their headings mean, and no more."""

from __future__ import annotations

from headway.lab.loadtest.table import COLUMNS as OF_BENCH
from headway.lab.loadtest.table import MEANINGS as MEANT_BY_BENCH
from headway.lab.report.page import folded, table
from headway.lab.simulation.table import COLUMNS, MEANINGS, WHERE_IT_MATTERS
from headway.lab.tuning.table import HEADINGS
from headway.lab.tuning.table import MEANINGS as MEANT_BY_TUNE

ROW = ["srpt", "1", "2"]


def test_headings_that_mean_the_same_share_their_meaning() -> None:
    page = table(
        ["policy", "p50 s", "p99 s"], [ROW], {"p50 s": "of latency", "p99 s": "of latency"}
    )
    assert "<dt>p50 s, p99 s</dt><dd>of latency</dd>" in page


def test_columns_that_are_not_there_are_not_explained() -> None:
    assert "cold" not in table(["policy", "mean s", "util."], [ROW], MEANINGS)


def test_every_column_of_every_command_has_a_meaning() -> None:
    assert {one[0] for one in (*COLUMNS, *WHERE_IT_MATTERS)} | {"oracle gain", "SLO met"} == set(
        MEANINGS
    )
    assert {heading for heading, _ in OF_BENCH} | {"oracle gain", "errors"} == set(MEANT_BY_BENCH)
    assert {heading for heading in HEADINGS if heading} == set(MEANT_BY_TUNE)


def test_a_wide_table_says_that_it_goes_on() -> None:
    wide = table([str(n) for n in range(12)], [[str(n) for n in range(12)]], {})
    assert "goes on to the right" in wide and "goes on" not in table(["a", "b"], [["1", "2"]], {})


def test_a_table_that_fits_no_window_says_so_in_every_window() -> None:
    assert 'class="cue always"' in table([str(n) for n in range(17)], [["a"] * 17], {})


def test_what_is_folded_is_closed() -> None:
    assert folded("All 99", "<p>1</p>") == "<details><summary>All 99</summary><p>1</p></details>"
