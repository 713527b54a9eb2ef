"""Assembles the gateway, starts, drains and stops it."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from headway.batches.batches import Batches
from headway.batches.settings import BatchSettings
from headway.core.scheduler import Scheduler
from headway.core.settings import SchedulerSettings
from headway.engines.embedded import EmbeddedServer
from headway.engines.endpoint import Endpoint
from headway.engines.pool import BackendPool
from headway.gateway.accounts.accounts import Accounts
from headway.gateway.accounts.batch_metrics import BatchMetrics
from headway.gateway.accounts.loop_lag import LoopLag
from headway.gateway.accounts.metrics import Metrics
from headway.gateway.accounts.model_metrics import ModelMetrics
from headway.gateway.answers.answers import Answers
from headway.gateway.answers.keep_alive import KeepAlive
from headway.gateway.console.live import Live
from headway.gateway.console.trend import Trend
from headway.gateway.dispatch.dispatcher import Dispatcher
from headway.gateway.dispatch.perception import Perception
from headway.gateway.foresight.advisor import Advisor
from headway.gateway.foresight.claimed import ClaimedLengths
from headway.gateway.foresight.foresight import Foresight
from headway.gateway.foresight.gain import Gain
from headway.gateway.foresight.policy_choice import PolicyChoice
from headway.gateway.foresight.recent_traffic import RecentTraffic
from headway.gateway.foresight.refits import Refits
from headway.gateway.foresight.runs_ahead import RunsAhead
from headway.gateway.foresight.what_if import WhatIf
from headway.gateway.http.body import Bodies
from headway.gateway.http.server import HttpServer
from headway.gateway.intake.admissions import Admissions
from headway.gateway.intake.aliases import Aliases
from headway.gateway.intake.entrance import Entrance
from headway.gateway.intake.intake import Intake
from headway.gateway.intake.model_names import ModelNames
from headway.gateway.intake.prompts import Prompts
from headway.gateway.keys.budgets import Budgets
from headway.gateway.keys.keys import KeyRing
from headway.gateway.keys.sessions import Sessions
from headway.gateway.money.pricing import Pricing
from headway.gateway.money.spot_prices import SpotPrices
from headway.gateway.routes.application import application
from headway.gateway.routes.inference import Inference
from headway.gateway.routes.lines import Lines
from headway.gateway.routes.texts import TextRoutes
from headway.gateway.settings import ApiKey, BudgetSettings, GatewaySettings
from headway.gateway.work.work import Work
from headway.gateway.workers.worker import Worker
from headway.loopback import is_loopback
from headway.models.catalog import Catalog
from headway.prediction.live.history import LengthHistory
from headway.prediction.live.live_predictor import LivePredictor
from headway.prediction.live.run_history import RunHistory
from headway.prediction.live.watch import Watch
from headway.prediction.models.artefact import shipped_refinement
from headway.prediction.models.predictor import Predictor
from headway.prices.table import Prices
from headway.prompts.watched import WatchedRegistry
from headway.sharing.settings import QueueSettings
from headway.store.history.reader import HistoryReader
from headway.store.request_log import RequestLog
from headway.store.request_record import RequestRecord
from headway.store.responses import ResponseStore
from headway.traces.tracer import Tracer

if TYPE_CHECKING:
    from headway.sharing.shared_queue import SharedQueue

logger = logging.getLogger(__name__)

CLOSE_S = 0.5
"""Time for connections to end after their requests are done."""


class Gateway:
    """One gateway: the scheduler, its driver, the backends and the HTTP interface.

    Args:
        settings: of the gateway.
        endpoints: OpenAI-compatible servers, used as backends.
        embedded: embedded engines, used as backends.
        history: output lengths of earlier requests; learns while serving.
        earlier: requests that were answered before a restart, from the log.
        predictor: predicts lengths from prompts; None: only history does.
        request_log: records requests; None: they are not recorded.
        responses: keeps responses of `/v1/responses`; None: none are kept.
        batches: where files and batches are kept, and their limits; None: none are kept.
        learned: folder of the predictors that are trained from the request log; None: none are.
        catalog: models that answer whole batches; None: none.
        prompts: the registered prompts; None: there are none.
        queue: where gateways share one order of requests; None: this one has its own.
        tracer: sends traces of requests; None: none are sent.
        profiles: of engines that the console can replay traffic on.
        pool: creates the backend pool.
        scheduler: creates the scheduler, such as one that logs its events.
    """

    def __init__(
        self,
        settings: GatewaySettings,
        endpoints: Sequence[Endpoint] = (),
        *,
        embedded: Sequence[EmbeddedServer] = (),
        history: LengthHistory | None = None,
        earlier: Sequence[RequestRecord] = (),
        predictor: Predictor | None = None,
        request_log: RequestLog | None = None,
        responses: ResponseStore | None = None,
        batches: BatchSettings | None = None,
        learned: Path | None = None,
        catalog: Catalog | None = None,
        prompts: WatchedRegistry | None = None,
        queue: QueueSettings | None = None,
        tracer: Tracer | None = None,
        profiles: Sequence[str] = (),
        pool: Callable[..., BackendPool] = BackendPool,
        scheduler: Callable[[SchedulerSettings], Scheduler] = Scheduler,
    ) -> None:
        self.settings = settings
        history = LengthHistory() if history is None else history
        self.pool = pool(endpoints, embedded=embedded)
        core, works, clock = scheduler(settings.scheduler), dict[str, Work](), _clock(queue)
        live = refits = None
        if predictor is not None:
            live = LivePredictor(predictor, history, shipped_refinement())
            if request_log is not None and learned is not None:
                refits = Refits(live, request_log.path, learned)
        claimed = ClaimedLengths(core, works, clock, history)
        self._ahead = ahead = RunsAhead(core, RunHistory(Watch()))
        self._earlier = earlier
        choice = PolicyChoice(core, Watch(), settings.fallback_policy, clock)
        self._foresight = foresight = Foresight(core, works, clock, live, choice, refits, claimed)
        pricing = Pricing(settings.prices, clock)
        self._spot_prices = SpotPrices(pricing, settings.prices)
        self.queue: SharedQueue | None = None
        """Shares slots with other gateways; None: this one shares none."""
        if queue is not None:
            from headway.sharing.shared_queue import SharedQueue  # which needs an extra

            self.queue = SharedQueue(queue, core, clock)
        self.dispatcher = Dispatcher(
            core, self.pool, works, foresight, pricing, settings, clock, self.queue
        )
        self.perception = Perception(self.dispatcher) if settings.ask_lengths else None
        """Asks models how long their answers will be."""
        self._keys = KeyRing(settings.keys, self.dispatcher.clock())
        self._budgets = Budgets(settings.keys, settings.tenant_budgets, settings.batch_budget)
        self._log_path = log_path = None if request_log is None else request_log.path
        admissions = Admissions(self._budgets, pricing, self.pool)
        metrics = Metrics(self.dispatcher, foresight, self.perception)
        self._accounts = accounts = Accounts(
            self.dispatcher.scheduler,
            metrics,
            history,
            foresight,
            ahead,
            pricing,
            request_log,
            tracer,
        )
        self.catalog = Catalog() if catalog is None else catalog
        self._aliases = aliases = Aliases(settings.aliases)
        models = ModelNames(self.pool, [model.name for model in self.catalog], aliases)
        intake = Intake(
            settings,
            self.dispatcher,
            history,
            claimed,
            ahead,
            self.pool,
            models,
            admissions,
            tracer,
        )
        traffic = RecentTraffic(core, log_path, accounts.flush, clock)
        self._advisor = None
        if settings.auto is not None and request_log is not None:
            self._advisor = Advisor(traffic, choice, settings.auto)
        metrics.policy(core, self._advisor)
        if request_log is not None:
            metrics.log(request_log)
        self._tracer = tracer
        if tracer is not None:
            metrics.traces(tracer)
        self._lag = LoopLag(metrics.registry)
        of_models = ModelMetrics(self.catalog, metrics.registry)
        self._inference = inference = Inference(
            settings, self.catalog, of_models, accounts, pricing, admissions, aliases
        )
        bodies = Bodies(settings.max_body_bytes, settings.max_bodies_bytes, settings.read_timeout_s)
        sessions = Sessions(self._keys, clock)
        entrance = Entrance(self._keys, sessions, bodies, is_loopback(settings.host))
        self._prompts = Prompts(prompts, settings.max_body_bytes)
        self._keep_alive = KeepAlive(self.dispatcher, accounts, settings.keep_alive_s)
        self._batches: Batches | None = None
        answers = Answers(self.dispatcher, accounts, self._keep_alive)
        texts = TextRoutes(inference, entrance)
        if batches is not None:
            lines = Lines(
                models,
                intake,
                self._prompts,
                answers,
                texts,
                inference,
                self.pool,
                settings.scheduler,
                self._budgets,
                accounts,
            )
            self._batches = Batches(batches, lines)
            BatchMetrics(self._batches, metrics.registry)
        self._reader = None if request_log is None else HistoryReader(request_log.path)
        self._trend = Trend(core)
        self._gain = None if request_log is None else Gain(traffic)
        self._live = Live(self.dispatcher, choice, self._advisor is not None, self._gain)
        self._workers = tuple(Worker(one) for one in settings.workers)
        routes = application(
            settings,
            accounts=accounts,
            advisor=self._advisor,
            ahead=ahead,
            answers=answers,
            batches=self._batches,
            bodies=bodies,
            budgets=self._budgets,
            choice=choice,
            dispatcher=self.dispatcher,
            entrance=entrance,
            foresight=foresight,
            inference=inference,
            intake=intake,
            live=self._live,
            log=log_path,
            metrics=metrics,
            models=models,
            pool=self.pool,
            profiles=profiles,
            prompts=self._prompts,
            reader=self._reader,
            responses=responses,
            sessions=sessions,
            texts=texts,
            trend=self._trend,
            what_if=WhatIf(traffic),
            workers=self._workers,
        )
        self._http = HttpServer(routes, settings)
        self.address = ""
        """`http://host:port`; empty before `start`."""

    async def start(self, listening: Callable[[], None] | None = None) -> None:
        """Listen, then start the backends.

        Args:
            listening: called once clients can connect, while the backends start.

        Raises:
            OSError: the port is in use, or the host is not an address of this machine.
            GgufError: an embedded engine cannot load its model.
            ModelFailure: a model of the catalog cannot be loaded.
        """
        await self._budgets.read_log(self._log_path)
        self.address = await self._http.start()
        self._foresight.start(self.perception.ask if self.perception else None)
        self._lag.start()
        self._trend.start()
        self._spot_prices.start()
        self._keep_alive.start()
        self._prompts.start()
        if self._advisor is not None:
            self._advisor.start()
        if self.queue is not None:
            self.queue.start(self.dispatcher.carry_out)
        starting = asyncio.gather(
            self.pool.start(self.dispatcher.backend_changed), self.catalog.start()
        )
        if listening is not None:
            listening()
        try:
            await starting
        except BaseException:
            await self.stop()
            raise
        # Only now the cost of tokens is known.
        self._ahead.recall(self._earlier, self.dispatcher.clock(), time.time())
        self._earlier = ()
        if self._batches is not None:
            self._batches.start()

    async def use_keys(self, keys: Sequence[ApiKey]) -> None:
        """Let in these API keys from now on; what is under way goes on."""
        self._keys.replace(keys, self.dispatcher.clock())
        self._budgets.use_keys(keys)
        await self._budgets.read_log(self._log_path, self._accounts.written)

    async def use_tenant_budgets(self, budgets: Mapping[str, BudgetSettings]) -> None:
        """These are the budgets of tenants from now on; what is spent stays spent."""
        self._budgets.use_tenants(budgets)
        await self._budgets.read_log(self._log_path, self._accounts.written)

    async def use_backends(self, endpoints: Sequence[Endpoint]) -> None:
        """Run on these servers from now on, beside the embedded engines.

        A new one takes requests once it was probed. Then one that is missing finishes what it runs,
        and leaves; after `drain_s` what can go on elsewhere does.

        Raises:
            ValueError: two have the same name, or one has that of an embedded engine.
        """
        await self.pool.use(endpoints)

    def use_aliases(self, aliases: Mapping[str, str]) -> None:
        """Know models by these names from now on, beside their own."""
        self._aliases.replace(aliases)

    def use_prices(self, prices: Prices) -> None:
        """These are the prices from now on."""
        self._spot_prices.use(prices)

    async def drain(self) -> bool:
        """Refuse new requests and finish the others; False if `drain_s` was too short."""
        limit_s = self.settings.drain_s
        if self._batches is not None:
            self._batches.pause()
        return all(
            await asyncio.gather(self.dispatcher.drain(limit_s), self._inference.drain(limit_s))
        )

    async def stop(self) -> None:
        """Close everything now; remaining requests end with an error."""
        if self._batches is not None:
            await self._batches.stop()
        self.dispatcher.close()
        await self._http.stop(CLOSE_S)
        if self._reader is not None:
            await self._reader.close()
        await asyncio.gather(*(worker.close() for worker in self._workers))
        await self._keep_alive.stop()
        if self.queue is not None:
            await self.queue.close()
        await self._lag.stop()
        self._trend.stop()
        if self._gain is not None:
            await self._gain.close()
        await self._spot_prices.close()
        await self._prompts.close()
        self._accounts.close()
        if self._tracer is not None:
            await asyncio.to_thread(self._tracer.close)
        if self.perception is not None:
            await self.perception.close()
        if self._advisor is not None:
            await self._advisor.close()
        await self._foresight.close()
        await asyncio.gather(self.pool.close(), self.catalog.close())


def _clock(queue: QueueSettings | None) -> Callable[[], float]:
    """Seconds: the same for all gateways of a queue."""
    if queue is None or not queue.clock_ahead_s:
        return time.monotonic
    ahead_s = queue.clock_ahead_s
    return lambda: time.monotonic() + ahead_s
