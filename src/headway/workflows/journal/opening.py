"""Which journal an address means."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from headway.extras import install_extra
from headway.state_folder import state_folder
from headway.store.sqlite import SqliteConnection
from headway.workflows.journal.errors import NewerJournal
from headway.workflows.journal.journal import Journal
from headway.workflows.journal.postgres import PostgresConnection
from headway.workflows.journal.schema import prepare


class NoJournal(Exception):
    """The journal cannot be opened; says why."""


def open_journal(address: str | None) -> Journal:
    """The journal at `address`: a file, or `postgresql://…`; None: workflows.db in the user's state
    folder.

    Raises:
        NoJournal: it cannot be opened.
    """
    if address is not None and "://" in address:
        return _postgres(address)
    path = state_folder() / "workflows.db" if address is None else Path(address)
    try:
        return Journal(lambda: SqliteConnection(path, prepare))
    except NewerJournal as error:
        raise NoJournal(f"{path}: {error}") from None
    except (sqlite3.Error, OSError) as error:
        raise NoJournal(
            f"the journal {path} cannot be opened: {error}; name another one with --journal"
        ) from None


def _postgres(address: str) -> Journal:
    if not address.startswith(("postgresql://", "postgres://")):
        raise NoJournal("a journal is a file or postgresql://USER@HOST/DATABASE")
    try:
        return Journal(lambda: PostgresConnection(address))
    except ModuleNotFoundError:
        raise NoJournal(f"PostgreSQL needs `{install_extra('postgres')}`") from None
    except Exception as error:
        why = _without(address, " ".join(str(error).split()))
        raise NoJournal(f"the journal's database cannot be used: {why}") from None


def _without(address: str, text: str) -> str:
    """`text` without the user and the password of an address."""
    before, at, _ = address.partition("://")[2].rpartition("@")
    for secret in {before, before.partition(":")[2], address}:
        if at and secret:
            text = text.replace(secret, "***")
    return text
