"""Runs as graphs: what the journal knows of a function, and what a pipeline states."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.workflows.conftest import Bench

import headway
from headway.workflows.catalog import load
from headway.workflows.graph import Node, Planned, graph_of
from headway.workflows.http.views import graph_view
from headway.workflows.journal.rows import RunRow, RunState, StepRow, StepState


def steps(*paths: str) -> list[StepRow]:
    """Steps that began one after the other, and have ended."""
    return [
        StepRow("r", path, "task", StepState.FINISHED, started_at=float(at), ended_at=at + 0.5)
        for at, path in enumerate(paths)
    ]


def edges(nodes: list[Node]) -> dict[str, tuple[str, ...]]:
    return {node.id: node.needs for node in nodes}


def test_steps_follow_each_other_and_what_is_in_a_task_belongs_to_it() -> None:
    nodes = graph_of(steps("fetch", "fetch~1/llm", "fetch~2/llm", "ask/notify", "ask", "ask#2"), {})
    assert edges(nodes) == {"fetch": (), "ask": ("fetch",), "ask#2": ("ask",)}
    assert [len(node.steps) for node in nodes] == [3, 2, 1]
    assert [len(node.own) for node in nodes] == [1, 2, 1]


def test_branches_go_beside_each_other_and_meet_in_what_follows() -> None:
    nodes = graph_of(
        steps("plan", "gather[0]/draft", "gather[1]/draft", "gather[0]/check", "join"), {}
    )
    assert edges(nodes) == {
        "plan": (),
        "gather[0]/draft": ("plan",),
        "gather[0]/check": ("gather[0]/draft",),
        "gather[1]/draft": ("plan",),
        "join": ("gather[0]/check", "gather[1]/draft"),
    }


def test_between_two_gathers_a_point_joins_the_branches() -> None:
    nodes = graph_of(steps("gather[0]/a", "gather[1]/a", "gather#2[0]/b", "gather#2[1]/b"), {})
    point = "gather#2:"
    assert edges(nodes)[point] == ("gather[0]/a", "gather[1]/a")
    assert edges(nodes)["gather#2[1]/b"] == (point,)


def test_more_than_a_dozen_alike_are_one_node() -> None:
    wide = [f"gather[{number}]/{name}" for number in range(300) for name in ("draft", "check")]
    deep = [f"turn#{number}" if number > 1 else "turn" for number in range(1, 101)]
    nodes = graph_of(steps("plan", *wide, *deep), {})
    assert edges(nodes) == {
        "plan": (),
        "gather/draft": ("plan",),
        "gather/check": ("gather/draft",),
        "turn": ("gather/check",),
    }
    assert [len(node.own) for node in nodes] == [1, 300, 300, 100]


def test_a_pipeline_shows_what_has_not_begun_and_what_was_skipped() -> None:
    plan = {
        "text": Planned("llm", ()),
        "loud": Planned("python", ("text",)),
        "both": Planned("value", ("text", "loud")),
        "fine": Planned("ask", ("both",)),
    }
    nodes = graph_of(steps("text/text"), plan)
    row = RunRow("r", "w", "h", "{}", RunState.RUNNING)
    shown = graph_view(row, nodes, steps("text/text"))
    assert [one["state"] for one in shown["nodes"]] == ["finished", "open", "open", "open"]
    done = steps("text/text", "fine/ask")
    shown = graph_view(row, graph_of(done, plan), done)
    assert [one["state"] for one in shown["nodes"]] == [
        "finished",
        "skipped",
        "finished",
        "finished",
    ]


def test_a_matrix_is_one_node(tmp_path: Path) -> None:
    file = tmp_path / "pipe.yaml"
    file.write_text(
        "inputs: {n: {type: array}}\ntasks:\n  notes: {matrix: {x: '{{ inputs.n }}'}, sleep_s: 0}\n"
        "  end: {needs: notes, value: 1}\n"
    )
    [found] = load(file)
    nodes = graph_of(steps("notes/gather[0]/sleep", "notes/gather[1]/sleep"), found.plan)
    assert edges(nodes) == {"notes": (), "end": ("notes",)}
    assert len(nodes[0].own) == 2


@headway.task(retries=1, backoff_s=0.0)
async def flaky(name: str) -> str:
    raise ValueError(f"no {name}")


@headway.workflow
async def fails(name: str) -> None:
    await headway.now()
    await flaky(name)


@pytest.mark.parametrize("journal", ["sqlite"], indirect=True)
async def test_retries_and_errors_are_counted(bench: Bench) -> None:
    row = await bench.result(fails, name="tea")
    outline, rows = await bench.journal.outline(row.id)
    shown = graph_view(outline, graph_of(rows, {}), rows)
    assert [(one["name"], one["state"], one["retries"]) for one in shown["nodes"]] == [
        ("now", "finished", 0),
        ("flaky", "failed", 1),
    ]
    assert shown["steps"][1]["error"] == "ValueError: no tea"
    assert shown["run"]["error"] == "ValueError: no tea"
