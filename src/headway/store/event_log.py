"""The scheduler's events and decisions, one JSON line each, for replay.

Each line is a call of a Scheduler method: its kind, its time, its arguments, and the decisions
that followed. The same calls give the same decisions from a new scheduler, under the gateway, in
the simulator and in a test: `replay` checks it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields
from functools import wraps
from inspect import signature
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, get_type_hints

import msgspec

from headway.core.backend import Backend
from headway.core.estimate import SizeEstimate
from headway.core.request import Request
from headway.core.scheduler import Scheduler
from headway.core.settings import SchedulerSettings

try:
    import fcntl
except ImportError:  # Windows, which has no such lock
    fcntl = None  # type: ignore[assignment]

OPENED = "Opened"
"""Kind of the first line: the scheduler's settings."""
EVENTS = {
    "Added": "add",
    "Progressed": "progress",
    "Pinned": "pin",
    "Finished": "finish",
    "Cancelled": "cancel",
    "Requeued": "requeue",
    "Revised": "revise",
    "Moved": "move",
    "BackendSet": "set_backend",
    "BackendRemoved": "remove_backend",
    "Calibrated": "calibrate",
    "PolicyUsed": "use_policy",
    "Stepped": "step",
}
"""Scheduler methods by the kind of their lines."""
WHOLE: dict[str, tuple[str, type]] = {
    "Added": ("request", Request),
    "BackendSet": ("backend", Backend),
}
"""Events whose one argument is written field by field: its name and type."""
FROM_BEFORE = ("output_tokens", "predicted_tokens", "started_s", "preemptions")
"""State that a request keeps when it is added again."""
UNLESS_EMPTY = ("step", "parents", "to_come", "piecewise")
"""Facts that a line has only if they say something."""
FACTS: dict[type, tuple[str, ...]] = {
    Request: (*(field.name for field in fields(Request) if field.init), *FROM_BEFORE),
    Backend: tuple(field.name for field in fields(Backend) if field.init),
}
FIELDS = {"request_id": "id"}
"""Fields of lines by parameter, where they differ."""
PARAMETERS = {field: parameter for parameter, field in FIELDS.items()}
HINTS: dict[str, dict[str, Any]] = {
    OPENED: {"settings": SchedulerSettings},
    **{kind: get_type_hints(getattr(Scheduler, name)) for kind, name in EVENTS.items()},
}


class EventLogError(Exception):
    """The log cannot be read or begun; the message says why and what to do."""


class LoggedEvent(NamedTuple):
    """One call of a Scheduler method. It can be replayed once: the scheduler keeps its request."""

    kind: str
    """One of EVENTS, or OPENED."""
    now_s: float
    arguments: dict[str, Any]
    """By parameter name, without `now_s`."""
    decided: list[str]
    """The decisions that followed."""


class LoggedScheduler(Scheduler):
    """A scheduler that writes each of its events and decisions to a log.

    Args:
        settings: as for any scheduler.
        log: where the lines go; the caller buffers and closes it.
    """

    def __init__(self, settings: SchedulerSettings, log: BinaryIO) -> None:
        super().__init__(settings)
        self._log = log
        self._encoder = msgspec.json.Encoder(enc_hook=_estimate_as_values)
        opened = settings_as_values(settings)
        self._write({"type": OPENED, "now_s": 0.0, "settings": opened})

    def _write(self, line: dict[str, Any]) -> None:
        self._log.write(self._encoder.encode(line) + b"\n")


def begin(path: Path) -> BinaryIO:
    """A new log in the file `path`, which no other process may begin while it is open.

    Raises:
        EventLogError: another process writes there.
        OSError: it cannot be written.
    """
    log = path.open("ab")
    if fcntl is not None:
        try:
            fcntl.flock(log, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            log.close()
            raise EventLogError(
                f"{path} is the event log of another gateway that runs; name another file in "
                "log.events"
            ) from None
    if path.is_file():  # and no pipe
        log.truncate(0)
    return log


def _logged(kind: str, method: Callable[..., Any]) -> Callable[..., Any]:
    """`method` of a scheduler, which also writes its line once it has returned."""
    names = [FIELDS.get(name, name) for name in list(signature(method).parameters)[1:]]

    @wraps(method)
    def call(scheduler: LoggedScheduler, *values: Any, **named: Any) -> Any:
        facts = dict(zip(names, values, strict=False))
        if named:
            facts |= {FIELDS.get(name, name): value for name, value in named.items()}
        now_s = facts.pop("now_s")
        if kind in WHOLE:  # before the call, which may change the request
            facts = _as_fields(facts[WHOLE[kind][0]])
        result = method(scheduler, *values, **named)
        if kind == "Added":
            facts["decided"] = "" if result is None else str(result)
        elif kind == "Stepped":
            # Also without decisions: it may have considered preemption, which counts later.
            facts["decided"] = [str(decision) for decision in result]
        scheduler._write({"type": kind, "now_s": now_s, **facts})
        return result

    return call


for _kind, _name in EVENTS.items():
    setattr(LoggedScheduler, _name, _logged(_kind, getattr(Scheduler, _name)))


def _as_fields(whole: Request | Backend) -> dict[str, Any]:
    """The facts of a request or backend; sets in one order."""
    facts = {name: getattr(whole, name) for name in FACTS[type(whole)]}
    for name in UNLESS_EMPTY:
        if not facts.get(name, True):
            del facts[name]
    return {n: sorted(v) if isinstance(v, frozenset) else v for n, v in facts.items()}


def _estimate_as_values(value: object) -> dict[str, Sequence[float]]:
    if isinstance(value, SizeEstimate):
        return {"tokens": value.tokens, "weights": value.weights}
    raise NotImplementedError(f"an event log has no {type(value).__name__}")


def settings_as_values(settings: SchedulerSettings) -> dict[str, Any]:
    """Settings as plain values that JSON can hold."""
    values: dict[str, Any] = _with_infinity(msgspec.to_builtins(settings))
    return values


def settings_from_values(values: dict[str, Any]) -> SchedulerSettings:
    """The settings that `settings_as_values` made plain."""
    settings: SchedulerSettings = _typed(values, SchedulerSettings)
    return settings


def _with_infinity(value: Any) -> Any:
    """Plain values, with the infinite ones as text, for which JSON has no number."""
    if isinstance(value, dict):
        return {key: _with_infinity(inner) for key, inner in value.items()}
    return str(value) if value == float("inf") else value


def read_events(path: Path) -> Iterator[LoggedEvent]:
    """The events of a log.

    Raises:
        EventLogError: it cannot be read. A last line that a crash cut off is left out.
    """
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                if not line.endswith(b"\n"):
                    return
                try:
                    yield from _events(msgspec.json.decode(line, type=dict[str, Any]))
                except (msgspec.DecodeError, KeyError, TypeError) as error:
                    raise EventLogError(
                        f"{path}, line {number}, is no event or decision ({error}); name a file "
                        "that log.events of a gateway wrote"
                    ) from None
    except OSError as error:
        raise EventLogError(
            f"{path} cannot be read: {error.strerror}; name a file that `headway serve --set "
            "log.events=FILE` wrote"
        ) from None


def _events(line: dict[str, Any]) -> Iterator[LoggedEvent]:
    """The event of a line: two for a Progressed line of an old log, which has a `lane`."""
    if line["type"] == "Progressed" and "lane" in line:
        pinned = {"type": "Pinned", "now_s": line["now_s"], "id": line["id"]}
        yield _event({**pinned, "lane": line.pop("lane")})
    yield _event(line)


def _event(line: dict[str, Any]) -> LoggedEvent:
    """The event of a line. Raises KeyError, TypeError and msgspec.ValidationError."""
    kind, now_s, decided = line.pop("type"), line.pop("now_s"), line.pop("decided", [])
    if kind in WHOLE:
        name, of_type = WHOLE[kind]
        arguments = {name: _typed(line, of_type)}
        for field in FROM_BEFORE:
            if field in line:
                setattr(arguments[name], field, line[field])
    else:
        hints = HINTS[kind]
        named = {PARAMETERS.get(name, name): value for name, value in line.items()}
        arguments = {name: _typed(value, hints[name]) for name, value in named.items()}
    if kind != OPENED:
        signature(getattr(Scheduler, EVENTS[kind])).bind(None, **arguments, now_s=now_s)
    decisions = [decided] if isinstance(decided, str) and decided else list(decided)
    return LoggedEvent(kind, _typed(now_s, float), arguments, decisions)


def _typed(value: object, of_type: Any) -> Any:
    return msgspec.convert(value, of_type, strict=False, dec_hook=_estimate_of_values)


def _estimate_of_values(of_type: type, value: Any) -> object:
    return of_type(**value)


def replay(events: Sequence[LoggedEvent]) -> Iterator[tuple[LoggedEvent, list[str], list[str]]]:
    """Each event, what was decided on it then, and what a new scheduler decides now.

    Raises:
        EventLogError: the log does not begin with its settings, or begins twice.
    """
    if not events or events[0].kind != OPENED:
        what = "it does not begin with the settings of its scheduler" if events else "it is empty"
        raise EventLogError(
            f"this is no event log, as {what}; record one with `headway serve --set "
            "log.events=FILE`"
        )
    scheduler = Scheduler(**events[0].arguments)
    for event in events[1:]:
        if event.kind == OPENED:
            raise EventLogError("an event log is of one scheduler, and this one begins twice")
        result = getattr(scheduler, EVENTS[event.kind])(**event.arguments, now_s=event.now_s)
        decided = result if event.kind == "Stepped" else [result] if event.kind == "Added" else []
        yield event, event.decided, [str(decision) for decision in decided if decision is not None]
