"""A PyTorch module that TorchScript or torch.export wrote."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from headway.extras import pip_install
from headway.models.runners.torch_file import DATATYPES, TorchFile, exported, scripted
from headway.models.signature import ModelFailure, Signature
from headway.models.stacked import Stacked, Tensors

POSITIONAL = "INPUT__"
"""Triton's names of inputs, by their place."""


class TorchModule:
    """Runs the module in the file `location`.

    Inputs go by the names of the arguments of its `forward`, or by INPUT__0, INPUT__1 and so on; a
    single one may have any name. Outputs are called OUTPUT__0, OUTPUT__1 and so on, as in Triton;
    those of a mapping keep their names. Files that only pickle can read are not loaded, as loading
    them runs arbitrary code.

    Raises:
        ModelFailure: torch is not installed, or the file is no module that can be served.
    """

    def __init__(self, location: str, threads: int) -> None:
        # torch.export reads weights and constants with pickle by default.
        os.environ["TORCH_FORCE_WEIGHTS_ONLY_LOAD"] = "1"
        try:
            import torch
        except ImportError:
            raise ModelFailure(f"torch is not installed: {pip_install('torch')}") from None
        self._torch = torch
        torch.set_num_threads(threads)
        self._device = "cuda" if torch.cuda.is_available() else "cpu"
        path = Path(location)
        read = exported if path.suffix == ".pt2" else scripted
        self._file: TorchFile = read(path, self._device)
        self._stacked = Stacked(self._batch)
        self.signature = Signature(
            task="tensors", platform="pytorch_libtorch", inputs=self._file.inputs
        )

    def run(self, items: list[Tensors]) -> list[Tensors]:
        """Return the outputs of each item.

        Raises:
            ModelFailure: it does not take these inputs, fails, or returns no row for each item.
        """
        if not self.signature.batched:
            return [self._batch(item) for item in items]
        return self._stacked(items)

    def _batch(self, batch: Tensors) -> Tensors:
        torch = self._torch
        inputs = {
            name: self._tensor(name, array).to(self._device)
            for name, array in self._in_order(batch).items()
        }
        try:
            with torch.inference_mode():
                found = self._file.call(inputs)
        except (RuntimeError, TypeError, AssertionError) as error:
            raise ModelFailure(f"the module failed: {_last_line(error)}") from None
        if isinstance(found, Mapping):
            return {str(name): self._array(str(name), value) for name, value in found.items()}
        outputs = found if isinstance(found, (tuple, list)) else [found]
        named = {f"OUTPUT__{n}": value for n, value in enumerate(outputs)}
        return {name: self._array(name, value) for name, value in named.items()}

    def _in_order(self, batch: Tensors) -> Tensors:
        """`batch` by the names of the module's arguments, in their order."""
        names = self._file.names
        if set(batch) <= set(names) and set(batch) >= set(self._file.required):
            return {name: batch[name] for name in names if name in batch}
        places = [f"{POSITIONAL}{n}" for n in range(len(names))]
        least = len(self._file.required)
        if set(batch) <= set(places) and set(batch) >= set(places[:least]):
            return {name: batch[at] for name, at in zip(names, places, strict=True) if at in batch}
        if len(batch) == 1 and least <= 1 <= len(names):
            return {names[0]: next(iter(batch.values()))}
        raise ModelFailure(
            f"the module takes {', '.join(names)}, and {', '.join(batch)} was sent; name inputs as "
            f"its arguments are named, or {POSITIONAL}0, {POSITIONAL}1 and so on"
        )

    def _tensor(self, name: str, array: np.ndarray) -> Any:
        if array.dtype.name == "bfloat16":
            whole = self._torch.from_numpy(np.array(array.view(np.int16)))
            return whole.view(self._torch.bfloat16)
        if array.dtype.kind not in "biuf":
            raise ModelFailure(
                f"the input {name!r} holds texts, and a PyTorch module takes numbers; serve a "
                "Python function that prepares the texts"
            )
        return self._torch.from_numpy(np.array(array))

    def _array(self, name: str, value: Any) -> np.ndarray:
        """numpy has no bfloat16 of its own, and torch does not know that of ml_dtypes."""
        torch = self._torch
        if not isinstance(value, torch.Tensor):
            raise ModelFailure(
                f"its output {name!r} is a {type(value).__name__}; let forward return a tensor, "
                "several in a flat tuple, or a mapping of names to tensors"
            )
        plain = value.detach().cpu()
        if plain.layout != torch.strided or str(plain.dtype) not in DATATYPES:
            raise ModelFailure(
                f"its output {name!r} is {plain.layout} of {plain.dtype}, which cannot be sent; "
                "let forward return dense tensors of real numbers"
            )
        if plain.dtype != torch.bfloat16:
            array: np.ndarray = plain.numpy()
            return array
        import ml_dtypes

        return np.asarray(plain.contiguous().view(torch.int16).numpy()).view(ml_dtypes.bfloat16)


def _last_line(error: Exception) -> str:
    """What is wrong, without the trace of the module's code that TorchScript puts before it."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[-1] if lines else type(error).__name__).removeprefix("RuntimeError: ")[:500]
