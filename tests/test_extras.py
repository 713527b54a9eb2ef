"""The command that installs an extra is right for how Headway was installed."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

import headway
from headway.extras import DISTRIBUTION, install_extra, pip_install

SOURCE = Path(headway.__file__).parent
CLONE = SOURCE.parents[1]


def arguments(command: str) -> list[str]:
    """What a shell passes to `pip install`."""
    words = shlex.split(command)
    return words[words.index("install") + 1 :]


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The folder in which pip records how Headway was installed; it comes first on the path."""
    record = tmp_path / "site-packages" / f"{DISTRIBUTION}-9.dist-info"
    record.mkdir(parents=True)
    (record / "METADATA").write_text(f"Metadata-Version: 2.4\nName: {DISTRIBUTION}\nVersion: 9\n")
    monkeypatch.syspath_prepend(str(record.parent))
    return record


def installed_from(record: Path, **origin: object) -> None:
    (record / "direct_url.json").write_text(json.dumps(origin))


def test_what_came_from_an_index_is_named(recorded: Path) -> None:
    assert arguments(install_extra("serve")) == [f"{DISTRIBUTION}[serve]"]


@pytest.mark.parametrize(("editable", "flags"), [(True, ["-e"]), (False, [])])
def test_a_clone_is_installed_again(
    recorded: Path, tmp_path: Path, editable: bool, flags: list[str]
) -> None:
    clone = tmp_path / "a clone"
    clone.mkdir()
    (clone / "pyproject.toml").touch()
    dir_info = {"editable": True} if editable else {}
    installed_from(recorded, url=clone.as_uri(), dir_info=dir_info)
    assert arguments(install_extra("hf")) == [*flags, f"{clone}[hf]"]


def test_a_wheel_is_installed_again(recorded: Path, tmp_path: Path) -> None:
    wheel = tmp_path / "headway-9-py3-none-any.whl"
    wheel.touch()
    installed_from(recorded, url=wheel.as_uri(), archive_info={})
    assert arguments(install_extra("models")) == [f"{wheel}[models]"]


def test_a_wheel_that_is_there_no_more_is_looked_for_by_name(
    recorded: Path, tmp_path: Path
) -> None:
    installed_from(recorded, url=(tmp_path / "gone.whl").as_uri(), archive_info={})
    assert arguments(install_extra("models")) == [f"{DISTRIBUTION}[models]"]


@pytest.mark.parametrize(
    ("origin", "url"),
    [
        (
            {"url": "https://a.example/h.git", "vcs_info": {"vcs": "git", "commit_id": "12"}},
            "git+https://a.example/h.git",
        ),
        (
            {
                "url": "file:///srv/h.git",
                "vcs_info": {"vcs": "git", "commit_id": "12", "requested_revision": "v1"},
                "subdirectory": "python",
            },
            "git+file:///srv/h.git@v1#subdirectory=python",
        ),
        ({"url": "https://a.example/h-9.whl", "archive_info": {}}, "https://a.example/h-9.whl"),
    ],
)
def test_a_repository_or_an_archive_elsewhere_is_named_with_its_address(
    recorded: Path, origin: dict[str, object], url: str
) -> None:
    installed_from(recorded, **origin)
    assert arguments(install_extra("predict")) == [f"{DISTRIBUTION}[predict] @ {url}"]


def test_what_runs_from_its_source_is_installed_from_there() -> None:
    script = (
        f"import sys; sys.path.insert(0, {str(SOURCE.parent)!r})\n"
        "from headway.extras import install_extra; print(install_extra('serve'))"
    )
    done = subprocess.run(  # -I -S: no packages, so no record of an installation
        [sys.executable, "-I", "-S", "-c", script], capture_output=True, text=True, check=True
    )
    assert arguments(done.stdout)[-2:] == ["-e", f"{CLONE}[serve]"]


def test_pip_is_that_of_this_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    environment, other = tmp_path / "environment", tmp_path / "other"
    for folder in (environment, other):
        folder.mkdir()
        (folder / "pip").touch(0o755)
    monkeypatch.setattr(sys, "executable", str(environment / "python"))
    monkeypatch.setenv("PATH", str(environment))
    assert pip_install("torch") == "pip install torch"
    monkeypatch.setenv("PATH", str(other))  # somebody runs …/bin/headway without activating it
    assert pip_install("torch") == f"{environment}/python -m pip install torch"


def test_where_there_is_no_pip_uv_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr("headway.extras.find_spec", lambda _: None)
    assert pip_install("a[b]") == f"uv pip install --python {sys.executable} 'a[b]'"


def test_no_message_has_a_command_of_its_own() -> None:
    others = [path for path in SOURCE.rglob("*.py") if path.name != "extras.py"]
    assert not [path for path in others if "pip install" in path.read_text("utf-8")]
