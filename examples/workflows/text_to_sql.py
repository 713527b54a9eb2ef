"""From a question to SQL: schema linking, candidates, repairs, a vote. Each answer has a deadline.

    headway serve
    headway run examples/workflows/text_to_sql.py --input question="How many tracks are long?"

The model fills in the parts of a query, within a JSON Schema made of the real tables, so that even
a small one writes SQL that SQLite runs. Candidates run on the real database; one that fails or
finds nothing is repaired with the error in hand; the most frequent result wins.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import headway

CANDIDATES = 5
REPAIRS = 2
ROWS = [
    ("Blue Train", "John Coltrane", 1957, 643),
    ("So What", "Miles Davis", 1959, 562),
    ("Take Five", "Dave Brubeck", 1959, 324),
    ("Giant Steps", "John Coltrane", 1960, 283),
    ("Naima", "John Coltrane", 1960, 261),
    ("Footprints", "Wayne Shorter", 1966, 449),
]


def database() -> Path:
    """A database of songs, made if it is not there."""
    path = Path(tempfile.gettempdir()) / "headway-example-songs.db"
    with sqlite3.connect(path) as songs:
        songs.execute("CREATE TABLE IF NOT EXISTS songs (title, artist, year INT, seconds INT)")
        if not songs.execute("SELECT COUNT(*) FROM songs").fetchone()[0]:
            songs.executemany("INSERT INTO songs VALUES (?, ?, ?, ?)", ROWS)
    return path


@headway.task
def schema() -> dict[str, list[str]]:
    """The columns of each table."""
    with sqlite3.connect(database()) as songs:
        tables = [name for (name,) in songs.execute("SELECT name FROM sqlite_master")]
        return {
            name: [row[1] for row in songs.execute(f"PRAGMA table_info({name})")] for name in tables
        }


@headway.task(retries=2)
async def link(question: str, tables: dict[str, list[str]]) -> dict[str, Any]:
    """The table and the columns that the question is about."""
    table = next(iter(tables))
    wanted = {
        "type": "object",
        "properties": {
            "columns": {
                "type": "array",
                "items": {"enum": tables[table]},
                "minItems": 1,
                "maxItems": 2,
            }
        },
        "required": ["columns"],
    }
    found = await filled(
        f"Question: {question}\nTable {table} has the columns {', '.join(tables[table])}.\n"
        "Which columns answer it?",
        wanted,
        0.0,
    )
    return {"table": table, "columns": found["columns"], "all": tables[table]}


@headway.task(retries=2)
async def generate(question: str, linked: dict[str, Any], number: int, error: str) -> str:
    """One candidate query."""
    columns = linked["all"]
    wanted = {
        "type": "object",
        "properties": {
            "select": {"enum": ["COUNT(*)", *linked["columns"], "MAX(seconds)", "AVG(seconds)"]},
            "where": {"enum": ["", *columns]},
            "operator": {"enum": ["=", ">", "<"]},
            "value": {"type": "string", "maxLength": 12},
        },
        "required": ["select", "where", "operator", "value"],
    }
    failed = f"\nThe last query failed: {error}" if error else ""
    part = await filled(
        f"Question: {question}\nTable: {linked['table']}({', '.join(columns)}){failed}\n"
        "Fill in: SELECT {select} FROM " + linked["table"] + " WHERE {where} {operator} {value}",
        wanted,
        0.2 + 0.2 * number,
    )
    query = f"SELECT {part['select']} FROM {linked['table']}"
    if part["where"]:
        value = part["value"].replace("'", "''")
        query += f" WHERE {part['where']} {part['operator']} '{value}'"
    return query


async def filled(prompt: str, wanted: dict[str, Any], temperature: float) -> dict[str, Any]:
    """What the model fills in. Raises ValueError, which is worth another attempt."""
    answer = await headway.llm(
        prompt,
        temperature=temperature,
        max_tokens=80,
        response_format={"type": "json_schema", "json_schema": {"name": "sql", "schema": wanted}},
    )
    found: dict[str, Any] = json.loads(answer.text)
    return found


@headway.task
def execute(query: str) -> dict[str, Any]:
    """The rows of a query, or the error of SQLite."""
    try:
        with sqlite3.connect(f"file:{database()}?mode=ro", uri=True) as songs:
            rows = songs.execute(query).fetchmany(20)
            return {"rows": rows} if rows and rows != [(0,)] else {"error": "it finds nothing"}
    except sqlite3.Error as error:
        return {"error": str(error)}


async def candidate(question: str, linked: dict[str, Any], number: int) -> dict[str, Any]:
    """A query and what it returned; repaired a few times if it fails."""
    error = ""
    for _ in range(1 + REPAIRS):
        query = await generate(question, linked, number, error)
        result = await execute(query)
        if "rows" in result:
            return {"query": query, "rows": result["rows"]}
        error = result["error"]
    return {"query": query, "error": error}


@headway.workflow(deadline_s=120, tier="interactive")
async def text_to_sql(question: str) -> dict[str, Any]:
    """The result on which most candidates agree."""
    linked = await link(question, await schema())
    found = await headway.gather(
        *(candidate(question, linked, number) for number in range(CANDIDATES))
    )
    votes = Counter(json.dumps(one["rows"]) for one in found if "rows" in one)
    if not votes:
        raise ValueError(f"no query ran: {found[-1].get('error')}")
    winner, count = votes.most_common(1)[0]
    query = next(one["query"] for one in found if json.dumps(one.get("rows")) == winner)
    return {"query": query, "rows": json.loads(winner), "votes": f"{count} of {len(found)}"}


if __name__ == "__main__":  # the same without a journal: python text_to_sql.py
    print(asyncio.run(text_to_sql("How many songs are by John Coltrane?")))
