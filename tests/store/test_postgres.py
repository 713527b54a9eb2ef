"""Connections to PostgreSQL."""

from __future__ import annotations

import psycopg
import pytest

from headway.store import postgres
from headway.store.postgres import PostgresConnection
from headway.store.transactions import Connection, Transactions


def prepare(connection: Connection) -> None:
    connection.query("CREATE TABLE IF NOT EXISTS counters (id INTEGER PRIMARY KEY, n INTEGER)")
    connection.query("INSERT INTO counters VALUES (1, 0) ON CONFLICT DO NOTHING")


def add(connection: Connection) -> None:
    connection.query("SELECT n FROM counters WHERE id = 1 FOR UPDATE")
    connection.query("UPDATE counters SET n = n + 1")


async def test_who_is_frozen_within_a_transaction_keeps_others_waiting_for_seconds_only(
    postgres_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres, "LOCKED_S", 1)
    frozen = PostgresConnection(postgres_database, prepare)
    add(frozen)
    other = Transactions(lambda: PostgresConnection(postgres_database, prepare))
    await other.run(add)
    with pytest.raises(psycopg.Error) as ended:
        frozen.commit()
    assert frozen.is_gone(ended.value)
    assert await other.run(lambda one: one.query("SELECT n FROM counters")) == [(1,)]
    other.close()


def test_the_address_may_have_its_own_settings(postgres_database: str) -> None:
    address = f"{postgres_database}&application_name=mine&keepalives_idle=60"
    connection = PostgresConnection(address, prepare)
    assert connection.query("SHOW application_name") == [("mine",)]
    connection.close()
