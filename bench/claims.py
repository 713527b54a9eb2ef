"""What a measurement claims, the bar it must clear, and whether it did."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.table import Table

from headway.lab.report.terminal import table_console


@dataclass(frozen=True)
class Claim:
    """One measured number and its bar."""

    name: str
    value: float
    bar: float
    at_most: bool = True
    """Whether the bar is an upper limit; else a lower one."""

    @property
    def holds(self) -> bool:
        """Whether the number clears the bar."""
        return self.value <= self.bar if self.at_most else self.value >= self.bar


def publish(claims: Sequence[Claim], details: Mapping[str, object], path: Path) -> int:
    """Print the claims as a table and write them with `details` to `path`; the exit status."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for heading in ("claim", "measured", "bar", ""):
        table.add_column(heading, justify="left" if heading in {"claim", ""} else "right")
    for claim in claims:
        sign = "<=" if claim.at_most else ">="
        verdict = "[green]holds[/green]" if claim.holds else "[red]fails[/red]"
        table.add_row(claim.name, f"{claim.value:.3g}", f"{sign} {claim.bar:g}", verdict)
    table_console().print(table)
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [{**asdict(claim), "holds": claim.holds} for claim in claims]
    path.write_text(json.dumps({"claims": rows, **details}, indent=1) + "\n", encoding="utf-8")
    print(f"written to {path}")
    return 0 if all(claim.holds for claim in claims) else 1
