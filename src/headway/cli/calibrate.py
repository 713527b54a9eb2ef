"""`headway calibrate`: an engine's profile from a live server."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from statistics import median
from typing import Annotated

import typer

from headway.cli.exit import fail
from headway.cli.output_files import check_writable
from headway.cli.progress import Stages
from headway.lab.loadtest.client import LoadClient, ServerError
from headway.lab.report.figures import figures
from headway.lab.report.terminal import Results, show, table_console
from headway.lab.simulation.calibration.checking import checked, remarks, residuals
from headway.lab.simulation.calibration.fitting import fit
from headway.lab.simulation.calibration.measuring import CHECK_FROM, check, probe
from headway.lab.simulation.calibration.probes import Probes, Trial
from headway.lab.simulation.errors import SimulationError
from headway.lab.simulation.profile import write_profile

HEADINGS = ["probe", "measured ms", "profile ms", "off by"]


def calibrate(
    url: Annotated[str, typer.Argument(help="URL of the server, such as http://host:8000/v1.")],
    out: Annotated[Path, typer.Option(help="File to write the profile to.")],
    slots: Annotated[
        int, typer.Option(min=0, help="Concurrent requests of the server; 0: count them.")
    ] = 0,
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
        began_s, computed_s = time.monotonic(), time.process_time()
        model, probes, trial = asyncio.run(_probe(url, model, api_key, slots, kv_tokens))
        busy = (time.process_time() - computed_s) / (time.monotonic() - began_s)
        profile = fit(model, probes, batch_tokens, kv_tokens)
        rows = residuals(profile, probes)
        show(console, Results(HEADINGS, [_cells(*row) for row in rows]))
        for remark in (*probes.notes, *remarks(profile, probes, busy)):
            print(f"- {remark}.")
        print(f"- {checked(profile, trial).verdict()}.")
        out.write_bytes(write_profile(profile))
    except (SimulationError, ServerError, OSError) as error:
        fail("calibrate", error)
    off = median(abs(fitted / real - 1.0) for _, real, fitted in rows)
    print(f"{out}: half of the probes are within {off:.1%}; simulate with --profile {out}")


def _cells(name: str, real_s: float, fitted_s: float) -> list[str]:
    off = f"{fitted_s / real_s - 1:+.0%}"
    return [name, figures(1e3 * real_s), figures(1e3 * fitted_s), off]


async def _probe(
    url: str, model: str, api_key: str, slots: int, kv_tokens: int
) -> tuple[str, Probes, Trial]:
    if not model:
        async with LoadClient(url, model, api_key) as client:
            listed = await client.models()
        if not listed:
            raise SimulationError(f"{url} lists no model; name one with --model")
        model = listed[0]
        if len(listed) > 1:
            print(f"measuring {model}, the first of {len(listed)} models; --model names another")
    async with LoadClient(url, model, api_key) as client:
        with Stages() as report:
            probes = await probe(client, slots, kv_tokens, report)
            report("traffic to check with", CHECK_FROM)
            trial = await check(client, probes)
    return model, probes, trial
