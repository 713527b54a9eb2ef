"""The page on which people answer what runs ask them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime
from html import escape
from string import Template

from headway.workflows.errors import sentence
from headway.workflows.journal.rows import RunRow, StepRow
from headway.workflows.question import Question

_PAGE = Template("""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Headway: runs</title>
<style>
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { margin: 2rem auto; max-width: 60rem; padding: 0 1rem; }
h1 { font-size: 1.3rem; } h2 { font-size: 1.1rem; margin-top: 2rem; }
form { border: 1px solid #8886; border-radius: .5rem; margin: 1rem 0; padding: 1rem; }
form p { margin: .3rem 0; }
pre, textarea { background: #8881; border-radius: .3rem; font: .85rem/1.4 ui-monospace, monospace;
  margin: .5rem 0; overflow: auto; padding: .5rem; white-space: pre-wrap; }
textarea { border: 1px solid #8886; box-sizing: border-box; color: inherit; min-height: 8rem;
  width: 100%; }
button, input { font: inherit; padding: .3rem .8rem; }
button { cursor: pointer; margin: .3rem .3rem 0 0; }
.small { color: #888; font-size: .85rem; }
.rows { overflow-x: auto; }
table { border-collapse: collapse; font-size: .9rem; width: 100%; }
td, th { border-bottom: 1px solid #8883; padding: .3rem .6rem .3rem 0; text-align: left;
  vertical-align: top; white-space: nowrap; }
td.why { white-space: normal; }
</style>
<h1>Runs</h1>
$body
</html>
""")


def page(questions: Iterable[StepRow], runs: Iterable[RunRow]) -> str:
    """The page: what is asked, then the newest runs."""
    forms = "\n".join(_form(one) for one in questions)
    forms = forms or "<p>Nobody is asked anything.</p>"
    rows = "\n".join(_row(run) for run in runs)
    table = (
        '<div class="rows"><table><tr><th>began<th>workflow<th>run<th>state<th></tr>'
        f"{rows}</table></div>"
        if rows
        else "<p>There are no runs.</p>"
    )
    return _PAGE.substitute(body=f"<h2>Questions</h2>{forms}<h2>Newest runs</h2>{table}")


def answered_page(why: str) -> str:
    """What somebody sees whose answer came too late."""
    body = f'<p>{escape(why[:1].upper() + why[1:])}.</p><p><a href="/">All questions</a></p>'
    return _PAGE.substitute(body=body)


def _form(step: StepRow) -> str:
    question = Question.of(step.question_json)
    about = "" if question.about is None else f"<pre>{escape(_text(question.about))}</pre>"
    due = ""
    if step.due_at is not None:
        until = datetime.fromtimestamp(step.due_at).strftime("%Y-%m-%d %H:%M")
        due = f", until {until}"
    if question.choices:
        answers = "".join(
            f'<button name="choice" value="{escape(one)}">{escape(one)}</button>'
            for one in question.choices
        )
    elif question.edit is not None:
        text = json.dumps(question.edit, indent=2, ensure_ascii=False)
        label = "aria-label='What to edit, as JSON'"
        answers = f"<textarea name='edit' {label}>{escape(text)}</textarea>"
        answers += "<button>Go on with this</button>"
    else:
        answers = "<button>Approve</button>"
    # A browser presses the first button for who presses Enter beside "why not": not Approve.
    return f"""<form method="post" action="/">
<p><strong>{escape(question.text)}</strong></p>
<button disabled hidden></button>
<p class="small">run {escape(step.run)}, step {escape(step.path)}{due}</p>
{about}
<input type="hidden" name="run" value="{escape(step.run)}">
<input type="hidden" name="path" value="{escape(step.path)}">
{answers}
<button name="answer" value="reject">Reject</button>
<input name="why" placeholder="why not" aria-label="Why not">
<input name="by" placeholder="your name" aria-label="Your name">
</form>"""


def _row(run: RunRow) -> str:
    began = datetime.fromtimestamp(run.created_at).strftime("%Y-%m-%d %H:%M:%S")
    why = sentence(run.error_json) if run.error_json else run.why or ""
    return (
        f"<tr><td>{began}<td>{escape(run.workflow)}<td>{escape(run.id)}<td>{run.state}"
        f'<td class="why">{escape(why)}</tr>'
    )


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, indent=2, ensure_ascii=False)
