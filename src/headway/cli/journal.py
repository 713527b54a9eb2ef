"""What the commands on runs share: the journal, and errors as sentences."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from headway.cli.exit import Failure

if TYPE_CHECKING:
    from headway.workflows.journal.journal import Journal

Result = TypeVar("Result")

JournalAddress = Annotated[
    str | None,
    typer.Option(
        "--journal",
        envvar="HEADWAY_JOURNAL",
        metavar="FILE|postgresql://…",
        help="Where runs are kept; by default workflows.db in the user's state folder.",
    ),
]


def with_journal(address: str | None, work: Callable[[Journal], Awaitable[Result]]) -> Result:
    """What `work` returns, given the journal at `address`.

    Raises:
        Failure: the journal cannot be opened, or refuses.
    """
    from headway.store.opening import NoDatabase
    from headway.workflows.errors import WorkflowError
    from headway.workflows.journal.errors import JournalError
    from headway.workflows.journal.journal import Journal

    async def run() -> Result:
        journal = Journal.open(address)
        try:
            return await work(journal)
        finally:
            journal.close()

    try:
        return asyncio.run(run())
    except (NoDatabase, JournalError, WorkflowError) as error:
        raise Failure(error) from None
