"""Requests whose prompts come in pieces, and wait for others' between two of them."""

from __future__ import annotations

from headway.core.prompt_turns import piece_tokens
from headway.core.request import Request
from headway.core.scheduler import Scheduler
from headway.lab.simulation.engine import EngineModel
from headway.lab.simulation.engine_request import EngineRequest


class HeldPrompts:
    """Passes pieces of prompts to engines when the scheduler says so."""

    def __init__(self) -> None:
        self._held: dict[str, tuple[EngineRequest, EngineModel, Scheduler]] = {}

    def hold(
        self, request: Request, running: EngineRequest, engine: EngineModel, scheduler: Scheduler
    ) -> None:
        """`request` has started, or a piece of its prompt was computed and more is left."""
        running.piece_tokens = piece_tokens(scheduler.backends[request.backend].cost)
        self._held[request.id] = running, engine, scheduler

    def stop(self, request_id: str) -> None:
        """A request does not run any more; held or not."""
        self._held.pop(request_id, None)

    def let_on(self, now_s: float) -> None:
        """Submit the pieces that may be computed now."""
        for request_id, (running, engine, scheduler) in list(self._held.items()):
            if scheduler.may_go_on(request_id, now_s):
                del self._held[request_id]
                engine.submit(running, now_s)
