"""What is predicted of a chat before it is sent: its length, and its wait if it came now."""

from __future__ import annotations

from functools import partial

from aiohttp import web
from aiohttp.typedefs import Handler

from headway.gateway.api.answer import json_answer
from headway.gateway.api.views import PredictedChat, PredictedUnder
from headway.gateway.dispatch.dispatcher import Dispatcher
from headway.gateway.foresight.foresight import Foresight
from headway.gateway.foresight.runs_ahead import RunsAhead
from headway.gateway.http.body import off_loop
from headway.gateway.intake.entrance import Entrance
from headway.gateway.intake.given import read
from headway.gateway.intake.intake import Intake
from headway.gateway.intake.prompts import Prompts
from headway.gateway.routes.policy_names import check_policy
from headway.gateway.routes.token_counts import CHAT


class PredictedRoute:
    """Predicts a chat completion as if it had been sent, and sends nothing.

    Args:
        entrance: authenticates, and reads the body.
        prompts: fill in the registered prompt that it names.
        intake: makes a work of it, which is never submitted.
        dispatcher: has the queue.
        foresight: predicts.
        ahead: is told that the request has left its run again.
    """

    def __init__(
        self,
        entrance: Entrance,
        prompts: Prompts,
        intake: Intake,
        dispatcher: Dispatcher,
        foresight: Foresight,
        ahead: RunsAhead,
    ) -> None:
        self._entrance = entrance
        self._prompts = prompts
        self._intake = intake
        self._dispatcher = dispatcher
        self._foresight = foresight
        self._ahead = ahead

    def handlers(self) -> dict[str, Handler]:
        """The handlers, by their names in the table of routes."""
        return {"predicted": self.predicted}

    async def predicted(self, request: web.Request) -> web.Response:
        """Answer with the prediction."""
        policy = request.query.get("policy", "")
        if policy:
            check_policy(policy, "policy")
        admitted = await self._entrance.admit(request)
        admitted = await self._prompts.filled(CHAT, admitted)
        given = await off_loop(partial(read, CHAT), admitted.body)
        work = self._intake.work(CHAT, request.headers, admitted, given)
        if work.admission is not None:
            work.admission.withdraw(self._dispatcher.clock())
        self._ahead.left(work, finished=False)
        estimate = await self._foresight.estimate(work)
        asked = work.request
        asked.estimate = estimate
        low, high = estimate.likely()
        scheduler = self._dispatcher.scheduler
        outlook = scheduler.outlook
        now = outlook.prospect(asked)
        other = outlook.under(policy).prospect(asked) if policy else None
        return json_answer(
            PredictedChat(
                model=work.origin.model,
                tier=asked.tier.label,
                policy=scheduler.policy_name,
                prompt_tokens=asked.prompt_tokens,
                output_tokens=round(estimate.mean, 1),
                output_low=low,
                output_high=high,
                wait_s=_rounded(now.wait_s),
                ahead=now.ahead,
                under=None
                if other is None
                else PredictedUnder(
                    policy=policy,
                    wait_s=_rounded(other.wait_s),
                    ahead=other.ahead,
                ),
            )
        )


def _rounded(wait_s: float | None) -> float | None:
    return None if wait_s is None else round(wait_s, 3)
