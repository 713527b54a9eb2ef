"""Finds out which software runs at an endpoint."""

from __future__ import annotations

import asyncio

import msgspec

from headway.engines.endpoint import Endpoint
from headway.engines.engine import Engine
from headway.engines.http_client import HttpClient
from headway.engines.llamacpp import LlamaCppEngine
from headway.engines.measured_cost import MeasuredCost
from headway.engines.openai_server import ListedModels, OpenAIEngine
from headway.engines.vllm import VllmEngine

_KINDS = {"llamacpp": "llama.cpp", "vllm": "vllm", "sglang": "sglang", "library": "ollama"}
"""Software by `owned_by` in a server's list of models."""


async def connect(endpoint: Endpoint, cost: MeasuredCost | None = None) -> Engine:
    """The client for the software at `endpoint`; `cost` is its measured speed so far.

    Raises BackendGone if nothing answers.
    """
    http = HttpClient(endpoint)
    try:
        # The first request goes alone: it reports a refused connection.
        listed = await http.ask("models", ListedModels)
        owner = listed.data[0].owned_by if listed and listed.data else ""
        kind = _KINDS.get(owner) or await _kind_by_own_paths(http)
        if kind == "llama.cpp" and await http.ask("/props", _Slots) is None:
            kind = "openai"  # a proxy in front of llama.cpp servers
    finally:
        await http.close()
    if kind == "llama.cpp":
        return LlamaCppEngine(endpoint, cost)
    if kind == "vllm":
        return VllmEngine(endpoint)
    return OpenAIEngine(endpoint, kind=kind)


async def _kind_by_own_paths(http: HttpClient) -> str:
    """The software, recognised by paths that no other has."""
    props, ollama, vllm, sglang = await asyncio.gather(
        http.ask("/props", _Slots),
        http.ask("/api/version", _Version),
        http.ask("/version", _Version),
        http.ask("/get_server_info", dict),
    )
    if props is not None:
        return "llama.cpp"
    if ollama is not None:
        return "ollama"
    if vllm is not None:
        return "vllm"
    return "sglang" if sglang is not None else "openai"


class _Slots(msgspec.Struct):
    total_slots: int


class _Version(msgspec.Struct):
    version: str
