"""A model's life: loaded on demand, unloaded when idle."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from tests.gateway.conftest import until
from tests.models.conftest import Served, answers

from headway.batching.driver import Refused
from headway.core.decision import RejectReason
from headway.models.signature import ModelFailure, Signature


async def test_the_first_request_loads_it(served: Served) -> None:
    model = served("upper")
    assert not model.loaded and model.cold_starts == 0
    found = await asyncio.gather(*(answers(model, [letter]) for letter in "abc"))
    assert found == [["A"], ["B"], ["C"]]
    assert model.loaded and model.cold_starts == 1
    assert model.cold_start_s > 0.0
    assert (await model.described()).task == "python"


async def test_when_idle_it_is_unloaded_and_the_next_request_waits_for_it(served: Served) -> None:
    model = served("upper", unload_after_s=0.01)
    assert await answers(model, ["a"]) == ["A"]
    await until(lambda: not model.loaded)
    await until(lambda: not model.backing.pids())
    found = await asyncio.gather(*(answers(model, [letter]) for letter in "abc"))
    assert found == [["A"], ["B"], ["C"]]
    assert model.cold_starts == 2


async def test_it_is_not_unloaded_in_mid_batch(served: Served, tmp_path: Path) -> None:
    model = served("gated", unload_after_s=0.0)  # as soon as it idles
    open_gate, gate = tmp_path / "open", tmp_path / "gate"
    open_gate.touch()
    await answers(model, [str(open_gate)])
    running = asyncio.ensure_future(answers(model, [str(gate)]))
    await until(lambda: model.batches == 2)
    assert model.loaded
    gate.touch()
    assert await running == [str(gate)]
    assert model.cold_starts == 1


async def test_a_load_failure_fails_all_waiting_requests_and_the_next_ones_try_again(
    served: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mark = tmp_path / "mark"
    monkeypatch.setenv("HEADWAY_TEST_MARK", str(mark))
    model = served("LoadedOnceThereIs")
    asked = [answers(model, [n]) for n in range(3)]
    for (error,) in await asyncio.gather(*asked):
        assert isinstance(error, ModelFailure)
        assert "cannot be loaded: RuntimeError: not there yet" in str(error)
    with pytest.raises(ModelFailure, match="not there yet"):
        await model.load()
    assert model.error is not None and model.waiting == 0
    mark.touch()
    assert await answers(model, ["x"]) == ["x"]
    assert model.error is None


async def test_any_other_failure_leaves_no_request_waiting(served: Served) -> None:
    class Damaged:
        on_change = staticmethod(lambda alive, error: None)
        unloaded = 0

        async def load(self) -> Signature:
            return Signature(task="embed", platform="", tokenizer="no JSON")

        async def run(self, items: list[object]) -> list[object]:
            raise AssertionError

        async def unload(self) -> None:
            self.unloaded += 1

    model = served("upper")
    model.backing = Damaged()
    (error,) = await answers(model, ["a"])
    assert isinstance(error, ModelFailure)
    assert "its tokenizer is damaged" in str(error)
    assert model.backing.unloaded == 1


async def test_requests_that_wait_while_it_is_unloaded_load_it_again(
    served: Served, tmp_path: Path
) -> None:
    model = served("killed_once")  # dies at its first run: what it ran waits again
    item = str(tmp_path / "mark")
    running = asyncio.ensure_future(answers(model, [item]))
    await until(lambda: model.batches == 1)
    await model.unload()
    assert await running == [item]


async def test_unloading_and_asking_at_the_same_time_agree(served: Served) -> None:
    model = served("upper")
    await model.load()
    unloading = asyncio.ensure_future(model.unload())
    assert await answers(model, ["a"]) == ["A"]
    await unloading
    assert await answers(model, ["b"]) == ["B"]


async def test_the_queue_has_a_limit_while_it_is_loaded(served: Served) -> None:
    model = served("upper", max_queue=1)
    waiting = asyncio.ensure_future(answers(model, ["a"]))
    await until(lambda: model.waiting == 1)
    with pytest.raises(Refused) as refused:
        await answers(model, ["b"])
    assert refused.value.rejection.reason is RejectReason.QUEUE_FULL
    assert await waiting == ["A"]


async def test_closing_while_it_is_loaded_and_run_ends_its_processes(
    served: Served, tmp_path: Path
) -> None:
    loading, model = served("upper"), served("killed_once")
    half_way = asyncio.ensure_future(answers(loading, ["a"]))
    await asyncio.sleep(0)
    await loading.close()
    assert not loading.loaded and loading.backing.pids() == []
    half_way.cancel()
    await model.load()
    await model.close()
    assert model.backing.pids() == []
