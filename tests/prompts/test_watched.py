"""Prompts are read again when their files change; what is wrong changes nothing."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from tests.prompts.files import GREET, write

from headway.prompts.watched import WatchedRegistry


def looked(watched: WatchedRegistry) -> list[str]:
    """What a greeting is, after as many looks as a change needs."""
    for _ in range(2):
        watched.look()
    return [one["content"] for one in watched.registry.render("greet", None, {}).messages]


def test_a_change_is_used_once_the_files_no_longer_change(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "headway")
    folder = write(tmp_path, "greet", "Hello")
    watched = WatchedRegistry(tmp_path)
    assert looked(watched) == ["Hello"] and not caplog.messages
    (folder / "1.md").write_text("Half of a")
    watched.look()
    (folder / "1.md").write_text("Half of a sentence")
    watched.look()
    assert watched.registry.prompt("greet").text == "Hello"
    assert looked(watched) == ["Half of a sentence"]
    assert caplog.messages == ["prompts were read again: changed: greet@1"]


def test_the_log_says_what_requests_get_now(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "headway")
    folder = write(tmp_path, "greet", "Hello", "Hi")
    watched = WatchedRegistry(tmp_path)
    (folder / "published.yaml").write_text("aliases: {production: 1}")
    write(tmp_path, "part", GREET)
    assert looked(watched) == ["Hello"]
    assert caplog.messages == [
        "prompts were read again: new: part; greet is greet@1 now, and was greet@2"
    ]


def test_a_wrong_file_is_said_once_and_changes_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = write(tmp_path, "greet", "Hello")
    watched = WatchedRegistry(tmp_path)
    (folder / "1.md").write_text("Hello {{ who }}")
    assert looked(watched) == looked(watched) == ["Hello"]
    (said,) = caplog.messages
    assert said.endswith("has no variable for; what was read of it before stays in use")
    (folder / "1.md").write_text("Hello you")
    assert looked(watched) == ["Hello you"]


def test_a_folder_that_is_gone_changes_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write(tmp_path / "prompts", "greet", "Hello")
    watched = WatchedRegistry(tmp_path / "prompts")
    shutil.rmtree(tmp_path / "prompts")
    assert looked(watched) == ["Hello"]
    assert "prompts stay as they were" in caplog.text
    write(tmp_path / "prompts", "greet", "Back")
    assert looked(watched) == ["Back"]


def test_what_is_wrong_at_the_start_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write(tmp_path, "greet", "Hello", "{{")
    assert WatchedRegistry(tmp_path).registry.prompt("greet", 1)
    assert "2.md:1: " in caplog.text
