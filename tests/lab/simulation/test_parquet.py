"""Traces as Parquet: the same rows as of CSV, and one sentence where pyarrow is missing."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.lab.simulation.conftest import trace

from headway.core.request import Tier
from headway.lab.simulation.errors import SimulationError
from headway.lab.simulation.importers.loading import load_trace
from headway.lab.simulation.trace_file import read_trace, write_trace


def test_everything_that_is_known_comes_back(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow", reason="headway[parquet] is not installed")
    whole = replace(
        trace([0.0, 1.5, 2.0], [5, 6, 7], prompt_tokens=600),
        ids=["a", "b", "c"],
        tenants=["x", "", "x"],
        tiers=[Tier.BATCH, Tier.STANDARD, Tier.INTERACTIVE],
        deadline_s=np.array([10.0, np.nan, 3.0]),
        max_tokens=np.array([0, 9, 9]),
        prefix_hashes=[(1, 2), (), (1,)],
        after=np.array([-1, 0, -1]),
        gap_s=np.array([0.0, 2.5, 0.0]),
    )
    write_trace(whole, tmp_path / "trace.parquet")
    again = load_trace(tmp_path / "trace.parquet")
    for column, values in vars(replace(whole, name="trace.parquet")).items():
        if column != "left_out":  # of the file that was read
            assert list(map(str, getattr(again, column))) == list(map(str, values)), column


def test_what_others_write_is_read_as_it_is_meant(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow", reason="headway[parquet] is not installed")
    from pyarrow import parquet

    path = tmp_path / "theirs.parquet"
    columns = {
        "arrival_s": [0, 1],
        "prompt_tokens": [600.0, 700.0],
        "output_tokens": [1, 2],
        "max_tokens": [8.0, None],
        "prefix_hashes": [[3, 4], []],
        "colour": ["red", "blue"],
    }
    parquet.write_table(pyarrow.table(columns), path)
    found = read_trace(path)
    assert found.prompt_tokens.tolist() == [600, 700]
    assert found.max_tokens.tolist() == [8, 0]
    assert found.prefix_hashes == [(3, 4), ()]
    parquet.write_table(pyarrow.table({"arrival_s": [0.0]}), path)
    with pytest.raises(SimulationError, match=r"theirs\.parquet has no column prompt_tokens"):
        read_trace(path)
    path.write_bytes(b"no Parquet")
    with pytest.raises(SimulationError, match=r"theirs\.parquet cannot be read"):
        read_trace(path)


def test_without_pyarrow_there_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    path = tmp_path / "trace.parquet"
    path.write_bytes(b"PAR1")
    says = r"trace\.parquet is Parquet, for which pyarrow is missing; `.*pip install .*\[parquet"
    with pytest.raises(SimulationError, match=says):
        load_trace(path)
    with pytest.raises(SimulationError, match=says):
        write_trace(trace([0.0], [1]), path)
