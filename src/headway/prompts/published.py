"""Which versions of a prompt are published, and what their aliases are."""

from __future__ import annotations

import os
import re
from pathlib import Path

import msgspec
import yaml

from headway.prompts.errors import PromptError
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
    path = folder / FILE
    new = path.with_name(f".{FILE}.{os.getpid()}")
    new.write_text(_HEAD + yaml.safe_dump(values, sort_keys=False), encoding="utf-8")
    new.replace(path)


def check_alias(alias: str, place: str) -> None:
    """Raise PromptError if that cannot be an alias: a number is a version."""
    if not _ALIAS.fullmatch(alias):
        raise PromptError(
            f"{place}: {alias[:100]!r} cannot be an alias; begin it with a letter, and use "
            "letters, digits, `.`, `_` and `-`"
        )
