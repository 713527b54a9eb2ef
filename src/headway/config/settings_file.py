"""Settings from a YAML file, each with its line."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from headway.config.source import ConfigError, KeyPath, Source, dotted
from headway.redaction import HIDDEN
from headway.yaml_words import value_of

DEFAULT_FILE = "headway.yaml"


def from_file(path: Path | None) -> Source:
    """Read the settings file.

    Args:
        path: None: $HEADWAY_CONFIG, then ./headway.yaml, if it exists.

    Raises:
        ConfigError: it cannot be read, or is no YAML file of settings.
    """
    if path is None and "HEADWAY_CONFIG" in os.environ:
        path = Path(os.environ["HEADWAY_CONFIG"])
    if path is None:
        path = Path(DEFAULT_FILE)
        if not path.exists():
            return Source(DEFAULT_FILE)
    root, values = _parsed(path, _text_of(path))
    if values is None:
        return Source(str(path))
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: must hold `key: value` lines at its top")
    return Source(str(path), values, dict(_lines(str(path), (), root)))


def _text_of(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        if path.is_dir():
            raise ConfigError(f"{path} is a folder; name the YAML file in it") from None
        raise ConfigError(f"{path}: cannot be read: {error.strerror}; check the path") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: is not UTF-8 text; settings are a YAML file") from None


def _parsed(path: Path, text: str) -> tuple[yaml.Node | None, Any]:
    """The nodes, which know their lines, and the values."""
    try:
        return yaml.compose(text, yaml.SafeLoader), value_of(text)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        wrong = _without_values(error)
        if "\\t" in (error.problem or ""):
            wrong = "there is a tab; indent with spaces"
        raise ConfigError(f"{path}:{line}: is not YAML: {wrong}") from None
    except (yaml.YAMLError, ValueError):  # ValueError: a date that is none
        raise ConfigError(f"{path}: is not YAML text") from None


def _without_values(error: yaml.MarkedYAMLError) -> str:
    """What is wrong with the YAML; an alias or a tag that it quotes may be a password."""
    return re.sub(r"(['\"])(?!<)[^'\"]{2,}\1", HIDDEN, error.problem or "")


def _lines(file: str, path: KeyPath, node: yaml.Node | None) -> Iterator[tuple[KeyPath, str]]:
    """Each key of a YAML document with its file and line; a key that stands twice is an error."""
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            place = f"{file}:{key.start_mark.line + 1}"
            if key.value in seen:
                raise ConfigError(f"{place}: {dotted((*path, key.value))!r} is there twice")
            seen.add(key.value)
            yield (*path, key.value), place
            yield from _lines(file, (*path, key.value), value)
    elif isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            yield (*path, index), f"{file}:{item.start_mark.line + 1}"
            yield from _lines(file, (*path, index), item)
