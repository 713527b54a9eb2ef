"""`headway trace` as a user types it."""

from __future__ import annotations

import csv
import json
from pathlib import Path

from typer.testing import CliRunner

from headway.cli import application


def run(*words: str | Path) -> tuple[int, str, str]:
    texts = [str(word) for word in words]
    result = CliRunner().invoke(application(texts[0]), texts)
    return result.exit_code, result.stdout, result.stderr


def test_traces_are_made_looked_at_and_cut(tmp_path: Path) -> None:
    made, cut = tmp_path / "made.csv.gz", tmp_path / "cut.csv"
    assert run("trace", "generate", "gamma:5@2", "--requests", "300", "--out", made)[0] == 0
    code, out, _ = run("trace", "info", made)
    assert code == 0
    assert "300" in out
    assert run("trace", "sample", made, "--requests", "50", "--seed", "1", "--out", cut)[0] == 0
    assert run("trace", "scale", cut, "--faster", "2", "--out", cut)[0] == 0
    assert "50" in run("trace", "convert", cut, "--most-tokens", "100000", "--out", made)[1]
    assert "CC-BY-4.0" in run("trace", "fetch")[1]
    code, _, err = run("trace", "info", tmp_path / "none")
    assert (code, "there is no trace" in err) == (1, True)


def test_a_trace_without_gaps_has_no_rate(tmp_path: Path) -> None:
    (tmp_path / "one.csv").write_text("arrival_s,prompt_tokens,output_tokens\n3,10,5\n")
    code, out, _ = run("trace", "info", tmp_path / "one.csv")
    assert (code, "all at once" in out, "inf" in out) == (0, True, False)


def test_sessions_are_drawn_whole(tmp_path: Path) -> None:
    whole, cut = tmp_path / "whole.csv", tmp_path / "cut.csv"
    rows = [f"{n},{n - 3 if n >= 3 else ''},{n},10,5\n" for n in range(30)]
    whole.write_text("id,after,arrival_s,prompt_tokens,output_tokens\n" + "".join(rows))
    kept = []
    for seed in range(10):
        code, _, err = run("trace", "sample", whole, "--requests", 10, "--seed", seed, "--out", cut)
        assert code == 0, err
        found = list(csv.DictReader(cut.open()))
        assert [row["after"] for row in found] == ["", *(row["id"] for row in found[:-1])]
        kept.append(found[0]["id"])
        assert len(found) == 10
    assert set(kept) == {"0", "1", "2"}


def test_rows_of_a_program_are_a_session_that_is_drawn_whole(tmp_path: Path) -> None:
    whole, cut = tmp_path / "whole.csv", tmp_path / "cut.csv"
    rows = [f"{n % 5 or ''},{n},10,5\n" for n in range(50)]
    whole.write_text("program,arrival_s,prompt_tokens,output_tokens\n" + "".join(rows))
    for seed in range(5):
        args = ("--requests", 20, "--seed", seed, "--out", cut)
        assert run("trace", "sample", whole, *args)[0] == 0
        found = [row["program"] for row in csv.DictReader(cut.open())]
        assert all(found.count(one) == 10 for one in set(found) - {""})


def test_a_folder_of_statistics_is_drawn_from_by_seed(tmp_path: Path) -> None:
    header = "client,t_s,rate_rps,iat_cv,iat_dist,shape,scale\n"
    (tmp_path / "rates.csv").write_text(header + "1,0,0.1,1,Gamma,1,10\n")
    lengths = {
        "client": 1,
        "window_start_s": 0,
        "input_tokens": [[9, 1]],
        "output_tokens": [[7, 1]],
    }
    (tmp_path / "token_pdfs.jsonl").write_text(json.dumps(lengths))
    made = [tmp_path / name for name in ("a.csv", "b.csv", "c.csv")]
    for seed, out in zip((3, 3, 4), made, strict=True):
        assert run("trace", "convert", tmp_path, "--seed", seed, "--out", out)[0] == 0
    texts = [out.read_text() for out in made]
    assert texts[0] == texts[1] != texts[2]
