"""What `headway check` finds out: whether all that the settings name is there and works."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from headway.cli.gateway_parts import predictor_of
from headway.cli.live_settings import budget_of, endpoints_of
from headway.cli.models import catalog_of
from headway.config.backends import EMBEDDED
from headway.config.settings import Settings
from headway.config.sources import Configuration
from headway.engines.changes import named, requests
from headway.engines.endpoint import Endpoint
from headway.engines.engine import BackendGone, Description, EngineError
from headway.engines.probe import connect
from headway.lab.simulation.errors import SimulationError
from headway.lab.simulation.slo import parse_objective
from headway.models.signature import ModelFailure
from headway.prediction.models.artefact import ArtefactError
from headway.prompts.errors import PromptError
from headway.prompts.registry import read_registry
from headway.redaction import masked
from headway.sharing.errors import QueueError
from headway.sharing.server import check_server
from headway.store.opening import NoDatabase, open_database

ANSWER_S = 10.0
"""How long a backend may take to say what it can do."""


class Finding(NamedTuple):
    """One line of the result."""

    about: str
    text: str
    works: bool = True


def findings_of(configuration: Configuration) -> list[Finding]:
    """What there is to say of the settings, and of all that they name; takes up to 10 s."""
    settings, file = configuration.settings, configuration.file
    return [
        Finding("settings", f"{file}" if file.exists() else f"the defaults: there is no {file}"),
        _keys(settings),
        *_models(settings),
        *_scheduling(settings),
        *_queue(settings),
        *_files(settings),
        *_batches(settings),
        *_prompts(settings),
        *_prices(settings),
        *asyncio.run(_backends(endpoints_of(settings.backends))),
    ]


def _keys(settings: Settings) -> Finding:
    if settings.keys:
        admins = sum(key.admin for key in settings.keys)
        return Finding("keys", f"{len(settings.keys)}, {admins} of them of an admin")
    return Finding("keys", f"none: everybody who can connect to {settings.host} may do everything")


def _models(settings: Settings) -> Iterator[Finding]:
    """The embedded engine, and the models that answer whole batches."""
    if settings.embedded:
        model = settings.model or "the built-in model"
        path = Path(model).expanduser()
        lost = model.endswith(".gguf") and ":" not in model and not path.is_file()
        text = f"there is no file {model}" if lost else model
        yield Finding(EMBEDDED, text, works=not lost)
    try:
        catalog = catalog_of(settings)
    except ModelFailure as failure:
        yield Finding("models", str(failure), works=False)
        return
    names = ", ".join(model.name for model in catalog)
    if names:
        yield Finding("models", names)


def _scheduling(settings: Settings) -> Iterator[Finding]:
    """What is wrong with the predictor, and with the targets of `policy: auto`."""
    try:
        predictor_of(settings.prediction.predictor)
    except ArtefactError as error:
        yield Finding("predict", str(error), works=False)
    try:
        if settings.auto.slo:
            parse_objective(settings.auto.slo)
    except SimulationError as error:
        yield Finding("auto.slo", str(error), works=False)


def _queue(settings: Settings) -> Iterator[Finding]:
    if settings.queue is not None:
        try:
            yield Finding("queue", check_server(settings.queue))
        except QueueError as error:
            yield Finding("queue", str(error), works=False)


def _files(settings: Settings) -> Iterator[Finding]:
    """What is read or written at the start."""
    for path in (settings.tls_cert, settings.tls_key):
        if path is not None and not os.access(path.expanduser(), os.R_OK):
            yield Finding("tls", f"{path} cannot be read", works=False)
    database = settings.log.requests_db
    if database is None:
        yield Finding("log", "no request log: log.requests_db is null")
        return
    folder = database.expanduser()
    while not folder.exists():
        folder = folder.parent
    if os.access(folder, os.W_OK):
        yield Finding("log", str(database))
    else:
        yield Finding("log", f"{database}: {folder} cannot be written by this user", works=False)


def _batches(settings: Settings) -> Iterator[Finding]:
    """Whether the database of batches can be used; nothing is written there."""
    if settings.batch.database is None:
        return
    try:
        open_database(
            settings.batch.database,
            lambda connection: None,
            "batch.database",
            lambda connect: connect().close(),
        )
    except NoDatabase as error:
        yield Finding("batches", str(error), works=False)
    else:
        yield Finding("batches", masked(settings.batch.database))


def _prompts(settings: Settings) -> Iterator[Finding]:
    """The registered prompts, and what is wrong with them."""
    if settings.prompts is None:
        return
    try:
        registry = read_registry(settings.prompts.expanduser())
    except PromptError as error:
        yield Finding("prompts", str(error), works=False)
        return
    names = ", ".join(registry.entries)
    yield Finding("prompts", f"{settings.prompts}: {names or 'none yet'}")
    for problem in registry.problems:
        yield Finding("prompts", problem, works=False)


def _prices(settings: Settings) -> Iterator[Finding]:
    """What has a price, and prices of what is not there."""
    prices = settings.prices
    named = [*prices.models, *prices.backends]
    if named:
        yield Finding("prices", ", ".join(named))
    known = {EMBEDDED, *(one.name for one in endpoints_of(settings.backends))}
    for name in prices.backends:
        if name not in known:
            text = f"prices.backends: {name!r} is none of {', '.join(sorted(known))}"
            yield Finding("prices", text, works=False)
    budgets = [
        *(key.budget for key in settings.keys),
        *settings.tenant_budgets.values(),
        settings.batch.budget,
    ]
    limits = [budget_of(one).limits() for one in budgets if one is not None]
    if not named and any(unit == "money" for unit, _, _ in chain.from_iterable(limits)):
        text = "there are budgets of money and no prices: every request of theirs is refused"
        yield Finding("prices", text, works=False)


async def _backends(endpoints: list[Endpoint]) -> list[Finding]:
    return await asyncio.gather(*map(_backend, endpoints))


async def _backend(endpoint: Endpoint) -> Finding:
    """What one backend says of itself."""
    place = endpoint.url if endpoint.name in endpoint.url else f"{endpoint.name} at {endpoint.url}"
    try:
        async with asyncio.timeout(ANSWER_S):
            engine = await connect(endpoint)
            try:
                description = await engine.describe()
            finally:
                await engine.close()
    except TimeoutError:
        return Finding("backend", f"{place} did not answer within {ANSWER_S:.0f} s", works=False)
    except (BackendGone, EngineError) as error:
        why = str(error).removeprefix(f"{endpoint.name} ({endpoint.url}): ")
        return Finding("backend", f"{place}: {why}", works=False)
    return Finding("backend", f"{place}: {can_do(description)}")


def can_do(description: Description) -> str:
    """What a backend can do, in a sentence."""
    slots, context = description.slots, description.context_tokens
    parts = [
        description.engine if description.engine != "openai" else "an OpenAI-compatible server",
        f"serves {named(description.models)}",
        f"{requests(slots)} at once" if slots else "does not say how many requests at once",
        f"a context of {context} tokens" if context else "",
        "embeddings" if description.embeddings else "",
        "is preempted without losing a token"
        if description.exact_resume
        else "is not preempted: it takes no token ids",
    ]
    return "; ".join(filter(None, parts))
