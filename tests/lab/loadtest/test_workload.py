from collections import Counter
from pathlib import Path

from headway.lab.loadtest.mix import Mix
from headway.lab.loadtest.prompts import Prompt
from headway.lab.loadtest.workload import Workload

PROMPTS = [Prompt(f"Question number {n}?") for n in range(10)]


def build(count: int, seed: int = 0, arrivals: str = "burst") -> Workload:
    return Workload.build(
        PROMPTS,
        count=count,
        arrivals=arrivals,
        max_tokens=50,
        tiers=Mix.parse("interactive=0.5,batch=0.5"),
        tenants=Mix.parse("alice=3,bob=1"),
        seed=seed,
    )


def test_equal_seeds_give_equal_requests_and_others_do_not() -> None:
    assert build(8, arrivals="poisson:2") == build(8, arrivals="poisson:2")
    assert build(8, seed=1) != build(8, seed=2)


def test_prompts_are_not_repeated_while_they_last() -> None:
    texts = Counter(request.messages[0]["content"] for request in build(20).requests)
    assert set(texts.values()) == {2}


def test_tiers_and_tenants_come_by_share() -> None:
    requests = build(8).requests
    assert Counter(r.tier for r in requests) == {"interactive": 4, "batch": 4}
    assert Counter(r.tenant for r in requests) == {"alice": 6, "bob": 2}


def test_expected_lengths_are_added_to_the_same_requests() -> None:
    workload = build(3)
    informed = workload.expecting([0, 12, 40])
    assert [r.expected_tokens for r in informed.requests] == [1, 12, 40]
    assert [r.messages for r in informed.requests] == [r.messages for r in workload.requests]


def test_a_trace_fixes_the_lengths_of_prompts_and_answers(tmp_path: Path) -> None:
    path = tmp_path / "trace.csv"
    path.write_text("arrival_s,prompt_tokens,output_tokens\n0,100,7\n1,2,900\n")
    long, capped = build(5, arrivals=str(path)).requests
    assert (long.max_tokens, long.ignore_eos) == (7, True)
    assert len(long.messages[0]["content"]) == 400
    assert (capped.max_tokens, capped.at_s) == (50, 1.0)
