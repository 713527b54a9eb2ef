"""Predictors in files: plain arrays and a card; loading one runs no code from it."""

from __future__ import annotations

import zipfile
from contextlib import suppress
from importlib.resources import as_file, files
from io import BytesIO
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from headway.extras import install_extra
from headway.prediction.arrays import State, named, part
from headway.prediction.models.calibration import Calibration
from headway.prediction.models.encoded import EncodedStack
from headway.prediction.models.predictor import Card, Predictor
from headway.prediction.models.refinement import Refinement
from headway.prediction.models.refinement import fingerprint as standing_fingerprint
from headway.prediction.models.stack import Stack
from headway.prediction.texts.features import fingerprint

FORMAT = 1
NO_MODEL = (KeyError, IndexError, ValueError, TypeError)
"""Errors of models that are made from the wrong arrays."""


class ArtefactError(Exception):
    """A file cannot be used as a predictor; the message says why and what to do."""


class MissingExtra(ArtefactError):
    """The file may be intact, but a package it needs is not installed."""


class _Header(msgspec.Struct):
    format: int
    features: str
    """Fingerprint of its input features."""
    card: Card | None = None
    """None for a refinement."""


def save(predictor: Predictor, path: Path) -> None:
    """Write `predictor` to `path` atomically.

    Raises:
        ArtefactError: the file cannot be written.
    """
    _write(
        _Header(FORMAT, fingerprint(), predictor.card),
        {
            **named("model", predictor.model.state()),
            **named("calibration", predictor.calibration.state()),
        },
        path,
    )


def save_refinement(refinement: Refinement, path: Path) -> None:
    """Write `refinement` to `path` atomically. Raises ArtefactError."""
    _write(_Header(FORMAT, standing_fingerprint()), refinement.state(), path)


def shipped() -> Predictor:
    """The predictor that comes with Headway, described in `training/prior.md`."""
    with as_file(files("headway.prediction") / "data" / "prior.npz") as path:
        return load(path)


def shipped_stack() -> Stack:
    """The model of the shipped predictor: the base of those trained on a gateway's own traffic."""
    model = shipped().model
    assert isinstance(model, Stack)
    return model


def shipped_refinement() -> Refinement:
    """The refinement that comes with Headway, described in `training/prior.md`."""
    with as_file(files("headway.prediction") / "data" / "refinement.npz") as path:
        return load_refinement(path)


def load(path: Path) -> Predictor:
    """Read what `save` wrote.

    Raises:
        ArtefactError: there is no such file, it is damaged, or another Headway made it.
        MissingExtra: it has an encoder, which needs packages that are not installed.
    """
    state, card = _checked(path, fingerprint())
    if card is None:
        raise ArtefactError(f"{path} is not a Headway predictor: it has no card")
    try:
        of_model = part(state, "model")
        model = EncodedStack.of(of_model) if part(of_model, "encoder") else Stack.of(of_model)
        calibration = Calibration.of(part(state, "calibration"))
    except NO_MODEL as error:
        raise _damaged(path, error) from None
    except ImportError as error:
        raise MissingExtra(
            f"{path} has an encoder, which needs {error.name}: {install_extra('encoder')}"
        ) from None
    return Predictor(model, calibration, card)


def load_refinement(path: Path) -> Refinement:
    """Read what `save_refinement` wrote.

    Raises:
        ArtefactError: there is no such file, it is damaged, or another Headway made it.
    """
    state, _ = _checked(path, standing_fingerprint())
    try:
        return Refinement.of(state)
    except NO_MODEL as error:
        raise _damaged(path, error) from None


def _damaged(path: Path, error: Exception) -> ArtefactError:
    return ArtefactError(f"{path} is damaged: {error!r}; train it anew")


def _checked(path: Path, features: str) -> tuple[State, Card | None]:
    """The arrays and the card of a file, whose input features must have this fingerprint."""
    state = _read(path)
    try:
        header = msgspec.json.decode(state.pop("header").tobytes(), type=_Header)
    except (KeyError, msgspec.DecodeError, UnicodeDecodeError):
        raise ArtefactError(f"{path} is not a Headway predictor: its header is missing") from None
    if header.format != FORMAT or header.features != features:
        raise ArtefactError(
            f"{path} was made by another version of Headway (format {header.format}, features "
            f"{header.features}; this one: {FORMAT}, {features}); train it anew"
        )
    return state, header.card


def _write(header: _Header, arrays: State, path: Path) -> None:
    unfinished = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with unfinished.open("wb") as file:
            encoded = np.frombuffer(msgspec.json.encode(header), np.uint8)
            np.savez_compressed(file, allow_pickle=False, header=encoded, **arrays)
        unfinished.replace(path)
    except OSError as error:
        with suppress(OSError):
            unfinished.unlink(missing_ok=True)
        raise ArtefactError(f"cannot write the predictor to {path}: {error.strerror}") from None


def _read(path: Path) -> dict[str, NDArray[np.generic]]:
    try:
        with zipfile.ZipFile(path) as whole:
            return {
                name.removesuffix(".npy"): _array(whole.read(name)) for name in whole.namelist()
            }
    except FileNotFoundError:
        raise ArtefactError(
            f"there is no predictor file {path}; check the path, or train one with "
            "`headway predictor train`"
        ) from None
    except IsADirectoryError:
        raise ArtefactError(f"{path} is a folder; name the predictor's file in it") from None
    except Exception as error:  # zip, its compressions and numpy raise many types
        raise ArtefactError(
            f"{path} is not a Headway predictor, or it is damaged ({error!r}); train it anew"
        ) from None


def _array(content: bytes) -> NDArray[np.generic]:
    # The member was read whole, so its checksum was verified before it is parsed.
    return np.lib.format.read_array(BytesIO(content), allow_pickle=False)
