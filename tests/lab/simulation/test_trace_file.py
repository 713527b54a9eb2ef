"""Traces as files: what is read back is what was written, and errors name the row."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.lab.simulation.conftest import trace

from headway.core.request import Tier
from headway.lab.simulation.errors import SimulationError
from headway.lab.simulation.trace_file import read_trace, write_trace

HEADER = "arrival_s,prompt_tokens,output_tokens\n"


def written(folder: Path, text: str) -> Path:
    path = folder / "trace.csv"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("name", ["trace.csv", "trace.csv.gz", "trace.CSV.GZ", "trace.csv.zst"])
def test_everything_that_is_known_comes_back(tmp_path: Path, name: str) -> None:
    if name.endswith(".zst"):
        pytest.importorskip("pyarrow", reason="headway[parquet] is not installed")
    whole = replace(
        trace([0.0, 1.5, 2.0], [5, 6, 7], prompt_tokens=600),
        ids=["a", "b", "c"],
        tenants=["x", "", "x"],
        tiers=[Tier.BATCH, Tier.STANDARD, Tier.INTERACTIVE],
        programs=["p", "p", ""],
        deadline_s=np.array([10.0, np.nan, 3.0]),
        prefix_hashes=[(1, 2), (), (1,)],
        after=np.array([-1, 0, -1]),
        gap_s=np.array([0.0, 2.5, 0.0]),
        shared_tokens=np.array([0, 1, 0]),
    )
    write_trace(whole, tmp_path / name)
    again = read_trace(tmp_path / name)
    for column, values in vars(replace(whole, name=name)).items():
        if column != "left_out":  # of the file that was read
            assert list(map(str, getattr(again, column))) == list(map(str, values)), column


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "is empty"),
        (HEADER, "has no rows"),
        ("arrival_s,prompt_tokens\n0,1\n", "has no column output_tokens"),
        (
            "arrival_s,prompt_tokens,output_tokens,deadlne_s\n0,1,1,9\n",
            "has a column 'deadlne_s', which is none of a trace's; if it is meant to be deadline_s",
        ),
        (
            "arrival_s,prompt_tokens,output_tokens,output_tokens\n0,1,1,2\n",
            "has 2 columns output_tokens; leave all but one out",
        ),
        (
            HEADER + "0,1,1\n-1,1,1\n",
            "row 2: arrival_s -1 is no time from 0 on; give seconds, from the beginning of the",
        ),
        (HEADER + "2,1,1\n1,1,1\n", "row 2: arrival_s 1 is before"),
        (HEADER + "0,1,0\n", "row 1: output_tokens 0 must be at least 1"),
        (HEADER + "0,0,1\n", "row 1: prompt_tokens 0 must be at least 1; correct it, or leave"),
        ("gap_s," + HEADER + "-2,0,1,1\n", "row 1: gap_s -2 is no time from 0 on; give seconds"),
        ("deadline_s," + HEADER + "-2,0,1,1\n", "row 1: deadline_s -2 must be above 0; give"),
        ("deadline_s," + HEADER + "inf,0,1,1\n", "row 1: deadline_s inf must be above 0; give"),
        ("max_tokens," + HEADER + "-1,0,1,1\n", "row 1: max_tokens -1 must be at least 1; corr"),
        ("shared_tokens," + HEADER + "-1,0,1,1\n", "row 1: shared_tokens -1 must not be negat"),
        (
            "shared_tokens," + HEADER + "1,0,1,1\n3,0,2,1\n",
            "row 2: shared_tokens 3 are more than its prompt_tokens; give those",
        ),
        (HEADER + "0,1,1000000000000\n", "row 1: output_tokens 1e+12 are more than any model has"),
        (HEADER + "0,1,many\n", "row 1: output_tokens 'many' is not a whole number; corr"),
        (HEADER + "0,1,1.5\n", "row 1: output_tokens '1.5' is not a whole number; correct it"),
        (HEADER + "0,inf,1\n", "row 1: prompt_tokens 'inf' is not a whole number; correct it"),
        (HEADER + "nan,1,1\n", "row 1: arrival_s nan"),
        (HEADER + "0,1,1\n,1,1\n", "row 2: arrival_s nan is no time"),
        (HEADER + "1700000000000,1,1\n", "arrival_s 1.7e+12 is thousands of years, so it may be"),
        ("Tenant," + HEADER + "a,0,1,1\n", "'Tenant', which is none of a trace's; if it is meant"),
        (" ID," + HEADER + "a,0,1,1\n", "if it is meant to be id, call it that"),
        (HEADER + "0,1,1,9\n", "row 1: 4 values for 3 columns; leave cells empty"),
        (HEADER + "\n0,1,1\n1,1\n", "row 2: 2 values for 3 columns; leave cells empty"),
        (HEADER + "0,1,99999999999999999999\n", "row 1: output_tokens"),
        ("id," + HEADER + "a,0,1,1\na,1,1,1\n", "row 2: id 'a' is that of row 1"),
        ("id,after," + HEADER + "a,b,0,1,1\n", "row 1: after 'b' is no row's id; name a row above"),
        ("id,after," + HEADER + "a,a,0,1,1\n", "row 1: `after` must name a row above"),
        ("tier," + HEADER + "fast,0,1,1\n", "row 1: unknown tier 'fast'"),
        (
            "prefix_hashes," + HEADER + "1 2,0,513,1\n1 2,1,512,1\n",
            "row 2: prompt_tokens 512 has more prefix_hashes than blocks; give one for each 512",
        ),
    ],
)
def test_what_makes_no_sense_is_named(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(SimulationError, match=r"trace\.csv") as caught:
        read_trace(written(tmp_path, text))
    assert says in str(caught.value)


def test_mending_sorts_and_leaves_out(tmp_path: Path) -> None:
    path = written(tmp_path, "id," + HEADER + "a,5,1,1\nb,1,1,0\nc,2,1,3\nc,2,1,3\n")
    mended = read_trace(path, mend=True)
    assert mended.ids == ["c", "a"]
    assert mended.output_tokens.tolist() == [3, 1]


def test_mending_lets_go_of_rows_that_are_left_out(tmp_path: Path) -> None:
    rows = "a,,0,1,1\nb,a,1,1,0\nc,b,2,1,1\nd,c,3,1,1\n"
    mended = read_trace(written(tmp_path, "id,after," + HEADER + rows), mend=True)
    assert mended.ids == ["a", "c", "d"]
    assert mended.after.tolist() == [-1, -1, 1]
    path = written(tmp_path, "id,after," + HEADER + "a,,1,1,0\nb,z,0,1,1\n")
    with pytest.raises(SimulationError, match="row 2: after 'z' is no row's id"):
        read_trace(path, mend=True)


@pytest.mark.parametrize("mend", [False, True])
def test_an_empty_id_is_none(tmp_path: Path, mend: bool) -> None:
    path = written(tmp_path, "id," + HEADER + ",0,1,1\n,1,1,2\nc,2,1,3\n")
    assert read_trace(path, mend=mend).output_tokens.tolist() == [1, 2, 3]


@pytest.mark.parametrize("rows", ["0,1,1\n1,1,2\n\n", "0,1,1\n\n1,1,2\n  \n", "\n0,1,1\n1,1,2"])
def test_blank_lines_are_no_rows(tmp_path: Path, rows: str) -> None:
    found = read_trace(written(tmp_path, HEADER + rows))
    assert found.output_tokens.tolist() == [1, 2]


def test_whole_numbers_may_be_written_as_others(tmp_path: Path) -> None:
    found = read_trace(written(tmp_path, "max_tokens," + HEADER + "1e2,1e-1,100.0, 7 \n ,1,2,3\n"))
    assert found.arrival_s.tolist() == [0.1, 1.0]
    assert found.prompt_tokens.tolist() == [100, 2]
    assert found.output_tokens.tolist() == [7, 3]
    assert found.max_tokens.tolist() == [100, 0]


def test_rows_of_empty_cells_are_none(tmp_path: Path) -> None:
    assert len(read_trace(written(tmp_path, HEADER + "0,1,1\n,,\n,,,\n"))) == 1


def test_a_missing_or_broken_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SimulationError, match="cannot be read"):
        read_trace(tmp_path / "none.csv")
    (tmp_path / "broken.csv.gz").write_bytes(b"no gzip")
    with pytest.raises(SimulationError, match=r"broken\.csv\.gz cannot be read"):
        read_trace(tmp_path / "broken.csv.gz")
