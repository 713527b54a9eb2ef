"""Settings from files and flags, and why they are refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from headway.config.source import ConfigError
from headway.config.sources import Configuration, Flag, load


def file(text: str, name: str = "headway.yaml") -> Path:
    Path(name).write_text(text, encoding="utf-8")
    return Path(name)


def flag(name: str, setting: str, value: object) -> Flag:
    return Flag(name, tuple(setting.split(".")), value)


def failure(*flags: Flag, path: Path | None = None) -> str:
    with pytest.raises(ConfigError) as caught:
        load(flags, path)
    message = str(caught.value)
    assert "\n" not in message
    return message


def place(configuration: Configuration, setting: str) -> str:
    return configuration.place(tuple(setting.split(".")))
