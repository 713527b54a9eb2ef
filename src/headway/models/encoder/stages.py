"""What follows the pooling: vectors of texts to vectors of texts."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from headway.extras import install_extra
from headway.models.encoder.folder import EncoderFolder, Module, must_know
from headway.models.encoder.pooling import Pooling
from headway.models.signature import ModelFailure

Stage = Callable[[np.ndarray], np.ndarray]
"""(texts, width) to (texts, other width), in single precision."""

_POOLED = "sentence_embedding"
_DENSE_KEYS = {
    "in_features", "out_features", "bias", "activation_function", "module_input_name",
    "module_output_name", "use_residual",
}  # fmt: skip
_erf = np.vectorize(math.erf, otypes=[np.float32])
ACTIVATIONS: dict[str, Stage] = {
    "Identity": lambda x: x,
    "Tanh": np.tanh,
    "ReLU": lambda x: np.maximum(x, np.float32(0)),
    "Sigmoid": lambda x: np.exp(-np.logaddexp(np.float32(0), -x)),
    "SiLU": lambda x: x * np.exp(-np.logaddexp(np.float32(0), -x)),
    "GELU": lambda x: np.float32(0.5) * x * (1 + _erf(x / np.float32(math.sqrt(2)))),
}
"""By the name of the class in torch."""


@dataclass(frozen=True, slots=True)
class Dense:
    """A linear layer with an activation, and perhaps a residual connection."""

    weight: np.ndarray
    """(out, in)."""
    bias: np.ndarray
    activation: Stage
    residual: np.ndarray | None
    """(out, in); None: no connection."""

    def __call__(self, vectors: np.ndarray) -> np.ndarray:
        """Raises ValueError if the vectors have another width."""
        found: np.ndarray = self.activation(vectors @ self.weight.T + self.bias)
        return found if self.residual is None else found + vectors @ self.residual.T


@dataclass(frozen=True, slots=True)
class LayerNorm:
    """Each vector to mean 0 and variance 1, then scaled."""

    weight: np.ndarray
    bias: np.ndarray

    def __call__(self, vectors: np.ndarray) -> np.ndarray:
        """Raises ValueError if the vectors have another width."""
        centred = vectors - vectors.mean(axis=1, keepdims=True)
        variance = (centred**2).mean(axis=1, keepdims=True)
        scaled = centred / np.sqrt(variance + np.float32(1e-5))
        return np.asarray(scaled * self.weight + self.bias)


def normalize(vectors: np.ndarray) -> np.ndarray:
    """Each vector at unit length, computed in single precision."""
    plain = vectors.astype(np.float32, copy=False)
    largest = np.abs(plain).max(axis=1, keepdims=True)
    with np.errstate(invalid="ignore"):  # infinities give no number, and are refused later
        scaled = plain / np.maximum(largest, np.float32(1e-12))  # its squares do not overflow
        found: np.ndarray = scaled / np.maximum(
            np.linalg.norm(scaled, axis=1, keepdims=True), 1e-12
        )
    return found.astype(np.float32, copy=False)


def stages_of(folder: EncoderFolder, pooling: Pooling, width: int) -> tuple[Stage, ...]:
    """What the model in `folder` does with pooled vectors, and that it gets vectors of their width.

    A folder without `modules.json` says nothing of it: its vectors get unit length, as OpenAI's.

    Args:
        folder: the files.
        pooling: comes before.
        width: of a token's vector.

    Raises:
        ModelFailure: there is a module that Headway does not know, or its weights are missing.
    """
    if pooling.width not in (None, width):
        raise ModelFailure(
            f"{folder.path} pools vectors of {pooling.width} numbers, and its graph has {width}"
        )
    if folder.modules is None:
        return (normalize,)
    kinds = [module.kind for module in folder.modules]
    if kinds[:1] != ["Pooling"] or "Pooling" in kinds[1:]:
        raise ModelFailure(
            f"{folder.path}/modules.json has {', '.join(['Transformer', *kinds])}; Headway serves "
            "a Transformer, a Pooling, and Dense, LayerNorm and Normalize after it"
        )
    stages = [_stage(module) for module in folder.modules[1:] if module.kind != "Dropout"]
    probe = np.ones((1, width * len(pooling.modes)), np.float32)
    try:
        for stage in stages:
            probe = stage(probe)
    except ValueError as error:
        raise ModelFailure(f"the modules of {folder.path} do not fit ({error})") from None
    return tuple(stages)


def stages_after_graph(folder: EncoderFolder, width: int) -> tuple[Stage, ...]:
    """What is left to do with the vectors of texts that a graph itself returns.

    Its modules are in it. Unit length does no harm to what has it.

    Args:
        folder: the files.
        width: of the vectors.

    Raises:
        ModelFailure: the modules give vectors of another width, so they are not in the graph.
    """
    if folder.modules is None:
        return (normalize,)
    dense = [module for module in folder.modules if module.kind == "Dense"]
    made = dense[-1].config.get("out_features", width) if dense else width
    if made != width:
        raise ModelFailure(
            f"{dense[-1].place} makes vectors of {made} numbers, and the graph returns {width}; "
            "export the model with its modules, or without a pooling"
        )
    kinds = [module.kind for module in folder.modules if module.kind != "Dropout"]
    return (normalize,) if kinds[-1:] == ["Normalize"] else ()


def _stage(module: Module) -> Stage:
    config, place = module.config, module.place / "config.json"
    for key in ("module_input_name", "module_output_name"):
        if config.get(key) not in (None, _POOLED):
            raise ModelFailure(f"{place} has {key} {config[key]!r}; only {_POOLED} is served")
    if module.kind == "Normalize":
        must_know(config, {"module_input_name", "module_output_name"}, place)
        return normalize
    if module.kind == "LayerNorm":
        must_know(config, {"dimension"}, place)
        weights = _weights(module)
        return LayerNorm(*(_taken(weights, f"norm.{name}", module) for name in ("weight", "bias")))
    if module.kind == "Dense":
        must_know(config, _DENSE_KEYS, place)
        return _dense(module)
    raise ModelFailure(
        f"{module.place.parent / 'modules.json'} has a module {module.kind}, which Headway does "
        "not know; export the model with its modules, so that the graph returns sentence_embedding"
    )


def _dense(module: Module) -> Dense:
    named = str(module.config.get("activation_function", "torch.nn.modules.activation.Tanh"))
    activation = ACTIVATIONS.get(named.rpartition(".")[2])
    if activation is None or not named.startswith("torch.nn."):
        raise ModelFailure(
            f"{module.place / 'config.json'} has the activation {named}; Headway knows "
            f"{', '.join(ACTIVATIONS)} of torch.nn"
        )
    weights = _weights(module)
    weight = _taken(weights, "linear.weight", module)
    bias = np.zeros(len(weight), np.float32)
    if module.config.get("bias", True):
        bias = _taken(weights, "linear.bias", module)
    residual = None
    if module.config.get("use_residual"):
        square = weight.shape[0] == weight.shape[1]
        residual = (
            np.eye(len(weight), dtype=np.float32)
            if square
            else _taken(weights, "residual.weight", module)
        )
    return Dense(weight, bias, activation, residual)


def _weights(module: Module) -> dict[str, Any]:
    place = module.place / "model.safetensors"
    try:
        from safetensors.numpy import load_file

        return dict(load_file(place))
    except ImportError:
        raise ModelFailure(f"safetensors is not installed: {install_extra('models')}") from None
    except Exception as error:  # its errors have no common base class
        raise ModelFailure(
            f"{place} cannot be read ({error}); save the model with a recent sentence-transformers"
        ) from None


def _taken(weights: dict[str, Any], name: str, module: Module) -> np.ndarray:
    if name not in weights:
        raise ModelFailure(f"{module.place / 'model.safetensors'} lacks {name}")
    return np.asarray(weights[name]).astype(np.float32)
