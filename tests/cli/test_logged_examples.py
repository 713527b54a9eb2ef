"""What a request log teaches."""

from __future__ import annotations

from pathlib import Path

import msgspec
from tests.store.records import record

from headway.cli.logged_examples import logged_examples
from headway.prediction.learning.logged import LoggedPrompt, logged_features
from headway.store.request_log import RequestLog

MESSAGES = msgspec.json.encode([{"role": "user", "content": "List ten tips about glass."}])


def log_of(path: Path, *answers: tuple[int, int | None]) -> Path:
    """A log of answers with so many tokens, under such a limit."""
    log = RequestLog(path, make_features=logged_features)
    for number, (output_tokens, max_tokens) in enumerate(answers):
        log.write(
            record(number, model="m", max_tokens=max_tokens, output_tokens=output_tokens),
            LoggedPrompt("chat", {"messages": msgspec.Raw(MESSAGES)}),
        )
    log.close()
    return path


def lengths_of(path: Path) -> list[float]:
    _, lengths = logged_examples(path, "m")
    return [float(length) for length in lengths]


def test_an_answer_that_its_limit_cut_off_early_is_no_example(tmp_path: Path) -> None:
    path = log_of(tmp_path / "requests.db", (300, None), (8, 8), (200, 500), (8, 8))
    assert lengths_of(path) == [300.0, 200.0]


def test_where_most_are_cut_off_at_one_limit_they_are_as_long_as_that(tmp_path: Path) -> None:
    path = log_of(tmp_path / "requests.db", (256, 256), (256, 256), (40, 256), (256, 256))
    assert lengths_of(path) == [256.0, 256.0, 40.0, 256.0]


def test_where_all_are_cut_off_that_is_all_that_is_known(tmp_path: Path) -> None:
    path = log_of(tmp_path / "requests.db", (8, 8), (8, 8))
    assert lengths_of(path) == [8.0, 8.0]
