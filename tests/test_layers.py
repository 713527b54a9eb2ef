"""The layers of the package: imports point one way, and importing it is cheap."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import headway

PACKAGE = Path(headway.__file__).parent

MAY_IMPORT = {
    "": {"batching", "workflows"},
    "core": {"core"},
    "prediction": {"core", "extras", "machine", "text_files", "prediction"},
    "cache": set(),
    "extras": set(),
    "wheel": set(),
    "daily_hours": set(),
    "prices": {"daily_hours", "yaml_words", "prices"},
    "state_folder": set(),
    "yaml_words": set(),
    "child_process": set(),
    "loopback": set(),
    "machine": set(),
    "redaction": set(),
    "text_files": {"extras"},
    "unreachable": set(),
    "engines": {
        "core",
        "cache",
        "extras",
        "wheel",
        "child_process",
        "machine",
        "unreachable",
        "engines",
    },
    "store": {"core", "extras", "store"},
    "sharing": {"core", "extras", "loopback", "redaction", "sharing"},
    "traces": {"extras", "traces"},
    "prompts": {"extras", "unreachable", "yaml_words", "prompts"},
    "batching": {"core", "batching"},
    "batches": {"core", "daily_hours", "extras", "store", "batches"},
    "models": {
        "core",
        "cache",
        "extras",
        "wheel",
        "child_process",
        "redaction",
        "batching",
        "models",
    },
    "gateway": {
        "core",
        "batches",
        "prices",
        "extras",
        "loopback",
        "redaction",
        "engines",
        "store",
        "prediction",
        "batching",
        "models",
        "prompts",
        "sharing",
        "console",
        "traces",
        "unreachable",
        "gateway",
    },
    "console": {"lab.report", "console"},
    "lab": set(),
    "lab.report": {"lab.report"},
    "lab.loadtest": {"core", "text_files", "unreachable", "lab.loadtest", "lab.report"},
    "lab.simulation": {
        "core",
        "extras",
        "machine",
        "text_files",
        "prediction",
        "store",
        "lab.loadtest",
        "lab.report",
        "lab.simulation",
    },
    "lab.tuning": {"core", "batching", "models", "lab.simulation", "lab.report", "lab.tuning"},
    "workflows": {
        "core",
        "daily_hours",
        "engines",
        "extras",
        "prices",
        "state_folder",
        "store",
        "traces",
        "unreachable",
        "yaml_words",
        "workflows",
    },
    "config": {
        "core",
        "batches",
        "daily_hours",
        "prices",
        "loopback",
        "redaction",
        "state_folder",
        "yaml_words",
        "config",
    },
    "cli": {
        "core",
        "batches",
        "engines",
        "store",
        "prediction",
        "batching",
        "models",
        "prompts",
        "sharing",
        "gateway",
        "lab.loadtest",
        "lab.simulation",
        "lab.tuning",
        "lab.report",
        "workflows",
        "config",
        "extras",
        "machine",
        "prices",
        "redaction",
        "text_files",
        "traces",
        "unreachable",
        "cli",
        "yaml_words",
    },
}
"""By the first parts of a module's name below headway; "" is headway itself, free for all."""

WITHIN: dict[str, dict[str, set[str]]] = {
    "prediction": {
        "arrays": set(),
        "texts": {"arrays", "texts"},
        "models": {"arrays", "texts", "models"},
        "learning": {"arrays", "texts", "models", "learning"},
        "live": {"arrays", "texts", "models", "live"},
    },
    "gateway": {
        "settings": set(),
        "api": {"api"},
        "http": {"api", "settings", "http"},
        "keys": {"api", "settings", "keys"},
        "dialects": {"api", "http", "dialects"},
        "work": {"api", "keys", "work"},
        "money": {"work", "money"},
        "foresight": {"api", "settings", "work", "foresight"},
        "dispatch": {"api", "settings", "work", "money", "foresight", "dispatch"},
        "accounts": {"api", "work", "money", "foresight", "dispatch", "accounts"},
        "intake": {
            "api",
            "http",
            "keys",
            "settings",
            "dialects",
            "work",
            "money",
            "foresight",
            "dispatch",
            "intake",
        },
        "answers": {"api", "http", "dialects", "work", "dispatch", "accounts", "answers"},
        "console": {"api", "keys", "work", "foresight", "dispatch", "console"},
        "workers": {"api", "settings", "workers"},
        "routes": {
            "api",
            "http",
            "keys",
            "settings",
            "dialects",
            "work",
            "money",
            "foresight",
            "dispatch",
            "accounts",
            "intake",
            "answers",
            "console",
            "workers",
            "routes",
        },
        "process": {"http", "server"},
        "server": {
            "console",
            "http",
            "keys",
            "settings",
            "work",
            "money",
            "foresight",
            "dispatch",
            "accounts",
            "intake",
            "answers",
            "workers",
            "routes",
        },
    },
}
"""The same for the parts of one layer, where they have an order of their own."""

PURE = {"time", "datetime", "asyncio", "threading", "random", "secrets", "socket", "os", "io"}
"""What the core must not even import: clocks, threads, chance, I/O."""

HEAVY = {
    "aiohttp",
    "jinja2",
    "msgspec",
    "numpy",
    "pydantic",
    "redis",
    "rich",
    "sqlite3",
    "typer",
    "xllamacpp",
    "yaml",
}


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def name_of(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(path: Path) -> Iterator[str]:
    """Every module that the file imports, inside functions, too."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            assert node.module is not None
            yield node.module
            # `from headway import cli` imports a module, too
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def layer_of(module: str) -> str | None:
    """The layer of a module of Headway: its longest name in MAY_IMPORT; None for others."""
    first, *rest = module.split(".")
    if first != "headway":
        return None
    return next((name for name in (".".join(rest[:2]), *rest[:1]) if name in MAY_IMPORT), "")


@pytest.mark.parametrize("path", modules(), ids=name_of)
def test_imports_point_one_way(path: Path) -> None:
    layer = layer_of(name_of(path))
    assert layer or name_of(path) == "headway", f"{path} is in no layer; add it to MAY_IMPORT"
    for module in imports(path):
        found = layer_of(module)
        assert not found or found in MAY_IMPORT[layer], (
            f"{name_of(path)} imports {module}: {layer} may import "
            f"{', '.join(sorted(MAY_IMPORT[layer])) or 'nothing of Headway'}"
        )


@pytest.mark.parametrize("layer", WITHIN)
def test_the_parts_of_a_layer_import_one_way(layer: str) -> None:
    parts = WITHIN[layer]
    for path in sorted((PACKAGE / layer).rglob("*.py")):
        part = name_of(path).removeprefix(f"headway.{layer}").lstrip(".").split(".")[0]
        for module in imports(path):
            if module.startswith(f"headway.{layer}."):
                imported = module.split(".")[2]
                assert imported in parts[part], f"{name_of(path)} imports {module}"


@pytest.mark.parametrize("path", sorted((PACKAGE / "core").rglob("*.py")), ids=name_of)
def test_the_core_reads_no_clock_and_does_no_io(path: Path) -> None:
    found = {module.split(".")[0] for module in imports(path)}
    assert not found & (PURE | HEAVY)


def loaded_by(statement: str) -> set[str]:
    """The top-level modules that a fresh interpreter has after `statement`."""
    script = f"{statement}\nimport sys; print(*{{name.split('.')[0] for name in sys.modules}})"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


def test_importing_headway_imports_nothing_heavy() -> None:
    assert not loaded_by("import headway") & HEAVY


def test_the_command_line_imports_nothing_heavy_before_it_must() -> None:
    assert loaded_by("import headway.cli") & HEAVY == {"typer"} | (
        loaded_by("import typer") & HEAVY
    )


def test_a_first_page_of_the_history_does_not_wait_for_numpy() -> None:
    assert "numpy" not in loaded_by("import headway.store.history.pages")


def test_http_is_a_library_s() -> None:
    spoken = {module.split(".")[0] for path in modules() for module in imports(path)}
    assert "aiohttp" in spoken
    assert not spoken & {"httptools", "h11", "httpx"}


@pytest.mark.parametrize("path", modules(), ids=name_of)
def test_a_file_has_one_idea_and_at_most_400_lines(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 400


def imported_at_once(path: Path) -> Iterator[str]:
    """Every module that is imported when this one is: not inside functions, not for types alone."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_no_imports_go_in_a_circle() -> None:
    names = {name_of(path): path for path in modules()}
    graph = {
        name: [one for one in imported_at_once(path) if one in names and one != name]
        for name, path in names.items()
    }
    TopologicalSorter(graph).prepare()  # raises CycleError, which names the circle
