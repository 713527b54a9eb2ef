"""What was decided lately."""

from __future__ import annotations

from headway.core.decision import Decision, Preempt, Start
from headway.core.estimate import SizeEstimate
from headway.core.request import Request, Tier
from headway.gateway.dispatch.recent import KEPT, Recent


def request(name: str, tier: Tier = Tier.STANDARD, started_s: float = -1.0) -> Request:
    made = Request(name, 0.0, 5, SizeEstimate.exactly(9), tier=tier)
    made.started_s = started_s
    return made


def test_a_preemption_is_kept_with_who_got_the_slot() -> None:
    recent = Recent()
    loser, winner = request("loser", Tier.BATCH, 1.0), request("winner", started_s=5.0)
    loser.output_tokens = 7
    decided: list[Decision] = [
        Start(request("other", started_s=5.0), "b"),
        Preempt(loser, "a"),
        Start(winner, "a"),
    ]
    recent.decided(decided, 5.0)
    (one,) = recent.preemptions
    assert (one.id, one.winner_id, one.backend, one.output_tokens) == ("loser", "winner", "a", 7)
    for _ in range(2 * KEPT):
        recent.decided(decided, 6.0)
    assert len(recent.preemptions) == KEPT


def test_the_worst_wait_of_an_hour_is_known_for_each_tier() -> None:
    recent = Recent()
    assert recent.worst_wait_s(Tier.STANDARD, 0.0) is None
    for now_s in (50.0, 70.0, 60.0 * 30):
        recent.decided([Start(request("r", started_s=now_s), "a")], now_s)
    assert recent.worst_wait_s(Tier.STANDARD, 60.0 * 40) == 60.0 * 30
    assert recent.worst_wait_s(Tier.BATCH, 60.0 * 40) is None
    assert recent.worst_wait_s(Tier.STANDARD, 60.0 * 91) is None


def test_a_request_that_goes_on_has_not_waited_anew() -> None:
    recent = Recent()
    recent.decided([Start(request("r", started_s=1.0), "a")], 900.0)
    assert recent.worst_wait_s(Tier.STANDARD, 900.0) is None
