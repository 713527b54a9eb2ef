"""Which database an address means."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from headway.extras import install_extra
from headway.store.postgres import PostgresConnection
from headway.store.sqlite import SqliteConnection
from headway.store.transactions import Connection
from headway.store.versions import NewerDatabase

Opened = TypeVar("Opened")


class NoDatabase(Exception):
    """The database cannot be opened; says why."""


def open_database(
    address: str | Path,
    prepare: Callable[[Connection], None],
    setting: str,
    make: Callable[[Callable[[], Connection]], Opened],
) -> Opened:
    """What `make` makes of a function that connects to the database at `address`.

    Args:
        address: a file, or `postgresql://…`.
        prepare: makes the tables that are missing.
        setting: what names another address, for messages.
        make: connects at least once.

    Raises:
        NoDatabase: the database cannot be opened.
    """
    if isinstance(address, str) and "://" in address:
        return _on_server(address, prepare, setting, make)
    path = Path(address)
    try:
        return make(lambda: SqliteConnection(path, prepare))
    except NewerDatabase as error:
        raise NoDatabase(f"{path}: {error} with {setting}") from None
    except (sqlite3.Error, OSError) as error:
        raise NoDatabase(
            f"the database {path} cannot be opened ({error}): make its folder writable, or name "
            f"another one with {setting}"
        ) from None


def _on_server(
    url: str,
    prepare: Callable[[Connection], None],
    setting: str,
    make: Callable[[Callable[[], Connection]], Opened],
) -> Opened:
    if not url.startswith(("postgresql://", "postgres://")):
        raise NoDatabase(f"{setting} must be postgresql://USER@HOST/DATABASE")
    try:
        return make(lambda: PostgresConnection(url, prepare))
    except ModuleNotFoundError:
        raise NoDatabase(f"PostgreSQL needs `{install_extra('postgres')}`") from None
    except NewerDatabase as error:
        raise NoDatabase(f"the database of {setting}: {error} with {setting}") from None
    except Exception as error:
        why = _without(url, " ".join(str(error).split()))
        raise NoDatabase(f"the database of {setting} cannot be used: {why}") from None


def _without(address: str, text: str) -> str:
    """`text` without the user and the password of an address."""
    before, at, _ = address.partition("://")[2].rpartition("@")
    for secret in {before, before.partition(":")[2], address}:
        if at and secret:
            text = text.replace(secret, "***")
    return text
