"""What is known of runs, and for how long."""

from hypothesis import given
from hypothesis import strategies as st

from headway.core import programs
from headway.core.cost import CostModel
from headway.core.estimate import SizeEstimate
from headway.core.programs import Programs
from headway.core.request import Request

COST = CostModel(prefill_s_per_token=0.001, decode_s_per_token=0.01)


def request(program: str, tokens: int = 100, arrival_s: float = 0.0, **facts) -> Request:
    return Request(program, arrival_s, 10, SizeEstimate.exactly(tokens), program=program, **facts)


def run(known: Programs, one: Request, tokens: int = 100) -> Request:
    known.arrived(one)
    end(known, one, tokens)
    return one


def end(known: Programs, one: Request, tokens: int = 100) -> None:
    one.started_s, one.output_tokens = one.arrival_s, tokens
    known.left(one, COST)


def test_a_request_without_a_program_is_a_run_of_its_own() -> None:
    known = Programs()
    one = run(known, request("", arrival_s=3.0))
    assert (one.run_arrival_s, one.run_service_s, one.run_path_s) == (3.0, 0.0, 0.0)
    assert not len(known)


def test_service_and_first_arrival_are_those_of_the_run_so_far() -> None:
    known = Programs()
    run(known, request("a", arrival_s=1.0))
    second = run(known, request("a", arrival_s=5.0))
    third = request("a", arrival_s=7.0)
    known.arrived(third)
    assert second.run_service_s == 1.01
    assert (third.run_arrival_s, third.run_service_s, third.run_path_s) == (1.0, 2.02, 2.02)


def test_a_request_that_never_started_attained_nothing() -> None:
    known = Programs()
    first = request("a")
    known.arrived(first)
    known.left(first, COST)
    assert run(known, request("a")).run_service_s == 0.0


def test_the_path_of_a_step_is_the_longest_through_its_parents() -> None:
    known = Programs()
    run(known, request("a", step="begin"), 100)
    short, long = (request("a", step=name, parents=("begin",)) for name in ("short", "long"))
    for one in (short, long):
        known.arrived(one)
    end(known, short, 50)
    end(known, long, 400)
    after_short = run(known, request("a", step="then", parents=("short",)), 10)
    joined = run(known, request("a", step="join", parents=("short", "long")), 10)
    assert round(after_short.run_path_s, 2) == 1.52
    assert round(joined.run_path_s, 2) == 5.02
    assert round(joined.run_service_s, 2) == 5.64


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 3)), max_size=120))
def test_memory_is_bounded_and_no_run_with_a_request_is_forgotten(calls) -> None:
    """Of each call: its run, and how many calls later it ends."""
    known = Programs()
    most, programs.REMEMBERED_RUNS = programs.REMEMBERED_RUNS, 5
    try:
        live: list[tuple[int, Request]] = []
        for number, (name, lasts) in enumerate(calls):
            one = request(str(name), arrival_s=float(number))
            known.arrived(one)
            siblings = [other for _, other in live if other.program == one.program]
            assert all(other.run_arrival_s == one.run_arrival_s for other in siblings)
            live.append((number + lasts, one))
            for _, ended in [entry for entry in live if entry[0] <= number]:
                end(known, ended)
            live = [entry for entry in live if entry[0] > number]
            assert len(known) <= 5 + len({other.program for _, other in live})
    finally:
        programs.REMEMBERED_RUNS = most
