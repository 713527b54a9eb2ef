"""Measurements, and the scripts that make what ships, start. That their parts fit the package is
mypy's to say (`make lint`)."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import pytest

from headway.core.policies import POLICIES

ROOT = Path(__file__).parents[1]
FILES = sorted([*ROOT.glob("bench/*.py"), *ROOT.glob("training/*.py")])
COMMANDS = [file for file in FILES if "parse_args" in file.read_text(encoding="utf-8")]
ELSEWHERE = {"torch", "vidur"}
"""What is imported from environments of their own."""

NOT_INSTALLED = {"tests", *(file.stem for file in FILES)}
"""What each of them has to find by itself."""


def run(file: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run it as Python would: its folder is on the path, that of `tests` is not."""
    there = [path for path in sys.path if Path(path).resolve() != ROOT]
    monkeypatch.setattr(sys, "path", [str(file.parent), *there])
    for module in [module for module in sys.modules if module.partition(".")[0] in NOT_INSTALLED]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setattr(sys, "argv", [str(file), "--help"])
    policies = dict(POLICIES)
    try:
        runpy.run_path(str(file), run_name=name)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] not in ELSEWHERE:
            raise
        pytest.skip(f"{error.name} is not installed")
    finally:  # some bring policies of their own
        POLICIES.clear()
        POLICIES.update(policies)


@pytest.mark.parametrize("file", COMMANDS, ids=lambda file: file.stem)
def test_a_command_lists_its_options(
    file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        run(file, "__main__", monkeypatch)
    assert ended.value.code == 0
    assert "usage: " in capsys.readouterr().out


@pytest.mark.parametrize(
    "file", [file for file in FILES if file not in COMMANDS], ids=lambda file: file.stem
)
def test_what_commands_share_can_be_imported(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(file, file.stem, monkeypatch)
