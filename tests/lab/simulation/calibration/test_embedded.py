"""A calibration of the real embedded engine."""

from __future__ import annotations

import pytest

from headway.lab.loadtest.client import LoadClient
from headway.lab.loadtest.server import HeadwayServer
from headway.lab.simulation.calibration import checking, limits, measuring
from headway.lab.simulation.calibration.fitting import fit


@pytest.mark.timeout(300)
async def test_the_embedded_engine_can_be_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (checking, limits, measuring):
        monkeypatch.setattr(module, "DECODED", 24)
    monkeypatch.setattr(measuring, "ROUNDS", 1)
    monkeypatch.setattr(measuring, "TRIAL_TOKENS", (8, 32))
    monkeypatch.setattr(measuring, "TRIAL_WORDS", (16, 64))
    monkeypatch.setattr(limits, "PROMPTS", (16, 32, 64))
    monkeypatch.setattr(limits, "LONG_PROMPT", 96)
    monkeypatch.setattr(measuring, "KNOWN_PROMPT", 64)
    monkeypatch.setattr(measuring, "LEAST_OF_TRIAL", 4)
    monkeypatch.setattr(measuring, "TRIAL_OF", 2)
    async with (
        HeadwayServer({"policy": "fcfs", "slots": 2}) as server,
        LoadClient(server.url, "default") as client,
    ):
        profile = fit("embedded", await measuring.probe(client), batch_tokens=2048)
    assert profile.slots == 2
    assert 0.001 < profile.dense(1) < 1.0
    assert profile.dense(100) > profile.dense(2)
