"""`headway bench`: a load test of any OpenAI-compatible server, or a comparison of policies."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from headway.cli.exit import fail
from headway.cli.output_files import check_writable, results_console, write_json
from headway.core.request import Tier
from headway.lab.loadtest.arrivals import ArrivalsError
from headway.lab.loadtest.client import ServerError
from headway.lab.loadtest.compare import Contender, ContenderError, compare, measure_url
from headway.lab.loadtest.mix import Mix, MixError
from headway.lab.loadtest.progress import ProgressBar
from headway.lab.loadtest.prompts import PromptsError, load_prompts
from headway.lab.loadtest.remarks import remarks
from headway.lab.loadtest.report import report_html
from headway.lab.loadtest.result import BenchResult
from headway.lab.loadtest.table import errors_of, table_of
from headway.lab.loadtest.workload import Workload
from headway.lab.report.terminal import show

ORACLE = "srpt+oracle"


def bench(
    policies: Annotated[
        str, typer.Option(help="Policies to compare; NAME+oracle knows every answer's length.")
    ] = "fcfs,sjf,srpt,gittins",
    oracle: Annotated[
        bool, typer.Option("--oracle", help=f"Also compare {ORACLE}: what can be gained.")
    ] = False,
    url: Annotated[
        str | None, typer.Option(help="Load this running server instead, as http://host:8080/v1.")
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(help="With --url the model's name there, else a GGUF file or repository."),
    ] = None,
    api_key: Annotated[
        str, typer.Option(envvar="OPENAI_API_KEY", help="API key for --url.", show_default=False)
    ] = "",
    requests: Annotated[int, typer.Option(min=1, help="Requests in a run.")] = 120,
    arrivals: Annotated[
        str, typer.Option(help="burst, burst:N@T, poisson:RATE, or a trace: CSV with arrival_s.")
    ] = "burst",
    rate_scale: Annotated[float, typer.Option(help="Speed up arrivals by this factor.")] = 1.0,
    prompts: Annotated[
        str | None, typer.Option(help="JSONL file with `prompt`, or a set in --data.")
    ] = None,
    data: Annotated[
        Path | None, typer.Option(envvar="HEADWAY_DATA", help="Folder of prompt sets.")
    ] = None,
    max_tokens: Annotated[int, typer.Option(min=1, help="Limit of each answer.")] = 400,
    tier: Annotated[
        str, typer.Option(help="Shares of the tiers, as interactive=0.2,batch=0.8.")
    ] = "",
    tenant: Annotated[str, typer.Option(help="Shares of tenants, as alice=1,bob=3.")] = "",
    repeats: Annotated[int, typer.Option(min=1, help="Runs of each; the table shows medians.")] = 1,
    seed: Annotated[int, typer.Option(help="Random seed: equal seeds send equal requests.")] = 0,
    slots: Annotated[int, typer.Option(min=1, help="Slots of the embedded engine.")] = 4,
    timeout: Annotated[float, typer.Option(help="Seconds until a request is abandoned.")] = 600.0,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write all numbers here; - for the terminal.")
    ] = None,
    report: Annotated[Path | None, typer.Option(help="Write an HTML page with plots here.")] = None,
) -> None:
    """Compare policies on the embedded engine, or load a server that runs.

    Without --url, every policy serves the same requests in turn, each on a fresh engine.
    Answers are greedy (temperature 0), so that all policies do the same work.
    """
    console = results_console(json_file)
    try:
        check_writable({"--json": json_file, "--report": report})
        contenders = _contenders(policies, oracle)
        workload = Workload.build(
            load_prompts(prompts, data),
            count=requests,
            arrivals=arrivals,
            rate_scale=rate_scale,
            max_tokens=max_tokens,
            tiers=_tiers(tier),
            tenants=Mix.parse(tenant),
            seed=seed,
        )
        settings: dict[str, object] = {
            "target": url or "embedded engine",
            "model": model or "default",
            "requests": len(workload.requests),
            "arrivals": arrivals,
            "rate scale": rate_scale,
            "prompts": prompts or "those that ship with Headway",
            "max tokens": max_tokens,
            "tiers": tier or "none",
            "tenants": tenant or "none",
            "seed": seed,
            "repeats": repeats,
        }
        with ProgressBar(console) as bar:
            if url is not None:
                row = asyncio.run(
                    measure_url(
                        url,
                        model or "default",
                        workload,
                        bar,
                        api_key=api_key,
                        repeats=repeats,
                        timeout_s=timeout,
                    )
                )
                result = BenchResult((row,), settings)
            else:
                serve: dict[str, object] = {"slots": slots, **({"model": model} if model else {})}
                rows = asyncio.run(
                    compare(
                        contenders,
                        workload,
                        bar,
                        settings=serve,
                        repeats=repeats,
                        seed=seed,
                        timeout_s=timeout,
                    )
                )
                result = BenchResult(tuple(rows), {**settings, "slots": slots})
        said = remarks(result)
        if json_file is not None:
            write_json(result.to_json(said), json_file)
        if report is not None:
            report.write_text(report_html(result, said), encoding="utf-8")
    except (ArrivalsError, ContenderError, MixError, PromptsError, ServerError, OSError) as error:
        fail("bench", error)
    for line in said:
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    show(console, table_of(result))
    for line in errors_of(result):
        console.print(line, style="red", markup=False, soft_wrap=True)


def _contenders(policies: str, oracle: bool) -> list[Contender]:
    names = [name for name in policies.split(",") if name.strip()]
    contenders = [Contender.parse(name) for name in (*names, *([ORACLE] if oracle else []))]
    if not contenders:
        raise ContenderError("no policies to compare; name some, as in --policies fcfs,srpt")
    return list(dict.fromkeys(contenders))


def _tiers(text: str) -> Mix:
    mix = Mix.parse(text)
    for name in mix.shares:
        try:
            Tier.parse(name)
        except ValueError as error:
            raise MixError(str(error)) from None
    return mix
