"""`headway logs`: the newest requests, as a table or as lines."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.cli.inside import Run
from tests.cli.inside import run as run

from headway.store.request_log import RequestLog
from headway.store.request_record import RequestRecord


@pytest.fixture(autouse=True)
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A log with requests 1 to 6, every second of a prompt, that the settings name."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "requests.db"
    Path("headway.yaml").write_text(f"log: {{requests_db: {path}}}\n")
    log = RequestLog(path, batch_s=0.0)
    for number in range(1, 7):
        of_prompt = number % 2 == 0
        log.write(
            RequestRecord(
                id=f"req-{number}",
                arrival_unix_s=1_800_000_000.0 + number,
                tier="standard",
                tenant="[b]ada",
                model="smol",
                output_tokens=40 + number,
                total_ms=None if number == 5 else 99.6,
                outcome="failed" if number == 5 else "finished",
                reason="backend_lost" if number == 5 else "",
                status=200,
                prompt_name="greet" if of_prompt else "",
                prompt_version=number // 2 if of_prompt else None,
            )
        )
    log.close()
    return path


def test_the_newest_requests_are_shown_with_their_prompts(run: Run) -> None:
    out = run("logs", "-n", "3").out
    assert [row.split()[-1] for row in out.splitlines()[-4:-1]] == [
        "finished",
        "backend_lost",
        "finished",
    ]
    assert "greet@2" in out and "greet@3" in out and "greet@1" not in out
    assert "[b]ada" in out and " 46 " in out and " 100 " in out


def ids(out: str) -> list[str]:
    return [json.loads(line)["id"] for line in out.splitlines()]


def test_lines_have_all_that_is_known(run: Run) -> None:
    assert ids(run("logs", "--json", "--last", "2").out) == ["req-5", "req-6"]
    assert len(ids(run("logs", "--json").out)) == 6


def test_requests_of_a_prompt_or_of_a_version_of_it(run: Run) -> None:
    assert ids(run("logs", "--json", "--prompt", "greet", "-n", "2").out) == ["req-4", "req-6"]
    assert ids(run("logs", "--json", "--prompt", "greet@1").out) == ["req-2"]
    assert run("logs", "--prompt", "part").out.startswith("no request of part in ")


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("--prompt", "greet@production"), 1, "the log has versions by number, not by alias"),
        (("--log", "none.db"), 1, "there is no request log none.db"),
        (("--set", "log.requests_db=null"), 2, "log.requests_db is null"),
    ],
)
def test_what_is_wrong_is_said(run: Run, arguments: tuple[str, ...], code: int, says: str) -> None:
    done = run("logs", *arguments)
    assert done.code == code and says in done.error
