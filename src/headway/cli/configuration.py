"""Reads settings with the flags of the command line, and prints them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import yaml
from pydantic import BaseModel, SecretStr

from headway.cli.exit import BAD_CONFIG, Failure
from headway.config.source import ConfigError, KeyPath
from headway.config.sources import Configuration, Flag, load
from headway.redaction import masked
from headway.yaml_words import value_of

_NAME = re.compile(r"\s*[a-z_]{1,40}(?:\.|\s*$)")


def read_configuration(
    flags: Mapping[str, tuple[str, object]], assignments: list[str] | None, path: Path | None
) -> Configuration:
    """The effective settings.

    Args:
        flags: setting and value by flag; a value of None was not given.
        assignments: the `KEY=VALUE` of every --set.
        path: the file of --config.

    Raises:
        Failure: something in them is wrong.
    """
    given = [
        Flag(flag, tuple(setting.split(".")), value)
        for flag, (setting, value) in flags.items()
        if value is not None
    ]
    for assignment in assignments or ():
        key, equals, text = assignment.partition("=")
        if not _NAME.match(key):
            # Whatever it is, it may be a secret.
            raise Failure("--set: write it as KEY=VALUE, with the name of a setting", BAD_CONFIG)
        if not equals:
            raise Failure(f"--set {assignment}: write it as KEY=VALUE", BAD_CONFIG)
        try:
            value = value_of(text)
        except yaml.YAMLError:
            raise Failure(f"--set {key}: the value is not YAML", BAD_CONFIG) from None
        given.append(Flag(f"--set {key}", tuple(key.strip().split(".")), value))
    try:
        return load(given, path)
    except ConfigError as error:
        raise Failure(error, BAD_CONFIG) from None


def request_log_of(log: Path | None, assignments: list[str] | None, config: Path | None) -> Path:
    """The file of --log, else that of the settings.

    Raises:
        Failure: the settings name none, or are wrong.
    """
    path = log or read_configuration({}, assignments, config).settings.log.requests_db
    if path is None:
        raise Failure("there is no request log: log.requests_db is null", BAD_CONFIG)
    return path.expanduser()


def lines(configuration: Configuration) -> list[str]:
    """The settings as YAML, the source of each in a comment."""
    rows = list(_section(configuration, (), configuration.settings))
    width = max(len(line) for line, place in rows if place) + 2
    return [f"{line:<{width}}# {place}" if place else line for line, place in rows]


def _section(
    configuration: Configuration, path: KeyPath, section: BaseModel
) -> Iterator[tuple[str, str]]:
    """Each line of a section with the place of its value; none for lines that only open one."""
    indent = "  " * len(path)
    for name in type(section).model_fields:
        value = getattr(section, name)
        here = (*path, name)
        if isinstance(value, BaseModel):
            yield f"{indent}{name}:", ""
            yield from _section(configuration, here, value)
        elif isinstance(value, tuple) and value and isinstance(value[0], BaseModel):
            yield f"{indent}{name}:", ""
            for index, item in enumerate(value):
                for number, (line, place) in enumerate(
                    _section(configuration, (*here, index), item)
                ):
                    dash = len(indent) + 2
                    yield (line if number else f"{line[:dash]}- {line[dash + 2 :]}"), place
        else:
            yield f"{indent}{name}: {_scalar(value)}", configuration.place(here)


def _scalar(value: object) -> str:
    """A value in YAML's one-line form, which JSON is; secrets are masked."""
    return masked(json.dumps(str(value) if isinstance(value, SecretStr | Path) else value))
