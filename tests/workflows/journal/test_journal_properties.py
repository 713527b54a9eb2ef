"""Whatever two workers, people and the clock do to runs, the journal keeps its promises."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from headway.store.sqlite import SqliteConnection
from headway.workflows.journal import again, answers, children, claims, progress, tables
from headway.workflows.journal.errors import JournalError, LostRun, NotEnded
from headway.workflows.journal.rows import Definition, RunRow, RunState, StepRow, StepState
from headway.workflows.journal.schema import prepare

LEASE_S = 30.0
DEFINITION = Definition("hash", "w", "w.py", "")
INDICES = st.integers(0, 9)


class Connection(SqliteConnection):
    """A journal whose clock the test sets, and which need not survive a power failure."""

    clock: Callable[[], float]

    def __init__(self, path: Path) -> None:
        super().__init__(path, prepare)
        self._database.execute("PRAGMA synchronous = OFF")

    def now(self) -> float:
        return self.clock()


class Journals(RuleBasedStateMachine):
    @initialize()
    def open(self) -> None:
        self.folder = Path(tempfile.mkdtemp())
        self.connection = Connection(self.folder / "workflows.db")
        self.now = 1000.0
        self.connection.clock = lambda: self.now
        self.owners = ["elsewhere/1/1/0", "elsewhere/2/2/0"]
        self.born = 0
        self.held: dict[str, dict[str, int]] = {owner: {} for owner in self.owners}
        """What each owner believes to hold: runs, and the fences of its claims."""
        self.parked: dict[str, list[str]] = {}
        self.ended: dict[str, RunState] = {}

    def teardown(self) -> None:
        if hasattr(self, "connection"):
            self.connection.close()
            shutil.rmtree(self.folder)

    def do(self, function: Callable[..., Any], *args: Any) -> Any:
        self.connection.begin()
        try:
            return function(*args, self.connection)
        finally:
            self.connection.commit()

    def rows(self) -> list[RunRow]:
        return sorted(tables.runs((), None, 1000, self.connection), key=lambda one: one.id)

    def choose(self, owner: int, index: int) -> tuple[str, str, int, bool] | None:
        """An owner, a run that it believes to hold, its fence, and whether it does hold it."""
        name = self.owners[owner]
        mine = sorted(self.held[name].items())
        if not mine:
            return None
        run, fence = mine[index % len(mine)]
        row = tables.find(run, self.connection)
        return name, run, fence, row.state is RunState.RUNNING and row.fence == fence

    def held_only(self, holds: bool, function: Callable[..., Any], *args: Any) -> Any:
        """What a function returns that only the holder may call; None if it is refused."""
        try:
            result = self.do(function, *args)
        except LostRun:
            assert not holds
            return None
        assert holds
        return result

    @rule(with_key=st.booleans())
    def start(self, with_key: bool) -> None:
        self.born += 1
        run = RunRow(
            f"run{self.born:03}",
            "w",
            "hash",
            "{}",
            key="event" if with_key else None,
            created_at=self.now,
            deadline_at=self.now + 50 if self.born % 2 else None,
        )
        row = self.do(tables.add, run, DEFINITION)
        assert row.id == run.id or with_key

    @rule(owner=st.integers(0, 1), most=st.integers(1, 3))
    def claim(self, owner: int, most: int) -> None:
        name = self.owners[owner]
        held = self.held[name]
        before = {row.id: row for row in self.rows()}
        for row in self.do(claims.claim, self.now, name, ["w"], most, LEASE_S, list(held)):
            old = before[row.id]
            assert (
                old.state is not RunState.RUNNING
                or (old.lease_until or 0) < self.now
                or (old.owner == name and old.id not in held)
            )
            assert not old.state.ended and not row.cancelling
            held[row.id] = row.fence

    @rule(owner=st.integers(0, 1), index=INDICES, ends=st.booleans(), path=st.sampled_from("abc"))
    def write(self, owner: int, index: int, ends: bool, path: str) -> None:
        if chosen := self.choose(owner, index):
            _, run, fence, holds = chosen
            state = StepState.FINISHED if ends else StepState.FAILED
            step = StepRow(
                run, path, "task", state, started_at=self.now, ended_at=self.now, error_json="{}"
            )
            self.held_only(holds, progress.write, step, fence)

    @rule(
        owner=st.integers(0, 1),
        index=INDICES,
        paths=st.sets(st.sampled_from(["p", "q", "r"]), min_size=1),
        due_in_s=st.none() | st.integers(1, 40),
    )
    def wait_and_suspend(
        self, owner: int, index: int, paths: set[str], due_in_s: int | None
    ) -> None:
        if not (chosen := self.choose(owner, index)):
            return
        name, run, fence, holds = chosen
        due_at = None if due_in_s is None else self.now + due_in_s
        for path in paths:
            step = StepRow(
                run, path, "person", StepState.WAITING, due_at=due_at, started_at=self.now
            )
            self.held_only(holds, progress.wait, step, fence)
        state = self.held_only(holds, progress.suspend, self.now, run, fence, sorted(paths))
        if state is not None:
            del self.held[name][run]
            self.parked[run] = sorted(paths)
            self.note_end(run)

    @rule(owner=st.integers(0, 1), index=INDICES, suspends=st.booleans())
    def start_child(self, owner: int, index: int, suspends: bool) -> None:
        if not (chosen := self.choose(owner, index)):
            return
        name, run, fence, holds = chosen
        if run.count(".") > 1:
            return
        step = StepRow(run, "child", "run", StepState.WAITING, started_at=self.now)
        child = RunRow(
            f"{run}.child",
            "w",
            "hash",
            "{}",
            created_at=self.now,
            parent_run=run,
            parent_path="child",
        )
        was_ended = self.ended.get(child.id)
        begun = self.held_only(holds, children.begin, self.now, step, fence, child, DEFINITION)
        if begun is None:
            return
        row = tables.find(child.id, self.connection)
        assert begun.state.ended or not row.state.ended  # nobody waits for what has ended
        if was_ended is not None and not row.state.ended:
            del self.ended[child.id]
        if suspends and self.held_only(holds, progress.suspend, self.now, run, fence, ["child"]):
            del self.held[name][run]
            self.parked[run] = ["child"]
            self.note_end(run)

    @rule(index=INDICES, path=st.sampled_from(["p", "q", "r"]))
    def answer(self, index: int, path: str) -> None:
        if not (rows := self.rows()):
            return
        run = rows[index % len(rows)]
        step = tables.step(run.id, path, self.connection)
        kind = "person" if step is None else step.kind
        try:
            self.do(answers.answer, self.now, run.id, path, '"yes"', "ada", kind)
        except JournalError:
            assert (
                step is None
                or step.state.ended
                or run.state.ended
                or (step.due_at is not None and step.due_at <= self.now)
            )

    @rule(owner=st.integers(0, 1), index=INDICES, path=st.sampled_from(["p", "q"]))
    def expire(self, owner: int, index: int, path: str) -> None:
        if chosen := self.choose(owner, index):
            _, run, fence, holds = chosen
            known = tables.step(run, path, self.connection)
            if known is None or known.kind != "person":
                return
            over = replace(known, state=StepState.FAILED, error_json="{}", ended_at=self.now)
            after = self.held_only(holds, progress.expire, over, fence)
            assert after is None or not known.state.ended or after == known

    @rule(owner=st.integers(0, 1), index=INDICES, state=st.sampled_from(["finished", "failed"]))
    def end(self, owner: int, index: int, state: str) -> None:
        if chosen := self.choose(owner, index):
            name, run, fence, holds = chosen
            row = tables.find(run, self.connection)
            how = replace(
                row, state=RunState(state), fence=fence, ended_at=self.now, error_json="{}"
            )
            self.held_only(holds, progress.end, how)
            del self.held[name][run]
            self.note_end(run)

    @rule(owner=st.integers(0, 1), index=INDICES, blocks=st.booleans())
    def put_down(self, owner: int, index: int, blocks: bool) -> None:
        if chosen := self.choose(owner, index):
            name, run, fence, holds = chosen
            if blocks:
                self.held_only(holds, progress.block, self.now, run, fence, "why")
            else:
                self.held_only(holds, progress.give_back, self.now, run, fence)
            del self.held[name][run]
            self.note_end(run)

    @rule(owner=st.integers(0, 1), stopped=st.booleans())
    def die(self, owner: int, stopped: bool) -> None:
        """The process is gone; or it stops, and goes on later with what it believed."""
        if not stopped:
            self.born += 1
            name = f"elsewhere/{owner}/{self.born}/0"
            self.owners[owner] = name
            self.held[name] = {}

    @rule(owner=st.integers(0, 1))
    def lose_the_answer_to_a_claim(self, owner: int) -> None:
        self.do(
            claims.claim,
            self.now,
            self.owners[owner],
            ["w"],
            1,
            LEASE_S,
            list(self.held[self.owners[owner]]),
        )

    @rule(owner=st.integers(0, 1))
    def renew(self, owner: int) -> None:
        self.do(claims.renew, self.owners[owner], LEASE_S)

    @rule(seconds=st.sampled_from([1.0, 10.0, 31.0, -5.0]))
    def tick(self, seconds: float) -> None:
        self.now += seconds

    @rule(index=INDICES)
    def cancel(self, index: int) -> None:
        if rows := self.rows():
            run = rows[index % len(rows)].id
            self.do(answers.cancel, self.now, run)
            self.note_end(run)

    @rule(index=INDICES, from_path=st.none() | st.sampled_from(["a", "p", "child"]))
    def again(self, index: int, from_path: str | None) -> None:
        if not (rows := self.rows()):
            return
        run = rows[index % len(rows)]
        known = tables.steps(run.id, self.connection)
        if from_path is not None and from_path not in known:
            return
        if from_path is None and run.state is RunState.FINISHED:
            return
        try:
            self.do(again.again, self.now, run.id, from_path, None)
        except NotEnded:
            assert not run.state.ended and run.state is not RunState.BLOCKED
            return
        self.ended.pop(run.id, None)
        for row in self.rows():  # those that it started begin anew
            if row.id.startswith(run.id + "."):
                self.ended.pop(row.id, None)

    def note_end(self, run: str) -> None:
        for row in self.rows():
            if row.state.ended and row.id not in self.ended:
                self.ended[row.id] = row.state

    @invariant()
    def promises(self) -> None:
        if not hasattr(self, "connection"):
            return
        rows = {row.id: row for row in self.rows()}
        for run, state in self.ended.items():
            assert rows[run].state is state  # what ended stays ended
        for row in rows.values():
            if row.state is RunState.WAITING:  # no answer is lost
                for path in self.parked[row.id]:
                    step = tables.step(row.id, path, self.connection)
                    assert step is not None and not step.state.ended
            if row.cancelling:
                assert (
                    row.state is RunState.RUNNING
                    or row.state is RunState.CANCELLED
                    or (row.state.ended)
                )
            if row.parent_run is not None and rows[row.parent_run].state.ended:
                assert row.state.ended or row.cancelling or row.rounds  # nobody waits for it

    @invariant()
    def all_that_can_go_on_is_claimable(self) -> None:
        if not hasattr(self, "connection"):
            return
        now, self.now = self.now, self.now + 1000
        self.connection.begin()
        expected = {
            row.id
            for row in self.rows()
            if row.state in (RunState.READY, RunState.RUNNING)
            or (
                row.state is RunState.WAITING
                and row.wake_at is not None
                and row.wake_at <= self.now
            )
        }
        expected = {run for run in expected if not tables.find(run, self.connection).cancelling}
        got = claims.claim(self.now, "new/9/9/9", ["w"], 1000, LEASE_S, (), self.connection)
        freed = {row.id for row in self.rows() if row.state is RunState.CANCELLED}
        self.connection.rollback()
        assert {row.id for row in got} == expected - freed
        self.now = now


TestJournals = Journals.TestCase
TestJournals.settings = settings(max_examples=8, stateful_step_count=40, deadline=None)
