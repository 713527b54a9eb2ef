"""`headway logs`: the newest requests of the request log."""

from __future__ import annotations

from collections import deque
from datetime import datetime
from typing import Annotated

import typer
from rich.markup import escape

from headway.cli.configuration import request_log_of
from headway.cli.exit import Failure
from headway.cli.options import Assignments, ConfigFile, RequestLogFile
from headway.gateway.accounts.request_lines import as_json
from headway.lab.report.terminal import Results, show, table_console
from headway.store.request_log import RequestLogError, newest, read
from headway.store.request_record import RequestRecord


def logs(
    last: Annotated[int, typer.Option("--last", "-n", min=1, help="How many.")] = 20,
    prompt: Annotated[
        str,
        typer.Option(metavar="NAME[@VERSION]", help="Only those of this registered prompt."),
    ] = "",
    log: RequestLogFile = None,
    lines: Annotated[
        bool, typer.Option("--json", help="Print all that is known of each as a line of JSON.")
    ] = False,
    config: ConfigFile = None,
    assignments: Assignments = None,
) -> None:
    """Show the newest requests of the request log, the newest last."""
    path = request_log_of(log, assignments, config)
    name, _, version = prompt.partition("@")
    if version and not version.isdecimal():
        raise Failure(f"--prompt {prompt}: the log has versions by number, not by alias")
    after = 0 if prompt else newest(path) - last
    found: deque[RequestRecord] = deque(maxlen=last)
    try:
        for _, record in read(path, after):
            if not prompt or (
                record.prompt_name == name and version in ("", str(record.prompt_version))
            ):
                found.append(record)
    except RequestLogError as error:
        raise Failure(error) from None
    if lines:
        for record in found:
            print(as_json(record))
    elif found:
        show(table_console(), _results(found))
    else:
        print(f"no request{f' of {prompt}' if prompt else ''} in {path}")


def _results(records: deque[RequestRecord]) -> Results:
    headings = ["time", "model", "prompt", "tier", "tenant", "tokens in", "tokens out"]
    headings += ["predicted", "queue ms", "total ms", "outcome"]
    rows = []
    for one in records:
        numbers = (one.prompt_tokens, one.output_tokens, one.predicted_tokens)
        times = (one.queue_ms, one.total_ms)
        rows.append(
            [
                datetime.fromtimestamp(one.arrival_unix_s).isoformat(" ", "seconds"),
                escape(one.model),
                f"{one.prompt_name}@{one.prompt_version}" if one.prompt_name else "",
                one.tier,
                escape(one.tenant),
                *("" if number is None else f"{number:.0f}" for number in (*numbers, *times)),
                one.outcome
                if one.outcome == "finished"
                else escape(f"{one.outcome}: {one.reason}"),
            ]
        )
    return Results(headings, rows, ["predicted", "queue ms", "prompt", "tenant", "tier", "model"])
