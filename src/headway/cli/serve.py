"""`headway serve`: the gateway."""

from __future__ import annotations

import os
import re
from functools import partial
from typing import Annotated

import typer

from headway.cli.options import Assignments, ConfigFile
from headway.extras import install_extra

_NAMED = re.compile(r"[\w.-]+=")
"""How a model that answers whole batches is given: by a name before its path."""


def serve(
    model: Annotated[
        list[str] | None,
        typer.Option(
            metavar="[NAME=]PATH",
            help="GGUF file or Hugging Face repository for the embedded engine; or, as NAME=PATH, "
            "a model that answers whole batches: a folder or file with ONNX, a PyTorch file, "
            "FILE.py:FUNCTION, a server's URL. May be repeated.",
        ),
    ] = None,
    backend: Annotated[
        list[str] | None,
        typer.Option(metavar="URL", help="An OpenAI-compatible server; may be repeated."),
    ] = None,
    policy: Annotated[
        str | None, typer.Option(help="Who runs first: srpt, sjf, fcfs, gittins, edf, …")
    ] = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on; 0 takes a free one.")] = None,
    slots: Annotated[
        int | None, typer.Option(help="Requests that the embedded engine runs at once.")
    ] = None,
    threads: Annotated[int | None, typer.Option(help="Threads of the embedded engine.")] = None,
    context_tokens: Annotated[
        int | None, typer.Option(help="Context of each slot of the embedded engine.")
    ] = None,
    max_concurrency: Annotated[
        int | None, typer.Option(help="Requests that each --backend may run at once.")
    ] = None,
    tier_mode: Annotated[
        str | None, typer.Option(help="How tiers share: strict or weighted.")
    ] = None,
    fairness: Annotated[
        str | None, typer.Option(help="How tenants share: off, vtc or drr.")
    ] = None,
    allow_open: Annotated[
        bool, typer.Option("--allow-open", help="Serve other machines without API keys.")
    ] = False,
    tls_cert: Annotated[
        str | None, typer.Option(metavar="FILE", help="Certificate (PEM): serve HTTPS.")
    ] = None,
    tls_key: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Its key (PEM), where the certificate's file has none."),
    ] = None,
    prompts: Annotated[
        str | None, typer.Option(metavar="FOLDER", help="Registered prompts, a folder for each.")
    ] = None,
    log_level: Annotated[str | None, typer.Option(help="debug, info, warning or error.")] = None,
    config: ConfigFile = None,
    assignments: Assignments = None,
) -> None:
    """Serve an OpenAI-compatible endpoint that schedules its requests."""
    from headway.cli.configuration import read_configuration
    from headway.cli.exit import BAD_CONFIG, Failure

    if max_concurrency is not None and not backend:
        raise Failure("--max-concurrency is for --backend: add one", BAD_CONFIG)
    backends = [{"url": url, "max_concurrency": max_concurrency} for url in backend or ()]
    engines = [one for one in model or () if not _NAMED.match(one)]
    if len(engines) > 1:
        raise Failure(
            f"there is one embedded engine, and --model names {engines[0]} and {engines[1]}; "
            "models that answer whole batches are given as NAME=PATH",
            BAD_CONFIG,
        )
    named = [one.partition("=") for one in model or () if _NAMED.match(one)]
    models = [{"name": name, "path": path} for name, _, path in named]
    flags: dict[str, tuple[str, object]] = {
        "--model": ("model", engines[0] if engines else None),
        "--model NAME=PATH": ("models", models or None),
        "--backend": ("backends", backends or None),
        "--policy": ("policy", policy),
        "--host": ("host", host),
        "--port": ("port", port),
        "--slots": ("slots", slots),
        "--threads": ("threads", threads),
        "--context-tokens": ("context_tokens", context_tokens),
        "--tier-mode": ("tier_mode", tier_mode),
        "--fairness": ("fairness", fairness),
        "--allow-open": ("allow_open", allow_open or None),
        "--tls-cert": ("tls_cert", tls_cert),
        "--tls-key": ("tls_key", tls_key),
        "--prompts": ("prompts", prompts),
        "--log-level": ("log.level", log_level),
    }
    read = partial(read_configuration, flags, assignments, config)
    configuration = read()

    # Predictions are small sums: threads for them would only take the cores from the engine.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    try:
        from headway.cli import gateway
    except ModuleNotFoundError as error:
        raise Failure(
            f"the gateway needs {error.name}: {install_extra('serve')}", BAD_CONFIG
        ) from None
    gateway.serve(configuration, read)
