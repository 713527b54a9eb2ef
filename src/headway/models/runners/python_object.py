"""An operator's own function, from list to list."""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from headway.models.signature import BadItem, ModelFailure, Signature


class PythonObject:
    """Calls the object at `location`: `FILE.py:NAME` or `MODULE:NAME`.

    A class is instantiated once, without arguments, and its instance is called: its constructor
    can load a model. What is awaited runs on one event loop for the worker's life, so that a client
    or a lock that the object keeps goes on working. A ValueError means that an item is wrong, any
    other exception that the model failed.

    Raises:
        ModelFailure: there is no such object, or it cannot be called.
    """

    def __init__(self, location: str) -> None:
        self._loop = asyncio.Runner()
        self._loop.get_loop()  # it is the current one from here on
        file, _, name = location.rpartition(":")
        module = _module(file)
        try:
            found = getattr(module, name)
        except AttributeError:
            raise ModelFailure(f"{file} has no {name}") from None
        if inspect.isclass(found):
            found = found()
        if not callable(found):
            raise ModelFailure(f"{location} cannot be called; name a function from list to list")
        self._call: Callable[[list[Any]], Any] = found
        self.signature = Signature(task="python", platform="python")

    def run(self, items: list[Any]) -> Any:
        """Call the object. Raises BadItem for a ValueError; other exceptions pass through."""
        try:
            found = self._call(items)
            return self._loop.run(_awaited(found)) if inspect.isawaitable(found) else found
        except ValueError as error:
            raise BadItem(str(error)) from error


def _module(file: str) -> Any:
    sys.path.insert(0, "" if not file.endswith(".py") else str(Path(file).parent))
    try:
        if not file.endswith(".py"):
            return importlib.import_module(file)
        spec = importlib.util.spec_from_file_location(Path(file).stem, file)
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module
        spec.loader.exec_module(module)
    except Exception as error:
        raise ModelFailure(
            f"{file} cannot be imported ({type(error).__name__}: {error})"
        ) from error
    return module


async def _awaited(found: Any) -> Any:
    return await found
