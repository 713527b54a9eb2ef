"""A PyTorch module that TorchScript or torch.export wrote."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from headway.extras import pip_install
from headway.models.signature import ModelFailure, Signature
from headway.models.stacked import Stacked, Tensors


class TorchModule:
    """Runs the module in the file `location`, with inputs in the order of the request.

    Its outputs are called OUTPUT__0, OUTPUT__1 and so on, as in Triton; those of a mapping keep
    their names. Files that only pickle can
    read are not loaded, as loading them runs arbitrary code.

    Raises:
        ModelFailure: torch is not installed, or the file is no such module.
    """

    def __init__(self, location: str, threads: int) -> None:
        try:
            import torch
        except ImportError:
            raise ModelFailure(f"torch is not installed: {pip_install('torch')}") from None
        self._torch = torch
        torch.set_num_threads(threads)
        self._device = "cuda" if torch.cuda.is_available() else "cpu"
        path = Path(location)
        try:
            if path.suffix == ".pt2":
                module: Any = torch.export.load(str(path)).module()
            else:
                module = torch.jit.load(str(path), map_location=self._device).eval()
        except Exception as error:
            raise ModelFailure(
                f"{path} is neither TorchScript nor a torch.export program ({error}); write it "
                "with torch.jit.save or torch.export.save"
            ) from None
        self._module = module
        self._stacked = Stacked(self._batch)
        self.signature = Signature(task="tensors", platform="pytorch_libtorch")

    def run(self, items: list[Tensors]) -> list[Tensors]:
        """Return the outputs of each item. Raises ModelFailure if there is no row for each."""
        return self._stacked(items)

    def _batch(self, batch: Tensors) -> Tensors:
        torch = self._torch
        inputs = [self._tensor(array).to(self._device) for array in batch.values()]
        with torch.inference_mode():
            found = self._module(*inputs)
        if isinstance(found, Mapping):
            return {str(name): self._array(tensor) for name, tensor in found.items()}
        outputs = found if isinstance(found, (tuple, list)) else [found]
        return {f"OUTPUT__{n}": self._array(tensor) for n, tensor in enumerate(outputs)}

    def _tensor(self, array: np.ndarray) -> Any:
        if array.dtype.name != "bfloat16":
            return self._torch.from_numpy(np.array(array))
        return self._torch.from_numpy(np.array(array.view(np.int16))).view(self._torch.bfloat16)

    def _array(self, tensor: Any) -> np.ndarray:
        """numpy has no bfloat16 of its own, and torch does not know that of ml_dtypes."""
        plain = tensor.detach().cpu()
        if plain.dtype != self._torch.bfloat16:
            array: np.ndarray = plain.numpy()
            return array
        import ml_dtypes

        return np.asarray(plain.contiguous().view(self._torch.int16).numpy()).view(
            ml_dtypes.bfloat16
        )
