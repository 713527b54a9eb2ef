"""`headway predictor` as a user meets it."""

from __future__ import annotations

import csv
import json
import os
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from tests.cli.test_command_line import empty_folder, headway, one_line_failure  # noqa: F401
from tests.prediction.conftest import examples, predictor, write_log  # noqa: F401
from tests.prediction.models.test_encoder import mean_id_encoder

from headway.cli.priority import give_way
from headway.prediction.models.artefact import save
from headway.prediction.models.encoded import EncodedStack
from headway.prediction.models.predictor import Predictor


def write_folder(folder: Path, count: int, seed: int = 0) -> Path:
    folder.mkdir()
    source = examples(count, seed)
    with (folder / "prompts.jsonl").open("w", encoding="utf-8") as file:
        for number, prompt in enumerate(source.prompts):
            file.write(json.dumps({"id": number, "prompt": prompt.text}) + "\n")
    with (folder / "lengths.csv").open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["id", "small-model"])
        rows.writerows(enumerate(source.lengths.astype(int)))
    return folder


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("predictor")
    data, out = write_folder(folder / "chats", 200), folder / "model.npz"
    done = headway("predictor", "train", "--data", data, "--target", "small-model", "--out", out)
    assert done.returncode == 0, done.stderr
    assert "200 examples of small-model, Kendall's tau 0." in done.stdout
    assert done.stderr.startswith("learning: 0% done\n"), "how far it is, off a terminal"
    return out


def test_eval_prints_one_json_object(model: Path, tmp_path: Path) -> None:
    data = write_folder(tmp_path / "later", 100, seed=2)
    done = headway("predictor", "eval", "--model", model, "--data", data, "--json")
    found = json.loads(done.stdout)
    assert found["n"] == 100
    assert found["kendall_tau"] > 0.6
    assert {"pairwise_accuracy", "coverage_80", "mae_tokens", "ms_per_prompt"} < set(found)


def test_info_and_explain(model: Path) -> None:
    assert "200 examples: chats" in headway("predictor", "info", "--model", model).stdout
    done = headway("predictor", "explain", "List ten tips about glass.", "--model", model)
    assert "tokens; in 8 of 10 cases" in done.stdout


def test_info_and_explain_without_a_file_are_about_what_ships() -> None:
    assert json.loads(headway("predictor", "info", "--json").stdout)["examples"] > 1000
    assert "held back     Kendall's tau" in headway("predictor", "info").stdout
    done = headway("predictor", "explain", "List ten tips about glass.")
    assert "tokens; in 8 of 10 cases" in done.stdout


def test_of_a_log_with_one_model_that_is_learned_and_of_several_one_is_to_be_named(
    tmp_path: Path,
) -> None:
    log = tmp_path / "requests.db"
    write_log(log, examples(120), "m")
    done = headway("predictor", "train", "--log", log, "--out", "m.npz")
    assert "120 examples of m, Kendall's tau 0." in done.stdout, done.stderr
    write_log(log, examples(3), "another")
    done = headway("predictor", "train", "--log", log, "--out", "m.npz")
    assert "pass --target with one of these: another, m" in one_line_failure(done, 1)


def test_a_log_of_another_version_says_so(tmp_path: Path) -> None:
    log = tmp_path / "requests.db"
    write_log(log, examples(120), "m")
    arguments = ("predictor", "train", "--log", log, "--out", "m.npz")
    for features, complaint in (
        ("[7, 1, 2, 3]", "but features of another version of Headway"),
        ("[]", "but no features, as of an older version of Headway"),
    ):
        with closing(sqlite3.connect(log)) as database:
            database.execute("UPDATE requests SET features = ?", (features,))
            database.commit()
        failure = one_line_failure(headway(*arguments), 1)
        assert f"holds 120 finished requests of 'm', {complaint}" in failure


def test_a_refit_leaves_a_file_with_an_encoder_alone(predictor, tmp_path: Path) -> None:  # noqa: F811
    model = EncodedStack(predictor.model, mean_id_encoder(), np.ones(3, np.float32))
    out, log = tmp_path / "encoded.npz", tmp_path / "requests.db"
    save(Predictor(model, predictor.calibration, predictor.card), out)
    written = out.read_bytes()
    write_log(log, examples(250), "m")
    arguments = ("predictor", "refit", "--log", log, "--target", "m", "--out", out)
    assert "encoded.npz has an encoder" in one_line_failure(headway(*arguments), 1)
    (tmp_path / "without").mkdir()
    (tmp_path / "without" / "onnxruntime.py").write_text("import a_module_that_is_not_there")
    path = f"{tmp_path / 'without'}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
    done = headway(*arguments, PYTHONPATH=path)
    assert "encoded.npz has an encoder, which needs" in one_line_failure(done, 1)
    assert out.read_bytes() == written


def test_where_there_is_no_way_to_give_way_a_refit_goes_on(monkeypatch) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.delattr(os, "nice")
    give_way()


def test_eval_names_the_target_that_it_was_given(model: Path, tmp_path: Path) -> None:
    data = write_folder(tmp_path / "later", 100, seed=2)
    done = headway("predictor", "eval", "--model", model, "--data", data, "--target", "big")
    assert "no lengths.csv has a column 'big'; name one of small-model" in one_line_failure(done, 1)


def test_it_learns_from_a_gateways_log_that_holds_no_prompts(tmp_path: Path) -> None:
    write_log(tmp_path / "requests.db", examples(120), "m")
    arguments = ("predictor", "train", "--log", tmp_path / "requests.db", "--out", "m.npz")
    done = headway(*arguments, "--target", "m")
    assert "120 examples of m, Kendall's tau 0." in done.stdout, done.stderr
    failure = one_line_failure(headway(*arguments, "--target", "another"), 1)
    assert "holds no finished request of 'another'; it has m" in failure
    failure = one_line_failure(headway(*arguments, "--target", "m", "--encoder"), 2)
    assert "pass --data DIR" in failure
    data = write_folder(tmp_path / "later", 100, seed=2)
    done = headway(
        *("predictor", "eval", "--model", "m.npz", "--data", data, "--target", "small-model"),
        "--json",
    )
    assert json.loads(done.stdout)["kendall_tau"] > 0.6


@pytest.mark.parametrize(
    ("arguments", "code", "complaint"),
    [
        (("train", "--target", "x", "--out", "o"), 2, "--data DIR, or --log DB"),
        (("train", "--out", "o", "--data", "no"), 2, "name the column of lengths.csv"),
        (("train", "--out", "o", "--log", "no"), 1, "there is no request log no"),
        (("train", "--target", "x", "--out", "o", "--data", "no"), 1, "there is no folder no"),
        (("train", "--target", "x", "--out", "o", "--log", "no"), 1, "there is no request log no"),
        (("info", "--model", "no.npz"), 1, "there is no predictor file no.npz"),
        (("explain", "Hi", "--model", __file__), 1, "is not a Headway predictor"),
    ],
)
def test_what_cannot_be_is_one_line(arguments, code, complaint) -> None:
    assert complaint in one_line_failure(headway("predictor", *arguments), code)


def test_a_target_that_is_no_column_is_named(tmp_path: Path) -> None:
    data = write_folder(tmp_path / "chats", 120)
    done = headway("predictor", "train", "--data", data, "--target", "big", "--out", "o.npz")
    assert "no lengths.csv has a column 'big'; name one of" in one_line_failure(done, 1)
