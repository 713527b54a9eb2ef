"""Kept responses: found by their owner, in order, and bounded."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest

from headway.store.responses import (
    CHECKED_EVERY,
    ConversationTooLarge,
    KeptResponse,
    ResponsesError,
    ResponseStore,
)

MOST = 1_000_000


class Clock:
    now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def response(id: str, previous: str | None = None, **changes: object) -> KeptResponse:
    values: dict[str, object] = {
        "owner": "acme",
        "created_unix_s": 1000.0,
        "input": b'[{"role":"user"}]',
        "response": b"{}",
    }
    return KeptResponse(id=id, previous_id=previous, **(values | changes))  # type: ignore[arg-type]


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[ResponseStore]:
    store = ResponseStore(tmp_path / "made" / "responses.db", 60.0, 100_000, Clock())
    yield store
    store.close()


async def test_a_kept_response_is_found_at_once(store: ResponseStore) -> None:
    store.keep(response("r1"))
    assert await store.find("r1", "acme") == response("r1")
    assert await store.find("r2", "acme") is None


async def test_a_conversation_comes_oldest_first(store: ResponseStore) -> None:
    for one in (response("r1"), response("r2", "r1"), response("r3", "r2"), response("x", "r1")):
        store.keep(one)
    found = await store.conversation("r3", "acme", MOST)
    assert found is not None and [one.id for one in found] == ["r1", "r2", "r3"]
    assert await store.conversation("nope", "acme", MOST) is None


async def test_a_conversation_that_is_too_large_is_not_read(store: ResponseStore) -> None:
    store.keep(response("r1", input=b"x" * 600))
    store.keep(response("r2", "r1", input=b"x" * 600))
    assert await store.conversation("r1", "acme", 1000) is not None
    with pytest.raises(ConversationTooLarge):
        await store.conversation("r2", "acme", 1000)


async def test_responses_of_others_are_not_found(store: ResponseStore) -> None:
    store.keep(response("r1"))
    store.keep(response("r2", "r1", owner="other"))
    assert await store.find("r1", "other") is None
    assert await store.conversation("r1", "other", MOST) is None
    assert await store.conversation("r2", "other", MOST) is None
    assert not await store.forget("r1", "other")
    assert await store.find("r1", "acme") is not None


async def test_a_deleted_response_is_gone_and_cannot_be_continued(
    store: ResponseStore,
) -> None:
    store.keep(response("r1"))
    store.keep(response("r2", "r1"))
    assert await store.forget("r1", "acme")
    assert not await store.forget("r1", "acme")
    assert await store.find("r2", "acme") is not None
    assert await store.conversation("r2", "acme", MOST) is None


async def test_a_chain_that_is_a_loop_ends(store: ResponseStore) -> None:
    store.keep(response("r1", "r2"))
    store.keep(response("r2", "r1"))
    assert await store.conversation("r2", "acme", MOST) is None


async def test_old_responses_are_deleted(tmp_path: Path) -> None:
    clock = Clock()
    store = ResponseStore(tmp_path / "responses.db", 60.0, 100_000, clock)
    store.keep(response("old"))
    clock.now_s += 61.0
    for number in range(CHECKED_EVERY):
        store.keep(response(f"r{number}", created_unix_s=clock.now_s))
    assert await store.find("old", "acme") is None
    assert await store.find("r0", "acme") is not None
    store.close()


async def test_the_oldest_responses_go_when_all_together_are_too_large(tmp_path: Path) -> None:
    store = ResponseStore(tmp_path / "responses.db", 60.0, 10 * 1000, Clock())
    for number in range(CHECKED_EVERY + 1):
        store.keep(response(f"r{number:03}", input=b"x" * 500, response=b"x" * 500))
    found = [n for n in range(CHECKED_EVERY + 1) if await store.find(f"r{n:03}", "acme")]
    assert found == list(range(CHECKED_EVERY - 9, CHECKED_EVERY + 1))
    store.close()


async def test_they_survive_a_restart_and_only_the_owner_can_read_them(
    tmp_path: Path,
) -> None:
    path = tmp_path / "responses.db"
    first = ResponseStore(path, 60.0, 100_000, Clock())
    first.keep(response("r1"))
    assert await first.find("r1", "acme") is not None
    files = list(tmp_path.iterdir())
    assert len(files) == 3  # SQLite's write-ahead log and its index hold prompts, too
    assert {file.stat().st_mode & 0o777 for file in files} == {0o600}
    first.close()
    second = ResponseStore(path, 60.0, 100_000, Clock())
    assert await second.find("r1", "acme") == response("r1")
    second.close()


async def test_a_file_that_is_no_database_is_moved_aside(tmp_path: Path) -> None:
    path = tmp_path / "responses.db"
    path.write_bytes(b"no database" * 100)
    store = ResponseStore(path, 60.0, 100_000, Clock())
    store.keep(response("r1"))
    assert await store.find("r1", "acme") is not None
    assert len(list(tmp_path.glob("responses.db.broken-*"))) == 1
    assert path.stat().st_mode & 0o777 == 0o600
    store.close()


async def test_a_disk_that_is_full_costs_responses_and_one_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = ResponseStore(tmp_path / "responses.db", 60.0, 100_000, Clock())
    with closing(sqlite3.connect(store.path)) as other:
        other.execute("DROP TABLE responses")
        other.commit()
    with caplog.at_level(logging.WARNING):
        store.keep(response("r1"))
        store.keep(response("r2"))
        store.close()
    assert store.dropped == 2
    assert len([one for one in caplog.records if "cannot be kept" in one.message]) == 1


def test_a_folder_that_cannot_be_made_is_an_error_with_advice(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ResponsesError, match=r"responses\.max_age_days"):
        ResponseStore(tmp_path / "file" / "responses.db", 60.0, 100_000)
