"""`headway tune` as a user types it, with a function as its model."""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from headway.cli import application
from headway.cli.tune import items_in
from headway.config.settings import Settings

FUNCTION = """
import time

def lengths(texts):
    if any(text == "poison" for text in texts):
        raise RuntimeError("poison")
    time.sleep(0.002 + 0.0002 * len(texts))
    return [len(text) for text in texts]
"""
QUICK = "--loads 0.3,0.7 --sizes 1,4 --delays 0,4ms --requests 100 --repeats 1 --processes 1"


@pytest.fixture
def model(tmp_path: Path) -> str:
    (tmp_path / "functions.py").write_text(FUNCTION)
    (tmp_path / "items.jsonl").write_text('"a"\n"four"\n')
    (tmp_path / "empty.jsonl").write_text("\n")
    (tmp_path / "broken.jsonl").write_text('"a"\n{\n')
    (tmp_path / "poison.jsonl").write_text('"poison"\n')
    return f"{tmp_path}/functions.py:lengths"


def run(*words: str | Path) -> tuple[int, str, str]:
    result = CliRunner().invoke(application("tune"), ["tune", *map(str, words)])
    return result.exit_code, result.stdout, " ".join(result.stderr.split())


def test_it_measures_a_function_and_recommends_settings_that_serve_takes(
    model: str, tmp_path: Path
) -> None:
    files = tmp_path / "out.json", tmp_path / "out.html"
    code, out, err = run(
        f"counting={model}", "--items", tmp_path / "items.jsonl", *QUICK.split(),
        "--slo", "p99=1s", "--json", files[0], "--report", files[1],
    )  # fmt: skip
    assert code == 0, err
    assert "batch ms" in out and "recommended" in out
    (entry,) = yaml.safe_load(out[out.index("models:") :])["models"]
    (configured,) = Settings(models=(entry,)).models or ()
    assert configured.name == "counting" and configured.path == model
    found = json.loads(files[0].read_text())
    assert found["durations"]["sizes"] == [1, 2, 4]
    assert 0.002 < found["curve"]["fixed_s"] + found["curve"]["item_s"] < 0.1
    best = found["points"][found["recommended"]]
    assert best["load"] == 0.7 and best["latency_s"]["p99"] <= 1.0
    assert {one["setting"]["batching"] for one in found["points"]} == {
        "constant",
        "adaptive",
        "optimal",
    }
    page = files[1].read_text()
    assert page.count("role=") == 8 and "Pareto front" in page and "<script" not in page
    assert page.index("<details>") < page.index("front of mean")  # all points are folded
    assert all(said in " ".join(out.split()) for said in found["remarks"])
    assert all(said.split(":")[0] in page for said in found["remarks"])


def test_items_may_be_compressed_and_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    text = '\ufeff"a"\r\n"one\u2028line"\n\n'
    for name, content in {"i.jsonl": text.encode(), "i.GZ": gzip.compress(text.encode())}.items():
        (tmp_path / name).write_bytes(content)
        assert items_in(tmp_path / name) == ["a", "one\u2028line"]


def test_an_slo_that_cannot_be_met_is_an_error_that_says_what_can(
    model: str, tmp_path: Path
) -> None:
    code, out, err = run(
        model,
        "--items",
        tmp_path / "items.jsonl",
        *QUICK.split(),
        "--slo",
        "p99=1ms",
        "--policies",
        "constant",
    )
    assert code == 1
    assert "no setting meets p99 1 ms: the nearest has p99" in err
    assert "batch ms" in out


def test_without_an_slo_it_says_which_one_to_ask_for(model: str, tmp_path: Path) -> None:
    asked = model, "--items", tmp_path / "items.jsonl", *QUICK.split(), "--policies", "adaptive"
    code, out, _ = run(*asked)
    assert code == 0
    assert "No SLO, no recommendation" in out
    (slo,) = re.findall(r"--slo (p99=[\d.]+ms), which the best setting at a load of 70%", out)
    found = re.search(r"70% adaptive 4 +[\d.]+ +[\d.]+ +([\d.]+)", out)
    assert found and float(found[1]) <= 1.01 * float(slo.removeprefix("p99=").removesuffix("ms"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("", "this model takes no texts, so name what it is to run: --items FILE"),
        ("--items {0}/nothing.jsonl", "there is no file"),
        ("--items {0}/empty.jsonl", "has no items"),
        ("--items {0}/broken.jsonl", "line 2, is no JSON"),
        ("--items {0}/poison.jsonl", "poison"),
        ("--items {0}/items.jsonl --lengths fixed:9", "leave --lengths out"),
        ("--loads 0.5,1", "not below 1"),
        ("--loads half", "write 0.5,0.9"),
        ("--sizes 0,4", "write 1,8,32"),
        ("--delays soon", "is no time"),
        ("--policies best", "there are constant, adaptive, optimal"),
        ("--arrivals daily", "poisson or gamma:CV"),
        ("--slo ttft_p99=1s", "not of latency"),
    ],
)
def test_mistakes_are_one_sentence(model: str, tmp_path: Path, options: str, message: str) -> None:
    code, _, err = run(model, *options.format(tmp_path).split())
    assert code == 1
    assert message in err and err.startswith("headway tune: ")


def test_a_missing_model_is_one_sentence() -> None:
    code, _, err = run("nothing.onnx")
    assert code == 1
    assert err == "headway tune: there is no file nothing.onnx; check the path"
