"""Workflows as YAML files: what runs when, with which values, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from tests.workflows.conftest import Bench
from tests.workflows.crashes import PayingServer

from headway.workflows.catalog import load
from headway.workflows.declared.expressions import value_of
from headway.workflows.definition import Workflow
from headway.workflows.errors import WorkflowError
from headway.workflows.question import Question
from headway.workflows.starting import parsed
from headway.workflows.triggers import Cron


def pipeline(folder: Path, text: str) -> Workflow[..., Any]:
    file = folder / "pipe.yaml"
    file.write_text(dedent(text))
    [found] = load(file)
    return found


CODE = """
import headway
seen = []

def shout(text: str) -> str:
    seen.append(text)
    return text.upper()

@headway.task
async def numbers(n: int) -> list[int]:
    return list(range(n))

def flaky(text: str) -> str:
    seen.append(text)
    if len(seen) < 2:
        raise ConnectionError
    return text
"""


async def test_tasks_run_once_what_they_use_is_there(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "code.py").write_text(CODE)
    found = pipeline(
        tmp_path,
        """
        name: shouting
        inputs:
          word: {type: string}
          n: {type: integer, default: 3}
        tasks:
          last:
            value: "{{ tasks.each | join(' ') }} {{ tasks.first }}"
          each:
            matrix: {i: "{{ tasks.list }}"}
            value: "{{ inputs.word }}{{ matrix.i }}"
          list: {python: "code.py:numbers", with: {n: "{{ inputs.n }}"}}
          first: {python: "code.py:shout", with: {text: "{{ inputs.word }}"}}
        outputs: {text: "{{ tasks.last }}", n: "{{ inputs.n + 1 }}"}
        """,
    )
    row = await bench.result(found, word="a")
    assert json.loads(row.output_json or "") == {"text": "a0 a1 a2 A", "n": 4}
    assert set(await bench.journal.steps(row.id)) == {"list/list", "first/first"}


async def test_a_task_is_skipped_with_those_that_need_it(bench: Bench, tmp_path: Path) -> None:
    found = pipeline(
        tmp_path,
        """
        inputs: {n: {type: integer}}
        tasks:
          big: {when: "{{ inputs.n > 10 }}", value: big}
          after: {needs: big, value: after}
          anyway: {needs: big, when: true, value: "{{ tasks.big or 'small' }}"}
        outputs: ["{{ tasks.big }}", "{{ tasks.after }}", "{{ tasks.anyway }}"]
        """,
    )
    assert json.loads((await bench.result(found, n=11)).output_json or "") == [
        "big",
        "after",
        "big",
    ]
    assert json.loads((await bench.result(found, n=1)).output_json or "") == [None, None, "small"]


async def test_models_commands_and_people(bench: Bench, tmp_path: Path) -> None:
    server = PayingServer(0.0)
    runner, bench.url = await server.listen()
    found = pipeline(
        tmp_path,
        """
        tasks:
          draft: {llm: "Write {{ 1 + 1 }} lines", settings: {max_tokens: 5}}
          words: {command: [echo, "[1, 2]"], json: true}
          sure: {ask: {question: "Is {{ tasks.draft }} fine?", choices: ["yes", "no"]}}
        outputs: ["{{ tasks.draft }}", "{{ tasks.words }}", "{{ tasks.sure }}"]
        """,
    )
    async with bench.working(found):
        row = await bench.start(found)
        await bench.until(row.id, "waiting")
        [asked] = await bench.journal.questions()
        question = Question.of(asked.question_json)
        assert question.text == "Is fine fine?"
        await bench.journal.answer(row.id, asked.path, question.accept("yes"), "ada")
        row = await bench.until(row.id, "finished")
    await runner.cleanup()
    assert json.loads(row.output_json or "") == ["fine", [1, 2], "yes"]
    assert server.answered == 1


async def test_a_task_that_fails_is_tried_again(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "code.py").write_text(CODE)
    found = pipeline(
        tmp_path,
        """
        tasks:
          one: {python: "code.py:flaky", with: {text: x}, retries: 1, backoff_s: 0.001}
        """,
    )
    assert (await bench.result(found)).output_json == '"x"'


async def test_a_result_that_is_not_as_its_schema_says_fails(bench: Bench, tmp_path: Path) -> None:
    found = pipeline(
        tmp_path,
        """
        tasks:
          one: {value: [1, two], schema: {type: array, items: {type: integer}}}
        """,
    )
    error = json.loads((await bench.result(found)).error_json or "")["message"]
    assert error == "what one returned[1] is not as its schema says: 'two' is not of type 'integer'"


async def test_an_input_that_is_not_as_its_schema_says_is_refused(
    bench: Bench, tmp_path: Path
) -> None:
    found = pipeline(tmp_path, "{inputs: {n: {minimum: 2}}, tasks: {one: {value: 1}}}")
    assert "1 is less than the minimum of 2" in ((await bench.result(found, n=1)).error_json or "")
    with pytest.raises(WorkflowError, match="pipe needs n"):
        await bench.start(found)
    with pytest.raises(WorkflowError, match="pipe has no m"):
        await bench.start(found, n=3, m=4)


def test_triggers_and_tiers_are_those_of_python(tmp_path: Path) -> None:
    found = pipeline(
        tmp_path,
        """
        deadline_s: 60
        tier: batch
        triggers: [{cron: "0 2 * * *", timezone: Europe/Berlin}]
        tasks: {one: {value: 1}}
        """,
    )
    assert found.triggers == (Cron("0 2 * * *", timezone="Europe/Berlin"),)
    assert (found.deadline_s, found.tier.label if found.tier else None) == (60, "batch")


def test_values_are_never_read_as_expressions() -> None:
    names = {"inputs": {"x": "{{ 7 * 7 }}", "n": 1}}
    assert value_of("{{ inputs.x }}", names, "here") == "{{ 7 * 7 }}"
    assert value_of("say {{ inputs.x }}", names, "here") == "say {{ 7 * 7 }}"
    assert value_of("{{ inputs.n }}", names, "here") == 1
    with pytest.raises(WorkflowError, match="fails"):
        value_of("{{ inputs.__class__.__mro__ }}", {"inputs": {}}, "here")


def test_a_value_in_a_text_is_text_or_json_and_null_is_nothing() -> None:
    names = {"inputs": {"items": ["ü", None, True], "keys": None, "n": 1.5, "t": "a b"}}
    written = value_of(
        "{{ inputs.items }} {{ inputs.keys }}, {{ inputs.n }} {{ inputs.t }}", names, ""
    )
    assert written == '["ü", null, true] , 1.5 a b'
    assert value_of("{{ inputs.items }}", names, "here") == ["ü", None, True]
    for method in ("{{ inputs.t.upper }}", "say {{ inputs.values }}"):
        with pytest.raises(WorkflowError, match="fails"):
            value_of(method, names, "here")


def test_what_a_filter_gives_is_a_list_and_the_same_each_time() -> None:
    names = {"inputs": {"items": [{"n": 1}, {"n": 2}]}}
    assert value_of("{{ inputs.items | map(attribute='n') }}", names, "here") == [1, 2]
    assert value_of("{{ inputs.keys() }}", names, "here") == ["items"]
    assert value_of("of {{ inputs.items | map(attribute='n') }}", names, "here") == "of [1, 2]"
    for chance in ("{{ inputs.items | random }}", "{{ lipsum() }}", "{{ 1 if false }}"):
        with pytest.raises(WorkflowError):
            value_of(chance, names, "here")


async def test_a_text_is_neither_true_nor_false(bench: Bench, tmp_path: Path) -> None:
    found = pipeline(
        tmp_path,
        """
        tasks:
          sure: {value: "no"}
          publish: {when: "{{ tasks.sure }}", value: published}
        """,
    )
    error = json.loads((await bench.result(found)).error_json or "")["message"]
    assert "task publish.when: {{ tasks.sure }} is the text 'no', neither true nor false" in error


async def test_a_run_returns_what_no_other_task_needs(bench: Bench, tmp_path: Path) -> None:
    found = pipeline(
        tmp_path,
        """
        tasks:
          last: {value: "last {{ tasks.first }}"}
          first: {value: first}
        """,
    )
    assert (await bench.result(found)).output_json == '"last first"'


def test_an_input_that_is_a_text_stays_one(tmp_path: Path) -> None:
    found = pipeline(
        tmp_path, "{inputs: {zip: {type: string}, n: {type: integer}}, tasks: {one: {value: 1}}}"
    )
    assert parsed(found, {"zip": "12345", "n": "12345"}) == {"zip": "12345", "n": 12345}


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("tasks: {a: {value: 1}, b: {valu: 1}}", "tasks.…: unknown key `valu`"),
        ("{}", "missing key `tasks`"),
        ("tasks: {}", "has no tasks"),
        ("tasks: {a: {}}", "task a says nothing to do; it says exactly one of llm"),
        ("tasks: {a: {value: 1, llm: x}}", "task a says llm and value"),
        ("tasks: {a: {value: 1, needs: [z]}}", "task a needs z, which is not there; there are a"),
        (
            "tasks: {a: {value: 1, needs: b}, b: {value: '{{ tasks.c }}'}, "
            "c: {needs: a, value: 1}}",
            "tasks wait for each other: ",
        ),
        ("tasks: {a: {value: '{{ input.x }}'}}", "there is no input; write inputs.NAME"),
        ("tasks: {a: {value: '{{ 1 + }}'}}", "is no expression"),
        ("tasks: {a: {python: 'nothing.py:f'}}", "nothing.py:f is not there"),
        ("tasks: {a: {value: 1}}\ntriggers: [{cron: '0 0 31 2 *'}]", "no time that ever comes"),
        ("tasks: {a: {value: 1}}\ntriggers: [{often: 1}]", "a trigger says one of after"),
        ("tasks: {a: {value: 1}}\ntier: urgent", "unknown tier 'urgent'"),
        ("tasks: {a: {value: 1}}\ninputs: {n: {type: number of}}", "is no JSON Schema"),
        ("tasks: {a: {llm: x, resources: {ram: 3}}}", "unknown resource ram"),
        ("tasks: {a: {llm: x, retries: -2}}", "retries, backoff_s and max_backoff_s must not"),
        ("tasks: [", "is no YAML"),
        ("tasks: {a: {value: 1}, a: {value: 2}}", "the key 'a' is there twice"),
        ("tasks: {a: {value: 1, when: no}}", "`when` is true, false or one {{ expression }}"),
        ("tasks: {a: {value: 1, when: 'is {{ inputs.x }}'}}", "`when` is true, false or one"),
        ("tasks: {a: {llm: x, json: yes}}", "tasks.….json: Expected `bool`, got `str`"),
        (
            "tasks: {a: {value: 1, retries: 2, with: {b: 1}}}",
            "with, retries does nothing for `value`",
        ),
        ("tasks: {a: {embed: x, settings: {n: 1}}}", "settings does nothing for `embed`"),
        ("tasks: {a: {value: 1, matrix: {n: [1]}, limit: 0}}", "limit is 0; it is at least 1"),
        ("tasks: {a: {command: []}}", "command names no program"),
        ("tasks: {a: {value: '{{ [1, 2] | random }}'}}", "No filter named 'random'"),
        ("tasks: {a: {sleep_s: a while}}", "sleep_s is seconds or one {{ expression }}"),
        ("tasks: {a: {python: 'json:dumps', timeout_s: 1}}", "json:dumps is not async"),
        ("tasks: {a: {workflow: pipe.yaml}}", "workflow: pipe.yaml runs itself without end"),
        (
            "tasks: {a: {python: 'textwrap:dedent', with: {txt: x}}}",
            "task a: its `with` does not fit: missing a required argument: 'text'",
        ),
        (
            "tasks: {a: {value: '{{ inputs.word }}'}}\ninputs: {words: {}}",
            "task a: there is no inputs.word; inputs has words",
        ),
        (
            "tasks: {a: {value: '{{ matrix.m }}', matrix: {n: [1]}}}",
            "task a: there is no matrix.m; matrix has n",
        ),
        (
            "tasks: {a: {value: 1, when: '{{ matrix.n }}', matrix: {n: [1]}}}",
            "task a: there is no matrix.n; matrix has nothing",
        ),
        ("tasks: {a: {value: 1}}\noutputs: '{{ inputs.x }}'", "outputs: there is no inputs.x"),
    ],
)
def test_a_wrong_file_is_refused(tmp_path: Path, text: str, why: str) -> None:
    with pytest.raises(WorkflowError) as refused:
        pipeline(tmp_path, text)
    assert why in str(refused.value)
    assert "pipe.yaml" in str(refused.value)


async def test_words_and_dates_are_text(bench: Bench, tmp_path: Path) -> None:
    found = pipeline(
        tmp_path,
        """
        tasks:
          no: {value: [no, off, Yes, 2026-01-31]}
          on: {ask: {question: Which, choices: [yes, no]}}
        outputs: "{{ [tasks.no, tasks['on']] }}"
        """,
    )
    async with bench.working(found):
        row = await bench.start(found)
        await bench.until(row.id, "waiting")
        [asked] = await bench.journal.questions()
        question = Question.of(asked.question_json)
        await bench.journal.answer(row.id, asked.path, question.accept("no"), "ada")
        row = await bench.until(row.id, "finished")
    assert json.loads(row.output_json or "") == [["no", "off", "Yes", "2026-01-31"], "no"]


def test_a_circle_is_named(tmp_path: Path) -> None:
    with pytest.raises(WorkflowError, match=r"wait for each other: (a needs b needs a|b needs a)"):
        pipeline(tmp_path, "tasks: {a: {value: 1, needs: b}, b: {value: 1, needs: a}}")
