"""`headway costs`: what requests cost, summed up from the request log."""

from __future__ import annotations

import csv
import json
import sqlite3
import sys
import time
from contextlib import closing
from typing import Annotated

import typer
from rich.markup import escape

from headway.cli.configuration import request_log_of
from headway.cli.exit import BAD_CONFIG, Failure
from headway.cli.options import Assignments, ConfigFile, RequestLogFile
from headway.store.costs import GROUPS, Chosen, Costs, groups_of, summed
from headway.store.database import open_to_read
from headway.store.moment import moment


def costs(
    by: Annotated[
        str, typer.Option(help=f"Sum up by some of {', '.join(GROUPS)}, with commas between.")
    ] = "day",
    since: Annotated[
        str, typer.Option(help="Only later requests: a date as 2026-11-01, or an age as 7d or 12h.")
    ] = "30d",
    until: Annotated[str | None, typer.Option(help="Only earlier requests.")] = None,
    tenant: Annotated[str | None, typer.Option(help="Only those of this tenant.")] = None,
    log: RequestLogFile = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
    config: ConfigFile = None,
    assignments: Assignments = None,
) -> None:
    """Show what requests cost, in the currency of the prices. Days begin at midnight UTC."""
    path = request_log_of(log, assignments, config)
    if not path.exists():
        raise Failure(f"there is no request log {path}; name the file in log.requests_db")
    if as_json and as_csv:
        raise Failure("print --json or --csv, not both", BAD_CONFIG)
    now_s = time.time()
    try:
        names = groups_of(by)
        until_s = float("inf") if until is None else moment(until, now_s)
        chosen = Chosen(moment(since, now_s), until_s, tenant)
    except ValueError as error:
        raise Failure(error, BAD_CONFIG) from None
    try:
        with closing(open_to_read(path)) as database:
            sums = summed(database, names, chosen)
        found, without = sums.groups, sums.unpriced
    except sqlite3.Error as error:
        raise Failure(
            f"{path} has no costs ({error}); a gateway of this version adds them when it opens it"
        ) from None
    if as_json:
        groups = [dict(zip(names, one.group, strict=True)) | one.sums() for one in found]
        missing = [one._asdict() for one in without]
        print(json.dumps({"by": names, "costs": groups, "unpriced": missing}, indent=2))
        return
    if as_csv:
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow([*names, *Costs._fields[1:]])
        for one in found:
            numbers = ["" if number is None else number for number in one.sums().values()]
            writer.writerow([*one.group, *numbers])
    elif found:
        _show(names, found)
    else:
        print(f"no request since {since} in {path}")
    out = sys.stderr if as_csv else sys.stdout
    for lacking in without:
        on = f" on {lacking.backend}" if lacking.backend else ""
        print(
            f"no price: {lacking.model or 'a model without a name'}{on}, "
            f"{lacking.requests:,} requests, {lacking.tokens:,} tokens; not in these costs",
            file=out,
        )


def _show(names: list[str], found: list[Costs]) -> None:
    from headway.lab.report.terminal import Results, show, table_console

    headings = [*names, "requests", "tokens in", "cached", "tokens out", "cost", "no price"]
    rows = [
        [
            *(escape(name) or "-" for name in one.group),
            f"{one.requests:,}",
            f"{one.prompt_tokens:,}",
            f"{one.cached_tokens:,}",
            f"{one.output_tokens:,}",
            "unknown" if one.cost is None else f"{one.cost:,.4f}",
            f"{one.unpriced:,}" if one.unpriced else "",
        ]
        for one in found
    ]
    show(table_console(), Results(headings, rows, ["cached", "tokens in", "tokens out"]))
