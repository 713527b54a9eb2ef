"""`headway costs`: sums as a table, as JSON and as CSV."""

from __future__ import annotations

import csv
import io
import json
import time
from pathlib import Path

import pytest
from tests.cli.inside import Run
from tests.cli.inside import run as run

from headway.store.request_log import RequestLog
from headway.store.request_record import RequestRecord


@pytest.fixture(autouse=True)
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "requests.db"
    Path("headway.yaml").write_text(f"log: {{requests_db: {path}}}\n")
    log = RequestLog(path, batch_s=0.0)
    for number, (model, cost) in enumerate((("big", 1.5), ("big", 0.25), ("small", None))):
        log.write(
            RequestRecord(
                id=f"req-{number}",
                arrival_unix_s=time.time(),
                tier="standard",
                tenant="[b]ada",
                model=model,
                backend="gpu",
                prompt_tokens=1000,
                output_tokens=50,
                charged_tokens=1050,
                outcome="finished",
                status=200,
                cost=cost,
            )
        )
    log.close()
    return path


def test_a_table_says_what_has_no_price(run: Run) -> None:
    out = run("costs", "--by", "tenant,model").out
    big, small = (
        next(line for line in out.splitlines() if name in line) for name in ("big", "small")
    )
    assert "[b]ada" in big and "1.7500" in big and "2,000" in big
    assert "unknown" in small
    assert "no price: small on gpu, 1 requests, 1,050 tokens; not in these costs" in out


def test_json_and_csv(run: Run) -> None:
    found = json.loads(run("costs", "--by", "model", "--json").out)
    assert [(one["model"], one["cost"], one["unpriced"]) for one in found["costs"]] == [
        ("big", 1.75, 0),
        ("small", None, 1),
    ]
    assert found["unpriced"][0]["model"] == "small"
    rows = list(csv.DictReader(io.StringIO(run("costs", "--by", "model", "--csv").out)))
    assert [(one["model"], one["cost"], one["requests"]) for one in rows] == [
        ("big", "1.75", "2"),
        ("small", "", "1"),
    ]


def test_only_some(run: Run, log: Path) -> None:
    assert run("costs", "--since", "2100-01-01").out.startswith("no request since 2100-01-01 in ")
    assert json.loads(run("costs", "--tenant", "nobody", "--json").out)["costs"] == []


@pytest.mark.parametrize(("arguments", "why"), [
    (["--by", "colour"], "'colour' is not one of"),
    (["--since", "yesterday"], "write a date as"),
    (["--json", "--csv"], "not both"),
    (["--log", "missing.db"], "there is no request log missing.db"),
    (["--log", "headway.yaml"], "has no costs"),
])  # fmt: skip
def test_mistakes(run: Run, arguments: list[str], why: str) -> None:
    done = run("costs", *arguments)
    assert done.code != 0 and why in done.error
