"""Engines and prices as they are given on the command line."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from tests.lab.simulation.what_if.logs import busy, written

from headway.lab.simulation.errors import SimulationError
from headway.lab.simulation.profile import write_profile
from headway.lab.simulation.profiles import load_profile
from headway.lab.simulation.site_list import choices_of, sites_of

A, B = "llama-3.1-8b-a100", "llama-3.1-8b-h100"


def test_a_price_is_of_one_profile_or_of_all() -> None:
    priced = sites_of(f"{A}*2,{B}", price=f"2,{B}=3")
    assert [site.profile.price_per_hour for site in priced] == [2.0, 2.0, 3.0]


def test_a_price_of_a_profile_that_is_not_there_is_refused() -> None:
    for engines_of in (sites_of, choices_of):
        with pytest.raises(SimulationError, match=f"'h100=3' is of no profile here; .* {A}, {B}$"):
            engines_of(f"{A},{B}", price=f"{A}=2,h100=3")


def test_two_machines_with_the_same_model_are_two_choices(tmp_path: Path) -> None:
    mine = replace(load_profile(A), name="Llama-3.1-8B")
    files = [tmp_path / "old.json", tmp_path / "new.json"]
    for file, slower in zip(files, (2.0, 1.0), strict=True):
        file.write_bytes(write_profile(mine.slower(slower)))
    found = choices_of(f"{files[0]},{files[1]},{files[0]}", slots=3)
    assert [(site.name, site.slots) for site in found] == [(str(file), 3) for file in files]
    assert found[0].profile.dense(1) == 2.0 * found[1].profile.dense(1)


def test_how_many_is_not_said_where_that_is_the_question() -> None:
    with pytest.raises(SimulationError, match=rf"'{B}\*2' gives one; write {B}$"):
        choices_of(f"{A},{B}*2")


def test_choices_have_a_price_all_of_them_or_none() -> None:
    with pytest.raises(SimulationError, match=f"{B} has none; give one for each"):
        choices_of(f"{A},{B}", price=f"{A}=2")
    assert len(choices_of(f"{A},{B}", price=f"{A}=2,{B}=4")) == 2
    assert len(choices_of(f"{A},{B}")) == 2


def test_more_engines_than_can_be_simulated_are_refused() -> None:
    with pytest.raises(SimulationError, match=r"'llama.*\*100000' is more engines .* 10,000"):
        sites_of(f"{A}*100000")


def test_a_request_log_stands_for_the_engines_that_its_answers_show(tmp_path: Path) -> None:
    log = written(tmp_path / "requests.db", [*busy(60), *busy(60, backend="other")])
    for engines_of in (sites_of, choices_of):
        first, second = engines_of(str(log))
        assert (first.profile.name, second.profile.name) == ("exact", "other")
        assert first.profile.source == "60 answers in a request log"
    with pytest.raises(SimulationError, match="a profile needs 30 answers of one backend"):
        sites_of(str(written(tmp_path / "new.db", busy(10))))
