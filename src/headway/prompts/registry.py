"""All prompts of a folder, with their versions and aliases."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from headway.prompts.errors import BrokenPrompt, PromptError, PromptNotFound
from headway.prompts.prompt import Prompt, PromptId, Rendered, read_prompt
from headway.prompts.published import FILE, PRODUCTION, Published, read_published
from headway.prompts.text_file import file_text

SUFFIX = ".md"
_NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,63}", re.ASCII)
_VERSION = re.compile(r"[1-9][0-9]{0,8}")
NOT_VERSIONS = ("README.md",)
LISTED = 20
"""Names that an error lists."""


@dataclass(slots=True)
class Entry:
    """One prompt: its versions, and what is published of it."""

    name: str
    versions: dict[int, Prompt] = field(default_factory=dict)
    """Usable versions by number, ascending."""
    broken: dict[int, str] = field(default_factory=dict)
    """What is wrong with the others; a version that is used as it was before is in both."""
    published: Published = field(default_factory=Published)

    @property
    def default(self) -> int:
        """The version that is meant where none is named: `production`, else the newest."""
        newest = max((*self.versions, *self.broken), default=0)
        return self.published.aliases.get(PRODUCTION, newest)

    def number(self, version: str | int | None) -> int:
        """The number of a version that is given as one, as its text or as an alias.

        Raises:
            PromptNotFound: there is none.
        """
        if version is None or version == "":
            return self.default
        text = str(version)
        if text in self.published.aliases:
            return self.published.aliases[text]
        number = int(text) if _VERSION.fullmatch(text) else 0
        if number in self.versions or number in self.broken:
            return number
        known = ", ".join(map(str, sorted({*self.versions, *self.broken})))
        aliases = ", ".join(self.published.aliases)
        raise PromptNotFound(
            f"the prompt {self.name!r} has no version {text[:100]!r}; it has the versions "
            f"{known or 'none'}" + (f" and the aliases {aliases}" if aliases else ""),
            "version",
        )


@dataclass(frozen=True, slots=True)
class Registry:
    """The prompts of a folder, as they were when it was read."""

    folder: Path
    entries: Mapping[str, Entry]
    """By name, in alphabetical order."""
    problems: tuple[str, ...] = ()
    """What is wrong with files, a sentence each that begins with the file."""

    def entry(self, name: str) -> Entry:
        """The prompt of that name. Raises PromptNotFound."""
        found = self.entries.get(name)
        if found is None:
            names = list(self.entries)
            listed = ", ".join([*names[:LISTED], *(["…"] if len(names) > LISTED else [])])
            raise PromptNotFound(
                f"there is no prompt {name[:100]!r}; there are: {listed or 'none'}", "id"
            )
        return found

    def prompt(self, name: str, version: str | int | None = None) -> Prompt:
        """A version of a prompt.

        Args:
            name: of the prompt.
            version: its number, or an alias; None: `production`, else the newest.

        Raises:
            PromptNotFound: there is none.
            BrokenPrompt: its file is wrong.
        """
        entry = self.entry(name)
        number = entry.number(version)
        prompt = entry.versions.get(number)
        if prompt is None and number in entry.broken:
            raise BrokenPrompt(f"the prompt {name}@{number} cannot be used: {entry.broken[number]}")
        if prompt is None:
            alias = PRODUCTION if version is None else version
            raise BrokenPrompt(
                f"the prompt {name!r} cannot be used: {alias!r} is the version {number}, which is "
                "not there"
            )
        return prompt

    def render(
        self, name: str, version: str | int | None, variables: Mapping[str, Any]
    ) -> Rendered:
        """The messages and settings of a prompt; nothing is read, and nothing remembered.

        Args:
            name: of the prompt.
            version: see `prompt`.
            variables: values by name, see `variables.values`.

        Raises:
            PromptNotFound: there is no such prompt or version.
            BrokenPrompt: its file is wrong.
            WrongVariables: values are missing, unknown or of the wrong type.
        """
        return self.prompt(name, version).render(variables)


def read_registry(folder: Path, before: Registry | None = None) -> Registry:
    """Read all prompts of a folder. What is wrong with single files is in `problems`.

    Args:
        folder: has a folder for each prompt, with `1.md`, `2.md`, … and `published.yaml`.
        before: an earlier reading: of files that are wrong now, its versions stay in use.

    Raises:
        PromptError: the folder itself cannot be read.
    """
    try:
        found = sorted(path for path in folder.iterdir() if path.is_dir())
    except OSError as error:
        raise PromptError(
            f"the prompts in {folder} cannot be read: {error.strerror}; "
            "name a folder that holds one folder for each prompt"
        ) from None
    entries: dict[str, Entry] = {}
    problems: list[str] = []
    for path in found:
        if path.name.startswith((".", "_")):
            continue
        if not _NAME.fullmatch(path.name):
            problems.append(f"{path}: a prompt's name has letters, digits, `.`, `_` and `-` only")
            continue
        known = before.entries.get(path.name) if before else None
        entry, wrong = _read_entry(path, known or Entry(path.name))
        if entry.versions or entry.broken:
            entries[path.name] = entry
        problems += wrong
    return Registry(folder, entries, tuple(problems))


def _read_entry(folder: Path, before: Entry) -> tuple[Entry, list[str]]:
    try:
        files, problems = version_files(folder)
    except OSError as error:
        return before, [f"{folder}: cannot be read: {error.strerror}"]
    try:
        published = read_published(folder)
    except PromptError as error:
        problems.append(str(error))
        if not before.versions:  # which version is meant, and whether it was changed, is not known
            return Entry(folder.name, broken=dict.fromkeys(files, str(error))), problems
        published = before.published
    entry = Entry(folder.name, published=published)
    for number, path in sorted(files.items()):
        hashed = published.sha256.get(number)
        known = before.versions.get(number)
        try:
            entry.versions[number] = _read_version(path, number, hashed, known)
        except PromptError as error:
            entry.broken[number] = str(error)
            problems.append(str(error))
            if known is not None and hashed in (None, known.sha256):
                entry.versions[number] = known
    if not files:
        problems.append(f"{folder}: has no version; write the first one as {folder / '1.md'}")
    for alias, number in published.aliases.items():
        if number not in files:
            problems.append(
                f"{folder / FILE}: {alias!r} is the version {number}, which is not there"
            )
    problems += [
        f"{folder / FILE}: the version {number} is published, and its file is not there; restore it"
        for number in published.sha256
        if number not in files and number not in published.aliases.values()
    ]
    return entry, problems


def version_files(folder: Path) -> tuple[dict[int, Path], list[str]]:
    """The files of a prompt's versions by number, and what looks like one and is none.

    Raises OSError.
    """
    files: dict[int, Path] = {}
    problems: list[str] = []
    for path in folder.iterdir():
        if path.suffix != SUFFIX or path.name in NOT_VERSIONS or path.name.startswith("."):
            continue
        if _VERSION.fullmatch(path.stem):
            files[int(path.stem)] = path
        else:
            problems.append(f"{path}: is no version; name it by its number, such as 1.md")
    return files, problems


def check_name(name: str) -> None:
    """Raise PromptError if that cannot be the name of a prompt."""
    if not _NAME.fullmatch(name):
        raise PromptError(
            f"{name[:100]!r} cannot be the name of a prompt; begin it with a letter or digit, and "
            "use letters, digits, `.`, `_` and `-`"
        )


def version_file(number: int) -> str:
    """The name of the file of a version. Raises PromptError if that cannot be its number."""
    if not _VERSION.fullmatch(str(number)):
        raise PromptError(f"{number} cannot be the number of a version; count from 1")
    return f"{number}{SUFFIX}"


def _read_version(path: Path, number: int, hashed: str | None, known: Prompt | None) -> Prompt:
    text = file_text(path)
    if known is not None and known.text == text:
        prompt = known
    else:
        prompt = read_prompt(PromptId(path.parent.name, number), text, str(path))
    if hashed is not None and prompt.sha256 != hashed:
        raise PromptError(
            f"{path}: was changed after it was published; restore it, and write the change as a "
            "new version"
        )
    return prompt
