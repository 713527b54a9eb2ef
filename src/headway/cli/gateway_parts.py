"""The parts of a gateway, as the settings name them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from headway.batches.settings import BatchSettings
from headway.cli.exit import BAD_CONFIG, Failure
from headway.cli.live_settings import api_keys, budget_of, tenant_budgets
from headway.cli.models import catalog_of
from headway.config.backends import EMBEDDED
from headway.config.kept import default_requests_db
from headway.config.scheduling import AUTO, AUTO_BEGINS_WITH
from headway.config.settings import Settings
from headway.core.request import Tier
from headway.core.scheduler import Scheduler
from headway.core.settings import SchedulerSettings
from headway.engines.embedded import EmbeddedServer
from headway.engines.endpoint import Endpoint
from headway.engines.model_file import find_model
from headway.gateway.foresight.earlier_runs import origin_of
from headway.gateway.server import Gateway
from headway.gateway.settings import AutoSettings, GatewaySettings, WorkerSettings
from headway.lab.simulation.profiles import names as profile_names
from headway.models.catalog import Catalog
from headway.prediction.learning.logged import logged_features
from headway.prediction.live.censored import cut_off
from headway.prediction.live.history import LengthHistory
from headway.prediction.models.artefact import load, shipped
from headway.prediction.models.predictor import Predictor
from headway.prompts.watched import WatchedRegistry
from headway.sharing.settings import QueueSettings
from headway.store.request_log import RequestLog, RequestLogError, newest, read
from headway.store.request_record import RequestRecord
from headway.store.responses import ResponseStore
from headway.traces.otlp import Collector
from headway.traces.tracer import Tracer

logger = logging.getLogger(__name__)

DAY_S = 24 * 3600.0
RECALLED_REQUESTS = 10_000


@dataclass(frozen=True)
class Parts:
    """What is opened or fetched before a gateway starts, and closed after it has stopped."""

    settings: Settings
    model: Path | None
    """Of the embedded engine; None: there is none."""
    log: RequestLog | None
    queue: QueueSettings | None
    responses: ResponseStore | None
    predictor: Predictor | None
    catalog: Catalog
    prompts: WatchedRegistry | None
    tracer: Tracer | None

    @classmethod
    def of(cls, settings: Settings) -> Parts:
        """Open all of them; what each raises says what is wrong with its settings."""
        return cls(
            settings,
            queue=queue_of(settings),
            model=find_model(settings.model) if settings.embedded else None,
            log=request_log_of(settings),
            responses=responses_of(settings),
            predictor=predictor_of(settings.prediction.predictor),
            catalog=catalog_of(settings),
            prompts=prompts_of(settings),
            tracer=tracer_of(settings),
        )

    def gateway(
        self,
        endpoints: Sequence[Endpoint],
        scheduler: Callable[[SchedulerSettings], Scheduler],
    ) -> Gateway:
        """A gateway of these parts; called in the event loop."""
        settings, log = self.settings, self.log
        earlier = [] if log is None else answered_in(log.path)  # not kept: thousands of prompts
        embedded = [
            EmbeddedServer(
                model,
                name=EMBEDDED,
                slots=settings.slots,
                threads=settings.threads,
                context_tokens=settings.context_tokens,
            )
            for model in ([self.model] if self.model is not None else [])
        ]
        learned = None
        if log is not None and settings.prediction.learns:
            learned = log.path.parent / "predictors"
        return Gateway(
            gateway_settings(settings),
            endpoints,
            embedded=embedded,
            history=lengths_of(earlier),
            earlier=earlier,
            predictor=self.predictor,
            request_log=log,
            responses=self.responses,
            batches=batches_of(settings),
            learned=learned,
            catalog=self.catalog,
            prompts=self.prompts,
            queue=self.queue,
            tracer=self.tracer,
            profiles=profile_names(),
            scheduler=scheduler,
        )

    def close(self) -> None:
        """Write what is left, and close the files."""
        if self.log is not None:
            self.log.close()
        if self.responses is not None:
            self.responses.close()


def request_log_of(settings: Settings) -> RequestLog | None:
    """The request log; None: there is none. Raises RequestLogError."""
    database, days = settings.log.requests_db, settings.log.keep_days
    if database is None:
        return None
    return RequestLog(
        database.expanduser(),
        settings.log.prompts,
        logged_features,
        keep_s=None if days is None else days * DAY_S,
    )


def responses_of(settings: Settings) -> ResponseStore | None:
    """Where responses are kept: beside the request log; None: nowhere. Raises ResponsesError."""
    database, limits = settings.log.requests_db, settings.responses
    if database is None or limits.max_age_days == 0:
        return None
    path = database.expanduser().with_name("responses.db")
    return ResponseStore(path, limits.max_age_days * DAY_S, limits.max_mb * 1024 * 1024)


def batches_of(settings: Settings) -> BatchSettings | None:
    """Where files and batches are kept: by default beside the request log; None: nowhere."""
    database, batch = settings.log.requests_db, settings.batch
    folder = batch.folder
    if folder is None:
        if database is None and batch.database is None:
            return None
        folder = (database or default_requests_db()).with_name("batches")
    return BatchSettings(
        folder.expanduser(),
        database=batch.database or "",
        max_file_bytes=batch.max_file_mb * 1024 * 1024,
        max_lines=batch.max_lines,
        max_line_bytes=settings.limits.max_body_bytes,
        window=batch.window or "",
    )


def queue_of(settings: Settings) -> QueueSettings | None:
    """Where gateways share one order; None: this one has its own. Raises QueueError."""
    if settings.queue is None:
        return None
    from headway.sharing.server import check_server, clock_ahead_s

    check_server(settings.queue)
    return QueueSettings(settings.queue, clock_ahead_s=clock_ahead_s(settings.queue))


def prompts_of(settings: Settings) -> WatchedRegistry | None:
    """The registered prompts; None: there are none. Raises PromptError."""
    folder = settings.prompts
    return None if folder is None else WatchedRegistry(folder.expanduser())


def answered_in(database: Path) -> list[RequestRecord]:
    """The newest requests of the log that were answered: what they teach outlives a restart.

    If the log cannot be read, there are none, with a warning.
    """
    answered: list[RequestRecord] = []
    try:
        for _, record in read(database, after=max(0, newest(database) - RECALLED_REQUESTS)):
            if record.outcome == "finished" and record.output_tokens:
                answered.append(record)
    except RequestLogError as error:
        logger.warning("earlier answers are not known: %s", error)
    return answered


def lengths_of(answered: Iterable[RequestRecord]) -> LengthHistory:
    """The output lengths of earlier answers."""
    history = LengthHistory()
    for record in answered:
        was_cut = cut_off(record.output_tokens or 0, record.max_tokens)
        history.observe(origin_of(record), record.output_tokens or 0, was_cut)
    return history


def predictor_of(choice: Path | str) -> Predictor | None:
    """The predictor that `prediction.predictor` names. Raises ArtefactError."""
    if choice == "off":
        return None
    return shipped() if choice == "shipped" else load(Path(choice).expanduser())


def tracer_of(settings: Settings) -> Tracer | None:
    """What sends traces, if there is a collector. Raises NoExporter."""
    if settings.traces.endpoint is None:
        return None
    return Tracer(Collector(settings.traces.endpoint), settings.traces.sample)


def gateway_settings(settings: Settings) -> GatewaySettings:
    """The settings of the gateway itself."""
    return GatewaySettings(
        scheduler=settings.scheduler(),
        auto=_auto(settings) if settings.policy == AUTO else None,
        keys=api_keys(settings),
        host=settings.host,
        port=settings.port,
        aliases=settings.aliases,
        base_path=settings.base_path,
        workers=tuple(
            WorkerSettings(one.name, one.url, one.key(), one.tenant or "")
            for one in settings.workers
        ),
        prices=settings.prices.prices(),
        tenant_budgets=tenant_budgets(settings),
        batch_budget=None if settings.batch.budget is None else budget_of(settings.batch.budget),
        hosts=settings.hosts,
        allow_origins=settings.cors.allow_origins,
        default_tier=Tier.parse(settings.default_tier),
        tls_cert=settings.tls_cert and settings.tls_cert.expanduser(),
        tls_key=settings.tls_key and settings.tls_key.expanduser(),
        max_body_bytes=settings.limits.max_body_bytes,
        max_bodies_bytes=settings.limits.max_bodies_bytes,
        read_timeout_s=settings.limits.read_timeout_s,
        send_timeout_s=settings.limits.send_timeout_s,
        keep_alive_s=settings.limits.keep_alive_s,
        drain_s=settings.limits.drain_s,
        unavailable_wait_s=settings.limits.unavailable_wait_s,
        fallback_policy=settings.prediction.fallback,
        ask_lengths=settings.prediction.ask_model,
    )


def _auto(settings: Settings) -> AutoSettings:
    """How the policy is chosen. Raises Failure: its SLO is none."""
    from headway.lab.simulation.errors import SimulationError
    from headway.lab.simulation.slo import parse_objective

    auto = settings.auto
    try:
        if auto.slo:
            parse_objective(auto.slo)
    except SimulationError as error:
        raise Failure(f"auto.slo: {error}", BAD_CONFIG) from None
    if settings.log.requests_db is None:
        logger.warning(
            "policy auto has no traffic to replay without log.requests_db: %s stays",
            AUTO_BEGINS_WITH,
        )
    return AutoSettings(every_s=auto.every_s, window_s=auto.window_s, slo=auto.slo)
