"""Servers of the Open Inference Protocol: each item gets its own row, or an error."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from headway.models.open_inference import BINARY_LENGTH, InferRequest, encode_response
from headway.models.open_inference_server import OpenInferenceServer
from headway.models.signature import ModelFailure

ITEMS = [{"x": np.full(2, n, np.float32)} for n in range(2)]


def server(into: list[int], out: list[int]) -> OpenInferenceServer:
    one = OpenInferenceServer()
    tensors = {"inputs": [("x", into)], "outputs": [("y", out)]}
    one.signature(
        json.dumps({
            side: [{"name": name, "datatype": "FP32", "shape": shape} for name, shape in of_side]
            for side, of_side in tensors.items()
        }).encode()
    )  # fmt: skip
    return one


def answering(*answers: np.ndarray) -> Any:
    left = list(answers)

    async def post(
        path: str, body: bytes, headers: Mapping[str, str]
    ) -> tuple[bytes, Mapping[str, str]]:
        asked = InferRequest({}, all_binary=True)
        encoded, length = encode_response("m", "1", asked, {"y": left.pop(0)})
        return encoded, {BINARY_LENGTH: str(length)}

    return post


async def test_each_item_gets_its_row() -> None:
    post = answering(np.array([[1], [2]], np.float32))
    found = await server([-1, 2], [-1, 1]).run(post, ITEMS)
    assert [one["y"].tolist() for one in found] == [[1], [2]]


@pytest.mark.parametrize("shape", [(3,), (1, 2), (4, 1)])
async def test_an_answer_without_a_row_for_each_item_is_an_error(shape: tuple[int, ...]) -> None:
    with pytest.raises(ModelFailure, match="is no row for each"):
        await server([-1, 2], [-1, -1]).run(answering(np.zeros(shape, np.float32)), ITEMS)


async def test_a_model_whose_output_has_no_batch_gets_one_request_at_a_time() -> None:
    post = answering(np.array([1, 2, 3], np.float32), np.array([4, 5, 6], np.float32))
    found = await server([-1, 2], [3]).run(post, ITEMS)
    assert [one["y"].tolist() for one in found] == [[1, 2, 3], [4, 5, 6]]
