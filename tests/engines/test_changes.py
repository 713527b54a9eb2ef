"""One line in the log for each change of a backend, with why."""

from __future__ import annotations

from dataclasses import replace

import pytest

from headway.engines.backend_status import BackendStatus
from headway.engines.changes import Changes
from headway.engines.engine import Description

DOWN = BackendStatus(
    "gpu",
    "http://gpu:8000/v1",
    None,
    healthy=False,
    slots=0,
    error="gpu (http://gpu:8000/v1): nobody listens",
)


def up(*models: str, slots: int = 4) -> BackendStatus:
    description = Description(models=models, slots=slots)
    return replace(DOWN, description=description, healthy=True, slots=slots, error=None)


class Log:
    """The lines of one backend."""

    def __init__(self, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level("INFO")
        self._caplog = caplog
        self._changes = Changes("gpu")

    def at(self, now_s: float, status: BackendStatus, paused: str = "", for_s: float = 0.0) -> str:
        """What is logged of a look at `now_s`."""
        self._caplog.clear()
        self._changes.look(status, paused, for_s, now_s)
        return "\n".join(f"{one.levelname}: {one.getMessage()}" for one in self._caplog.records)


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> Log:
    return Log(caplog)


def test_a_backend_that_is_down_at_the_start_is_logged_once_with_why(log: Log) -> None:
    assert log.at(0.0, DOWN) == (
        "WARNING: backend gpu at http://gpu:8000/v1 is down: nobody listens"
    )
    assert log.at(0.5, DOWN) == ""


def test_one_that_is_up_says_where_and_what_it_serves(log: Log) -> None:
    line = "INFO: backend gpu is up at http://gpu:8000/v1: it serves a, b, 4 requests at once"
    assert log.at(0.0, up("a", "b")) == line
    assert log.at(2.0, up("a", "b")) == ""


def test_one_that_comes_back_says_after_how_long(log: Log) -> None:
    log.at(0.0, up("a"))
    log.at(10.0, DOWN)
    log.at(15.0, DOWN)
    assert "is up at http://gpu:8000/v1 after 12.5 s: it serves a" in log.at(22.5, up("a"))
    assert "down" in log.at(30.0, DOWN)
    assert "after 1.0 s" in log.at(31.0, up("a"))


def test_another_reason_while_it_is_down_is_logged_and_the_same_one_is_not(log: Log) -> None:
    loading = replace(DOWN, error="it answers 503: loading")
    log.at(0.0, DOWN)
    assert log.at(1.0, loading) == (
        "WARNING: backend gpu at http://gpu:8000/v1 is still down: it answers 503: loading"
    )
    assert log.at(2.0, DOWN) + log.at(3.0, loading) == ""


def test_reasons_that_differ_every_time_end_after_some_lines(log: Log) -> None:
    lines = [log.at(float(n), replace(DOWN, error=f"reason {n}")) for n in range(100)]
    assert sum(map(bool, lines)) == 8


def test_a_pause_and_its_end_are_one_line_each(log: Log) -> None:
    log.at(0.0, up("a"))
    paused = up("a", slots=0)
    assert log.at(1.0, paused, "it is overloaded, and paused", 0.5) == (
        "WARNING: backend gpu gets no requests: it is overloaded, and paused for 0.5 s"
    )
    assert log.at(1.2, paused, "it is overloaded, and paused", 0.3) == ""
    assert "too many failed" in log.at(1.3, paused, "too many failed")
    assert log.at(2.0, up("a", slots=2)) == "INFO: backend gpu gets requests again"


def test_a_pause_ends_with_the_backend(log: Log) -> None:
    log.at(0.0, up("a"))
    log.at(1.0, up("a", slots=0), "too many failed")
    log.at(2.0, DOWN)
    assert "is up" in log.at(3.0, up("a"))
    assert log.at(4.0, up("a")) == ""


def test_other_models_are_logged_and_other_limits_are_not(log: Log) -> None:
    log.at(0.0, up("a"))
    assert log.at(1.0, up("a", "b")) == "INFO: backend gpu now serves a, b"
    assert log.at(2.0, up("a", "b", slots=3)) == ""


def test_of_many_models_some_are_named(log: Log) -> None:
    assert "it serves 0, 1, 2, 3, 4 and 95 more, " in log.at(0.0, up(*map(str, range(100))))
