"""Predictors in files."""

import pickle
import zipfile

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.prediction.conftest import examples

from headway.prediction.models import artefact
from headway.prediction.models.artefact import (
    ArtefactError,
    load,
    load_refinement,
    save,
    save_refinement,
    shipped,
    shipped_refinement,
)


def test_a_predictor_survives_a_round_trip(predictor, tmp_path) -> None:
    path = tmp_path / "new" / "predictor.npz"
    save(predictor, path)
    again = load(path)
    assert again.card == predictor.card
    prompts = examples(50, seed=4).prompts
    ours, theirs = predictor.predict(prompts), again.predict(prompts)
    for one, other in zip(ours, theirs, strict=True):
        assert one.score == pytest.approx(other.score, abs=0.02)
        assert one.estimate.mean == pytest.approx(other.estimate.mean, rel=0.1)
    assert [file.name for file in path.parent.iterdir()] == ["predictor.npz"]


def test_it_is_small(predictor, tmp_path) -> None:
    save(predictor, tmp_path / "p.npz")
    assert (tmp_path / "p.npz").stat().st_size < 15e6


def test_other_files_are_refused(tmp_path) -> None:
    with pytest.raises(ArtefactError, match="there is no predictor file"):
        load(tmp_path / "nowhere.npz")
    for number, content in enumerate([b"", b"PK\x03\x04 not a zip", b"hello" * 99]):
        path = tmp_path / f"{number}.npz"
        path.write_bytes(content)
        with pytest.raises(ArtefactError, match=f"{number}.npz is not a Headway predictor"):
            load(path)


def test_nothing_is_unpickled(tmp_path) -> None:
    class Bomb:
        def __reduce__(self):
            return (pytest.fail, ("it ran",))

    path = tmp_path / "bomb.npz"
    path.write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(ArtefactError):
        load(path)
    np.savez(path, header=np.array([Bomb()], dtype=object))
    with pytest.raises(ArtefactError):
        load(path)


def test_the_error_names_another_version(predictor, tmp_path, monkeypatch) -> None:
    path = tmp_path / "p.npz"
    with monkeypatch.context() as newer:
        newer.setattr(artefact, "FORMAT", 99)
        save(predictor, path)
    with pytest.raises(ArtefactError, match=r"made by another version of Headway .*train it anew"):
        load(path)


def test_a_refinement_is_tied_to_the_code_that_made_it(predictor, tmp_path, monkeypatch) -> None:
    path = tmp_path / "r.npz"
    save_refinement(shipped_refinement(), path)
    rows = np.zeros((1, 22), np.float32)
    assert load_refinement(path).octaves(rows) == shipped_refinement().octaves(rows)
    with pytest.raises(ArtefactError, match="made by another version of Headway"):
        load(path)
    save(predictor, tmp_path / "p.npz")
    with pytest.raises(ArtefactError, match="made by another version of Headway"):
        load_refinement(tmp_path / "p.npz")
    refinement = shipped_refinement()
    with monkeypatch.context() as newer:
        newer.setattr(artefact, "FORMAT", 99)
        save_refinement(refinement, path)
    with pytest.raises(ArtefactError, match="made by another version of Headway"):
        load_refinement(path)


def test_one_with_a_part_missing_is_damaged(predictor, tmp_path) -> None:
    path = tmp_path / "p.npz"
    save(predictor, path)
    with zipfile.ZipFile(path) as whole, zipfile.ZipFile(tmp_path / "q.npz", "w") as part:
        for name in whole.namelist():
            if "trees/left" not in name:
                part.writestr(name, whole.read(name))
    with pytest.raises(ArtefactError, match=r"q.npz is damaged"):
        load(tmp_path / "q.npz")


def test_an_array_that_was_renamed_is_refused(tmp_path) -> None:
    np.save(tmp_path / "array.npy", np.arange(9))
    (tmp_path / "array.npy").rename(tmp_path / "array.npz")
    with pytest.raises(ArtefactError, match=r"array.npz is not a Headway predictor"):
        load(tmp_path / "array.npz")


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_flipped_bits_are_refused_or_change_nothing(predictor, tmp_path, data) -> None:
    path = tmp_path / "whole.npz"
    if not path.exists():
        save(predictor, path)
    content = bytearray(path.read_bytes())
    # The end of the file says where everything is: half of the places are there.
    first = data.draw(st.sampled_from([0, len(content) - 4000]))
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(first, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    (tmp_path / "flipped.npz").write_bytes(content)
    try:
        found = load(tmp_path / "flipped.npz")
    except ArtefactError as error:
        assert "flipped.npz" in str(error)
    else:
        prompts = examples(9, seed=4).prompts
        assert found.scores(prompts) == load(path).scores(prompts)


def test_a_full_disk_leaves_no_half_file(predictor, tmp_path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ArtefactError, match="cannot write the predictor"):
        save(predictor, tmp_path / "file" / "p.npz")


def test_shipped_files_can_be_loaded() -> None:
    assert shipped().card.examples > 1000
