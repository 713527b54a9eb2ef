"""What is predicted of a chat before it is sent: its length, and its wait if it came now."""

from __future__ import annotations

from functools import partial

from aiohttp import web

from headway.gateway.api.answer import json_answer
from headway.gateway.api.views import PredictedChat
from headway.gateway.dispatch.dispatcher import Dispatcher
from headway.gateway.foresight.foresight import Foresight
from headway.gateway.foresight.runs_ahead import RunsAhead
from headway.gateway.http.body import off_loop
from headway.gateway.intake.entrance import Entrance
from headway.gateway.intake.intake import Intake, read
from headway.gateway.routes.token_counts import CHAT


class PredictedRoute:
    """Predicts a chat completion as if it had been sent, and sends nothing.

    Args:
        entrance: authenticates, and reads the body.
        intake: makes a work of it, which is never submitted.
        dispatcher: has the queue.
        foresight: predicts.
        ahead: is told that the request has left its run again.
    """

    def __init__(
        self,
        entrance: Entrance,
        intake: Intake,
        dispatcher: Dispatcher,
        foresight: Foresight,
        ahead: RunsAhead,
    ) -> None:
        self._entrance = entrance
        self._intake = intake
        self._dispatcher = dispatcher
        self._foresight = foresight
        self._ahead = ahead

    async def predicted(self, request: web.Request) -> web.Response:
        """Answer with the prediction."""
        admitted = await self._entrance.admit(request)
        given = await off_loop(partial(read, CHAT), admitted.body)
        work = self._intake.work(CHAT, request.headers, admitted, given)
        if work.admission is not None:
            work.admission.withdraw(self._dispatcher.clock())
        self._ahead.left(work, finished=False)
        estimate = await self._foresight.estimate(work)
        asked = work.request
        asked.estimate = estimate
        low, high = estimate.likely()
        outlook = self._dispatcher.scheduler.outlook
        return json_answer(
            PredictedChat(
                model=work.origin.model,
                tier=asked.tier.label,
                policy=self._dispatcher.scheduler.policy_name,
                prompt_tokens=asked.prompt_tokens,
                output_tokens=round(estimate.mean, 1),
                output_low=low,
                output_high=high,
                wait_s=round(outlook.predicted_wait_s(asked), 3),
                ahead=outlook.ahead(asked),
            )
        )
