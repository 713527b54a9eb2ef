"""The documents say what is: every setting with its default, every link, every example."""

from __future__ import annotations

import ast
import json
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from configparser import ConfigParser
from functools import cache
from pathlib import Path

import pytest
from pydantic import BaseModel
from tests.snippets import Snippet, blocks

from headway.cli.exit import BAD_CONFIG
from headway.config.backends import BackendConfig
from headway.config.clients import KeyConfig
from headway.config.models import ModelConfig
from headway.config.money import BackendPriceConfig, BudgetConfig, TokenPriceConfig
from headway.config.settings import Settings
from headway.config.sources import load
from headway.config.workers import WorkerConfig
from headway.core.policies import POLICIES
from headway.workflows.catalog import load as pipelines

ROOT = Path(__file__).parents[1]
PAGES = sorted(ROOT.glob("docs/*.md"))
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("bench/*.md")])


def settings(section: BaseModel, path: str = "") -> Iterator[tuple[str, str]]:
    """Every setting and its default, as the tables write them."""
    for name in type(section).model_fields:
        value = getattr(section, name)
        if isinstance(value, BaseModel):
            yield from settings(value, f"{path}{name}.")
        elif name == "requests_db":
            yield f"{path}{name}", "the user's state folder"
        else:
            yield f"{path}{name}", f"`{json.dumps(value)}`"


def items(section: type[BaseModel], path: str, of: str = "[]") -> Iterator[tuple[str, str]]:
    """Every setting of a list's items, or of a mapping's values where `of` is empty; an empty
    default where it must be given."""
    for name, field in section.model_fields.items():
        default = "" if field.is_required() else f"`{json.dumps(field.default)}`"
        yield f"{path}{of}.{name}", default


def test_every_setting_is_documented_with_its_default() -> None:
    rows = re.findall(
        r"^\| `([\w.\[\]]+)` \|(.*?)\|",
        (ROOT / "docs/configuration.md").read_text(encoding="utf-8"),
        re.MULTILINE,
    )
    documented = {name: default.strip() for name, default in rows}
    assert documented == dict(
        [
            *settings(Settings()),
            *items(BackendConfig, "backends"),
            *items(ModelConfig, "models"),
            *items(KeyConfig, "keys"),
            *items(WorkerConfig, "workers"),
            *items(TokenPriceConfig, "prices.models.MODEL", ""),
            *items(BackendPriceConfig, "prices.backends.NAME", ""),
            *items(BudgetConfig, "tenant_budgets.TENANT", ""),
        ]
    )
    assert len(rows) == len(documented)


def test_every_policy_is_documented() -> None:
    text = (ROOT / "docs/policies.md").read_text(encoding="utf-8")
    documented = re.findall(r"^\| `([\w-]+)` \|", text, re.MULTILINE)
    assert sorted(documented) == sorted(POLICIES)


def test_the_map_shows_files_that_are_there() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    drawing = text.split("```")[1].splitlines()
    folders: list[Path] = []
    shown = 0
    for line in drawing:
        if not line.strip():
            continue
        depth = (len(line) - len(line.lstrip())) // 2
        above = folders[depth - 1] if depth else ROOT
        names = re.findall(r"^ *([\w./]+)|, ([\w.]+\.py)", line)
        paths = [above / (first or other) for first, other in names]
        assert all(path.exists() for path in paths), line
        folders = [*folders[:depth], paths[0]]
        shown += len(paths)
    assert shown > 20


def test_every_error_code_is_documented() -> None:
    text = (ROOT / "docs/api.md").read_text(encoding="utf-8")
    sources = (ROOT / "src/headway/gateway").rglob("*.py")
    codes = {
        code
        for source in sources
        for code in re.findall(r'\bcode ?= ?(?:"\w+", )?"(\w+)"', source.read_text("utf-8"))
    }
    assert len(codes) > 10
    assert not {code for code in codes if f"`{code}`" not in text}


def test_every_metric_is_documented() -> None:
    pages = (ROOT / "docs/monitoring.md", ROOT / "docs/models.md")
    text = "".join(page.read_text(encoding="utf-8") for page in pages)
    counting = ROOT.glob("src/headway/gateway/accounts/*.py")
    source = "".join(path.read_text(encoding="utf-8") for path in counting)
    gauges = set(re.findall(r'"(headway_\w+)"', source))
    others = {f"headway_{name}" for name in re.findall(r'_(?:by_tier|counter)\("(\w+)"', source)}
    assert len(gauges) > 3 and len(others) > 8
    assert not {name for name in gauges | others if name not in text}


@cache
def anchors(document: Path) -> set[str]:
    """What links into a document may name: its headings, as GitHub writes them in addresses."""
    text = re.sub(r"^```.*?^```", "", document.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    found: Counter[str] = Counter()
    names = set()
    for heading in re.findall(r"^#+ (.+)$", text, re.MULTILINE):
        name = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        names.add(f"{name}-{found[name]}" if found[name] else name)
        found[name] += 1
    return names


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(document: Path) -> None:
    text = re.sub(r"<!--.*?-->", "", document.read_text(encoding="utf-8"), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if "://" in target:
            continue
        file, _, anchor = target.partition("#")
        path = (document.parent / file).resolve() if file else document
        assert path.exists(), target
        assert not anchor or anchor in anchors(path), target


def test_the_index_has_every_page() -> None:
    text = (ROOT / "docs/README.md").read_text(encoding="utf-8")
    pages = {path.name for path in PAGES} - {"README.md"}
    assert set(re.findall(r"\]\(([\w-]+\.md)[)#]", text)) == pages


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_a_page_begins_with_what_to_do(page: Path) -> None:
    lines = page.read_text(encoding="utf-8").splitlines()
    assert lines[0].startswith("# ")
    assert {"```sh", "```python"} & set(lines[:12])


@pytest.mark.parametrize(
    "block", [one for one in blocks() if one.language == "yaml"], ids=lambda one: one.where
)
def test_settings_in_a_page_are_valid(
    block: Snippet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLOUD_API_KEY", "secret")
    if not any(re.search(rf"^{name}:", block.text, re.MULTILINE) for name in Settings.model_fields):
        return  # of Prometheus, a workflow or the tests of a prompt
    (tmp_path / "headway.yaml").write_text(block.text, encoding="utf-8")
    load(path=tmp_path / "headway.yaml")


@pytest.mark.parametrize(
    "block",
    [one for one in blocks() if one.language == "yaml" and "\ntasks:\n" in one.text],
    ids=lambda one: one.where,
)
def test_a_pipeline_in_a_page_is_one(block: Snippet, tmp_path: Path) -> None:
    file = tmp_path / "pipeline.yaml"
    file.write_text(block.text, encoding="utf-8")
    (pipeline,) = pipelines(file)
    assert pipeline.name == "pipeline"


def test_the_example_configuration_is_valid(monkeypatch: pytest.MonkeyPatch) -> None:
    found = load(path=ROOT / "examples/headway.yaml").settings
    assert not found.exposed
    assert found.tiers.batch.max_running == 48


def test_the_unit_for_systemd_is_complete(tmp_path: Path) -> None:
    text = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
    (unit,) = re.findall(r"```ini\n(.*?)```", text, re.DOTALL)
    found = ConfigParser(strict=False, interpolation=None)
    found.optionxform = str  # type: ignore[assignment,method-assign]
    found.read_string(unit)
    assert found["Unit"]["Wants"] == found["Unit"]["After"] == "network-online.target"
    assert found["Service"].getint("RestartPreventExitStatus") == BAD_CONFIG
    assert found["Service"]["ExecReload"] == "/bin/kill -HUP $MAINPID"
    assert found["Service"].getfloat("TimeoutStopSec") > Settings().limits.drain_s
    if (verify := shutil.which("systemd-analyze")) is not None:
        file = tmp_path / "headway.service"
        file.write_text(unit.replace("/opt/headway/bin/headway", sys.executable))
        done = subprocess.run([verify, "verify", file], capture_output=True, text=True)
        assert "headway.service" not in done.stderr, done.stderr


@pytest.mark.parametrize(
    "example", sorted((ROOT / "examples").rglob("*.py")), ids=lambda path: path.name
)
def test_examples_are_python(example: Path) -> None:
    assert ast.get_docstring(ast.parse(example.read_text(encoding="utf-8")))
