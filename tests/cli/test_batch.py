"""`headway batch` against a gateway."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.gateway.conftest import in_thread

from headway.batches.settings import BatchSettings
from headway.cli import batch
from headway.cli.exit import Failure

CHAT = "/v1/chat/completions"


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    kept = BatchSettings(tmp_path_factory.mktemp("batches"))
    with in_thread(None, with_backend=True, batches=kept) as address:
        yield address


@pytest.fixture
def requests(tmp_path: Path) -> Path:
    return tmp_path / "requests.jsonl"


def line(name: str, **body: Any) -> str:
    asked = {"model": "fake", "messages": [{"role": "user", "content": name}]} | body
    return json.dumps({"custom_id": name, "method": "POST", "url": CHAT, "body": asked}) + "\n"


def rows(path: Path) -> list[Any]:
    return [json.loads(text) for text in path.read_text().splitlines()]


def test_a_file_is_run_and_its_answers_fetched(
    url: str, requests: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    requests.write_text(line("a") + line("b"))
    batch.run(requests, url=url)
    output = requests.with_name("requests.output.jsonl")
    assert [row["custom_id"] for row in rows(output)] == ["a", "b"]
    assert len(list(requests.parent.iterdir())) == 2  # no part of a file is left
    assert "2 of 2 completed" in capsys.readouterr().out
    batch.list_(url=url)
    id = capsys.readouterr().out.split()[0]
    batch.status(id, url=url, wait=True)
    assert "completed" in capsys.readouterr().out
    again = requests.with_name("again.jsonl")
    batch.fetch(id, again, url=url)
    assert again.read_bytes() == output.read_bytes()
    with pytest.raises(Failure, match="Cannot cancel a batch with status 'completed'"):
        batch.cancel(id, url=url)


def test_requests_that_fail_are_in_a_file_of_their_own(url: str, requests: Path) -> None:
    requests.write_text(line("a") + line("b", messages=7))
    with pytest.raises(Failure, match="1 requests failed"):
        batch.run(requests, url=url)
    assert [row["custom_id"] for row in rows(requests.with_name("requests.output.jsonl"))] == ["a"]
    (failed,) = rows(requests.with_name("requests.output.errors.jsonl"))
    assert failed["response"]["status_code"] == 400


def test_a_batch_is_paused_and_resumed_and_its_failures_are_tried_again(
    url: str, requests: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    requests.write_text(line("a") + line("b", messages=7))
    with pytest.raises(Failure, match="1 requests failed"):
        batch.run(requests, url=url)
    id = capsys.readouterr().out.split()[0]
    with pytest.raises(Failure, match="Cannot pause a batch with status 'completed'"):
        batch.pause(id, url=url)
    batch.resume(id, url=url)
    assert "completed" in capsys.readouterr().out
    again = requests.with_name("again.jsonl")
    with pytest.raises(Failure, match="1 requests failed"):
        batch.retry(id, again, url=url)
    errors = rows(requests.with_name("again.errors.jsonl"))
    assert [row["custom_id"] for row in errors] == ["b"]
    assert not again.exists()


def test_what_is_paused_is_shown_so() -> None:
    found = {"status": "in_progress", "paused_at": 1}
    assert batch._status(found) == "paused"
    assert batch._status(found | {"paused_at": None}) == "in_progress"
    assert batch._status({"status": "in_progress"}) == "in_progress"  # another server
    assert batch._status(found | {"status": "cancelling"}) == "cancelling"


def test_a_wrong_line_is_shown(
    url: str, requests: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    requests.write_text(line("a") + line("a"))
    with pytest.raises(Failure, match="the batch is failed"):
        batch.run(requests, url=url)
    assert "Line 2 has the custom_id 'a' of line 1" in capsys.readouterr().out


def test_what_cannot_be_run_is_said_before_anything_is_sent(requests: Path) -> None:
    requests.write_text("Say hello.\n")
    with pytest.raises(Failure, match="does not begin with a request"):
        batch.run(requests, url="http://127.0.0.1:9")
    requests.write_text(line("a"))
    with pytest.raises(OSError, match="there is no folder"):
        batch.run(requests, output=Path("/nowhere/there"), url="http://127.0.0.1:9")
    with pytest.raises(Failure, match=r"no gateway at http://127.0.0.1:9/v1: connection refused"):
        batch.run(requests, url="http://127.0.0.1:9")


def test_the_end_is_predicted_from_the_pace() -> None:
    pace = batch._Pace()
    assert pace.ends(10, 110, 1000.0) == ""
    assert pace.ends(10, 110, 1010.0) == ""
    assert "ends about" in pace.ends(60, 110, 1010.0)
    assert pace.ends(110, 110, 1020.0) == ""
