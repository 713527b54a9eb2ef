"""Mistakes on the command line: one line each, which says what there is, or what to do."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from headway.cli import main
from headway.lab.report.terminal import TABLE_WIDTH


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HEADWAY_DATA", raising=False)
    (tmp_path / "empty.jsonl").touch()
    (tmp_path / "folder").mkdir()
    (tmp_path / "answers").mkdir()
    (tmp_path / "answers/prompts.jsonl").write_text('{"id": 1, "prompt": "Hello!"}\n')
    (tmp_path / "answers/lengths.csv").write_text("id,gpt-4,llama\n1,3,4\n")


def mistake(
    arguments: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> str:
    """The one line that `headway ARGUMENTS` ends with."""
    monkeypatch.setattr(sys, "argv", ["headway", *arguments.split()])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code in (1, 2)
    out, err = capsys.readouterr()
    (line,) = err.splitlines()
    assert out == "" and line.startswith("headway")
    return line


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ("nosuch", "no such command 'nosuch'; there are serve, check, logs, costs, bench"),
        ("trace nosuch", "there are info, convert, scale, sample, generate, replay, fetch"),
        ("key nosuch", "there are new, revoke, list, hash"),
        ("serve --policy nosuch", "not one of fcfs, sjf, srpt"),
        ("simulate burst --policies nosuch", "there are fcfs, sjf, srpt"),
        ("simulate burst --profile nosuch", "or one of llama-3.1-8b-a100"),
        ("simulate burst --predict nosuch", "there are oracle, history"),
        ("simulate burst --routing nosuch", "there are shared, round_robin"),
        ("simulate burst --fairness nosuch", "there are off, vtc, drr"),
        ("simulate burst --fail nosuch@1+2", "there are smollm2-135m-2-cores-1"),
        ("trace info empty.jsonl --from nosuch", "there are headway, log, azure"),
        ("tune nosuch", "nosuch is not there: name all-MiniLM-L6-v2, an .onnx file, a folder"),
        ("predictor train --data answers --target gpt5 --out o", "name one of gpt-4, llama with"),
    ],
)
def test_an_unknown_name_is_answered_with_those_that_there_are(
    arguments: str,
    says: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    line = mistake(arguments, monkeypatch, capsys)
    assert says in line
    assert line.count("srpt,") <= 1, "they are listed once"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ("serve --nosuch", "headway serve: no such option: --nosuch; `headway serve --help` lists"),
        ("simulate burst --policis fcfs", "--policies"),
        ("simulate", "headway simulate: missing argument 'trace'; `headway simulate --help`"),
        ("simulate burst --slots two", "invalid value for '--slots'"),
        ("tune nosuch.onnx", "there is no file nosuch.onnx; check the path"),
        ("trace replay empty.jsonl", "it is empty; record one with `headway serve --set log.ev"),
        ("trace replay nosuch.jsonl", "No such file or directory; name a file that `headway serve"),
        ("predictor info --model nosuch.npz", "train one with `headway predictor train`"),
        ("predictor info --model folder", "folder is a folder; name the predictor's file in it"),
        ("predictor train --data nosuch --target m --out o", "name one with prompts.jsonl and"),
        ("predictor train --log nosuch.db --out o", "name the file in log.requests_db"),
        ("batch run empty.jsonl -o ./empty.jsonl", "name another file with --output"),
    ],
)
def test_a_mistake_is_answered_with_what_to_do(
    arguments: str,
    says: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert says in mistake(arguments, monkeypatch, capsys)


@pytest.mark.parametrize(
    "arguments",
    [
        "calibrate http://127.0.0.1:1/v1 --out o.json",
        "bench --url http://127.0.0.1:1/v1",
        "advise --live http://127.0.0.1:1",
        "predictor info --url http://127.0.0.1:1",
    ],
)
def test_a_server_that_does_not_answer_is_named_once_with_the_reason(
    arguments: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    line = mistake(arguments, monkeypatch, capsys)
    assert line.count("127.0.0.1") == 1
    assert "connection refused" in line and "pass " in line


@pytest.mark.parametrize("arguments", ["", "trace", "predictor", "serve --help"])
def test_help_is_no_mistake(
    arguments: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["headway", *arguments.split()])
    with pytest.raises(SystemExit):
        main()
    out, err = capsys.readouterr()
    assert "Usage: headway" in out + err


def test_a_sentence_in_a_pipe_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = "advise burst --requests 60 --slo latency_p99=1000s --policies fcfs,srpt"
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr(sys, "argv", ["headway", *words.split()])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 0
    out, _ = capsys.readouterr()
    assert any(len(line) > TABLE_WIDTH for line in out.splitlines())
