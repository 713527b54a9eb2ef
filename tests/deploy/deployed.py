"""The rules and dashboards in `deploy/`, and the queries in them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
PROMETHEUS = ROOT / "deploy/prometheus"
RECORDING, ALERTS, TESTS = (
    PROMETHEUS / name for name in ("recording.yml", "alerts.yml", "alerts_test.yml")
)
DASHBOARDS = sorted((ROOT / "deploy/grafana").glob("*.json"))

OF_PROMQL = {
    "sum", "min", "max", "rate", "increase", "histogram_quantile", "by", "on", "and",
    "label_values",
}  # fmt: skip
OF_PROMETHEUS = {"job", "instance"}
"""Labels that every scraped series has."""
_SELECTOR = re.compile(r"(?<![\w:])([a-zA-Z_][\w:]*)(?:\{([^}]*)\})?")
_MATCHER = re.compile(r'(\w+)\s*(=~|!~|!=|=)\s*"([^"]*)"')
_LABELS = re.compile(r"\b(?:by|on)\s*\(([^)]*)\)")
_COMPARISON = re.compile(r"(==|!=|<=|>=|<|>)")


@dataclass(frozen=True)
class Selector:
    """Series that a query reads: a name, and (label, operator, value) for each matcher."""

    name: str
    matchers: tuple[tuple[str, str, str], ...]


@dataclass(frozen=True)
class Query:
    """One query, and where it is."""

    where: str
    text: str

    def __str__(self) -> str:
        return self.where

    @property
    def selectors(self) -> list[Selector]:
        """What it reads. A name that is no function of PromQL is that of a metric."""
        text = re.sub(r"\[[^\]]*\]", "", _LABELS.sub("", self.text))
        return [
            Selector(name, tuple(_MATCHER.findall(matchers)))
            for name, matchers in _SELECTOR.findall(text)
            if name not in OF_PROMQL
        ]

    @property
    def grouped_by(self) -> set[str]:
        """The labels in its `by (…)` and `on (…)`."""
        return {name.strip() for found in _LABELS.findall(self.text) for name in found.split(",")}

    @property
    def for_all(self) -> str:
        """As Prometheus takes it, with every gateway, tier and model selected."""
        text = self.text.replace("$__rate_interval", "1m")
        return re.sub(r'"\$\w+"', '".*"', text)

    @property
    def answered(self) -> str:
        """The same, answered whether or not its comparisons hold: with 0 or 1."""
        parts = re.split(r"(\{[^}]*\})", self.for_all)
        return "".join(
            part if part.startswith("{") else _COMPARISON.sub(r"\1 bool", part) for part in parts
        )


def rules(path: Path) -> list[dict[str, Any]]:
    """The rules of a file."""
    return [
        rule
        for group in yaml.safe_load(path.read_text(encoding="utf-8"))["groups"]
        for rule in group["rules"]
    ]


def dashboard(path: Path) -> dict[str, Any]:
    """A dashboard as Grafana reads it."""
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def panels(board: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What a dashboard draws, without the titles of its rows."""
    return [panel for panel in board["panels"] if panel["type"] != "row"]


def variables(board: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The choices above a dashboard, without that of the data source."""
    return [one for one in board["templating"]["list"] if one["type"] != "datasource"]


def of_rules() -> Iterator[Query]:
    """The query of every rule."""
    for path in (RECORDING, ALERTS):
        for rule in rules(path):
            yield Query(rule.get("record") or rule["alert"], rule["expr"])


def of_panels() -> Iterator[Query]:
    """The queries of every panel."""
    for path in DASHBOARDS:
        for panel in panels(dashboard(path)):
            for target in panel["targets"]:
                where = f"{path.name}: {panel['title']} {target['refId']}"
                yield Query(where, target["expr"])


def of_variables() -> Iterator[Query]:
    """What the variables of dashboards ask for."""
    for path in DASHBOARDS:
        for one in variables(dashboard(path)):
            yield Query(f"{path.name}: ${one['name']}", one["query"]["query"])
