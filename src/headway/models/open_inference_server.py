"""A client of servers that speak the Open Inference Protocol; tensors are sent in binary."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from headway.models.open_inference import BINARY_LENGTH, decode_response, encode_request
from headway.models.remote import Post
from headway.models.signature import BadItem, Signature, TensorSpec
from headway.models.stacked import Tensors, rows_of, stacks


class OpenInferenceServer:
    """A model at `…/v2/models/NAME`."""

    def __init__(self) -> None:
        self._batched = True

    def signature(self, answer: bytes) -> Signature:
        """The signature in the model's metadata."""
        described = json.loads(answer)
        signature = Signature(
            task="tensors",
            platform=str(described.get("platform", "")),
            inputs=tuple(map(_spec, described.get("inputs", ()))),
            outputs=tuple(map(_spec, described.get("outputs", ()))),
        )
        self._batched = signature.batched
        return signature

    async def run(self, post: Post, items: Sequence[Any]) -> Sequence[Any]:
        """Return the outputs of each item; items of the same shape share a request."""
        if not self._batched:
            return [await self._batch(post, item) for item in items]
        found: list[Tensors] = [{}] * len(items)
        for places, batch in stacks(items):
            rows = rows_of(await self._batch(post, batch), len(places))
            for place, row in zip(places, rows, strict=True):
                found[place] = row
        return found

    async def _batch(self, post: Post, batch: Tensors) -> Tensors:
        body, json_bytes = encode_request(batch)
        headers = {BINARY_LENGTH: str(json_bytes), "Content-Type": "application/octet-stream"}
        answer, answer_headers = await post("/infer", body, headers)
        length = answer_headers.get(BINARY_LENGTH)
        try:
            return decode_response(answer, None if length is None else int(length))
        except BadItem as error:  # here the answer is bad, not the items
            raise ValueError(str(error)) from None


def _spec(tensor: dict[str, Any]) -> TensorSpec:
    shape = tuple(int(size) for size in tensor["shape"])
    return TensorSpec(tensor["name"], tensor["datatype"], shape)
