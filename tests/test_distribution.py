"""What is published: one name, one version, a wheel and an sdist with what belongs into them."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from email.message import Message
from email.parser import Parser
from pathlib import Path

import pytest

import headway
from headway.extras import DISTRIBUTION

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
DOCUMENTS = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("bench/*.md")]
MOST_BYTES = 4_000_000
"""Of a wheel or an sdist; each had 2.7 MB, of which 2.1 MB are the shipped predictor."""
BESIDE = {"pyproject.toml", "README.md", "CHANGELOG.md", "LICENSE", "PKG-INFO", ".gitignore"}
"""What an sdist has beside the package; hatchling builds by the last one."""


def source_files() -> set[str]:
    files = (path for path in (ROOT / "src/headway").rglob("*") if path.is_file())
    return {
        path.relative_to(ROOT / "src").as_posix()
        for path in files
        if "__pycache__" not in path.parts
    }


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the wheel and the sdist."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "hatchling", "build", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    return folder


def metadata(wheel: zipfile.ZipFile) -> Message:
    (place,) = [name for name in wheel.namelist() if name.endswith(".dist-info/METADATA")]
    return Parser().parsestr(wheel.read(place).decode())


def test_the_name_is_the_same_everywhere() -> None:
    assert PROJECT["name"] == DISTRIBUTION
    for needed in (need for extra in EXTRAS.values() for need in extra):
        name, bracket, extras = needed.partition("[")
        if bracket and set(extras.rstrip("]").split(",")) <= set(EXTRAS):
            assert name == DISTRIBUTION
    for document in DOCUMENTS:
        found = re.findall(
            r"pip install [^\n`/]*?\b([\w-]+)\[([\w,-]+)\]", document.read_text("utf-8")
        )
        for name, extras in found:
            if set(extras.split(",")) <= set(EXTRAS):
                assert name == DISTRIBUTION, document


def test_the_version_is_that_of_the_package() -> None:
    assert PROJECT["dynamic"] == ["version"]


def test_the_changelog_is_kept_as_keepachangelog_says() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    headings = re.findall(r"^## (.*)$", text, re.MULTILINE)
    dated = r"\[\d+\.\d+\.\d+\] - (\d{4}-\d\d-\d\d|unreleased)"
    assert headings[0] == "[Unreleased]" or headings[0].endswith("unreleased")
    assert all(re.fullmatch(dated, heading) for heading in headings if heading != "[Unreleased]")
    assert any(heading.startswith(f"[{headway.__version__}]") for heading in headings)
    kinds = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
    assert set(re.findall(r"^### (.*)$", text, re.MULTILINE)) <= kinds


def test_the_image_is_that_of_the_documented_deployment() -> None:
    file = (ROOT / "Containerfile").read_text(encoding="utf-8")
    guide = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
    in_image, in_guide = (
        re.findall(r"pip install .*?\[([\w,]+)\]", text)[0] for text in (file, guide)
    )
    assert in_image == in_guide
    lines = re.sub(r"\\\n\s*", " ", file).splitlines()
    told = dict(line.partition(" ")[::2] for line in lines if line and line[0] != "#")
    user, _ = told["USER"].split(":")
    assert int(user) > 0 and f"--uid {user} " in file
    assert told["ENTRYPOINT"] == '["headway"]' and told["CMD"] == '["serve"]'
    variables = dict(one.split("=", 1) for one in told["ENV"].split())
    assert variables["HEADWAY_HOST"] == "0.0.0.0"
    assert variables["HEADWAY_PORT"] == told["EXPOSE"]
    for name in ("HOME", "XDG_STATE_HOME", "HEADWAY_CACHE", "HF_HOME"):
        assert Path(variables[name]).is_relative_to(told["VOLUME"])
    copied = {name for line in lines if line.startswith("COPY p") for name in line.split()[1:-1]}
    kept = set(re.findall(r"^!(.*)$", (ROOT / ".dockerignore").read_text(), re.MULTILINE))
    assert kept == copied | {"src"}
    assert healthcheck()[0] == "python"


def healthcheck() -> list[str]:
    """The command of the image's health check."""
    file = (ROOT / "Containerfile").read_text(encoding="utf-8")
    (command,) = re.findall(r"^HEALTHCHECK .*\n\s*CMD (\[.*\])$", file, re.MULTILINE)
    return json.loads(command)  # type: ignore[no-any-return]


def test_a_wheel_holds_the_package_and_nothing_else(built: Path) -> None:
    (path,) = built.glob("*.whl")
    assert path.stat().st_size < MOST_BYTES
    with zipfile.ZipFile(path) as wheel:
        names = wheel.namelist()
        about = metadata(wheel)
    of_record = {name for name in names if ".dist-info/" in name}
    assert set(names) - of_record == source_files()
    assert {"headway/py.typed", "headway/prediction/data/prior.npz"} < source_files()
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in of_record)
    assert (about["Name"], about["Version"]) == (DISTRIBUTION, headway.__version__)
    assert about["License-Expression"] == "Apache-2.0"
    assert about["Requires-Python"] == ">=3.11"
    assert set(about.get_all("Provides-Extra", [])) == set(EXTRAS)
    assert about.get_payload().startswith("# Headway")


def test_an_sdist_holds_what_a_wheel_is_built_from(built: Path) -> None:
    (path,) = built.glob("*.tar.gz")
    assert path.stat().st_size < MOST_BYTES
    with tarfile.open(path) as sdist:
        names = {name.partition("/")[2] for name in sdist.getnames()}
    assert names == BESIDE | {f"src/{name}" for name in source_files()}
