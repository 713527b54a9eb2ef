"""Where a model comes from: what the PATH of `NAME=PATH` refers to."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from headway.models.signature import ModelFailure

Kind = Literal["built-in", "text", "onnx", "torch", "python", "server"]
"""The model that comes with Headway; a folder with a tokenizer and an ONNX graph or BERT's weights;
an ONNX graph alone; a PyTorch module; a Python object; a server."""

BUILT_IN = "all-MiniLM-L6-v2"
"""The model that comes with Headway."""

GRAPHS = ("model.onnx", "onnx/model.onnx")
TOKENIZER = "tokenizer.json"
WEIGHTS = "model.safetensors"
"""Weights of a BERT model, for which Headway can write the graph."""
TORCH = (".pt", ".pth", ".ts", ".pt2")

_OBJECT = re.compile(r"(?P<module>[\w.]+|.+\.py):(?P<name>[A-Za-z_]\w*)")


@dataclass(frozen=True, slots=True)
class ModelSource:
    """A model's kind and location."""

    kind: Kind
    location: str
    """A file, a folder, `MODULE:NAME` or `FILE.py:NAME`, or a URL."""


def source_of(path: str) -> ModelSource:
    """Find out what `path` refers to.

    Raises:
        ModelFailure: there is no such file, or it is no model that can be served.
    """
    if path.startswith(("http://", "https://")):
        return ModelSource("server", path.rstrip("/"))
    if path == BUILT_IN:
        return ModelSource("built-in", path)
    place = Path(path).expanduser()
    if place.is_dir():
        return _folder(place)
    if place.suffix == ".onnx":
        _must_exist(place)
        texts = (folder_of(place) / TOKENIZER).exists()
        return ModelSource("text" if texts else "onnx", str(place))
    if place.suffix in TORCH:
        _must_exist(place)
        return ModelSource("torch", str(place))
    named = _OBJECT.fullmatch(path)
    if named is not None:
        module = named["module"]
        if module.endswith(".py"):
            _must_exist(Path(module).expanduser())
            return ModelSource("python", f"{Path(module).expanduser().resolve()}:{named['name']}")
        return ModelSource("python", path)
    what = "is no model that can be served" if place.exists() else "is not there"
    raise ModelFailure(
        f"{path} {what}: name {BUILT_IN}, an .onnx file, a folder with model.onnx, "
        f"a TorchScript or torch.export file ({', '.join(TORCH)}), FILE.py:FUNCTION, "
        "MODULE:FUNCTION or a URL"
    )


def graph_in(folder: Path) -> Path | None:
    """The ONNX graph in a folder in the layout of Hugging Face's exporters, or None."""
    return next((folder / name for name in GRAPHS if (folder / name).is_file()), None)


def folder_of(graph: Path) -> Path:
    """The folder of the model that `graph` belongs to: exporters put variants into `onnx/`."""
    beside = graph.parent
    if beside.name == "onnx" and not (beside / TOKENIZER).exists():
        return beside.parent
    return beside


def _folder(folder: Path) -> ModelSource:
    graph = graph_in(folder)
    if graph is None and (folder / WEIGHTS).is_file():
        _must_exist(folder / TOKENIZER)
        return ModelSource("text", str(folder))
    others = sorted(str(of.relative_to(folder)) for of in folder.glob("*.onnx"))
    others += sorted(str(of.relative_to(folder)) for of in folder.glob("onnx/*.onnx"))
    if graph is None and others:
        raise ModelFailure(
            f"{folder} holds {', '.join(others)}, and no model.onnx; name the file that is "
            f"meant in place of the folder"
        )
    if graph is None:
        raise ModelFailure(
            f"{folder} holds no {' or '.join((*GRAPHS, WEIGHTS))}; export the model there, for "
            "example with `optimum-cli export onnx --model ID FOLDER`"
        )
    if (folder / TOKENIZER).is_file():
        return ModelSource("text", str(folder))
    return ModelSource("onnx", str(graph))


def _must_exist(path: Path) -> None:
    if not path.exists():
        raise ModelFailure(f"there is no file {path}; check the path")
