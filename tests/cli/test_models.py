"""`headway serve --model NAME=PATH` as an operator meets it."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.cli.test_command_line import headway, one_line_failure
from tests.models.functions_source import function

from headway.cli.models import catalog_of
from headway.config.models import ModelConfig
from headway.config.settings import Settings
from headway.core.request import Tier
from headway.extras import install_extra
from headway.models.instances import Instances
from headway.models.remote import RemoteModel
from headway.models.signature import ModelFailure
from headway.models.source import BUILT_IN


def refused(tmp_path: Path, *models: str, code: int = 1) -> str:
    """The one line that `headway serve` ends with."""
    arguments = [part for model in models for part in ("--model", model)]
    database = f"log.requests_db={tmp_path / 'requests.db'}"
    return one_line_failure(headway("serve", "--port", "0", "--set", database, *arguments), code)


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    assert "there is no file nowhere.onnx" in refused(tmp_path, "m=nowhere.onnx")


def test_a_file_that_is_no_model_is_an_error(tmp_path: Path) -> None:
    notes = tmp_path / "notes.txt"
    notes.touch()
    assert "is no model that can be served" in refused(tmp_path, f"m={notes}")
    damaged = tmp_path / "m.onnx"
    damaged.write_text("no graph")
    message = refused(tmp_path, f"m={damaged}")
    assert "the model 'm' cannot be loaded" in message
    assert "m.onnx is no ONNX model" in message


def test_a_function_that_fails_at_its_start_is_an_error(tmp_path: Path) -> None:
    message = refused(tmp_path, f"m={function('Unloadable').location}")
    assert message == "the model 'm' cannot be loaded: RuntimeError: there is no room"


def test_two_embedded_engines_are_one_too_many(tmp_path: Path) -> None:
    message = refused(tmp_path, "a.gguf", "b.gguf", code=2)
    assert "names a.gguf and b.gguf" in message and "NAME=PATH" in message


def test_two_models_of_one_name_are_an_error(tmp_path: Path) -> None:
    assert "the name 'm' is there twice" in refused(tmp_path, "m=a.onnx", "m=b.onnx", code=2)


def test_the_model_that_comes_with_headway_is_served_if_nothing_is_said() -> None:
    assert [model.name for model in catalog_of(Settings())] == [BUILT_IN]
    assert not list(catalog_of(Settings(models=())))


def test_where_its_libraries_are_missing_the_log_says_how_to_get_them(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("headway.cli.models.find_spec", lambda _: None)
    caplog.set_level("INFO")
    assert not list(catalog_of(Settings()))
    assert f"{BUILT_IN} is not served: run {install_extra('models')}" in caplog.text


def test_settings_of_a_model_reach_its_batches(tmp_path: Path) -> None:
    settings = Settings(
        models=(
            ModelConfig(
                name="f",
                path=function("upper").location,
                instances=2,
                max_batch_size=7,
                batch_sizes=(1, 4),
                batch_lengths=(8, 16),
                max_batch_tokens=64,
                batching="constant",
                max_delay_s=0.5,
                unload_after_s=9.0,
            ),
            ModelConfig(name="r", path="http://host:1", instances=3),
        ),
        max_queue=5,
    )
    function_model, remote = catalog_of(settings)
    assert isinstance(function_model.backing, Instances) and function_model.backing.count == 2
    batching = function_model.settings
    assert (batching.limits.max_size, batching.limits.max_tokens) == (7, 64)
    assert (batching.limits.sizes, batching.limits.lengths) == ((1, 4), (8, 16))
    assert batching.tiers[Tier.STANDARD].policy == "constant"
    assert batching.tiers[Tier.STANDARD].max_delay_s == 0.5
    assert batching.max_queue == 5 and not batching.length_aware
    assert isinstance(remote.backing, RemoteModel)
    assert remote.backing.url == "http://host:1/v2/models/r"


def test_a_path_that_is_nothing_is_an_error() -> None:
    with pytest.raises(ModelFailure, match=r"nowhere.* is not there: name all-MiniLM"):
        catalog_of(Settings(models=(ModelConfig(name="m", path="nowhere"),)))
