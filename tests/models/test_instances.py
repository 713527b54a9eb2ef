"""Worker processes: nothing is lost when one of them dies."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import numpy as np
import pytest
from tests.gateway.conftest import until
from tests.models.conftest import Served, answers
from tests.models.encoder.folders import TABLE, folder
from tests.models.functions_source import function

from headway.batching.driver import WorkerLost
from headway.models.instances import Instances
from headway.models.signature import BadItem, ModelFailure
from headway.models.source import source_of


async def test_every_item_gets_its_own_result(served: Served) -> None:
    model = served("upper")
    assert await answers(model, list("abc" * 30)) == list("ABC" * 30)
    assert model.items == 90
    assert model.batches >= 3


async def test_async_functions_and_classes_are_called_as_well(served: Served) -> None:
    later, picky = served("later"), served("Picky")
    assert await asyncio.gather(answers(later, ["x"]), answers(picky, ["four"])) == [
        ["later x"],
        [4],
    ]


async def test_an_async_function_has_one_event_loop_for_the_workers_life(served: Served) -> None:
    model = served("Kept")
    for _ in range(3):
        assert await answers(model, ["x", "y"]) == ["kept", "kept"]


async def test_arrays_are_answered_row_by_row(served: Served) -> None:
    found = await answers(served("series"), ["a", "bcd"])
    assert [row.tolist() for row in found] == [[1.0, 1.0], [3.0, 1.0]]


async def test_threads_are_those_of_the_libraries(served: Served) -> None:
    model = served("threads", threads=3)
    assert await answers(model, ["x"]) == [["3"] * 4]
    (found,) = await answers(served("blas", threads=1), ["x"])
    assert found and set(found) == {1}


async def test_a_function_that_exits_fails_its_item_and_no_worker(served: Served) -> None:
    model = served("exits")
    found = await answers(model, ["a", "out", "b"])
    assert [found[0], found[2]] == ["a", "b"]
    assert isinstance(found[1], ModelFailure) and "SystemExit: no more" in str(found[1])
    assert model.backing.restarts == 0


async def test_instances_are_processes_of_their_own(served: Served, tmp_path: Path) -> None:
    model = served("process", instances=2)
    await model.load()
    both = set(model.backing.pids())
    assert len(both) == 2 and os.getpid() not in both
    assert set(await answers(model, ["a"])) <= both


async def test_a_worker_that_dies_in_mid_batch_loses_nothing(
    served: Served, tmp_path: Path
) -> None:
    model = served("killed_once")
    items = [str(tmp_path / name) for name in "abc"]
    assert await answers(model, items) == items
    assert (tmp_path / "a").exists()  # so it did die
    assert model.backing.restarts == 1


async def test_a_worker_killed_from_outside_is_replaced(served: Served, tmp_path: Path) -> None:
    model = served("gated", instances=2)
    await model.load()
    gates = [str(tmp_path / name) for name in "ab"]
    waiting = [asyncio.ensure_future(answers(model, [gate])) for gate in gates]
    await until(lambda: model.batches >= 1)
    killed = model.backing.pids()
    for pid in killed:
        os.kill(pid, signal.SIGKILL)
    for gate in gates:
        Path(gate).touch()
    assert await asyncio.gather(*waiting) == [[gate] for gate in gates]
    await until(lambda: len(model.backing.pids()) == 2)
    assert not set(model.backing.pids()) & set(killed)


async def test_a_worker_that_died_while_it_had_nothing_to_do_is_replaced(served: Served) -> None:
    model = served("upper")
    await model.load()
    (pid,) = model.backing.pids()
    os.kill(pid, signal.SIGKILL)
    assert await answers(model, ["a"]) == ["A"]


async def test_a_poison_item_fails_alone(served: Served) -> None:
    found = await answers(served("Picky"), ["a", "poison", "ccc", "broken", "eeeee"])
    assert [found[0], found[2], found[4]] == [1, 3, 5]
    assert isinstance(found[1], BadItem) and str(found[1]) == "poison is not taken"
    assert isinstance(found[3], ModelFailure) and "RuntimeError: this one breaks it" in str(
        found[3]
    )


async def test_an_item_that_kills_workers_fails_alone(served: Served) -> None:
    model = served("Picky")
    found = await answers(model, ["a", "killer", "ccc"])
    assert [found[0], found[2]] == [1, 3]
    assert isinstance(found[1], WorkerLost)
    assert "about to die" in str(found[1])
    assert await answers(model, ["four"]) == [4]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("few", "returned 0 results for 1 items"),
        ("one_text", "must return a list with a result for each item, not str"),
        ("a_set", "must return a list with a result for each item, not set"),
        ("nowhere", "pickle"),
    ],
)
async def test_invalid_results_are_described(served: Served, name: str, message: str) -> None:
    (found,) = await answers(served(name), ["a"])
    assert isinstance(found, ModelFailure)
    assert message in str(found)


async def test_prints_and_unended_lines_do_no_harm(served: Served) -> None:
    model = served("noisy")
    for _ in range(2):
        assert await answers(model, ["a", "b"]) == [0, 0]  # nothing could be read either


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("Unloadable", "RuntimeError: there is no room"),
        ("nothing", "has no nothing"),
        ("number", "cannot be called"),
    ],
)
async def test_an_error_says_why_a_model_cannot_be_loaded(name: str, message: str) -> None:
    with pytest.raises(ModelFailure, match=message):
        await Instances(function(name), 1, threads=1).load()


async def test_a_batch_that_finds_no_instance_is_lost_not_failed() -> None:
    with pytest.raises(WorkerLost):
        await Instances(function("upper"), 1, threads=1).run(["a"])


async def test_an_instance_that_was_unloaded_while_it_ran_is_not_used_again(
    tmp_path: Path,
) -> None:
    instances = Instances(function("gated"), 1, threads=1)
    await instances.load()
    gate = tmp_path / "gate"
    running = asyncio.ensure_future(instances.run([str(gate)]))
    await asyncio.sleep(0)  # it is sent
    unloading = asyncio.ensure_future(instances.unload())
    await until(lambda: not instances.pids())
    gate.touch()
    assert await running == [str(gate)]
    await unloading
    with pytest.raises(WorkerLost, match="was unloaded"):
        await instances.run([str(gate)])


async def test_a_client_that_leaves_in_mid_batch_takes_nothing_from_the_others(
    served: Served, tmp_path: Path
) -> None:
    model = served("gated")
    gate = str(tmp_path / "gate")
    await model.load()
    first = asyncio.ensure_future(answers(model, [gate]))
    await until(lambda: model.batches == 1)
    leaving, staying = (asyncio.ensure_future(answers(model, [gate])) for _ in range(2))
    await until(lambda: model.waiting == 2)
    first.cancel()
    leaving.cancel()
    Path(gate).touch()
    assert await staying == [gate]
    assert model.items == 2
    assert model.backing.restarts == 0  # the batch ran on


async def test_a_worker_whose_files_have_changed_does_not_join_the_others(
    served: Served, tmp_path: Path
) -> None:
    place = folder(tmp_path / "m")
    model = served("text", source=source_of(str(place)), unload_after_s=None)
    await model.load()
    folder(place, table=TABLE[:, :3])
    (pid,) = model.backing.pids()
    os.kill(pid, signal.SIGKILL)
    (found,) = await answers(model, [np.array([2, 4, 3], np.int32)])
    assert isinstance(found, ModelFailure) and "its files have changed" in str(found)
    await model.unload()
    assert (await model.load()).outputs[0].shape == (-1, 3)
    (found,) = await answers(model, [np.array([2, 4, 3], np.int32)])
    assert found.shape == (3,)


async def test_a_model_that_is_loaded_again_has_the_tokenizer_of_its_files(
    served: Served, tmp_path: Path
) -> None:
    place = folder(tmp_path / "m")
    model = served("text", source=source_of(str(place)))
    await model.load()
    before = model.tokens
    await model.unload()
    await model.load()
    assert model.tokens is before
    await model.unload()
    folder(place, {"sentence_bert_config.json": {"max_seq_length": 5}})
    assert (await model.load()).max_tokens == 5
    assert model.tokens is not before
