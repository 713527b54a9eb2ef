"""`headway batch` against a gateway."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, cast

import pytest
from tests.gateway.conftest import in_thread

from headway.batches.settings import BatchSettings
from headway.cli import batch
from headway.cli.batch_client import BatchClient
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


def test_no_file_of_an_earlier_run_lies_beside_those_of_a_batch(
    url: str, requests: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = requests.with_name("requests.output.jsonl")
    errors = requests.with_name("requests.output.errors.jsonl")
    other = requests.with_name("other.errors.jsonl")
    for file in (output, errors, other):
        file.write_text("of an earlier run\n")

    requests.write_text(line("a"))
    batch.run(requests, url=url)
    assert [row["custom_id"] for row in rows(output)] == ["a"]
    assert not errors.exists(), "none failed"
    assert f"{errors} of an earlier run is removed" in capsys.readouterr().out

    requests.write_text(line("b", messages=7))
    with pytest.raises(Failure, match="1 requests failed"):
        batch.run(requests, url=url)
    assert not output.exists(), "all failed"
    assert [row["custom_id"] for row in rows(errors)] == ["b"]
    id = capsys.readouterr().out.split()[0]

    output.write_text("of an earlier run\n")
    with pytest.raises(Failure, match="1 requests failed"):
        batch.fetch(id, output, url=url)
    assert not output.exists(), "`fetch` does as `run` does"
    assert other.read_text() == "of an earlier run\n", "other files stay"


@pytest.mark.parametrize(
    ("file", "output"),
    [
        ("same.jsonl", "same.jsonl"),
        ("same.jsonl", "folder/../same.jsonl"),
        ("link.jsonl", "same.jsonl"),
        ("same.jsonl", "link.jsonl"),
        ("same.errors.jsonl", "same.jsonl"),
        ("same.jsonl.part", "same.jsonl"),
    ],
)
def test_requests_are_never_overwritten_by_their_answers(
    tmp_path: Path, file: str, output: str
) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "link.jsonl").symlink_to("same.jsonl")
    for name in ("same.jsonl", "same.errors.jsonl", "same.jsonl.part"):
        (tmp_path / name).write_text(line(name))
    with pytest.raises(Failure, match="would be overwritten, and it is the file of requests"):
        batch.run(tmp_path / file, tmp_path / output, url="http://127.0.0.1:9")


@pytest.mark.parametrize("before", ["\n", "\ufeff", "\ufeff\r\n \n"])
def test_a_file_may_begin_with_empty_lines_and_a_byte_order_mark(
    url: str, requests: Path, before: str
) -> None:
    requests.write_text(before + line("a"), newline="")
    batch.run(requests, url=url)
    assert [row["custom_id"] for row in rows(requests.with_name("requests.output.jsonl"))] == ["a"]


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
    for text in ("Say hello.\n", "", "\n\n"):
        requests.write_text(text)
        with pytest.raises(Failure, match="does not begin with a request"):
            batch.run(requests, url="http://127.0.0.1:9")
    requests.write_text(line("a"))
    with pytest.raises(OSError, match="there is no folder"):
        batch.run(requests, output=Path("/nowhere/there"), url="http://127.0.0.1:9")
    with pytest.raises(Failure, match=r"no gateway at http://127.0.0.1:9/v1: connection refused"):
        batch.run(requests, url="http://127.0.0.1:9")


def test_what_a_batch_waits_for_and_its_end_are_shown_as_the_gateway_has_them(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    at = datetime(2026, 11, 28, 9, 30).timestamp()
    works: dict[str, Any] = {
        "status": "in_progress",
        "paused_at": None,
        "headway": {"waits": None, "ends_at": None},
    }
    waits = {"waits": "lines begin at 22:00-06:00", "ends_at": at + 86_400}
    looks: list[tuple[dict[str, Any], int]] = [
        (works, 0),
        (works | {"headway": {"waits": None, "ends_at": at}}, 40),
        (works | {"paused_at": 1}, 44),
        (works | {"headway": waits}, 44),
        ({"status": "in_progress"}, 60),  # another server
        ({"status": "completed"}, 80),
    ]

    class Looks:
        async def follow(self, id: str, every_s: float) -> AsyncIterator[dict[str, Any]]:
            for found, done in looks:
                yield found | {"request_counts": {"completed": done, "failed": 0, "total": 80}}

    monkeypatch.setattr("headway.cli.progress.LINE_EVERY_S", 0.0)
    asyncio.run(batch._waited(cast(BatchClient, Looks()), "batch_1"))
    assert capsys.readouterr().err.splitlines() == [
        "in progress: 0 of 80 lines: 0% done",
        "in progress: 40 of 80 lines, ends about Sat 09:30:00: 50% done",
        "paused: 44 of 80 lines: 55% done",
        "in progress: 44 of 80 lines, waits: lines begin at 22:00-06:00, ends about Sun 09:30:00: "
        "55% done",
        "in progress: 60 of 80 lines: 75% done",
        "completed: 80 of 80 lines: 100% done",
    ]
