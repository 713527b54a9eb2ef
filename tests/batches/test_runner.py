"""Whatever happens to a batch, each of its lines is in exactly one file, once."""

from __future__ import annotations

import asyncio
import json
import tempfile
import threading
from collections import Counter
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headway.batches import file_rows, runner
from headway.batches.batch import Batch, LineError, Usage, WrongStatus
from headway.batches.batches import Batches
from headway.batches.journal import Journal
from headway.batches.schema import StoredFile
from headway.batches.serving import Answer, Asked, Pause
from headway.batches.settings import BatchSettings
from headway.store.owner import Owner
from headway.store.transactions import Connection

CHAT = "/v1/chat/completions"


class Engine:
    """Answers lines as their prompts say: ok, bad, or what happens once before ok."""

    def __init__(self, slots: int = 4) -> None:
        self.slots = slots
        self.asked: Counter[str] = Counter()
        self.most = self.running = 0
        self.paused: Pause | None = None

    async def wrong_model(self, endpoint: str, model: str) -> LineError | None:
        return None

    def room(self, endpoint: str, model: str) -> int:
        return self.slots

    def pause(self, tenant: str, key_name: str) -> Pause | None:
        return self.paused

    async def written(self) -> None:
        pass

    async def answer(self, asked: Asked) -> Answer:
        text = json.loads(asked.body)["messages"]
        self.asked[text] += 1
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            await asyncio.sleep(0)
        finally:
            self.running -= 1
        kind = text.partition(" ")[0]
        if kind == "bad":
            return Answer(400, "req-1", b'{"error":{}}')
        if kind == "busy" and self.asked[text] == 1:
            return Answer(503, "req-1", b'{"error":{}}', again_after_s=0.0)
        if kind == "broken":
            return Answer(500, "req-1", b'{"error":{}}', again_after_s=0.0, failed_runs=2)
        return Answer(200, "req-1", b'{"ok":true}', Usage(1, 0, 2))


def content(kinds: list[str]) -> bytes:
    lines = [
        {
            "custom_id": f"c{n}",
            "method": "POST",
            "url": CHAT,
            "body": {"messages": f"{kind} {n}"},
        }
        for n, kind in enumerate(kinds)
    ]
    return b"".join(json.dumps(one).encode() + b"\n" for one in lines)


async def begun(batches: Batches, kinds: list[str]) -> Batch:
    part = batches.folder.new()
    part.write(content(kinds))
    file = await batches.add_file(part, "ann", "batch", "in.jsonl", None)
    return await batches.create(file, CHAT, None, None, "")


async def over(batches: Batches, id: str) -> Batch:
    async with asyncio.timeout(30):
        while True:
            batch = await batches.batch(id, "ann")
            assert batch is not None
            if batch.status.over:
                return batch
            await asyncio.sleep(0.001)


def rows(batches: Batches, batch: Batch) -> list[tuple[str, bool]]:
    """Every custom_id of both files, and whether it is in the output file."""
    found = []
    for file, is_output in ((batch.output_file_id, True), (batch.error_file_id, False)):
        if file is not None:
            text = batches.folder.path(file).read_text()
            found += [(json.loads(one)["custom_id"], is_output) for one in text.splitlines()]
    return found


async def happens(folder: Path, kinds: list[str], what: list[tuple[str, int]]) -> None:
    now = [1000.0]
    engine = Engine()
    kept = BatchSettings(folder)
    batches = Batches(kept, engine, clock=lambda: now[0])
    batches.start()
    id = (await begun(batches, kinds)).id
    for event, after in what:
        for _ in range(after):
            await asyncio.sleep(0)
        if event == "cancel":
            with suppress(WrongStatus):
                await batches.cancel(id, "ann")
        elif event == "expire":
            now[0] += 25 * 3600
        else:
            await batches.stop()
            batches = Batches(kept, engine, clock=lambda: now[0])
            batches.start()
    batch = await over(batches, id)
    found = rows(batches, batch)
    assert sorted(name for name, _ in found) == sorted(f"c{n}" for n in range(len(kinds)))
    completed = {name for name, is_output in found if is_output}
    assert (batch.total, batch.left) == (len(kinds), 0)
    assert batch.completed == len(completed)
    assert all(kinds[int(name[1:])] in ("ok", "busy") for name in completed)
    if batch.status == "completed":
        assert len(completed) == sum(kind in ("ok", "busy") for kind in kinds)
    assert engine.most <= engine.slots
    await batches.stop()


@given(
    st.lists(st.sampled_from(["ok", "ok", "ok", "bad", "busy", "broken"]), min_size=1, max_size=30),
    st.lists(
        st.tuples(st.sampled_from(["cancel", "expire", "restart"]), st.integers(0, 200)), max_size=3
    ),
)
@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
def test_every_line_is_in_one_file_whatever_happens(
    kinds: list[str], what: list[tuple[str, int]]
) -> None:
    with pytest.MonkeyPatch.context() as patched, tempfile.TemporaryDirectory() as folder:
        patched.setattr(runner, "LOOK_EVERY_S", 0.005)
        asyncio.run(happens(Path(folder), kinds, what))


async def test_a_cancellation_by_another_process_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "LOOK_EVERY_S", 0.005)
    batches = Batches(BatchSettings(tmp_path), Engine(slots=0))
    batches.start()
    batch = await begun(batches, ["ok"])
    other = Journal.open(tmp_path / "batches.db", Owner.this())
    await other.ask(batch.id, "ann", lambda batch: batch.cancelled(2000.0))
    assert (await over(batches, batch.id)).status == "cancelled"
    other.close()
    await batches.stop()


async def test_a_stop_during_the_last_commit_of_a_batch_leaves_it_its_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    committing, go_on = threading.Event(), threading.Event()
    add = file_rows.add

    def slow(file: StoredFile, connection: Connection) -> None:
        committing.set()
        assert go_on.wait(10.0)
        add(file, connection)

    batches = Batches(BatchSettings(tmp_path), Engine())
    batches.start()
    id = (await begun(batches, ["ok", "bad"])).id
    monkeypatch.setattr(file_rows, "add", slow)
    assert await asyncio.to_thread(committing.wait, 10.0)
    lives = list(batches._runner._lives.values())
    stopping = asyncio.create_task(batches.stop())
    await asyncio.wait(lives)
    go_on.set()
    await stopping
    batches = Batches(BatchSettings(tmp_path), Engine())
    batch = await over(batches, id)
    assert batch.status == "completed"
    assert sorted(rows(batches, batch)) == [("c0", True), ("c1", False)]
    await batches.stop()


async def test_a_batch_whose_last_commit_lost_its_answer_keeps_its_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost: list[Connection] = []
    add = file_rows.add

    def lose_the_answer(file: StoredFile, connection: Connection) -> None:
        add(file, connection)
        if not lost:
            lost.append(connection)
            commit = connection.commit

            def committed_and_gone() -> None:
                commit()
                raise ConnectionResetError

            monkeypatch.setattr(connection, "commit", committed_and_gone)
            monkeypatch.setattr(connection, "is_gone", lambda error: True)

    batches = Batches(BatchSettings(tmp_path), Engine())
    batches.start()
    id = (await begun(batches, ["ok", "bad"])).id
    monkeypatch.setattr(file_rows, "add", lose_the_answer)
    batch = await over(batches, id)
    while batches.progress().batches:  # its life has ended, too
        await asyncio.sleep(0.001)
    assert lost and batches.progress().ended["completed"] == 1
    assert sorted(rows(batches, batch)) == [("c0", True), ("c1", False)]
    await batches.stop()


async def test_the_batch_with_the_least_slack_goes_first(tmp_path: Path) -> None:
    engine = Engine(slots=0)
    now = [1000.0]
    batches = Batches(BatchSettings(tmp_path), engine, clock=lambda: now[0])
    batches.start()
    older = await begun(batches, ["ok old"] * 3)
    now[0] += 3600.0
    newer = await begun(batches, ["ok new"] * 3)
    for batch in (older, newer):
        while (await batches.batch(batch.id, "ann")).status == "validating":  # type: ignore[union-attr]
            await asyncio.sleep(0.001)
    engine.slots = 1
    await over(batches, newer.id)
    await over(batches, older.id)
    order = [text.split()[1] for text in engine.asked]
    assert order == ["old"] * 3 + ["new"] * 3
    await batches.stop()


async def test_a_batch_that_waits_for_its_budget_ends_after_that_begins_anew_at_its_pace_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "LOOK_EVERY_S", 0.005)
    now = [1000.0]
    anew = 1000.0 + 7200.0

    class Slow(Engine):
        """Takes ten seconds a line; two lines spend the budget."""

        async def answer(self, asked: Asked) -> Answer:
            answer = await super().answer(asked)
            now[0] += 10.0
            if len(self.asked) == 2:
                self.paused = Pause("the budget is spent", anew)
            return answer

    batches = Batches(BatchSettings(tmp_path), Slow(slots=1), clock=lambda: now[0])
    batches.start()
    id = (await begun(batches, ["ok"] * 5)).id
    async with asyncio.timeout(30):
        while (batch := await batches.batch(id, "ann")) is None or batch.completed < 2:
            await asyncio.sleep(0.001)
    now[0] += 1800.0
    for _ in range(2):
        assert batches.waits(batch) == "the budget is spent"
        assert batches.ends_at(batch) == anew + 3 * 10.0
        progress = batches.progress()
        assert progress.to_end_s == anew + 30.0 - now[0]
        assert progress.slack_s == batch.expires_at - anew - 30.0
        await asyncio.sleep(0.02)  # it is looked at meanwhile
    assert batches.ends_at(batch.paused(now[0])) is None
    await batches.stop()
