"""`headway worker`: works on the runs of workflows until it is stopped."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from headway.cli.exit import BAD_CONFIG, Failure
from headway.cli.journal import JournalAddress, with_journal
from headway.cli.run import DEFAULT_URL, Url

if TYPE_CHECKING:
    from headway.workflows.journal.journal import Journal


def worker(
    files: Annotated[list[Path], typer.Argument(help="Python files with workflows.")],
    url: Url = DEFAULT_URL,
    journal: JournalAddress = None,
    cpu: Annotated[float | None, typer.Option(help="CPUs for tasks that state theirs.")] = None,
    memory_mb: Annotated[float | None, typer.Option(help="Memory likewise.")] = None,
    gpu: Annotated[float | None, typer.Option(help="GPUs likewise.")] = None,
    gpu_memory_mb: Annotated[float | None, typer.Option(help="Memory of GPUs likewise.")] = None,
    host: Annotated[str, typer.Option(help="Where to listen for webhooks and people.")] = (
        "127.0.0.1"
    ),
    port: Annotated[
        int | None,
        typer.Option(help="Serve webhooks, the API and the page of runs.", min=0, max=65535),
    ] = None,
    otlp: Annotated[
        str | None,
        typer.Option(
            envvar="OTEL_EXPORTER_OTLP_ENDPOINT",
            metavar="URL",
            help="A collector that gets the spans of runs that ended.",
        ),
    ] = None,
    most_runs: Annotated[int, typer.Option(help="Runs in memory at a time.", min=1)] = 200,
    keep_days: Annotated[
        float | None,
        typer.Option(help="Delete runs that ended so long ago; by default none.", min=0),
    ] = None,
) -> None:
    """Work on runs of these workflows, and start those of their triggers.

    Any number of workers may share a journal.

    SIGTERM and ctrl-C let steps that run end for ten seconds; their runs go on elsewhere, or
    when a worker starts again.
    """
    from headway.traces.otlp import NoExporter
    from headway.workflows.catalog import Catalog, load
    from headway.workflows.errors import WorkflowError
    from headway.workflows.http.server import HttpServer, NotAllowed
    from headway.workflows.llm import Gateway
    from headway.workflows.otlp import Exporter
    from headway.workflows.resources import Capacity
    from headway.workflows.retention import DAY_S, prune_always
    from headway.workflows.triggers.runner import Triggers
    from headway.workflows.worker import Worker

    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(message)s")
    try:
        catalog = Catalog(one for file in files for one in load(file))
    except WorkflowError as error:
        raise Failure(error, BAD_CONFIG) from None
    if any(amount is not None and amount < 0 for amount in (cpu, memory_mb, gpu, gpu_memory_mb)):
        raise Failure("a worker has no less than 0 of --cpu, --memory-mb and --gpu", BAD_CONFIG)
    for name, address in (("--url", url), ("--otlp", otlp)):
        if address is not None and not address.startswith(("http://", "https://")):
            raise Failure(f"{name} {address}: write http://HOST:PORT", BAD_CONFIG)
    capacity = Capacity(cpu, memory_mb, gpu, gpu_memory_mb)
    try:
        exporter = None if otlp is None else Exporter(otlp)
    except NoExporter as error:
        raise Failure(error) from None

    async def work(opened: Journal) -> None:
        gateway = Gateway(url, os.environ.get("HEADWAY_API_KEY"), patient=True)
        worker = Worker(
            opened,
            catalog,
            gateway,
            capacity=capacity,
            most_runs=most_runs,
            export=None if exporter is None else exporter.send,
        )
        triggers = Triggers(opened, catalog, gateway, worker.wake, time.time)
        server = HttpServer(
            opened, catalog, triggers, worker.wake, time.time, os.environ.get("HEADWAY_WORKER_KEY")
        )
        if port is not None:
            try:
                address = await server.listen(host, port)
            except NotAllowed as error:
                raise Failure(error, BAD_CONFIG) from None
            except OSError as error:
                if error.errno == errno.EADDRINUSE:
                    raise Failure(
                        f"port {port} on {host} is taken: choose another --port"
                    ) from None
                raise Failure(f"cannot listen at {host}:{port}: {error.strerror}") from None
            print(f"Runs and questions: {address}/", file=sys.stderr)
        elif triggers.hooks:
            raise Failure("webhooks need --port, where they arrive", BAD_CONFIG)
        working = asyncio.create_task(worker.run())
        watching = [asyncio.create_task(triggers.run())]
        if keep_days is not None:
            watching.append(asyncio.create_task(prune_always(opened, keep_days * DAY_S)))
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, working.cancel)
        names = ", ".join(workflow.name for workflow in catalog)
        print(f"Working on runs of {names}; calls of models go to {url}", file=sys.stderr)
        await asyncio.wait([working])
        for task in watching:
            task.cancel()
        await asyncio.wait(watching)
        await server.close()
        await gateway.close()
        if exporter is not None:
            await asyncio.to_thread(exporter.close)
        if not working.cancelled():
            working.result()

    logger = logging.getLogger("headway")
    level_before = logger.level
    logger.setLevel(logging.INFO)
    try:
        with_journal(journal, work)
    finally:
        logger.setLevel(level_before)
