"""The comparison on the real engine, with few and short requests."""

import pytest

from headway.lab.loadtest.client import RequestResult, ServerError
from headway.lab.loadtest.compare import Contender, ContenderError, compare
from headway.lab.loadtest.prompts import Prompt
from headway.lab.loadtest.server import HeadwayServer
from headway.lab.loadtest.workload import Workload


class Listener:
    def __init__(self) -> None:
        self.phases: list[tuple[str, int]] = []
        self.answered = 0

    def phase(self, label: str, requests: int) -> None:
        self.phases.append((label, requests))

    def done(self, outcome: RequestResult) -> None:
        self.answered += 1


def test_a_contender_is_a_policy_that_may_know_the_lengths() -> None:
    assert Contender.parse(" srpt ") == Contender("srpt")
    assert Contender.parse("sjf+oracle").label == "sjf (oracle)"
    with pytest.raises(ContenderError, match="no policy 'lifo'; the policies are fcfs"):
        Contender.parse("lifo+oracle")


async def test_policies_serve_the_same_requests_after_a_pass_that_finds_the_lengths() -> None:
    prompts = [Prompt(f"What is {n} plus {n}?") for n in range(5)]
    load = Workload.build(prompts, count=5, max_tokens=6)
    listener = Listener()
    rows = await compare(
        [Contender("fcfs"), Contender("srpt", oracle=True)],
        load,
        listener,
        settings={"slots": 2, "threads": 1},
        timeout_s=60.0,
    )
    assert [row.label for row in rows] == ["fcfs", "srpt (oracle)"]
    assert listener.phases[0] == ("finding the lengths", 5)
    assert sorted(label for label, _ in listener.phases[1:]) == ["fcfs", "srpt (oracle)"]
    assert listener.answered == 15
    fcfs, oracle = (row.runs[0] for row in rows)
    assert all(outcome.ok and outcome.queue_s is not None for outcome in (*fcfs, *oracle))
    assert [o.request.messages for o in fcfs] == [o.request.messages for o in oracle]
    assert {o.request.expected_tokens for o in fcfs} == {None}
    assert all(1 <= (o.request.expected_tokens or 0) <= 6 for o in oracle)
    assert rows[0].solo.decode_s_per_token > 0


async def test_a_server_that_does_not_start_says_why() -> None:
    with pytest.raises(ServerError, match=r"ended at its start: .*slots"):
        async with HeadwayServer({"slots": "many"}):
            pass
