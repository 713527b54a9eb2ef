"""The run of one request, as its backend's activity has it."""

from __future__ import annotations

import time

from headway.engines.activity import Activity
from headway.gateway.work.turn import Turn

AHEAD_S = 1e9
"""Of a clock that several gateways share, to this machine's."""


def test_what_a_backend_was_heard_at_is_on_the_clock_of_the_machine() -> None:
    turn, activity = Turn(), Activity()
    turn.begin(activity, time.monotonic() + AHEAD_S)
    for hears in (turn.prefilled, turn.heard):
        before_s = time.monotonic()
        hears(before_s + AHEAD_S)
        assert before_s <= activity.heard_s <= time.monotonic()
