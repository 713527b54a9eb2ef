"""What operators do while requests are under way: cancel, move, drain, switch the policy.

Each leaves a line in the log that says who did it. Two operators may act at once: the second one
gets a sentence that says what the first one did.
"""

from __future__ import annotations

import logging
from typing import NamedTuple

import msgspec
from aiohttp import web
from aiohttp.typedefs import Handler

from headway.core.request import Tier
from headway.engines.pool import BackendPool
from headway.gateway.api.answer import json_answer
from headway.gateway.api.errors import ApiError, cancelled_by_operator, sentence
from headway.gateway.api.views import Operated, PolicyChange, TierChange
from headway.gateway.dispatch.dispatcher import Dispatcher
from headway.gateway.foresight.policy_choice import PolicyChoice
from headway.gateway.http.body import Bodies, parsed
from headway.gateway.intake.entrance import Entrance
from headway.gateway.keys.keys import Caller, who
from headway.gateway.routes.policy_names import check_policy
from headway.gateway.work.work import Work

logger = logging.getLogger(__name__)

_TIER = msgspec.json.Decoder(TierChange)
_POLICY = msgspec.json.Decoder(PolicyChange)


class _Deed(NamedTuple):
    """Who did something, and when, on the dispatcher's clock."""

    who: str
    at_s: float


class Operations:
    """Carries out what operators ask for.

    Args:
        entrance: lets only operators in.
        bodies: reads the bodies.
        dispatcher: has the requests.
        pool: the backends.
        choice: takes the chosen policy.
        automatic: whether the gateway chooses its policy by itself.
    """

    def __init__(
        self,
        entrance: Entrance,
        bodies: Bodies,
        dispatcher: Dispatcher,
        pool: BackendPool,
        choice: PolicyChoice,
        automatic: bool,
    ) -> None:
        self._entrance = entrance
        self._bodies = bodies
        self._dispatcher = dispatcher
        self._pool = pool
        self._choice = choice
        self._automatic = automatic
        self._deeds: dict[str, _Deed] = {}
        """The last one on each backend, by its name."""

    def handlers(self) -> dict[str, Handler]:
        """The handlers, by their names in the table of routes."""
        return {
            "use_policy": self.use_policy,
            "cancel_request": self.cancel,
            "move_request": self.move,
            "drain_backend": self.drain,
            "resume_backend": self.resume,
        }

    async def cancel(self, request: web.Request) -> web.Response:
        """End a request."""
        caller = self._entrance.operator(request)
        work = self._work(request)
        self._dispatcher.end(work, cancelled_by_operator())
        return self._done(caller, f"request {work.request.id} is cancelled")

    async def move(self, request: web.Request) -> web.Response:
        """Move a waiting request to another tier."""
        caller = self._entrance.operator(request)
        change: TierChange = parsed(await self._bodies.read(request), _TIER)
        wanted = Tier.parse(change.tier)
        work = self._work(request)
        before, name = work.request.tier, work.request.id
        if before is wanted:
            raise _conflict(f"Request {name} is in tier {wanted.label} already.")
        try:
            self._dispatcher.move(work, wanted)
        except ValueError:
            raise _conflict(f"Request {name} runs already, so its tier changes nothing.") from None
        return self._done(
            caller, f"request {name} moved from tier {before.label} to {wanted.label}"
        )

    async def drain(self, request: web.Request) -> web.Response:
        """Send a backend no new requests."""
        return self._hold(request, True)

    async def resume(self, request: web.Request) -> web.Response:
        """Let a backend take requests again."""
        return self._hold(request, False)

    async def use_policy(self, request: web.Request) -> web.Response:
        """Order by another policy."""
        caller = self._entrance.operator(request)
        change: PolicyChange = parsed(await self._bodies.read(request), _POLICY)
        present = self._choice.policy
        check_policy(change.policy, "policy")
        if self._automatic:
            raise _conflict("The gateway chooses its policy by itself; set `policy` to choose it.")
        if change.instead_of not in (None, present, self._dispatcher.scheduler.policy_name):
            raise _conflict(f"The policy is {present} by now{self._chosen_by()}; look again.")
        if change.policy == present and change.instead_of is None:
            return self._done(caller, f"policy {present} stays")
        if change.policy == present:
            raise _conflict(f"The policy is {present} already{self._chosen_by()}.")
        self._choice.choose(change.policy, by=who(caller))
        return self._done(caller, f"policy {present} -> {change.policy}")

    def _hold(self, request: web.Request, held: bool) -> web.Response:
        caller = self._entrance.operator(request)
        name = request.match_info["backend"]
        status = self._pool.statuses.get(name)
        if status is None:
            known = ", ".join(self._pool.statuses) or "none"
            raise ApiError(404, f"There is no backend {name[:100]!r}; there are: {known}.",
                           code="not_found")  # fmt: skip
        if status.held == held:
            does = "drains already" if held else "takes requests"
            raise _conflict(f"Backend {name} {does}{self._by(name)}.")
        self._pool.hold(name, held)
        self._deeds[name] = _Deed(who(caller), self._dispatcher.clock())
        return self._done(caller, f"backend {name} {'drains' if held else 'takes requests again'}")

    def _work(self, request: web.Request) -> Work:
        name = request.match_info["request_id"]
        work = self._dispatcher.works.get(name)
        if work is None:
            raise ApiError(
                404,
                f"Request {name[:100]!r} neither waits nor runs; it may have ended.",
                code="not_found",
            )
        return work

    def _chosen_by(self) -> str:
        """Who chose the policy, and when; empty if nobody did."""
        chosen = _Deed(self._choice.by, self._choice.at_s)
        return self._said(chosen) if chosen.who else ""

    def _by(self, name: str) -> str:
        """Who made a backend so, and when; empty if nobody did."""
        deed = self._deeds.get(name)
        return "" if deed is None else self._said(deed)

    def _said(self, deed: _Deed) -> str:
        return f": {deed.who} did that {self._dispatcher.clock() - deed.at_s:.0f} s ago"

    def _done(self, caller: Caller | None, what: str) -> web.Response:
        logger.info("%s, by %s", what, who(caller))
        return json_answer(Operated(sentence(what)))


def _conflict(message: str) -> ApiError:
    return ApiError(409, message, code="conflict")
