"""Two embedded engines of unlike speed: the same weights as they ship, and in 32 bits."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import aiohttp
import numpy as np

from headway.engines.embedded import EmbeddedServer
from headway.engines.endpoint import Endpoint
from headway.engines.model_file import default_model

SLOTS = 4


def widen(source: Path, target: Path) -> None:
    """Write a GGUF file with the same weights in 32 bits."""
    import gguf

    reader = gguf.GGUFReader(source)
    architecture = reader.fields["general.architecture"].contents()
    writer = gguf.GGUFWriter(target, architecture)
    for name, entry in reader.fields.items():
        if name.startswith("GGUF.") or name == "general.architecture":
            continue
        if name == "general.file_type":
            writer.add_file_type(gguf.LlamaFileType.ALL_F32)
            continue
        kind = entry.types[0]
        of = entry.types[-1] if kind == gguf.GGUFValueType.ARRAY else None
        writer.add_key_value(name, entry.contents(), kind, sub_type=of)
    for tensor in reader.tensors:
        weights = gguf.quants.dequantize(tensor.data, tensor.tensor_type)
        writer.add_tensor(tensor.name, weights.astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


@asynccontextmanager
async def engines(wide: Path) -> AsyncIterator[list[Endpoint]]:
    """Two embedded engines of unlike speed; the file of the slow one is made if it is missing."""
    if not wide.exists():
        widen(default_model(), wide.with_suffix(".part"))
        wide.with_suffix(".part").rename(wide)
    async with AsyncExitStack() as stack:
        found = []
        for name, model in (("quick", default_model()), ("slow", wide)):
            server = EmbeddedServer(
                model, name=name, slots=SLOTS, threads=1, context_tokens=1024, alias="sql"
            )
            await server.start()
            stack.push_async_callback(server.stop)
            assert server.endpoint is not None
            found.append(server.endpoint)
        yield found


async def alone_s(endpoint: Endpoint) -> float:
    """What a call takes on an engine that has nothing else to do; the median of three."""
    headers = {"authorization": f"Bearer {endpoint.api_key}"}
    body = {"prompt": "select from where", "n_predict": 24, "ignore_eos": True}
    took = []
    async with aiohttp.ClientSession(headers=headers) as session:
        for _ in range(3):
            began_s = time.monotonic()
            async with session.post(f"{endpoint.url}/completion", json=body) as answer:
                await answer.read()
            took.append(time.monotonic() - began_s)
    return float(np.median(took))
