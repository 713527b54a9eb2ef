"""A PyTorch module that TorchScript or torch.export wrote."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from headway.models.signature import ModelFailure, Signature
from headway.models.stacked import Tensors, run_stacked


class TorchModule:
    """Runs the module in the file `location`, with inputs in the order of the request.

    Its outputs are called OUTPUT__0, OUTPUT__1 and so on, as in Triton. Files that only pickle can
    read are not loaded, as loading them runs arbitrary code.

    Raises:
        ModelFailure: torch is not installed, or the file is no such module.
    """

    def __init__(self, location: str, threads: int) -> None:
        try:
            import torch
        except ImportError:
            raise ModelFailure("torch is not installed: pip install torch") from None
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
        self.signature = Signature(task="tensors", platform="pytorch_libtorch")

    def run(self, items: list[Tensors]) -> list[Tensors]:
        """Return the outputs of each item."""
        return run_stacked(items, self._batch)

    def _batch(self, batch: Tensors) -> Tensors:
        torch = self._torch
        inputs = [torch.from_numpy(np.array(array)).to(self._device) for array in batch.values()]
        with torch.inference_mode():
            found = self._module(*inputs)
        outputs = found if isinstance(found, (tuple, list)) else [found]
        return {f"OUTPUT__{n}": tensor.cpu().numpy() for n, tensor in enumerate(outputs)}
