"""Runs a gateway until a signal ends it, and explains what keeps it from its start."""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager

from headway.cli.backend_lines import backend_lines
from headway.cli.banner import print_banner
from headway.cli.exit import BAD_CONFIG, Failure
from headway.cli.gateway_parts import Parts
from headway.cli.live_settings import endpoints_of
from headway.cli.logs import Logs
from headway.cli.reload import Reload
from headway.config.backends import EMBEDDED
from headway.config.settings import Settings
from headway.config.sources import Configuration
from headway.core.scheduler import Scheduler
from headway.core.settings import SchedulerSettings
from headway.engines.model_file import GgufError
from headway.gateway.http.server import CertificateError
from headway.gateway.process import run
from headway.gateway.server import Gateway
from headway.models.catalog import Catalog
from headway.models.signature import ModelFailure
from headway.prediction.models.artefact import ArtefactError
from headway.prompts.errors import PromptError
from headway.sharing.errors import QueueError
from headway.store.event_log import EventLogError, LoggedScheduler, begin
from headway.store.opening import NoDatabase
from headway.store.request_log import RequestLogError
from headway.store.responses import ResponsesError
from headway.traces.otlp import NoExporter


def serve(configuration: Configuration, read_again: Callable[[], Configuration]) -> None:
    """Serve until a signal ends it.

    Args:
        configuration: the settings and their sources.
        read_again: reads the sources again. Raises Failure.

    Raises:
        Failure: it cannot start, or was stopped before everything was finished.
    """
    settings = configuration.settings
    if settings.exposed:
        raise Failure(open_without_keys(settings.host), BAD_CONFIG)
    endpoints = endpoints_of(settings.backends)
    reload = Reload(settings, lambda: read_again().settings, configuration.file)
    reload.hear_hangups()
    with Logs(settings.log.level), ExitStack() as files:
        _check_port(settings)  # before minutes of fetching a model, not after
        with _explained(settings):
            parts = files.enter_context(closing(Parts.of(settings)))

            def scheduler(of: SchedulerSettings) -> Scheduler:
                if settings.log.events is None:
                    return Scheduler(of)
                path = settings.log.events.expanduser()
                return LoggedScheduler(of, files.enter_context(begin(path)))

            finished = run(
                lambda: parts.gateway(endpoints, scheduler),
                lambda started: _ready(settings, parts.catalog, started),
                reload.run,
            )
    if not finished:
        raise Failure("stopped before everything that was under way was finished")


@contextmanager
def _explained(settings: Settings) -> Iterator[None]:
    """What keeps a gateway from its start is a Failure."""
    try:
        yield
    except (
        ArtefactError,
        CertificateError,
        EventLogError,
        GgufError,
        ModelFailure,
        NoDatabase,
        NoExporter,
        PromptError,
        QueueError,
        RequestLogError,
        ResponsesError,
    ) as error:
        raise Failure(error) from None
    except OSError as error:
        raise _os_failure(error, settings) from None


def open_without_keys(host: str) -> str:
    """What is wrong with a gateway that other machines could use without a key."""
    return (
        f"host {host} is open to other machines and there are no API keys: "
        "make one with `headway key new NAME`, or pass --allow-open"
    )


def _check_port(settings: Settings) -> None:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        socket.create_server((settings.host, settings.port), family=family).close()
    except OSError as error:
        raise _os_failure(error, settings) from None


def _os_failure(error: OSError, settings: Settings) -> Failure:
    host, port = settings.host, settings.port
    if error.errno == errno.EADDRINUSE:
        return Failure(
            f"port {port} on {host} is taken: stop what uses it, or choose another --port"
        )
    if error.errno == errno.EACCES and port < 1024:
        return Failure(f"port {port} needs privileges: choose a --port above 1023")
    if error.errno == errno.EADDRNOTAVAIL or isinstance(error, socket.gaierror):
        return Failure(f"host {host} is no address of this machine: choose another --host")
    if error.errno == errno.ENOSPC:
        return Failure(f"the disk is full ({error.filename or 'no space left'}): free some space")
    return Failure(error)


def _ready(settings: Settings, catalog: Catalog, started: Gateway) -> None:
    """Say that requests are taken, and by what."""
    lines = backend_lines(started.pool.statuses.values(), EMBEDDED)
    print_banner(settings, catalog, started.address, lines)
