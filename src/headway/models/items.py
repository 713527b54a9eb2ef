"""JSON instances to the items of a batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from headway.models.signature import BadItem, Signature, TensorSpec
from headway.models.tokens import Tokens
from headway.models.wire_tensors import typed


async def items_of(
    instances: Sequence[Any], signature: Signature, tokens: Tokens | None
) -> list[Any]:
    """Convert JSON instances to the items that a model takes.

    A Python function gets the instances unchanged.

    Args:
        instances: texts, tensors as lists or by name, or anything that a function takes.
        signature: the model's signature.
        tokens: the model's tokenizer, if it takes texts.

    Raises:
        BadItem: the model does not take an instance.
    """
    if tokens is not None:
        texts = [one for one in instances if isinstance(one, str) and one]
        if len(texts) < len(instances):
            raise BadItem("this model takes instances that are texts")
        return list(await tokens.of_texts(texts, None))
    if signature.task == "tensors":
        return [_tensors(one, signature) for one in instances]
    return list(instances)


def _tensors(instance: Any, signature: Signature) -> dict[str, np.ndarray]:
    """One item of a model that takes tensors."""
    specs = {spec.name: spec for spec in signature.inputs}
    if not isinstance(instance, dict):
        if len(specs) > 1:
            raise BadItem(f"an instance is an object with {', '.join(specs)}")
        instance = {next(iter(specs), "INPUT__0"): instance}
    if specs and instance.keys() != specs.keys():
        raise BadItem(f"an instance is an object with {', '.join(specs)}")
    return {name: _array(name, value, specs.get(name)) for name, value in instance.items()}


def _array(name: str, value: Any, spec: TensorSpec | None) -> np.ndarray:
    try:
        array = np.asarray(value) if spec is None else typed(value, spec.datatype)
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise BadItem(f"the input {name!r} is no tensor ({error})") from None
    return array.astype(np.float32) if spec is None and array.dtype == np.float64 else array
