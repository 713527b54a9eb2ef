"""What a gateway prints when it takes requests: its address, and a command to try it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from math import prod

from rich.console import Console
from rich.markup import escape

from headway.config.settings import Settings
from headway.models.catalog import Catalog
from headway.models.served import ServedModel
from headway.models.signature import Signature
from headway.models.source import BUILT_IN

TENSOR_VALUES = 16
"""Most values of a tensor in a command that somebody is to read."""


def print_banner(
    settings: Settings, catalog: Catalog, address: str, backends: Sequence[str]
) -> None:
    """Print it on standard output.

    Args:
        settings: of the gateway.
        catalog: models that answer batches.
        address: of the gateway.
        backends: a line for each backend.
    """
    batched = ", ".join(model.name for model in catalog)
    console = Console(highlight=False, soft_wrap=True)
    console.print(f"[bold]Headway[/bold] serves [bold]{address}/v1[/bold]")
    for line in backends:
        console.print(escape(line))
    if batched:
        console.print(f"  batched {escape(batched)}")
    console.print(f"  policy  {settings.policy}, tiers {settings.tier_mode}")
    console.print(f"  watch   {address}/console   {address}/metrics   {address}/docs")
    key = ' -H "Authorization: Bearer $KEY"' if settings.keys else ""
    model = catalog.first() if not backends else None
    path, body = _trial(model)
    command = f"curl {address}{path}{key}"
    if body is not None:
        text = json.dumps(body).replace("'", "'\\''")
        command += f" \\\n  -H 'Content-Type: application/json' -d '{text}'"
    of_function = model is not None and model.signature and model.signature.task == "python"
    what = f"Try, with items as {model.name} takes them" if model and of_function else "Try"
    console.print(f"\n[dim]{escape(what)}:[/dim] {escape(command)}\n")


def _trial(model: ServedModel | None) -> tuple[str, object]:
    """The path and the body of a request that `model` answers; None: a chat model.

    The body is None where the model is not loaded yet, or takes much: then it is only looked at.
    """
    if model is None:
        messages = [{"role": "user", "content": "Hello!"}]
        return "/v1/chat/completions", {"model": "default", "messages": messages}
    name, signature = model.name, model.signature
    task = signature.task if signature else "embed" if name == BUILT_IN else None
    if task == "embed":
        return "/v1/embeddings", {"model": name, "input": "Hello!"}
    if task == "classify":
        return "/v1/classify", {"model": name, "input": "Hello!"}
    if task == "rerank":
        documents = ["Good morning!", "Rates will rise."]
        return "/v1/rerank", {"model": name, "query": "Hello!", "documents": documents}
    if task == "python":
        return f"/v1/models/{name}:predict", {"instances": ["Hello!"]}
    if task == "tensors" and signature is not None and (inputs := _tensors(signature)):
        return f"/v2/models/{name}/infer", {"inputs": inputs}
    return f"/v2/models/{name}", None


def _tensors(signature: Signature) -> list[object]:
    """An item of small tensors; empty where the model takes larger ones, or no numbers."""
    found: list[object] = []
    for spec in signature.inputs:
        shape = [1 if size == -1 else size for size in spec.shape]
        if prod(shape) > TENSOR_VALUES or spec.datatype == "BYTES":
            return []
        value = False if spec.datatype == "BOOL" else 1
        data = [value] * prod(shape)
        found.append({"name": spec.name, "shape": shape, "datatype": spec.datatype, "data": data})
    return found
