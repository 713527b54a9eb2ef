"""`headway predictor info --url`: how a gateway's predictor does on its traffic."""

from __future__ import annotations

import json

import pytest
from tests.cli.test_command_line import headway, one_line_failure

from headway.lab.loadtest.server import HeadwayServer


@pytest.mark.timeout(120)
async def test_info_shows_how_a_gateway_s_predictor_does() -> None:
    async with HeadwayServer({"slots": 1}) as server:
        done = headway("predictor", "info", "--url", server.url)
        assert done.returncode == 0, done.stderr
        assert "in use        yes" in done.stdout
        found = json.loads(headway("predictor", "info", "--url", server.url, "--json").stdout)
    assert found["live"]["trusted"] == 1.0
    assert found["examples"] > 1000


def test_where_nobody_answers_info_says_what_to_pass() -> None:
    done = headway("predictor", "info", "--url", "http://127.0.0.1:1")
    line = one_line_failure(done, 1)
    assert "no metrics at http://127.0.0.1:1/metrics" in line
    assert "pass the address of a gateway" in line
