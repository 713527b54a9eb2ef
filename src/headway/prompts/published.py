"""Which versions of a prompt are published, and what their aliases are."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import yaml

from headway.prompts.errors import PromptError
from headway.prompts.prompt import Prompt
from headway.prompts.text_file import write_text
from headway.prompts.yaml_text import loaded

FILE = "published.yaml"
PRODUCTION = "production"
"""The alias that is meant where a request names no version."""
_ALIAS = re.compile(r"[A-Za-z][\w.-]{0,63}")
_HEAD = "# Written by `headway prompts promote`; commit it with the prompt.\n"


class Published(msgspec.Struct, forbid_unknown_fields=True, kw_only=True, frozen=True):
    """The file beside a prompt's versions."""

    aliases: dict[str, int] = {}
    """Versions by alias."""
    sha256: dict[int, str] = {}
    """Hashes of the published versions: they must not change any more."""


def read_published(folder: Path) -> Published:
    """What the file in a prompt's folder says; nothing is published if there is none.

    Raises:
        PromptError: it cannot be read, or something in it is wrong.
    """
    path = folder / FILE
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        return Published()
    except (OSError, UnicodeDecodeError) as error:
        raise PromptError(f"{path}: cannot be read: {error}") from None
    try:
        found = msgspec.convert(loaded(text, str(path)) or {}, Published)
    except msgspec.ValidationError as error:
        raise PromptError(f"{path}: {error}") from None
    for alias in found.aliases:
        check_alias(alias, str(path))
    return found


def write_published(folder: Path, published: Published) -> None:
    """Write the file, at once or not at all. Raises OSError."""
    values = {
        "aliases": dict(sorted(published.aliases.items())),
        "sha256": dict(sorted(published.sha256.items())),
    }
    write_text(folder / FILE, _HEAD + yaml.safe_dump(values, sort_keys=False))


def publish(folder: Path, prompt: Prompt, alias: str) -> int | None:
    """Publish a version, and let an alias mean it from now on.

    Args:
        folder: of the prompt.
        prompt: the version.
        alias: that is moved there.

    Returns:
        The version that the alias meant before.

    Raises:
        PromptError: the alias cannot be one, or the file is wrong.
        OSError: it cannot be written.
    """
    check_alias(alias, "the alias")
    published, number = read_published(folder), prompt.id.version
    aliases = {**published.aliases, alias: number}
    hashes = {**published.sha256, number: prompt.sha256}
    write_published(folder, Published(aliases=aliases, sha256=hashes))
    return published.aliases.get(alias)


def check_alias(alias: str, place: str) -> None:
    """Raise PromptError if that cannot be an alias: a number is a version."""
    if not _ALIAS.fullmatch(alias):
        raise PromptError(
            f"{place}: {alias[:100]!r} cannot be an alias; begin it with a letter, and use "
            "letters, digits, `.`, `_` and `-`"
        )
