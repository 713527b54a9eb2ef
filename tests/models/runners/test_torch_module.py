"""PyTorch modules, where torch is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from headway.models.runners.torch_module import TorchModule
from headway.models.signature import ModelFailure

torch = pytest.importorskip("torch")


def module() -> Any:
    class Sums(torch.nn.Module):  # type: ignore[name-defined]
        def forward(self, x: Any, y: Any) -> Any:
            return x + y, x.sum(dim=1)

    return Sums().eval()


def item(*numbers: float) -> dict[str, np.ndarray]:
    return {"x": np.array(numbers, np.float32), "y": np.ones(len(numbers), np.float32)}


@pytest.mark.parametrize("ending", [".pt", ".pt2"])
def test_what_torch_wrote_runs_in_batches_of_any_size(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"m{ending}"
    example = (torch.zeros(2, 2), torch.ones(2, 2))
    if ending == ".pt":
        torch.jit.trace(module(), example).save(str(path))
    else:
        rows = torch.export.Dim("rows")
        program = torch.export.export(
            module(), example, dynamic_shapes={"x": {0: rows}, "y": {0: rows}}
        )
        torch.export.save(program, path)
    served = TorchModule(str(path), threads=1)
    assert served.signature.platform == "pytorch_libtorch"
    found = served.run([item(1, 2), item(3, 4), item(5, 6)])
    assert [one["OUTPUT__0"].tolist() for one in found] == [[2, 3], [4, 5], [6, 7]]
    assert [float(one["OUTPUT__1"]) for one in found] == [3, 7, 11]


@pytest.mark.parametrize("ending", [".pt", ".pt2"])
def test_files_that_only_pickle_reads_are_not_loaded(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"m{ending}"
    torch.save({"weights": torch.zeros(1)}, path)
    with pytest.raises(ModelFailure, match=r"neither TorchScript nor a torch\.export program"):
        TorchModule(str(path), threads=1)


def traced(path: Path, function: Any, *example: Any) -> TorchModule:
    class Module(torch.nn.Module):  # type: ignore[name-defined]
        def forward(self, x: Any) -> Any:
            return function(x)

    torch.jit.trace(Module().eval(), example, strict=False).save(str(path))
    return TorchModule(str(path), threads=1)


def test_bfloat16_is_read_and_written(tmp_path: Path) -> None:
    import ml_dtypes

    served = traced(tmp_path / "m.pt", lambda x: x * 2, torch.zeros(2, 2, dtype=torch.bfloat16))
    halves = np.array([[1.5, -2], [0.25, 3]], ml_dtypes.bfloat16)
    found = [one["OUTPUT__0"] for one in served.run([{"x": row} for row in halves])]
    assert found[0].dtype == halves.dtype
    assert np.array_equal(np.stack(found).astype(np.float32), 2 * halves.astype(np.float32))


def test_outputs_of_a_mapping_keep_their_names(tmp_path: Path) -> None:
    served = traced(tmp_path / "m.pt", lambda x: {"twice": x * 2}, torch.zeros(2, 2))
    (found,) = served.run([{"x": np.ones(2, np.float32)}])
    assert found["twice"].tolist() == [2, 2]


@pytest.mark.parametrize("function", [lambda x: x.T, lambda x: x - x.mean(0), lambda x: x.sum()])
def test_a_module_without_a_row_for_each_item_is_refused(tmp_path: Path, function: Any) -> None:
    served = traced(tmp_path / "m.pt", function, torch.zeros(2, 2))
    with pytest.raises(ModelFailure, match="batch axis"):
        served.run([{"x": np.array([n, n + 1], np.float32)} for n in range(2)])
