"""PyTorch modules, where torch is."""

from __future__ import annotations

import io
import json
import os
import zipfile
from collections.abc import Callable
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


@pytest.mark.parametrize("ending", [".pt", ".pth", ".pt2"])
@pytest.mark.parametrize("older", [False, True])
def test_files_that_only_pickle_reads_are_not_loaded(
    tmp_path: Path, ending: str, older: bool
) -> None:
    path = tmp_path / f"m{ending}"
    weights = {"weights": torch.zeros(1)}
    torch.save(weights, path, _use_new_zipfile_serialization=not older)
    with pytest.raises(ModelFailure, match=r"torch\.save wrote it, which keeps weights without"):
        TorchModule(str(path), threads=1)


class Runs:
    """A pickle that makes the folder `place` as it is read."""

    def __init__(self, place: Path) -> None:
        self.place = place

    def __reduce__(self) -> tuple[Any, ...]:
        return (os.mkdir, (str(self.place),))


def test_no_code_in_a_program_runs_as_it_is_loaded(tmp_path: Path) -> None:
    honest, path, ran = tmp_path / "honest.pt2", tmp_path / "m.pt2", tmp_path / "ran"
    torch.export.save(torch.export.export(torch.nn.Linear(2, 1), (torch.ones(1, 2),)), honest)
    pickled = io.BytesIO()
    torch.save(Runs(ran), pickled)
    with zipfile.ZipFile(honest) as old, zipfile.ZipFile(path, "w") as new:
        for name in old.namelist():
            data = old.read(name)
            if name.endswith("weights_config.json"):
                config = json.loads(data)
                for weight in config["config"].values():
                    weight["use_pickle"] = True
                data = json.dumps(config).encode()
            elif "/weights/" in name:
                data = pickled.getvalue()
            new.writestr(name, data)
    with pytest.raises(ModelFailure, match="holds pickled objects, which run code as they are"):
        TorchModule(str(path), threads=1)
    assert not ran.exists()


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


class Masked(torch.nn.Module):  # type: ignore[misc, name-defined]
    """Ten times its ids, and the mask."""

    def forward(self, input_ids: Any, attention_mask: Any) -> Any:
        return input_ids * 10 + attention_mask


def masked(path: Path) -> TorchModule:
    """As TorchScript or as a program, by the file's name."""
    ids, mask = torch.ones(2, 2, dtype=torch.int64), torch.zeros(2, 2, dtype=torch.int64)
    if path.suffix == ".pt":
        torch.jit.trace(Masked().eval(), (ids, mask)).save(str(path))
    else:
        rows = {0: torch.export.Dim("rows")}
        shapes = {"input_ids": rows, "attention_mask": rows}
        torch.export.save(torch.export.export(Masked(), (ids, mask), dynamic_shapes=shapes), path)
    return TorchModule(str(path), threads=1)


@pytest.mark.parametrize("ending", [".pt", ".pt2"])
@pytest.mark.parametrize(
    "names",
    [
        ("input_ids", "attention_mask"),
        ("attention_mask", "input_ids"),
        ("INPUT__1", "INPUT__0"),
    ],
)
def test_inputs_go_by_their_names_in_any_order(
    tmp_path: Path, ending: str, names: tuple[str, str]
) -> None:
    values = {"input_ids": [5, 6], "INPUT__0": [5, 6], "attention_mask": [1, 0], "INPUT__1": [1, 0]}
    item = {name: np.array(values[name]) for name in names}
    found = masked(tmp_path / f"m{ending}").run([item, item])
    assert [one["OUTPUT__0"].tolist() for one in found] == [[51, 60], [51, 60]]


@pytest.mark.parametrize("names", [("a", "b"), ("input_ids",), ("input_ids", "mask")])
def test_inputs_of_other_names_are_refused(tmp_path: Path, names: tuple[str, ...]) -> None:
    with pytest.raises(ModelFailure, match=r"takes input_ids, attention_mask, and .* was sent"):
        masked(tmp_path / "m.pt").run([{name: np.array([1, 2]) for name in names}])


def test_a_single_input_may_have_any_name(tmp_path: Path) -> None:
    served = traced(tmp_path / "m.pt", lambda x: x * 2, torch.zeros(2, 2))
    (found,) = served.run([{"input": np.ones(2, np.float32)}])
    assert found["OUTPUT__0"].tolist() == [2, 2]


def test_a_program_says_what_it_takes(tmp_path: Path) -> None:
    served = masked(tmp_path / "m.pt2")
    assert [(of.name, of.datatype, of.shape) for of in served.signature.inputs] == [
        ("input_ids", "INT64", (-1, 2)),
        ("attention_mask", "INT64", (-1, 2)),
    ]
    assert served.signature.batched


def exported(path: Path, module: Any, *example: Any) -> Path:
    torch.export.save(torch.export.export(module, example), path)
    return path


def test_a_program_for_one_item_runs_items_alone_and_one_for_two_is_refused(tmp_path: Path) -> None:
    one = exported(tmp_path / "one.pt2", torch.nn.Identity(), torch.zeros(1, 2))
    served = TorchModule(str(one), threads=1)
    assert not served.signature.batched
    (found,) = served.run([{"x": np.ones((1, 2), np.float32)}])
    assert found["OUTPUT__0"].tolist() == [[1, 1]]
    two = exported(tmp_path / "two.pt2", torch.nn.Identity(), torch.zeros(2, 2))
    with pytest.raises(ModelFailure, match="takes exactly 2 items at a time; export it with dyn"):
        TorchModule(str(two), threads=1)


def network(*layers: Any) -> Any:
    return torch.nn.Sequential(*layers)


@pytest.mark.parametrize("ending", [".pt", ".pt2"])
@pytest.mark.parametrize(
    "layers",
    [
        lambda: (torch.nn.Dropout(0.5),),
        lambda: (torch.nn.Linear(2, 2), torch.nn.BatchNorm1d(2)),
        lambda: (torch.nn.Unflatten(1, (1, 2)), torch.nn.LSTM(2, 2, 2, dropout=0.5)),
    ],
)
def test_what_was_written_in_training_mode_is_refused(
    tmp_path: Path, ending: str, layers: Callable[[], Any]
) -> None:
    path, module, example = tmp_path / f"m{ending}", network(*layers()).train(), torch.ones(4, 2)
    if ending == ".pt":
        torch.jit.trace(module, (example,), check_trace=False).save(str(path))
    else:
        exported(path, module, example)
    with pytest.raises(ModelFailure, match="written in training mode"):
        TorchModule(str(path), threads=1)


def test_a_script_leaves_training_mode_by_itself(tmp_path: Path) -> None:
    path = tmp_path / "m.pt"
    torch.jit.script(network(torch.nn.Dropout(0.5), torch.nn.BatchNorm1d(2)).train()).save(path)
    served = TorchModule(str(path), threads=1)
    item = {"input": np.array([1, 2], np.float32)}
    for _ in range(3):
        assert np.allclose(served.run([item])[0]["OUTPUT__0"], [1, 2], atol=1e-4)


def test_a_script_that_needs_a_device_that_is_not_there_is_refused(tmp_path: Path) -> None:
    class Elsewhere(torch.nn.Module):  # type: ignore[misc, name-defined]
        def forward(self, x: torch.Tensor) -> torch.Tensor:  # type: ignore[name-defined]
            return x + torch.ones(2, device="mps")

    path = tmp_path / "m.pt"
    torch.jit.script(Elsewhere()).save(str(path))
    with pytest.raises(ModelFailure, match="makes tensors on mps, which is not here"):
        TorchModule(str(path), threads=1)


def test_half_precision_runs_on_the_cpu(tmp_path: Path) -> None:
    served = traced(tmp_path / "m.pt", lambda x: torch.softmax(x, -1), torch.zeros(2, 2).half())
    (found,) = served.run([{"x": np.array([1, 1], np.float16)}])
    assert found["OUTPUT__0"].dtype == np.float16
    assert found["OUTPUT__0"].tolist() == [0.5, 0.5]


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (lambda x: (x, (x, x)), "its output 'OUTPUT__1' is a tuple; let forward return"),
        (lambda x: {"a": (x, x)}, "its output 'a' is a tuple; let forward return"),
        (lambda x: torch.complex(x, x), r"is torch.strided of torch.complex64, which cannot be se"),
        (lambda x: x.to_sparse(), r"is torch.sparse_coo of torch.float32, which cannot be sent"),
        (lambda x: x.to(torch.float8_e4m3fn), r"float8_e4m3fn, which cannot be sent"),
        (lambda x: x @ torch.ones(2, 2), "^the module failed: .*same dtype"),
    ],
)
def test_what_cannot_be_answered_is_said_in_a_sentence(
    tmp_path: Path, function: Any, said: str
) -> None:
    served = traced(tmp_path / "m.pt", function, torch.zeros(2, 2))
    number = np.float64 if "dtype" in said else np.float32
    with pytest.raises(ModelFailure, match=said):
        served.run([{"x": np.array([1, 2], number)}])


def test_texts_are_no_tensors(tmp_path: Path) -> None:
    served = traced(tmp_path / "m.pt", lambda x: x * 2, torch.zeros(2, 2))
    with pytest.raises(ModelFailure, match="the input 'x' holds texts"):
        served.run([{"x": np.array([b"a"], object)}])
