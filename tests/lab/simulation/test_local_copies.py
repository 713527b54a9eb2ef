"""A trace is at its path, or else among the local copies."""

from __future__ import annotations

from pathlib import Path

import pytest

from headway.lab.simulation.errors import SimulationError
from headway.lab.simulation.importers.loading import load_trace

ROW = "arrival_s,prompt_tokens,output_tokens\n0,1,"


def test_what_is_not_there_is_looked_for_among_the_copies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, data = tmp_path / "here", tmp_path / "data"
    for folder in (here, data / "traces"):
        folder.mkdir(parents=True)
    monkeypatch.chdir(here)
    monkeypatch.setenv("HEADWAY_DATA", str(data))
    for tokens, folder in enumerate((data, data / "traces", here), start=1):
        (folder / "trace.csv").write_text(ROW + f"{tokens}\n")
        assert load_trace(Path("trace.csv")).output_tokens.tolist() == [tokens]
    assert load_trace(Path("traces/trace.csv")).output_tokens.tolist() == [2]


def test_what_is_nowhere_says_where_it_was_looked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEADWAY_DATA", str(tmp_path))
    with pytest.raises(SimulationError) as caught:
        load_trace(Path("none.csv"))
    looked = f"here, in {tmp_path / 'traces'} or in {tmp_path}; check the path"
    assert str(caught.value) == f"there is no trace none.csv {looked}"
    with pytest.raises(SimulationError, match=r"none\.csv; check the path$"):
        load_trace(tmp_path / "none.csv")
    monkeypatch.delenv("HEADWAY_DATA")
    with pytest.raises(
        SimulationError, match=r"no trace none\.csv here; .* or set HEADWAY_DATA to"
    ):
        load_trace(Path("none.csv"))
