"""Where settings come from: `headway.yaml`, then the environment, then flags.

Every value keeps the place it was given at, so that an error can name the line, the variable or
the flag that is wrong, and `headway config show` can say where each value comes from.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import EnvSettingsSource, SettingsError

from headway.config.section import UnknownName
from headway.config.settings import Settings
from headway.redaction import HIDDEN, is_secret, masked
from headway.yaml_words import value_of

KeyPath = tuple[str | int, ...]
PREFIX = "HEADWAY_"
DEFAULT_FILE = "headway.yaml"

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


class ConfigError(Exception):
    """A setting is wrong; the message is one line that says where and what to do."""


@dataclass(frozen=True, slots=True)
class Flag:
    """One flag of the command line and the setting that it gives."""

    name: str
    path: KeyPath
    value: object


@dataclass(slots=True)
class Source:
    """The values of one source, and the place of each."""

    default_place: str
    values: dict[str, Any] = field(default_factory=dict)
    places: dict[KeyPath, str] = field(default_factory=dict)

    def place(self, path: KeyPath) -> str | None:
        """Where this source gives `path` (or what holds it), None if it does not."""
        node: Any = self.values
        for key in path:
            try:
                node = node[key]
            except (KeyError, IndexError, TypeError):
                return None
        for end in range(len(path), 0, -1):
            if (place := self.places.get(path[:end])) is not None:
                return place
        below = (place for given, place in self.places.items() if given[: len(path)] == path)
        return next(below, self.default_place)


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
    sources = [_from_flags(flags), _from_environment(), _from_file(path)]
    merged: dict[str, Any] = {}
    for source in reversed(sources):
        merged = _merge(merged, source.values)
    try:
        return Configuration(Settings(**merged), sources)
    except ValidationError as error:
        raise ConfigError(masked(_explain(error.errors()[0], sources))) from None


def place_of(sources: Sequence[Source], path: KeyPath) -> str:
    """The place of the strongest source that gives `path`; "default" if none does."""
    for source in sources:
        if (place := source.place(path)) is not None:
            return place
    return "default"


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


def _from_file(path: Path | None) -> Source:
    if path is None and "HEADWAY_CONFIG" in os.environ:
        path = Path(os.environ["HEADWAY_CONFIG"])
    if path is None:
        path = Path(DEFAULT_FILE)
        if not path.exists():
            return Source(DEFAULT_FILE)
    source = Source(str(path))
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        if path.is_dir():
            raise ConfigError(f"{path} is a folder; name the YAML file in it") from None
        raise ConfigError(f"{path}: cannot be read: {error.strerror}; check the path") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: is not UTF-8 text; settings are a YAML file") from None
    try:
        root = yaml.compose(text, yaml.SafeLoader)
        values = value_of(text)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        wrong = _without_values(error)
        if "\\t" in (error.problem or ""):
            wrong = "there is a tab; indent with spaces"
        raise ConfigError(f"{path}:{line}: is not YAML: {wrong}") from None
    except (yaml.YAMLError, ValueError):  # ValueError: a date that is none
        raise ConfigError(f"{path}: is not YAML text") from None
    if values is None:
        return source
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: must hold `key: value` lines at its top")
    source.values = values
    source.places = dict(_lines(str(path), (), root))
    return source


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


def _explain(error: ErrorDetails, sources: Sequence[Source]) -> str:
    """One line: where, which key, what is wrong, and what would be right."""
    path: KeyPath = error["loc"]
    place = place_of(sources, path)
    context = error.get("ctx", {})
    cause = context.get("error")
    if error["type"] == "extra_forbidden":
        return (
            f"{place}: unknown setting {dotted(path)!r}"
            f"{did_you_mean(str(path[-1]), known_keys(path[:-1]))}"
        )
    if error["type"] == "missing":
        holder = place_of(sources, path[:-1])
        return f"{holder}: {dotted(path[:-1])} needs {str(path[-1])!r}"
    value = error["input"]
    if error["type"] == "tuple_type":
        return f"{place}: {dotted(path)} is a list: write `- ` before each of its entries"
    if error["type"] in ("model_type", "dict_type", "model_attributes_type"):
        within = known_keys(path)
        example = f", such as `{within[0]}: …`" if within else " of the form `name: value`"
        return f"{place}: {dotted(path)} is a section: it has settings of its own{example}"
    if isinstance(cause, UnknownName):
        return f"{place}: {dotted(path)}: {cause}{_nearest(cause.value, cause.known)}"
    if error["type"] == "literal_error":
        choices = re.findall(r"'([^']*)'", context["expected"])
        return (
            f"{place}: {dotted(path)}: {value!r} is not one of {', '.join(choices)}"
            f"{_nearest(str(value), choices)}"
        )
    if cause is not None:
        return f"{place}: {dotted(path)}: {cause}"
    shown = ""
    if _may_show(path) and isinstance(value, str | int | float | bool | None):
        shown = f", got {value!r}"
    message = error["msg"]
    return f"{place}: {dotted(path)}: {message[0].lower()}{message[1:]}{shown}"


def _may_show(path: KeyPath) -> bool:
    """Whether an error may repeat what stands at `path`: no secret, and no section, which a secret
    may have been pasted in place of."""
    name = next((key for key in reversed(path) if isinstance(key, str)), "")
    return not (is_secret(name) or known_keys(path))


def known_keys(path: KeyPath) -> list[str]:
    """The keys that a section may have."""
    model: type[BaseModel] | None = Settings
    for key in path:
        if isinstance(key, int) or model is None:
            continue
        known = model.model_fields.get(str(key))
        model = _section_of(known.annotation) if known else None
    return list(model.model_fields) if model else []


def _section_of(annotation: Any) -> type[BaseModel] | None:
    """The section in a field's type: `X` itself, or in `tuple[X, ...]`."""
    for candidate in (annotation, *getattr(annotation, "__args__", ())):
        if isinstance(candidate, type) and issubclass(candidate, BaseModel):
            return candidate
    return None


def did_you_mean(word: str, known: Iterable[str], prefix: str = "") -> str:
    """`; did you mean …?` with the nearest right name; where none is near, all of them."""
    names = list(known)
    all_of_them = f"; known here: {', '.join(names)}" if names else ""
    return _nearest(word, names, prefix) or all_of_them


def _nearest(word: str, names: Sequence[str], prefix: str = "") -> str:
    """`; did you mean …?` with the nearest right name; nothing where none is near."""
    near = difflib.get_close_matches(word.lower(), names, n=1, cutoff=0.5)
    return f"; did you mean {prefix}{near[0].upper() if prefix else near[0]}?" if near else ""


def dotted(path: KeyPath) -> str:
    """A path as people write it: `backends[0].url`."""
    text = ""
    for key in path:
        text += f"[{key}]" if isinstance(key, int) else f".{key}" if text else str(key)
    return text
