"""`headway calibrate`: an engine's profile from a live server."""

from __future__ import annotations

import asyncio
from pathlib import Path
from statistics import fmean
from typing import Annotated

import typer

from headway.cli.exit import fail
from headway.cli.output_files import check_writable
from headway.cli.progress import Stages
from headway.lab.loadtest.client import LoadClient, ServerError
from headway.lab.report.figures import figures
from headway.lab.report.terminal import Results, show, table_console
from headway.lab.simulation.calibrate import Probes, drift, fit, probe, residuals
from headway.lab.simulation.errors import SimulationError
from headway.lab.simulation.profile import write_profile

STEADY = 0.05
"""Change of the engine's speed between rounds that needs no warning."""


def calibrate(
    url: Annotated[str, typer.Argument(help="URL of the server, such as http://host:8000/v1.")],
    out: Annotated[Path, typer.Option(help="File to write the profile to.")],
    slots: Annotated[int, typer.Option(min=1, help="Concurrent requests of the server.")] = 4,
    batch_tokens: Annotated[
        int, typer.Option(min=1, help="Token limit of an iteration: n_batch, or vLLM's limit.")
    ] = 2048,
    kv_tokens: Annotated[
        int, typer.Option(min=0, help="KV memory in tokens, from the server's log; 0: unlimited.")
    ] = 0,
    model: Annotated[
        str, typer.Option(help="Name of the model on the server; empty: the first listed.")
    ] = "",
    api_key: Annotated[
        str,
        typer.Option(envvar="OPENAI_API_KEY", help="API key for the server.", show_default=False),
    ] = "",
) -> None:
    """Measure a live server for a few minutes, and write its profile for the simulator.

    It must be otherwise idle and support `ignore_eos`, as vLLM, SGLang, llama.cpp and Headway do.
    """
    console = table_console()
    try:
        check_writable({"--out": out})
        probes, model = asyncio.run(_probe(url, model, api_key, slots))
        profile = fit(model, probes, batch_tokens, kv_tokens)
        out.write_bytes(write_profile(profile))
    except (SimulationError, ServerError, OSError) as error:
        fail("calibrate", error)
    rows = residuals(profile, probes)
    show(
        console,
        Results(
            ["probe", "measured ms", "profile ms", "off by"],
            [
                [name, figures(1e3 * real), figures(1e3 * fitted), f"{fitted / real - 1:+.0%}"]
                for name, real, fitted in rows
            ],
        ),
    )
    off = fmean(abs(fitted / real - 1.0) for _, real, fitted in rows)
    print(f"{out}: off by {off:.1%} on average; simulate with --profile {out}")
    changed = drift(profile, probes)
    if changed > STEADY:
        print(
            f"The engine was {changed:.0%} slower in one round than in another: near saturation "
            f"simulated waits may be off by several times as much; check what else runs there "
            f"and calibrate again"
        )


async def _probe(url: str, model: str, api_key: str, slots: int) -> tuple[Probes, str]:
    async with LoadClient(url, model, api_key) as client:
        listed = await client.models()
    if not listed:
        raise SimulationError(f"{url} lists no model; name one with --model")
    model = model or listed[0]
    async with LoadClient(url, model, api_key) as client:
        with Stages() as report:
            probes = await probe(client, slots, report)
    return probes, model
