"""Files of TorchScript and torch.export, and whether what they hold can be served."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headway.models.signature import ModelFailure, TensorSpec

DATATYPES = {
    "torch.bool": "BOOL",
    "torch.uint8": "UINT8",
    "torch.uint16": "UINT16",
    "torch.uint32": "UINT32",
    "torch.uint64": "UINT64",
    "torch.int8": "INT8",
    "torch.int16": "INT16",
    "torch.int32": "INT32",
    "torch.int64": "INT64",
    "torch.float16": "FP16",
    "torch.bfloat16": "BF16",
    "torch.float32": "FP32",
    "torch.float64": "FP64",
}
"""The Open Inference Protocol's names of types."""
CAN_TRAIN = (
    "dropout",
    "dropout_",
    "feature_dropout",
    "alpha_dropout",
    "feature_alpha_dropout",
    "batch_norm",
    "lstm",
    "gru",
    "rnn_tanh",
    "rnn_relu",
)
"""Operators of TorchScript with an argument that says whether they train."""
TRAINING = ("train", "training")
"""Arguments of operators that say so."""
SHARES = ("p", "dropout")
"""Their arguments that say how much is dropped."""


@dataclass(frozen=True, slots=True)
class TorchFile:
    """A module that was loaded."""

    call: Callable[[Mapping[str, Any]], Any]
    """Its forward, by names of arguments in their order."""
    names: tuple[str, ...]
    """Of the arguments of its forward."""
    required: tuple[str, ...]
    """Those without a default."""
    inputs: tuple[TensorSpec, ...] = ()
    """Empty: types and shapes are not known."""


def scripted(path: Path, device: str) -> TorchFile:
    """Load TorchScript.

    Raises:
        ModelFailure: the file is none, or what it holds cannot be served.
    """
    import torch

    try:
        module = torch.jit.load(str(path), map_location=device).eval()
    except Exception as error:
        raise _not_loaded(path, error) from None
    arguments = module.forward.schema.arguments[1:]
    graph = module.inlined_graph  # its nodes live as long as it does
    for node in graph.findAllNodes("prim::Constant"):
        if str(node.output().type()) == "Device" and node.hasAttribute("value"):
            _check_device(path, node.s("value"), device)
    _check_training(path, list(_operators(graph)))
    return TorchFile(
        call=lambda inputs: module(**inputs),
        names=tuple(argument.name for argument in arguments),
        required=tuple(of.name for of in arguments if not of.has_default_value()),
    )


def exported(path: Path, device: str) -> TorchFile:
    """Load a program of torch.export.

    Raises:
        ModelFailure: the file is none, or what it holds cannot be served.
    """
    import torch
    from torch.export.passes import move_to_device_pass

    try:
        program = torch.export.load(str(path))
        called = [
            (node.target._schema, node.args, node.kwargs)
            for node in program.graph.nodes
            if isinstance(node.target, torch._ops.OpOverload)
        ]
        program = move_to_device_pass(program, device)
        module = program.module()
    except Exception as error:
        raise _not_loaded(path, error) from None
    _check_training(path, map(_by_name, *zip(*called, strict=True)) if called else ())
    names = tuple(program.graph_signature.user_inputs)
    positional, named = program.call_spec.in_spec.children()
    if positional.num_children + named.num_children != len(names):
        raise ModelFailure(
            f"{path} takes nested inputs; export a module whose forward takes one tensor each"
        )
    given = {node.name: node.meta.get("val") for node in program.graph.nodes}
    first = positional.num_children
    return TorchFile(
        call=lambda inputs: module(
            *[inputs[name] for name in names[:first]],
            **dict(zip(named.context, [inputs[name] for name in names[first:]], strict=True)),
        ),
        names=names,
        required=names,
        inputs=tuple(_spec(name, given[name], path) for name in names),
    )


def _spec(name: str, example: Any, path: Path) -> TensorSpec:
    import torch

    if not isinstance(example, torch.Tensor) or str(example.dtype) not in DATATYPES:
        raise ModelFailure(
            f"{path} takes {name}, which is {getattr(example, 'dtype', type(example).__name__)}; "
            "export a module that takes tensors of real numbers"
        )
    shape = tuple(size if isinstance(size, int) else -1 for size in example.shape)
    if shape and shape[0] > 1:
        raise ModelFailure(
            f"{path} takes exactly {shape[0]} items at a time; export it with dynamic_shapes that "
            "leave the first axis open"
        )
    return TensorSpec(name, DATATYPES[str(example.dtype)], shape)


def _operators(graph: Any) -> Iterator[Mapping[str, Any]]:
    """The constant arguments, by their names, of operators of TorchScript that can train."""
    import torch

    for kind in CAN_TRAIN:
        for node in graph.findAllNodes(f"aten::{kind}"):
            arguments = torch._C.parse_schema(node.schema()).arguments
            given = zip(arguments, node.inputs(), strict=False)
            yield {
                of.name: value.toIValue()
                for of, value in given
                if value.node().kind() == "prim::Constant"
            }


def _by_name(schema: Any, args: Iterable[Any], kwargs: Mapping[str, Any]) -> Mapping[str, Any]:
    names = [argument.name for argument in schema.arguments]
    return dict(zip(names, args, strict=False)) | dict(kwargs)


def _check_training(path: Path, operators: Iterable[Mapping[str, Any]]) -> None:
    """Refuse what training leaves in a graph: chance, and statistics of the batch."""
    for arguments in operators:
        trains = any(arguments.get(name) is True for name in TRAINING)
        shares = [arguments[name] for name in SHARES if name in arguments]
        if trains and (not shares or any(shares)):
            raise ModelFailure(
                f"{path} was written in training mode: its answers depend on chance, or on what "
                "they are batched with; call model.eval(), and write it again"
            )


def _check_device(path: Path, used: str, device: str) -> None:
    if used.split(":")[0] not in (device, "cpu", "meta"):
        raise ModelFailure(
            f"{path} makes tensors on {used}, which is not here; trace it on the cpu, or let it "
            "take the device of its inputs"
        )


def _not_loaded(path: Path, error: Exception) -> ModelFailure:
    if _is_pickle(path):
        return ModelFailure(
            f"{path} is neither TorchScript nor a torch.export program: torch.save wrote it, which "
            "keeps weights without their module, or a pickle that runs code as it is read; build "
            "the module, load its weights, and write it with torch.export.save or torch.jit.save"
        )
    if "weights_only" in str(error):
        return ModelFailure(
            f"{path} holds pickled objects, which run code as they are read; export a module whose "
            "weights and constants are tensors alone"
        )
    lines = str(error).splitlines() or [type(error).__name__]
    return ModelFailure(
        f"{path} is neither TorchScript nor a torch.export program ({lines[0][:300]}); write it "
        "with torch.jit.save or torch.export.save"
    )


def _is_pickle(path: Path) -> bool:
    """Whether torch.save wrote it: an archive with data.pkl alone, or an older one."""
    try:
        if not zipfile.is_zipfile(path):
            with path.open("rb") as file:
                return file.read(1) == b"\x80"
        with zipfile.ZipFile(path) as archive:
            names = {name.rpartition("/")[2] for name in archive.namelist()}
    except (OSError, zipfile.BadZipFile):
        return False
    return "data.pkl" in names and not {"constants.pkl", "archive_format"} & names
