"""The HTTP interface put together: every route with its handler, and what surrounds them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from aiohttp import web
from aiohttp.typedefs import Handler

from headway.batches.batches import Batches
from headway.engines.pool import BackendPool
from headway.gateway.accounts.accounts import Accounts
from headway.gateway.accounts.metrics import Metrics
from headway.gateway.answers.answers import Answers
from headway.gateway.console.live import Live
from headway.gateway.console.trend import Trend
from headway.gateway.dispatch.dispatcher import Dispatcher
from headway.gateway.foresight.advisor import Advisor
from headway.gateway.foresight.foresight import Foresight
from headway.gateway.foresight.policy_choice import PolicyChoice
from headway.gateway.foresight.runs_ahead import RunsAhead
from headway.gateway.foresight.what_if import WhatIf
from headway.gateway.http.body import Bodies
from headway.gateway.intake.entrance import Entrance
from headway.gateway.intake.intake import Intake
from headway.gateway.intake.model_names import ModelNames
from headway.gateway.intake.prompts import Prompts
from headway.gateway.keys.budgets import Budgets
from headway.gateway.keys.sessions import Sessions
from headway.gateway.routes.batches import BatchesRoutes
from headway.gateway.routes.console import ConsoleRoutes
from headway.gateway.routes.costs import CostsRoutes
from headway.gateway.routes.docs_page import DocsRoutes
from headway.gateway.routes.files import FilesRoutes
from headway.gateway.routes.generated import GeneratedRoutes
from headway.gateway.routes.history import HistoryRoutes
from headway.gateway.routes.inference import Inference
from headway.gateway.routes.messages import MessagesRoutes
from headway.gateway.routes.models import ModelsRoutes
from headway.gateway.routes.open_inference import OpenInferenceRoutes
from headway.gateway.routes.operations import Operations
from headway.gateway.routes.predict import PredictRoute
from headway.gateway.routes.predicted import PredictedRoute
from headway.gateway.routes.prompt_trials import PromptTrials
from headway.gateway.routes.prompts import PromptsRoutes
from headway.gateway.routes.responses import ResponsesRoutes
from headway.gateway.routes.runs import RunsRoutes
from headway.gateway.routes.status import StatusRoutes
from headway.gateway.routes.surround import Surround
from headway.gateway.routes.table import TABLE
from headway.gateway.routes.texts import TextRoutes
from headway.gateway.routes.token_counts import TokenCounter
from headway.gateway.routes.what_if import WhatIfRoutes
from headway.gateway.settings import GatewaySettings
from headway.gateway.workers.worker import Worker
from headway.store.history.reader import HistoryReader
from headway.store.responses import ResponseStore


def application(
    settings: GatewaySettings,
    *,
    accounts: Accounts,
    advisor: Advisor | None,
    ahead: RunsAhead,
    answers: Answers,
    batches: Batches | None,
    bodies: Bodies,
    budgets: Budgets,
    choice: PolicyChoice,
    dispatcher: Dispatcher,
    entrance: Entrance,
    foresight: Foresight,
    inference: Inference,
    intake: Intake,
    live: Live,
    log: Path | None,
    metrics: Metrics,
    models: ModelNames,
    pool: BackendPool,
    profiles: Sequence[str],
    prompts: Prompts,
    reader: HistoryReader | None,
    responses: ResponseStore | None,
    sessions: Sessions,
    texts: TextRoutes,
    trend: Trend,
    what_if: WhatIf,
    workers: Sequence[Worker],
) -> web.Application:
    """The aiohttp application, of the parts of a gateway.

    Args:
        settings: of the gateway.
        log: the request log; None: there is none.
        profiles: of engines that the console can replay traffic on.
    """
    automatic = advisor is not None
    counter = TokenCounter(models, pool)
    messages = MessagesRoutes(entrance, counter)
    kept = ResponsesRoutes(entrance, prompts, counter, responses, settings.max_body_bytes)
    files = FilesRoutes(entrance, batches, settings.read_timeout_s)
    costs = CostsRoutes(entrance, budgets, log, reader)
    groups = (
        GeneratedRoutes(
            entrance,
            prompts,
            intake,
            answers,
            pool,
            settings.unavailable_wait_s,
            texts,
            messages,
            kept,
        ),
        messages,
        kept,
        files,
        BatchesRoutes(entrance, batches, costs),
        texts,
        PredictRoute(inference, entrance),
        OpenInferenceRoutes(inference, entrance),
        ModelsRoutes(entrance, models, inference),
        StatusRoutes(entrance, dispatcher, pool, inference, accounts, metrics, advisor),
        costs,
        PredictedRoute(entrance, prompts, intake, dispatcher, foresight, ahead),
        Operations(entrance, bodies, dispatcher, pool, choice, automatic),
        HistoryRoutes(entrance, reader),
        PromptsRoutes(entrance, bodies, prompts),
        PromptTrials(entrance, bodies, prompts, intake, answers),
        RunsRoutes(entrance, bodies, workers),
        DocsRoutes(),
    )
    handlers: dict[str, Handler] = {}
    for group in groups:
        handlers |= group.handlers()
    surround = Surround(settings, dispatcher, accounts, entrance, files)
    made = web.Application(middlewares=[surround.middleware])
    if settings.allow_origins:
        made.on_response_prepare.append(surround.expose)
    for route in TABLE:
        if route.method == "GET":
            made.router.add_get(route.path, handlers[route.handler])
            continue
        added = made.router.add_route(
            route.method, route.path, handlers[route.handler], expect_handler=surround.expected
        )
        if route.scheduled:
            surround.work.add(added.resource)
    WhatIfRoutes(entrance, bodies, what_if, profiles, automatic).add_to(made.router)
    ConsoleRoutes(
        entrance, sessions, bodies, live, trend, settings.base_path, keeps_log=log is not None
    ).add_to(made.router)
    return made
