"""The journal: the one place that knows what has happened in runs, and who holds them.

Every method is one transaction. What a worker writes of a run carries the number of its claim
(`fence`); once another worker has claimed the run, it is refused (`LostRun`). Times are seconds
since 1970.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from dataclasses import replace
from functools import partial
from typing import Self

from headway.state_folder import state_folder
from headway.store.opening import open_database
from headway.store.owner import Owner
from headway.store.transactions import Connection, Transactions
from headway.workflows.journal import (
    again,
    answers,
    children,
    claims,
    outlines,
    progress,
    pruning,
    tables,
)
from headway.workflows.journal.rows import Definition, RunRow, RunState, StepRow
from headway.workflows.journal.schema import prepare


class Journal:
    """Runs and steps in a database, SQLite or PostgreSQL.

    Args:
        connect: opens a connection to it.
        clock: seconds since 1970.
    """

    def __init__(
        self, connect: Callable[[], Connection], *, clock: Callable[[], float] = time.time
    ) -> None:
        self._transactions = Transactions(connect)
        self._clock = clock

    @classmethod
    def open(cls, address: str | None) -> Self:
        """The journal at `address`: a file, or `postgresql://…`; None: workflows.db in the user's
        state folder.

        Raises:
            NoDatabase: it cannot be opened.
        """
        place = state_folder() / "workflows.db" if address is None else address
        return open_database(place, prepare, "--journal", cls)

    def close(self) -> None:
        """Commit what was begun, and close the connection."""
        self._transactions.close()

    # What workers ask.

    async def add(self, run: RunRow, definition: Definition) -> RunRow:
        """Add a run; return it, or the run that its key started before. Raises KeyTaken."""
        return await self._transactions.run(partial(tables.add, run, definition))

    async def begin_child(
        self, step: StepRow, fence: int, child: RunRow, definition: Definition
    ) -> StepRow:
        """Wait at `step` for the end of `child`, which is started unless it is there; return it.

        Raises:
            LostRun: another worker has the run.
        """
        return await self._transactions.run(
            partial(children.begin, self._clock(), step, fence, child, definition)
        )

    async def claim(
        self,
        owner: Owner,
        workflows: Sequence[str],
        most: int,
        lease_s: float,
        holding: Sequence[str] = (),
        only: str | None = None,
    ) -> list[RunRow]:
        """Claim up to `most` runs that may run now, the upper tiers and first deadlines first.

        Runs of owners that died are among them.

        Args:
            owner: who claims.
            workflows: whose runs, with the runs that those started.
            most: how many.
            lease_s: how long they are held.
            holding: the runs that `owner` has; what it holds besides is freed.
            only: this run and those that it started; None: all.
        """
        return await self._transactions.run(
            partial(
                claims.claim,
                self._clock(),
                str(owner),
                workflows,
                most,
                lease_s,
                tuple(holding),
                only=only,
            )
        )

    async def release(self, owner: Owner) -> None:
        """Free all that `owner` holds."""
        await self._transactions.run(partial(claims.release, self._clock(), str(owner)))

    def renew(self, owner: Owner, lease_s: float) -> None:
        """Keep what `owner` holds for another `lease_s`. For a thread: it waits."""
        self._transactions.submit(partial(claims.renew, str(owner), lease_s)).result()

    async def steps(self, run: str) -> dict[str, StepRow]:
        """The steps of a run by path, in the order in which they began."""
        return await self._transactions.run(partial(tables.steps, run))

    async def write(self, step: StepRow, fence: int) -> None:
        """Write a step as it is now. Raises LostRun."""
        await self._transactions.run(partial(progress.write, step, fence))

    def note(self, step: StepRow, fence: int) -> Future[None]:
        """The same, for who does not wait for it."""
        return self._transactions.submit(partial(progress.write, step, fence), hurry=False)

    async def wait(self, step: StepRow, fence: int) -> StepRow:
        """Begin to wait; return the step, which may have its answer by now. Raises LostRun."""
        return await self._transactions.run(partial(progress.wait, step, fence))

    async def expire(self, step: StepRow, fence: int) -> StepRow:
        """End a wait as `step` says, unless it was answered; return the step. Raises LostRun."""
        return await self._transactions.run(partial(progress.expire, step, fence))

    async def suspend(self, run: str, fence: int, paths: Sequence[str]) -> RunState:
        """Put a run down that waits at `paths`; READY if one has ended. Raises LostRun."""
        return await self._transactions.run(
            partial(progress.suspend, self._clock(), run, fence, paths)
        )

    async def give_back(self, run: str, fence: int) -> None:
        """Put a run down that another worker may take at once."""
        await self._transactions.run(partial(progress.give_back, self._clock(), run, fence))

    async def block(self, run: str, fence: int, why: str) -> None:
        """Put a run down that cannot go on by itself. Raises LostRun."""
        await self._transactions.run(partial(progress.block, self._clock(), run, fence, why))

    async def end(self, run: RunRow) -> None:
        """Write how a run ended, and pass it to the run that waits for it. Raises LostRun."""
        await self._transactions.run(partial(progress.end, replace(run, ended_at=self._clock())))

    # What people ask.

    async def answer(
        self, run: str, path: str, answer_json: str, by: str, *, kind: str = "person"
    ) -> StepRow:
        """Answer the question at a step of a run, or send it the `event` that the step waits for.

        Raises:
            NoSuchRun, NoSuchQuestion, Answered, TooLate: what its name says.
        """
        return await self._transactions.run(
            partial(answers.answer, self._clock(), run, path, answer_json, by, kind)
        )

    async def questions(self) -> list[StepRow]:
        """All that people are asked now, the oldest first."""
        return await self._transactions.run(tables.questions)

    async def cancel(self, run: str) -> RunRow:
        """Cancel a run with those that it started; return it as it is then. Raises NoSuchRun."""
        return await self._transactions.run(partial(answers.cancel, self._clock(), run))

    async def again(
        self,
        run: str,
        from_path: str | None,
        definition: Definition | None,
    ) -> RunRow:
        """Make a run that ended or is blocked ready again; return it.

        Args:
            run: its id.
            from_path: forget this step and all that began after it; None: only failed steps.
            definition: continue on this one; None: on its own.

        Raises:
            NoSuchRun: there is none, or it has no such step.
            NotEnded: it runs or waits.
            Pruned: its steps were deleted.
            Finished: it has finished, and no step is named.
        """
        return await self._transactions.run(
            partial(again.again, self._clock(), run, from_path, definition)
        )

    async def run(self, run: str) -> RunRow:
        """The run whose id is or begins with `run`. Raises NoSuchRun."""
        return await self._transactions.run(partial(tables.find, run))

    async def runs(
        self,
        *,
        states: Iterable[RunState] = (),
        workflow: str | None = None,
        most: int = 50,
    ) -> list[RunRow]:
        """The newest runs of these states, of this workflow."""
        return await self._transactions.run(partial(tables.runs, tuple(states), workflow, most))

    async def outlines(
        self,
        *,
        states: Iterable[RunState] = (),
        workflow: str | None = None,
        after: str | None = None,
        most: int = 50,
    ) -> list[outlines.RunOutline]:
        """The same in outline, older ones than the run `after`. Raises NoSuchRun."""
        return await self._transactions.run(
            partial(outlines.runs, tuple(states), workflow, after, most)
        )

    async def outline(self, run: str) -> tuple[RunRow, list[StepRow]]:
        """A run with its steps, in outline. Raises NoSuchRun."""

        def read(connection: Connection) -> tuple[RunRow, list[StepRow]]:
            row = outlines.run(run, connection)
            return row, outlines.steps(row.id, connection)

        return await self._transactions.run(read)

    async def definition(self, hash_: str) -> Definition | None:
        """The definition with this hash."""
        return await self._transactions.run(partial(tables.definition, hash_))

    async def ended_since(self, workflow: str, state: RunState, since: float) -> list[RunRow]:
        """Runs of a workflow that ended so at `since` or later, the first first."""
        return await self._transactions.run(partial(tables.ended_since, workflow, state, since))

    async def mark(self, name: str) -> str | None:
        """How far a trigger has come, as it wrote it."""
        return await self._transactions.run(partial(tables.mark, name))

    async def set_mark(self, name: str, value: str) -> None:
        """Write how far a trigger has come."""
        await self._transactions.run(partial(tables.set_mark, name, value))

    async def prune(self, before: float, most: int) -> int:
        """Delete up to `most` runs that ended before then, with their steps; return how many.

        One with a key leaves its row, so that its event starts no second run.
        """
        return await self._transactions.run(partial(pruning.prune, before, most))

    async def ended_among(self, run: str, paths: Sequence[str]) -> list[StepRow]:
        """Those of the steps of a run that have ended."""
        return await self._transactions.run(partial(tables.ended_among, run, paths))

    async def cancelled_among(self, runs: Sequence[str]) -> set[str]:
        """Those of `runs` that somebody cancels."""
        return await self._transactions.run(partial(claims.cancelled_among, runs))
