"""`headway predictor` as a user meets it."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from tests.cli.test_command_line import empty_folder, headway, one_line_failure  # noqa: F401
from tests.prediction.conftest import examples, write_log


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
    assert "0 examples of 'big' are too few" in one_line_failure(done, 1)
