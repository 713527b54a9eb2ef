"""What the Open Inference Protocol says of a server and of a model, as its clients read it."""

from __future__ import annotations

from msgspec import Struct


class ServerMetadata(Struct):
    """The server: GET /v2."""

    name: str
    version: str
    extensions: list[str]


class TensorMetadata(Struct):
    """An input or an output: its datatype, as FP32, and its shape, -1 where it varies."""

    name: str
    datatype: str
    shape: list[int]


class ModelMetadata(Struct):
    """A model: GET /v2/models/NAME."""

    name: str
    versions: list[str]
    platform: str
    inputs: list[TensorMetadata]
    outputs: list[TensorMetadata]
