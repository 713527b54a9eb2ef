"""JSON instances to the items of a batch."""

from __future__ import annotations

import numpy as np
import pytest

from headway.models.items import items_of
from headway.models.signature import BadItem, Signature, TensorSpec

FUNCTION = Signature("python", "python")
ADDER = Signature(
    "tensors",
    "onnxruntime_onnx",
    (TensorSpec("a", "FP32", (-1, 2)), TensorSpec("b", "INT64", (-1,))),
)


async def test_a_function_gets_what_came() -> None:
    assert await items_of(["four", [1, 2], 7, ""], FUNCTION, None) == ["four", [1, 2], 7, ""]


async def test_tensors_have_the_types_of_the_inputs() -> None:
    (item,) = await items_of([{"a": [1, 2], "b": 3}], ADDER, None)
    assert item["a"].dtype == np.float32 and item["b"].dtype == np.int64


@pytest.mark.parametrize("instance", [[1, 2], {"a": [1, 2]}, {"a": [1, "x"], "b": 3}])
async def test_what_is_no_tensor_of_the_model_is_an_error(instance: object) -> None:
    with pytest.raises(BadItem):
        await items_of([instance], ADDER, None)
