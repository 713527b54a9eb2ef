"""Options that several commands take."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

ConfigFile = Annotated[
    Path | None,
    typer.Option("--config", help="Settings file; else $HEADWAY_CONFIG, else ./headway.yaml."),
]
RequestLogFile = Annotated[
    Path | None,
    typer.Option("--log", help="The request log; default: the setting log.requests_db."),
]
Assignments = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Any setting, e.g. tiers.batch.max_running=2; may be repeated.",
    ),
]
