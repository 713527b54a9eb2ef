"""What runs do after an answer, as learned from runs that ended."""

from headway.core.estimate import SizeEstimate
from headway.prediction.live import run_history
from headway.prediction.live.history import Origin
from headway.prediction.live.run_history import IDLE_S, RunHistory
from headway.prediction.live.watch import Watch


def origin(run: str, tenant: str = "t", template: int = 0) -> Origin:
    return Origin("m", tenant, template, run)


def lived(
    history: RunHistory, run: Origin, calls: int, call_s: float = 2.0, step: str = ""
) -> None:
    """A run of so many calls, the end of which its client reports."""
    for call in range(1, calls + 1):
        predicted = history.arrived(run, step and f"{step} {call}", call_s, 0.0)
        history.left(run, step and f"{step} {call}", call * call_s, 0.0, predicted)
    history.ended(run)


def to_come_s(history: RunHistory, run: Origin, step: str = "", own_s: float = 2.0) -> float:
    found = history.arrived(run, step, own_s, 0.0)
    assert found is not None
    return found.quantile(0.5) / 1000.0


def test_before_anything_is_known_a_run_goes_on_for_as_long_as_it_has_taken() -> None:
    for own_s in (0.5, 16.0):
        assert 0.4 < to_come_s(RunHistory(), origin("new"), own_s=own_s) / own_s < 2.5


def test_runs_that_begin_alike_go_on_alike() -> None:
    history = RunHistory()
    for number in range(20):
        lived(history, origin(f"short {number}", template=1), 2)
        lived(history, origin(f"long {number}", template=2), 40)
    short = to_come_s(history, origin("a", template=1))
    long = to_come_s(history, origin("b", template=2))
    assert short < 3.0
    assert 20.0 < long < 80.0


def test_a_run_with_long_calls_goes_on_with_long_calls() -> None:
    history = RunHistory()
    for number in range(20):
        lived(history, origin(str(number)), 10, call_s=2.0)
    usual, longer = (to_come_s(history, origin(str(own)), own_s=own) for own in (2.0, 16.0))
    assert 5.0 < longer / usual < 12.0


def test_the_further_a_step_is_the_less_comes() -> None:
    history = RunHistory()
    for number in range(20):
        lived(history, origin(str(number)), 16, step="step")
    found = [to_come_s(history, origin(f"at {at}"), f"step {at}") for at in (1, 8, 15, 16)]
    assert found == sorted(found, reverse=True)
    assert 25.0 < found[0] < 50.0 and found[-1] < 0.1


def test_steps_with_names_are_told_apart_by_them() -> None:
    history = RunHistory()
    for number in range(20):
        lived(history, origin(str(number)), 3, step="step")
    assert (
        to_come_s(history, origin("x"), "step 3") < 0.1 < to_come_s(history, origin("y"), "step 1")
    )


def test_a_run_that_nobody_ends_has_ended_once_it_is_idle() -> None:
    history = RunHistory()
    for number in range(10):
        run = origin(str(number))
        history.arrived(run, "only", 2.0, 0.0)
        history.left(run, "only", 2.0, 0.0)
    before = to_come_s(history, origin("x"), "only")
    history.arrived(origin("later"), "other", 1.0, IDLE_S)
    assert to_come_s(history, origin("y"), "only") < 0.1 < before


def test_a_run_whose_request_waits_has_not_ended() -> None:
    history = RunHistory()
    run = origin("waits")
    history.arrived(run, "first", 2.0, 0.0)
    history.arrived(origin("other"), "", 1.0, 2.0 * IDLE_S)
    history.left(run, "first", 2.0, 2.0 * IDLE_S)
    history.arrived(run, "second", 2.0, 2.0 * IDLE_S)
    history.left(run, "second", 4.0, 2.0 * IDLE_S)
    history.ended(run)
    assert to_come_s(history, origin("x"), "first") > 1.0


def test_a_request_that_was_not_answered_teaches_nothing() -> None:
    history, fresh = RunHistory(), RunHistory()
    run = origin("gone")
    history.arrived(run, "s", 2.0, 0.0)
    history.left(run, "s", None, 0.0)
    history.ended(run)
    new = origin("new")
    assert history.arrived(new, "s", 2.0, 0.0) == fresh.arrived(new, "s", 2.0, 0.0)


def test_nothing_is_predicted_while_the_watch_finds_the_order_worthless() -> None:
    watch = Watch()
    history = RunHistory(watch)
    wrong = [SizeEstimate.exactly(1 + 1000 * call) for call in range(8)]
    for number in range(60):
        run = origin(str(number))
        for call in range(8):  # the more was predicted, the less came
            history.arrived(run, "", 2.0, 0.0)
            history.left(run, "", 2.0 * (call + 1), 0.0, wrong[call])
        history.ended(run)
    assert not watch.trusted
    assert history.arrived(origin("new"), "", 2.0, 0.0) is None


def test_memory_is_bounded(monkeypatch) -> None:
    monkeypatch.setattr(run_history, "MOST_RUNS", 10)
    monkeypatch.setattr(run_history, "REMEMBERED_GROUPS", 20)
    history = RunHistory()
    for number in range(200):
        run = origin(str(number), tenant=str(number))
        history.arrived(run, "", 2.0, 0.0)
        history.left(run, "", 2.0, 0.0)
    assert len(history._runs) == 10
    assert len(history._groups) <= 20
