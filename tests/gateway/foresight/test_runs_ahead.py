"""What comes in the runs of requests: what clients say, within what is known."""

from headway.core.estimate import SizeEstimate
from headway.core.request import Request
from headway.core.scheduler import Scheduler
from headway.core.settings import SchedulerSettings
from headway.gateway.foresight.runs_ahead import RunsAhead
from headway.prediction.live.history import Origin
from headway.prediction.live.run_history import RunHistory


def arrived(ahead: RunsAhead, program: str, claimed_ms: int | None) -> Request:
    request = Request("r", 0.0, 10, SizeEstimate.exactly(100), program=program, step="s")
    ahead.arrives(request, Origin("m", "t", 0, program), claimed_ms, 0.0)
    return request


def runs_that_go_on_for(seconds: float) -> RunHistory:
    history = RunHistory()
    for number in range(30):
        origin = Origin("m", "t", 0, str(number))
        for step, path_s in (("s", 1.0), ("end", 1.0 + seconds)):
            history.arrived(origin, step, 1.0, 0.0)
            history.left(origin, step, path_s, 0.0)
        history.ended(origin)
    return history


def mean_s(request: Request) -> float:
    assert request.to_come is not None
    return request.to_come.mean / 1000.0


def test_what_the_client_says_counts_before_what_was_learned() -> None:
    ahead = RunsAhead(Scheduler(SchedulerSettings()), runs_that_go_on_for(20.0))
    assert mean_s(arrived(ahead, "new", 90_000)) == 90.0
    assert mean_s(arrived(ahead, "other", None)) > 15.0


def test_a_claim_counts_as_at_least_what_few_runs_like_it_needed() -> None:
    ahead = RunsAhead(Scheduler(SchedulerSettings()), runs_that_go_on_for(20.0))
    assert mean_s(arrived(ahead, "liar", 0)) > 10.0
    unknown = RunsAhead(Scheduler(SchedulerSettings()), RunHistory())
    assert mean_s(arrived(unknown, "first", 3_000)) == 3.0


def test_without_a_run_nothing_is_known_of_what_comes() -> None:
    ahead = RunsAhead(Scheduler(SchedulerSettings()), RunHistory())
    assert arrived(ahead, "", None).to_come is None
