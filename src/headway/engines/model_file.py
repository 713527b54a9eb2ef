"""Finding the model: a path, a Hugging Face repository, or the default one, fetched once."""

from __future__ import annotations

from pathlib import Path


class ModelError(Exception):
    """The model cannot be had or used; the message is one sentence that says what to do."""


def default_model() -> Path:
    """The default model's file in the user's cache folder, fetched if it is not there yet.

    Raises ModelError.
    """
    raise NotImplementedError


def find_model(model: str | None) -> Path:
    """The GGUF for what the user said: None, a path, or `org/name[:file.gguf]`.

    Raises ModelError.
    """
    raise NotImplementedError
