"""Where settings come from: `headway.yaml`, then the environment, then flags.

Every value keeps the place it was given at, so that an error can name the line, the variable or
the flag that is wrong, and `headway config show` can say where each value comes from.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_settings import EnvSettingsSource, SettingsError

from headway.config.explanation import did_you_mean, explained, known_keys
from headway.config.settings import Settings
from headway.config.settings_file import from_file
from headway.config.source import ConfigError, KeyPath, Source, dotted, place_of
from headway.redaction import masked

PREFIX = "HEADWAY_"

NOT_SETTINGS = frozenset(
    f"HEADWAY_{name}"
    for name in (
        "API_KEY",
        "CACHE",
        "CONFIG",
        "DATA",
        "JOURNAL",
        "PRICES_FILE",
        "URL",
        "WEBHOOK_SECRET",
        "WORKER_KEY",
    )
)
"""Variables with the prefix that other parts of Headway read."""

SERVICE_LINKS = re.compile(r"HEADWAY_(SERVICE_(HOST|PORT.*)|PORT_\d+_(TCP|UDP).*)")
"""What Kubernetes puts into every container beside a Service that is named headway."""


@dataclass(frozen=True, slots=True)
class Flag:
    """One flag of the command line and the setting that it gives."""

    name: str
    path: KeyPath
    value: object


@dataclass(slots=True)
class Configuration:
    """The effective settings, and who gave each."""

    settings: Settings
    sources: Sequence[Source]
    """Strongest first."""

    @property
    def file(self) -> Path:
        """The settings file; it need not exist."""
        return Path(self.sources[-1].default_place)

    def place(self, path: KeyPath) -> str:
        """Which file and line, variable or flag gave `path`; "default" if none did."""
        return place_of(self.sources, path)


def load(flags: Iterable[Flag] = (), path: Path | None = None) -> Configuration:
    """Read all sources and check them.

    Args:
        flags: what the command line gave.
        path: the file of --config; without it $HEADWAY_CONFIG, then ./headway.yaml if it exists.

    Raises:
        ConfigError: a key or a value is wrong, or the file cannot be read.
    """
    sources = [_from_flags(flags), _from_environment(), from_file(path)]
    merged: dict[str, Any] = {}
    for source in reversed(sources):
        merged = _merge(merged, source.values)
    try:
        return Configuration(Settings(**merged), sources)
    except ValidationError as error:
        raise ConfigError(masked(explained(error.errors()[0], sources))) from None


def _merge(weak: Mapping[str, Any], strong: Mapping[str, Any]) -> dict[str, Any]:
    """Sections are merged key by key; any other value of `strong` replaces that of `weak`."""
    merged = dict(weak)
    for key, value in strong.items():
        below = merged.get(key)
        if isinstance(value, dict) and isinstance(below, dict):
            value = _merge(below, value)
        merged[key] = value
    return merged


def _from_flags(flags: Iterable[Flag]) -> Source:
    source = Source("command line")
    for flag in flags:
        node = source.values
        for key in flag.path[:-1]:
            node = node.setdefault(str(key), {})
            if not isinstance(node, dict):
                raise ConfigError(f"{flag.name}: {dotted(flag.path)} is set in two ways")
        node[str(flag.path[-1])] = flag.value
        source.places[flag.path] = flag.name
    return source


def _from_environment() -> Source:
    source = Source("environment")
    try:
        source.values = EnvSettingsSource(Settings)()
    except SettingsError as error:
        found = re.search(r'field "(\w+)"', str(error))
        variable = f"{PREFIX}{found[1].upper()}" if found else "environment"
        raise ConfigError(f"{variable}: a list or a section is given as JSON here") from None
    for variable, value in sorted(os.environ.items()):
        if not variable.startswith(PREFIX) or variable in NOT_SETTINGS:
            continue
        path = tuple(variable.removeprefix(PREFIX).lower().split("__"))
        if SERVICE_LINKS.fullmatch(variable) or (path == ("port",) and "://" in value):
            source.values.pop(path[0], None)
            continue
        if source.place(path) is None:
            known = known_keys(path[:-1])
            raise ConfigError(
                f"{variable}: unknown setting {dotted(path)!r}"
                + did_you_mean(path[-1], known, variable.removesuffix(path[-1].upper()))
            )
        source.places[path] = variable
    return source
