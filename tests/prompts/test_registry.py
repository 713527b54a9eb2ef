"""A folder of prompts: versions, aliases, published versions that stay as they are."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.prompts.files import GREET, write

from headway.prompts.errors import BrokenPrompt, PromptError, PromptNotFound, WrongVariables
from headway.prompts.published import Published, read_published, write_published
from headway.prompts.registry import Registry, read_registry

BROKEN = "---\nnothing: known\n---\nHi"


def publish(folder: Path, **aliases: int) -> None:
    """Publish versions of the prompt in a folder as they are now."""
    entry = read_registry(folder.parent).entries[folder.name]
    hashes = {number: entry.versions[number].sha256 for number in aliases.values()}
    before = read_published(folder)
    write_published(
        folder,
        Published(aliases=before.aliases | aliases, sha256=before.sha256 | hashes),
    )


def only_problem(registry: Registry) -> str:
    (problem,) = registry.problems
    return problem


def test_a_prompt_is_rendered_from_its_name_its_version_and_values(tmp_path: Path) -> None:
    write(tmp_path, "greet", GREET, GREET.replace("Hello", "Good day,"))
    registry = read_registry(tmp_path)
    rendered = registry.render("greet", 1, {"name": "Ada"})
    assert rendered.messages == [{"role": "user", "content": "Hello Ada!"}]
    assert rendered.id == ("greet", 1)
    with pytest.raises(WrongVariables, match="greet@2"):
        registry.render("greet", "2", {})


def test_without_a_version_it_is_production_else_the_newest(tmp_path: Path) -> None:
    folder = write(tmp_path, "greet", *[f"Hello {number}" for number in range(1, 13)])
    assert read_registry(tmp_path).prompt("greet").id.version == 12
    publish(folder, production=2, staging=11)
    registry = read_registry(tmp_path)
    found = [registry.prompt("greet", one).id.version for one in (None, "", "staging", "7", 7)]
    assert found == [2, 2, 11, 7, 7]


@pytest.mark.parametrize(
    ("name", "version", "wrong", "says"),
    [
        ("gret", None, "id", "there is no prompt 'gret'; there are: greet"),
        (
            "greet",
            "9",
            "version",
            "no version '9'; it has the versions 1 and the aliases production",
        ),
        ("greet", "../1", "version", "no version '../1'"),
        ("greet", -1, "version", "no version '-1'"),
        ("../greet", None, "id", "no prompt '../greet'"),
    ],
)
def test_what_is_not_there_is_said(
    tmp_path: Path, name: str, version: str | int | None, wrong: str, says: str
) -> None:
    publish(write(tmp_path, "greet", GREET), production=1)
    with pytest.raises(PromptNotFound) as caught:
        read_registry(tmp_path).prompt(name, version)
    assert caught.value.wrong == wrong and says in str(caught.value)


def test_one_wrong_file_breaks_its_version_only(tmp_path: Path) -> None:
    write(tmp_path, "greet", GREET, BROKEN)
    write(tmp_path, "part", "Bye")
    registry = read_registry(tmp_path)
    assert "2.md: unknown key 'nothing'" in only_problem(registry)
    assert registry.prompt("greet", 1) and registry.prompt("part")
    with pytest.raises(BrokenPrompt, match=r"greet@2 cannot be used: .*unknown key"):
        registry.prompt("greet")


def test_a_published_version_that_was_changed_is_noticed(tmp_path: Path) -> None:
    folder = write(tmp_path, "greet", GREET)
    publish(folder, production=1)
    (folder / "1.md").write_bytes(GREET.replace("\n", "\r\n").encode())
    assert not read_registry(tmp_path).problems, "git may have changed the line ends"
    (folder / "1.md").write_text(GREET.replace("Hello", "Hi"))
    registry = read_registry(tmp_path)
    assert "1.md: was changed after it was published; restore it" in only_problem(registry)
    with pytest.raises(BrokenPrompt, match="was changed"):
        registry.prompt("greet")


def test_a_published_version_that_is_gone_is_noticed(tmp_path: Path) -> None:
    folder = write(tmp_path, "greet", GREET, GREET + "2", GREET + "3")
    publish(folder, production=2, staging=3)
    publish(folder, staging=1)
    (folder / "2.md").unlink()
    (folder / "3.md").unlink()
    registry = read_registry(tmp_path)
    assert len(registry.problems) == 2
    assert "'production' is the version 2, which is not there" in registry.problems[0]
    assert "the version 3 is published, and its file is not there" in registry.problems[1]
    with pytest.raises(BrokenPrompt, match="'production' is the version 2, which is not there"):
        registry.prompt("greet")


@pytest.mark.parametrize(
    ("file", "text", "says"),
    [
        ("v2.md", "Hi", "v2.md: is no version; name it by its number, such as 1.md"),
        ("01.md", "Hi", "01.md: is no version"),
        ("1.5.md", "Hi", "1.5.md: is no version"),
    ],
)
def test_files_that_cannot_be_meant_are_said(
    tmp_path: Path, file: str, text: str, says: str
) -> None:
    folder = write(tmp_path, "greet", GREET)
    (folder / file).write_text(text)
    registry = read_registry(tmp_path)
    assert says in only_problem(registry)
    assert registry.prompt("greet", 1)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("aliases: {production: one}", "published.yaml: Expected `int`"),
        ("aliases: {'2': 1}", "published.yaml: '2' cannot be an alias"),
        ("alias: {}", "published.yaml: Object contains unknown field"),
        ("a: [", "published.yaml:1: is not YAML"),
    ],
)
def test_without_knowing_what_is_published_nothing_is_used(
    tmp_path: Path, text: str, says: str
) -> None:
    write(tmp_path, "greet", GREET, published_yaml=text)
    registry = read_registry(tmp_path)
    assert says in only_problem(registry)
    for version in (None, 1):
        with pytest.raises(BrokenPrompt, match=r"published\.yaml"):
            registry.prompt("greet", version)


def test_what_is_beside_prompts_is_no_prompt(tmp_path: Path) -> None:
    write(tmp_path, "greet", GREET, README_md="About it.", checks_py="", tests_yaml="")
    write(tmp_path, ".git", "Hi")
    write(tmp_path, "_drafts", "Hi")
    (tmp_path / "README.md").write_text("About all.")
    registry = read_registry(tmp_path)
    assert list(registry.entries) == ["greet"] and not registry.problems


def test_names_that_no_request_could_use_are_said(tmp_path: Path) -> None:
    write(tmp_path, "greet me", GREET)
    (tmp_path / "empty").mkdir()
    registry = read_registry(tmp_path)
    assert not registry.entries and len(registry.problems) == 2
    assert "empty: has no version; write the first one" in registry.problems[0]
    assert "a prompt's name has letters" in registry.problems[1]


def test_a_folder_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(PromptError, match="cannot be read: No such file"):
        read_registry(tmp_path / "none")


def test_read_again_what_is_wrong_now_stays_as_it_was(tmp_path: Path) -> None:
    folder = write(tmp_path, "greet", GREET, GREET + "2")
    publish(folder, production=1)
    before = read_registry(tmp_path)
    (folder / "1.md").write_text("Changed")
    (folder / "2.md").write_text(BROKEN)
    (folder / "published.yaml").write_text("aliases: {production: 1")
    after = read_registry(tmp_path, before)
    assert len(after.problems) == 3
    assert after.prompt("greet") is before.prompt("greet", 1)
    assert after.prompt("greet", 2) is before.prompt("greet", 2)


def test_a_change_of_a_published_version_is_not_used(tmp_path: Path) -> None:
    folder = write(tmp_path, "greet", GREET)
    publish(folder, production=1)
    before = read_registry(tmp_path)
    (folder / "1.md").write_text("Changed")
    after = read_registry(tmp_path, before)
    assert after.prompt("greet") is before.prompt("greet")
    assert "was changed after it was published" in only_problem(after)


def test_a_draft_is_not_used_in_place_of_what_was_published(tmp_path: Path) -> None:
    folder = write(tmp_path, "greet", "A draft.")
    before = read_registry(tmp_path)
    other = read_registry(write(tmp_path / "other", "greet", GREET).parent)
    hashed = other.prompt("greet").sha256
    write_published(folder, Published(aliases={"production": 1}, sha256={1: hashed}))
    with pytest.raises(BrokenPrompt, match="was changed"):
        read_registry(tmp_path, before).prompt("greet")
    (folder / "1.md").write_text(GREET)
    assert read_registry(tmp_path, before).prompt("greet").sha256 == hashed
