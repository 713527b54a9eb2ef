"""The journal: one row a line, claims and their fences, in SQLite and PostgreSQL."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from headway.batches import schema, shared_files
from headway.batches.batch import Batch, Status, Usage
from headway.batches.claims import LostBatch
from headway.batches.file_rows import FORMER_S
from headway.batches.folder import Folder
from headway.batches.journal import Journal, Order, UnknownCursor
from headway.batches.schema import Held, PlannedLine, Result, StoredFile
from headway.batches.shared_files import SharedFiles
from headway.store.opening import NoDatabase, open_database
from headway.store.owner import Owner
from headway.store.transactions import Connection, Transactions, marks
from headway.store.versions import bring_up

NEW = Batch("batch_1", "ann", "/v1/chat/completions", "file-1", 100, 86500, metadata={"a": "b"})
LINES = [PlannedLine(n, n + 1, n * 10, 10, f"c{n}") for n in range(5)]
GONE = Owner(Owner.this().machine, 1, "never", "x")
"""A process of this machine that is gone."""
ELSEWHERE = Owner("elsewhere", 1, "1", "x")
"""A process of another machine."""

Place = str | Path
Open = Callable[[Owner], Journal]


@pytest.fixture(params=["sqlite", "postgres"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    if request.param == "sqlite":
        return tmp_path / "batches.db"
    address: str = request.getfixturevalue("postgres_database")
    return address


@pytest.fixture
def opened(place: Place) -> Iterator[Open]:
    journals: list[Journal] = []

    def open_(owner: Owner) -> Journal:
        journals.append(Journal.open(place, owner))
        return journals[-1]

    yield open_
    for journal in journals:
        journal.close()


@pytest.fixture
def journal(opened: Open) -> Journal:
    return opened(Owner.this())


@pytest.fixture
def dead(opened: Open) -> Journal:
    return opened(GONE)


def begun(batch: Batch) -> Batch:
    return replace(batch.moved(Status.IN_PROGRESS, 110), total=len(LINES), model="m")


def result(line: int, answer: bytes = b"{}\n", succeeded: bool = True) -> Result:
    return Result(line, 1, succeeded, answer, Usage(2, 0, 3))


async def planned(journal: Journal) -> Held:
    held = await journal.add(NEW)
    await journal.plan(held, LINES, begun)
    return held


def connected_long_ago(journal: Journal) -> None:
    journal._transactions._connection._since_s = -math.inf  # type: ignore[attr-defined]


async def lease_ends(journal: Journal) -> None:
    await journal._query("UPDATE batches SET lease_until = 0")


async def test_a_batch_comes_back_as_it_was(journal: Journal) -> None:
    await journal.add(NEW)
    assert await journal.batch("batch_1", "ann") == NEW
    assert await journal.batch("batch_1", "bob") is None


async def test_a_line_has_one_answer_whoever_writes_it_again(journal: Journal) -> None:
    held = await planned(journal)
    await journal.record(held, [result(1, b"first\n"), result(3, succeeded=False)])
    batch = await journal.record(held, [result(1, b"second\n"), result(2), result(2, b"again")])
    assert (batch.completed, batch.failed, batch.left) == (2, 1, 2)
    assert batch.usage == Usage(6, 0, 9)
    assert [line.line for line in await journal.next_lines("batch_1", -1, 10)] == [4, 5]
    answers = list(journal.answers("batch_1"))
    assert [(line, answer) for line, _, _, answer in answers] == [
        (1, b"first\n"),
        (2, b"{}\n"),
        (3, b"{}\n"),
        (4, None),
        (5, None),
    ]


async def test_many_lines_are_planned_and_read_in_their_order(journal: Journal) -> None:
    held = await journal.add(NEW)
    lines = [PlannedLine(n, 999 - n, n, 1, f"c{n}") for n in range(999)]  # the last one first
    await journal.plan(held, lines, begun)
    batch = await journal.record(held, [result(line) for line in range(1, 400)])
    assert batch.completed == 399
    assert [line for line, *_ in journal.answers("batch_1")] == list(range(1, 1000))
    left = await journal.next_lines("batch_1", 9, 1000)
    assert [line.line for line in left] == list(range(989, 399, -1))


async def test_a_dead_process_s_batch_is_taken_over_and_its_late_answers_refused(
    journal: Journal, dead: Journal
) -> None:
    lost = await planned(dead)
    (held,) = await journal.claim()
    assert held.fence == lost.fence + 1
    assert await journal.claim(["batch_1"]) == []
    for late in (dead.record(lost, [result(1)]), dead.change(lost, lambda batch: batch)):
        with pytest.raises(LostBatch):
            await late
    assert (await journal.record(held, [result(1)])).completed == 1


async def test_a_claim_whose_answer_was_lost_is_made_again(journal: Journal) -> None:
    await planned(journal)
    assert await journal.claim(["batch_1"]) == []
    (held,) = await journal.claim([])
    assert held.fence == 2


async def test_what_is_added_again_is_there_once(journal: Journal) -> None:
    file = StoredFile("file-1", "ann", "batch", "in", 6, 100, None)
    for _ in range(2):  # the connection was lost while the first time was committed
        await journal.add(NEW)
        await journal.add_file(file)
        await journal.add_piece("file-1", 0, b"one", 100.0)
    assert await journal.batches("ann", None, 10) == [NEW]
    assert await journal.files("ann", None, None, 10, "asc", 100.0) == [file]


async def test_another_machine_s_batch_is_taken_over_once_its_lease_has_ended(
    journal: Journal, opened: Open
) -> None:
    elsewhere = opened(ELSEWHERE)
    lost = await planned(elsewhere)
    assert await journal.claim() == []
    await lease_ends(journal)
    elsewhere.renew()
    assert await journal.claim() == []
    await lease_ends(journal)
    if not journal._transactions._connection.one_machine:
        assert await journal.claim() == []  # the database may have been away for all
    connected_long_ago(journal)
    assert [one.batch.id for one in await journal.claim()] == ["batch_1"]
    elsewhere.renew()  # too late
    with pytest.raises(LostBatch):
        await elsewhere.record(lost, [result(1)])


async def test_a_living_process_of_this_machine_keeps_its_batch_if_nobody_else_shares_it(
    place: Place, journal: Journal, opened: Open
) -> None:
    await planned(journal)
    await lease_ends(journal)
    other = opened(Owner.this())
    connected_long_ago(other)
    taken = await other.claim()
    assert bool(taken) == isinstance(place, str)  # frozen on a host as good as any


async def test_what_is_released_may_be_claimed_at_once(journal: Journal, opened: Open) -> None:
    await planned(journal)
    other = opened(Owner.this())
    assert await other.claim() == []
    await journal.release()
    assert len(await other.claim()) == 1


async def test_what_is_over_is_claimed_by_nobody(journal: Journal, dead: Journal) -> None:
    held = await dead.add(NEW)
    await dead.change(held, lambda batch: batch.moved(Status.FAILED, 110))
    assert await journal.claim() == []


async def test_the_lines_of_a_batch_that_is_over_are_forgotten(journal: Journal) -> None:
    held = await planned(journal)
    await journal.record(held, [result(1)])
    assert await journal.leftovers() == []
    assert await journal.open_batches() == {"batch_1"}
    await journal.change(held, lambda batch: batch.cancelled(120).moved(Status.CANCELLED, 121))
    assert await journal.leftovers() == ["batch_1"]
    assert await journal.open_batches() == set()
    await journal.forget_lines("batch_1")
    assert await journal.leftovers() == []
    assert list(journal.answers("batch_1")) == []


async def test_the_content_of_a_deleted_file_goes_once_no_batch_reads_it(journal: Journal) -> None:
    for number, piece in enumerate((b"one", b"two")):
        await journal.add_piece("file-1", number, piece, 100.0)
    await journal.add_file(StoredFile("file-1", "ann", "batch", "in", 6, 100, None))
    held = await planned(journal)
    await journal.forget_pieces("file-1")
    assert await journal.remove_file("file-1", "ann", 110.0)
    assert [await journal.piece("file-1", n) for n in range(3)] == [b"one", b"two", None]
    await journal.forget_pieces_left_behind(200.0)
    assert await journal.piece("file-1", 0) == b"one"
    await journal.change(held, lambda batch: batch.cancelled(120).moved(Status.CANCELLED, 121))
    await journal.forget_pieces("file-1")
    assert await journal.piece("file-1", 0) is None


async def test_a_file_that_is_deleted_while_it_is_copied_is_no_shorter_file(
    journal: Journal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared_files, "PIECE_BYTES", 2)
    here, there = Folder(tmp_path / "here"), Folder(tmp_path / "there")
    part = here.new()
    part.write(b"abcdef")
    part.complete()
    await SharedFiles(journal, here).keep(part.id)
    await journal.add_file(StoredFile(part.id, "ann", "batch_output", "out", 6, 100, None))
    read = journal.piece

    async def deleted_after_the_first(file: str, number: int) -> bytes | None:
        if number == 1:
            assert await journal.remove_file(file, "ann", 110.0)
        return await read(file, number)

    monkeypatch.setattr(journal, "piece", deleted_after_the_first)
    for _ in range(2):
        with pytest.raises(FileNotFoundError, match=part.id):
            await SharedFiles(journal, there).copy(part.id)
        assert list((tmp_path / "there").rglob("file-*")) == []


async def test_a_list_goes_on_after_a_file_that_was_deleted_or_has_expired(
    journal: Journal,
) -> None:
    for n in range(5):
        await journal.add_file(StoredFile(f"file-{n}", "ann", "batch", "in", 6, 100, 200 + n))

    async def after(file: str, order: Order = "asc", owner: str = "ann") -> list[str]:
        return [one.id for one in await journal.files(owner, None, file, 10, order, 150.0)]

    assert await journal.remove_file("file-2", "ann", 110.0)
    assert not await journal.remove_file("file-2", "ann", 110.0)
    assert await after("file-2") == ["file-3", "file-4"]
    assert await after("file-2", "desc") == ["file-1", "file-0"]
    assert await journal.remove_expired_files(201.5) == ["file-0", "file-1"]
    assert await after("file-1") == ["file-3", "file-4"]
    for file, owner in (("file-2", "bob"), ("file-9", "ann")):
        with pytest.raises(UnknownCursor):
            await after(file, owner=owner)
    await journal.remove_expired_files(110.0 + FORMER_S)
    with pytest.raises(UnknownCursor):
        await after("file-2")


async def test_what_a_crashed_upload_left_goes(journal: Journal) -> None:
    await journal.add_piece("file-9", 0, b"half", 100.0)
    await journal.forget_pieces_left_behind(100.0)
    assert await journal.piece("file-9", 0) == b"half"
    await journal.forget_pieces_left_behind(101.0)
    assert await journal.piece("file-9", 0) is None


async def test_an_older_version_s_journal_goes_on(place: Place) -> None:
    def first(connection: Connection) -> None:
        bring_up(connection, "batches", schema.STEPS[:1])

    old = open_database(place, first, "here", Transactions)
    values = (
        "batch_1", "ann", "/v1/rerank", "file-1", 100, 200, "in_progress", 50, "[]", 0, 0, 0,
        "[1,0,2,0]",
    )  # fmt: skip
    await old.run(
        lambda connection: connection.query(
            "INSERT INTO batches (id, owner, endpoint, input_file_id, created_at, expires_at, "
            "status, output_expires_s, errors, total, completed, failed, usage) "
            f"VALUES ({marks(len(values))})",
            values,
        )
    )
    old.close()
    journal = Journal.open(place, Owner.this())
    batch = await journal.ask("batch_1", "ann", lambda batch: batch.paused(150))
    assert batch is not None
    assert (batch.usage, batch.paused_at) == (Usage(1, 0, 2), 150)
    journal.close()


async def test_a_newer_version_s_journal_is_refused_and_kept(
    place: Place, journal: Journal
) -> None:
    await journal.add(NEW)
    await journal._query("UPDATE versions SET version = 99")
    with pytest.raises(NoDatabase, match=r"have version 99.*upgrade Headway.*batch"):
        Journal.open(place, Owner.this())
    assert await journal.batch("batch_1", "ann") == NEW


def test_passwords_are_in_no_message() -> None:
    with pytest.raises(NoDatabase) as refused:
        Journal.open("postgresql://ann:secret@127.0.0.1:1/x", Owner.this())
    assert "batch.database" in str(refused.value)
    assert "secret" not in str(refused.value)
