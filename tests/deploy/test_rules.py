"""The rules for Prometheus: valid, few, and an alert fires when it should and only then."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.deploy.deployed import ALERTS, PROMETHEUS, RECORDING, ROOT, TESTS, of_panels, rules
from tests.test_docs import anchors

ALERT_RULES = rules(ALERTS)
EXPECTED = [
    expected
    for test in yaml.safe_load(TESTS.read_text(encoding="utf-8"))["tests"]
    for expected in test["promql_expr_test"]
]

needs_promtool = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="promtool is in Debian's package prometheus"
)


def promtool(*words: str) -> None:
    done = subprocess.run(["promtool", *words], cwd=PROMETHEUS, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@needs_promtool
def test_rules_and_the_example_are_valid() -> None:
    promtool("check", "config", "prometheus.yml")


@needs_promtool
def test_each_alert_fires_when_it_should_and_only_then() -> None:
    promtool("test", "rules", TESTS.name)


@needs_promtool
def test_the_queries_of_dashboards_are_valid(tmp_path: Path) -> None:
    named = [
        {"record": f"query_{number}", "expr": query.for_all}
        for number, query in enumerate(of_panels())
    ]
    group = {"name": "dashboards", "rules": named}
    (tmp_path / "rules.yml").write_text(yaml.safe_dump({"groups": [group]}), encoding="utf-8")
    promtool("check", "rules", str(tmp_path / "rules.yml"))


def expected_of(alert: dict[str, Any]) -> Sequence[dict[str, Any]]:
    return [one for one in EXPECTED if f'alertname="{alert["alert"]}"' in one["expr"]]


@pytest.mark.parametrize("alert", ALERT_RULES, ids=lambda one: one["alert"])
def test_an_alert_is_tested_firing_and_silent(alert: dict[str, Any]) -> None:
    assert {bool(one["exp_samples"]) for one in expected_of(alert)} == {True, False}


@pytest.mark.parametrize("alert", ALERT_RULES, ids=lambda one: one["alert"])
def test_an_alert_says_what_is_wrong_and_what_to_do(alert: dict[str, Any]) -> None:
    assert alert["labels"]["severity"] in ("critical", "warning")
    notes = alert["annotations"]
    assert set(notes) == {"summary", "description", "runbook"}
    assert notes["summary"].endswith(".") and notes["description"].endswith(".")
    assert "{{ $labels.instance }}" in notes["summary"]
    page, _, anchor = notes["runbook"].partition("#")
    assert anchor == alert["alert"].lower() and anchor in anchors(ROOT / page)


def test_every_alert_of_the_docs_is_there() -> None:
    text = (ROOT / "docs/alerts.md").read_text(encoding="utf-8")
    names = [alert["alert"] for alert in ALERT_RULES]
    assert re.findall(r"^### (\w+)$", text, re.MULTILINE) == names


def test_what_is_recorded_is_said_in_its_name() -> None:
    for rule in rules(RECORDING):
        by, _, how = rule["record"].split(":")
        if window := re.search(r"rate(\d+m)$", how):
            assert set(re.findall(r"\[(\w+)\]", rule["expr"])) == {window[1]}
        (grouped,) = set(re.findall(r"by \(job, ([^)]*)\)", rule["expr"]))
        assert grouped.replace(", le", "").replace(", ", "_") == by
