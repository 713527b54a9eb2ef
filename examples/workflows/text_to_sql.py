"""From a question to SQL: schema linking, candidates, repairs, a vote. Each answer has a deadline.

    headway serve
    headway run examples/workflows/text_to_sql.py --input question="Which songs are by Miles Davis?"

`--input database=FILE` asks a SQLite database of your own. The model fills in the parts of a query,
within a JSON Schema made of the real tables, so that even a small one writes SQL that runs.
Candidates run on the database; one that fails or finds nothing is repaired with the error in hand;
the most frequent result wins.
"""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from typing import Any

import headway

CANDIDATES = 3
REPAIRS = 2
SONGS = """
CREATE TABLE songs (title TEXT, artist TEXT, year INT, seconds INT);
INSERT INTO songs VALUES ('Blue Train', 'John Coltrane', 1957, 643),
  ('So What', 'Miles Davis', 1959, 562), ('Take Five', 'Dave Brubeck', 1959, 324),
  ('Giant Steps', 'John Coltrane', 1960, 283), ('Footprints', 'Wayne Shorter', 1966, 449);
CREATE TABLE concerts (city TEXT, artist TEXT, year INT);
INSERT INTO concerts VALUES ('Paris', 'Miles Davis', 1957), ('Berlin', 'Dave Brubeck', 1964);
"""
BOOKS = "Table: books(name, author, pages)\nQuestion: "
SHOTS = [
    (
        BOOKS + "What did Austen write?",
        '{"select": "name", "where": "author", "operator": "=", "value": "Austen"}',
    ),
    (
        BOOKS + "How many are longer than 300 pages?",
        '{"select": "COUNT(*)", "where": "pages", "operator": ">", "value": "300"}',
    ),
]
Tables = dict[str, list[str]]


@headway.task
def schema(database: str) -> Tables:
    """The columns of each table."""
    with closing(opened(database)) as data:
        names = data.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        return {
            name: [row[1] for row in data.execute(f'PRAGMA table_info("{name}")')]
            for (name,) in names
        }


@headway.task(retries=2)
async def link(question: str, tables: Tables) -> str:
    """The table that the question is about."""
    listed = "\n".join(f"{name}({', '.join(columns)})" for name, columns in tables.items())
    prompt = f"Tables:\n{listed}\nWhich table answers this? {question}"
    found = await filled(prompt, {"table": {"enum": list(tables)}}, 0.0)
    return str(found["table"])


@headway.task(retries=2)
async def generate(
    question: str, table: str, columns: list[str], number: int, failed: list[str]
) -> str:
    """One candidate; `failed` has its earlier queries, each with what went wrong."""
    parts = {
        "select": {"enum": [*columns, "COUNT(*)"]},
        "where": {"enum": columns},
        "operator": {"enum": ["=", "<", ">"]},
        "value": {"type": "string", "maxLength": 20},
    }
    prompt = "\n".join([f"Table: {table}({', '.join(columns)})", *failed, f"Question: {question}"])
    part = await filled(prompt, parts, 0.2 * number, SHOTS)
    select = part["select"] if part["select"] == "COUNT(*)" else f'"{part["select"]}"'
    value = part["value"].replace("'", "''")
    return f'SELECT {select} FROM "{table}" WHERE "{part["where"]}" {part["operator"]} \'{value}\''


@headway.task
def execute(database: str, query: str) -> dict[str, Any]:
    """The rows of a query, or what went wrong."""
    try:
        with closing(opened(database)) as data:
            rows = data.execute(query).fetchmany(20)
    except sqlite3.Error as error:
        return {"error": str(error)}
    return {"rows": rows} if rows else {"error": "it finds nothing"}


async def candidate(
    question: str, database: str, table: str, columns: list[str], number: int
) -> dict[str, Any]:
    """A query and its rows; repaired a few times if it fails."""
    failed: list[str] = []
    for _ in range(1 + REPAIRS):
        query = await generate(question, table, columns, number, failed)
        result = await execute(database, query)
        if "rows" in result:
            break
        failed = [*failed, f"Wrong: {query} ({result['error']})"]
    return {"query": query, **result}


@headway.workflow(deadline_s=120, tier="interactive")
async def text_to_sql(question: str, database: str = "") -> dict[str, Any]:
    """The rows on which most candidates agree."""
    tables = await schema(database)
    table = await link(question, tables)
    found = await headway.gather(
        *(
            candidate(question, database, table, tables[table], number)
            for number in range(CANDIDATES)
        )
    )
    votes = Counter(json.dumps(one["rows"]) for one in found if "rows" in one)
    if not votes:
        raise ValueError(f"no candidate found anything; the last one: {found[-1]}")
    rows, count = votes.most_common(1)[0]
    query = next(one["query"] for one in found if json.dumps(one.get("rows")) == rows)
    return {"query": query, "rows": json.loads(rows), "votes": f"{count} of {CANDIDATES}"}


async def filled(
    prompt: str,
    parts: dict[str, Any],
    temperature: float,
    shots: Sequence[tuple[str, str]] = (),
) -> dict[str, Any]:
    """What the model fills in. Raises ValueError for a broken answer: worth another attempt."""
    messages = [
        message
        for asked, answered in shots
        for message in (
            {"role": "user", "content": asked},
            {"role": "assistant", "content": answered},
        )
    ]
    wanted = {"type": "object", "properties": parts, "required": list(parts)}
    answer = await headway.llm(
        [*messages, {"role": "user", "content": prompt}],
        temperature=temperature,
        max_tokens=100,
        response_format={"type": "json_schema", "json_schema": {"name": "sql", "schema": wanted}},
    )
    found: dict[str, Any] = json.loads(answer.text)
    return found


def opened(database: str) -> sqlite3.Connection:
    """The database, to read only; without a name, that of the example."""
    if database:
        return sqlite3.connect(f"file:{database}?mode=ro", uri=True)
    data = sqlite3.connect(":memory:")
    data.executescript(SONGS)
    return data
