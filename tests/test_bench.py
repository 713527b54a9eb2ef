"""Measurements keep up with the package: every name that they import is there."""

import ast
from importlib import import_module
from pathlib import Path

import pytest

BENCH = Path(__file__).parents[1] / "bench"
FILES = sorted(BENCH.glob("*.py"))


def imported(file: Path) -> list[tuple[str, str]]:
    """Module and name of each import from the package or its tests."""
    return [
        (node.module, alias.name)
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.ImportFrom) and node.module and not node.level
        for alias in node.names
        if node.module.split(".")[0] in ("headway", "tests")
    ]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_measurement_imports_what_is_there(file: Path) -> None:
    missing = []
    for module, name in imported(file):
        there = import_module(module)
        if not hasattr(there, name):
            try:
                import_module(f"{module}.{name}")
            except ImportError:
                missing.append(f"{module}.{name}")
    assert not missing
