import pytest

from headway.lab.loadtest.client import LoadClient, RequestResult, ServerError
from headway.lab.loadtest.solo import SoloTime, warm_up
from headway.lab.loadtest.workload import LoadRequest, Workload


def alone(prompt_tokens: int, ttft_s: float, latency_s: float, tokens: int = 11) -> RequestResult:
    request = LoadRequest(0.0, ({"role": "user", "content": "Hi"},), 100)
    return RequestResult(
        request,
        ttft_s=ttft_s,
        latency_s=latency_s,
        prompt_tokens=prompt_tokens,
        output_tokens=tokens,
    )


def test_the_line_is_found_from_measured_answers() -> None:
    solo = SoloTime.fit([alone(10, 0.2, 1.2), alone(110, 1.2, 2.2)])
    assert solo.ttft_s(60) == pytest.approx(0.7)
    assert solo.service_s(60, 6) == pytest.approx(1.2)


def test_noise_gives_no_negative_cost() -> None:
    solo = SoloTime.fit([alone(10, 0.3, 1.0), alone(110, 0.1, 1.0, tokens=1)])
    assert (solo.base_s, solo.prefill_s_per_token) == (pytest.approx(0.2), 0.0)


async def test_a_server_is_warmed_up_with_requests_of_the_load_one_by_one(fake_server) -> None:
    requests = [
        LoadRequest(n, ({"role": "user", "content": "word " * (n + 1)},), 100, "batch", "", 7)
        for n in range(7)
    ]
    async with LoadClient(fake_server.url, "fake") as client:
        outcomes = await warm_up(client, Workload(tuple(requests)))
    assert [o.prompt_tokens for o in outcomes] == [1, 3, 5, 7]
    assert len(fake_server.bodies) == 5
    assert {body["max_tokens"] for body in fake_server.bodies} == {32}
    assert "x-headway-tier" not in fake_server.headers[0]


async def test_a_server_that_refuses_is_not_measured(fake_server) -> None:
    load = Workload((LoadRequest(0.0, ({"role": "user", "content": "refuse"},), 9),))
    async with LoadClient(fake_server.url, "fake") as client:
        with pytest.raises(ServerError, match="500: no room"):
            await warm_up(client, load)
