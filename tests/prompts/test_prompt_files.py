"""Files of a prompt are written at once or not at all, and over nothing that was not seen."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests.prompts.files import GREET, OTHER, write

from headway.prompts.errors import FileChanged, PromptError
from headway.prompts.prompt_files import PromptFiles, text_hash
from headway.prompts.published import publish
from headway.prompts.registry import read_registry


def test_a_draft_is_written_over_the_text_that_was_seen(tmp_path: Path) -> None:
    folder = write(tmp_path, "greet", GREET)
    (folder / "1.md").chmod(0o640)
    files = PromptFiles(tmp_path, "greet")
    files.write_version(1, OTHER.rstrip().replace("\n", "\r\n"), text_hash(GREET))
    assert (folder / "1.md").read_bytes() == OTHER.encode()
    assert (folder / "1.md").stat().st_mode & 0o777 == 0o640
    files.write_version(2, GREET, None)
    assert files.versions() == {1: OTHER, 2: GREET}
    assert sorted(one.name for one in folder.iterdir()) == ["1.md", "2.md"], "nothing is left over"


@pytest.mark.parametrize(("seen", "says"), [(None, "is there already"), ("0" * 64, "was changed")])
def test_a_file_that_changed_meanwhile_stays(tmp_path: Path, seen: str | None, says: str) -> None:
    write(tmp_path, "greet", GREET)
    with pytest.raises(FileChanged, match=rf"greet/1\.md {says}"):
        PromptFiles(tmp_path, "greet").write_version(1, OTHER, seen)
    assert PromptFiles(tmp_path, "greet").versions() == {1: GREET}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("---\nvariables: [\n---\nHi", "1.md:"),
        ("---\ntemprature: 1\n---\nHi", "did you mean temperature"),
        ("Hi {{ name }}", "'name', which its front matter has no variable for"),
        ("Hi {{", "1.md:1: "),
        ("", "the message of the user is empty"),
    ],
)
def test_what_is_no_prompt_is_not_written(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(PromptError) as caught:
        PromptFiles(tmp_path, "new").write_version(1, text, None)
    assert says in str(caught.value) and "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_a_published_version_does_not_change(tmp_path: Path) -> None:
    write(tmp_path, "greet", GREET)
    assert publish(tmp_path / "greet", read_registry(tmp_path).prompt("greet"), "live") is None
    with pytest.raises(PromptError, match="published and must not change"):
        PromptFiles(tmp_path, "greet").write_version(1, OTHER, text_hash(GREET))
    assert read_registry(tmp_path).prompt("greet", "live").text == GREET


@pytest.mark.parametrize("name", ["", "..", "../up", ".hidden", "a/b", "a\n", "é"])
def test_a_name_stays_in_the_folder(tmp_path: Path, name: str) -> None:
    with pytest.raises(PromptError, match="cannot be the name of a prompt"):
        PromptFiles(tmp_path, name)


@pytest.mark.parametrize("number", [0, -1, 10**9])
def test_versions_count_from_1(tmp_path: Path, number: int) -> None:
    with pytest.raises(PromptError, match="cannot be the number of a version"):
        PromptFiles(tmp_path, "greet").write_version(number, GREET, None)


def test_cases_are_written_only_if_they_are_some(tmp_path: Path) -> None:
    folder = write(tmp_path, "greet", GREET)
    files = PromptFiles(tmp_path, "greet")
    good = "cases: [{name: one, variables: {name: Ada}, expect: {contains: Ada}}]\n"
    files.write_cases(good, None)
    assert files.cases() == good
    with pytest.raises(PromptError, match="contain"):
        files.write_cases(good.replace("contains", "contain"), text_hash(good))
    with pytest.raises(FileChanged, match=r"tests\.yaml is there already"):
        files.write_cases(good, None)
    assert (folder / "tests.yaml").read_text() == good


def test_a_folder_that_cannot_be_written_stays_as_it_was(tmp_path: Path) -> None:
    folder = write(tmp_path, "greet", GREET)
    (folder / f".2.md.{os.getpid()}").mkdir()  # where the new text would be written first
    with pytest.raises(OSError):
        PromptFiles(tmp_path, "greet").write_version(2, OTHER, None)
    assert PromptFiles(tmp_path, "greet").versions() == {1: GREET}
