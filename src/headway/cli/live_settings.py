"""The settings that a running gateway takes over: keys, backends, aliases, prices, budgets."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import NamedTuple
from urllib.parse import urlsplit

from headway.config.backends import EMBEDDED, BackendConfig
from headway.config.clients import KeyConfig
from headway.config.money import BudgetConfig, DailyBudgetConfig, PricesConfig
from headway.config.settings import Settings
from headway.core.request import Tier
from headway.engines.endpoint import Endpoint
from headway.gateway.server import Gateway
from headway.gateway.settings import ApiKey, BudgetSettings


class LiveSetting(NamedTuple):
    """A setting that changes while requests are under way."""

    name: str
    """In the settings, and in the log."""
    entries: Callable[[Settings], Mapping[str, object]]
    """Its entries, by the names that the log gives them."""
    use: Callable[[Gateway, Settings], Awaitable[None] | None]
    """Let a gateway use it from now on."""
    gone: str
    """What the log says of entries that are no longer there."""


def endpoints_of(backends: tuple[BackendConfig, ...]) -> list[Endpoint]:
    """The servers to run on; one without a name is named by its host and port."""
    taken = {EMBEDDED, *(backend.name for backend in backends if backend.name is not None)}
    endpoints = []
    for backend in backends:
        name = backend.name
        if name is None:
            place = urlsplit(backend.url).netloc.rpartition("@")[2]
            name, number = place, 2
            while name in taken:
                name, number = f"{place}-{number}", number + 1
            taken.add(name)
        endpoints.append(
            Endpoint(
                name=name,
                url=backend.url,
                api_key=backend.secret(),
                max_concurrency=backend.max_concurrency,
                first_byte_timeout_s=backend.first_byte_timeout_s,
                idle_timeout_s=backend.idle_timeout_s,
                models=backend.models,
                inputs=None if backend.inputs is None else frozenset(backend.inputs),
            )
        )
    return endpoints


def api_keys(settings: Settings) -> tuple[ApiKey, ...]:
    """The keys that may use the gateway."""
    return tuple(_api_key(key) for key in settings.keys)


def _api_key(key: KeyConfig) -> ApiKey:
    return ApiKey(
        name=key.name,
        sha256=key.sha256,
        tenant=key.tenant,
        may_name_tenants=key.may_name_tenants,
        admin=key.admin,
        read_only=key.read_only,
        max_tier=Tier.parse(key.tier_ceiling),
        requests_per_minute=key.requests_per_minute,
        tokens_per_minute=key.tokens_per_minute,
        budget=None if key.budget is None else budget_of(key.budget),
    )


def budget_of(budget: DailyBudgetConfig) -> BudgetSettings:
    """A budget as a plain value."""
    if not isinstance(budget, BudgetConfig):
        return BudgetSettings(budget.tokens_per_day, money_per_day=budget.money_per_day)
    return BudgetSettings(
        budget.tokens_per_day,
        budget.tokens_per_month,
        budget.money_per_day,
        budget.money_per_month,
        budget.when_spent,
        budget.downgrade_to or "",
    )


def tenant_budgets(settings: Settings) -> dict[str, BudgetSettings]:
    """What tenants may spend."""
    return {tenant: budget_of(budget) for tenant, budget in settings.tenant_budgets.items()}


def _priced(prices: PricesConfig) -> dict[str, object]:
    """The prices of each name: a model and a backend may have the same one."""
    names = (*prices.models, *prices.backends)
    return {name: (prices.models.get(name), prices.backends.get(name)) for name in names}


LIVE = (
    LiveSetting(
        "keys",
        lambda settings: {key.name: key for key in settings.keys},
        lambda gateway, settings: gateway.use_keys(api_keys(settings)),
        "revoked",
    ),
    LiveSetting(
        "backends",
        lambda settings: {one.name: one for one in endpoints_of(settings.backends)},
        lambda gateway, settings: gateway.use_backends(endpoints_of(settings.backends)),
        "leaving",
    ),
    LiveSetting(
        "aliases",
        lambda settings: settings.aliases,
        lambda gateway, settings: gateway.use_aliases(settings.aliases),
        "removed",
    ),
    LiveSetting(
        "tenant_budgets",
        lambda settings: settings.tenant_budgets,
        lambda gateway, settings: gateway.use_tenant_budgets(tenant_budgets(settings)),
        "removed",
    ),
    LiveSetting(
        "prices",
        lambda settings: _priced(settings.prices),
        lambda gateway, settings: gateway.use_prices(settings.prices.prices()),
        "removed",
    ),
)
"""All others need another start."""
