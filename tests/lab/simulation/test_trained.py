"""A trained predictor over the prompts of a trace."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.lab.simulation.conftest import trace
from tests.prediction.conftest import examples, write_log

from headway.lab.simulation.errors import SimulationError
from headway.lab.simulation.importers.loading import load_trace
from headway.lab.simulation.predictions import Predictions, predictions_of
from headway.prediction.learning.evaluation import kendall_tau
from headway.prediction.learning.training import train
from headway.prediction.models.artefact import save

LATER = examples(60, seed=1)
TRACE = replace(
    trace(np.arange(len(LATER)), LATER.lengths.astype(int)),
    prompt_ids=[f"p{number}" for number in range(len(LATER))],
)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("predictor") / "mine.npz"
    save(train("m", [examples(300)]), path)
    return path


@pytest.fixture
def prompts(tmp_path: Path) -> Path:
    path = tmp_path / "prompts.jsonl"
    lines = [{"id": f"p{n}", "prompt": prompt.text} for n, prompt in enumerate(LATER.prompts)]
    path.write_text("\n".join(map(json.dumps, lines)))
    return path


def tau(predictions: Predictions, lengths: np.ndarray) -> float:
    scores = [predictions.predict(number)[1] for number in range(len(lengths))]
    return kendall_tau(np.array(scores), lengths)


def test_it_ranks_prompts_that_it_has_not_seen(model: Path, prompts: Path) -> None:
    predictions = predictions_of(f"predictor:{model}@{prompts}", TRACE)
    assert tau(predictions, LATER.lengths) > 0.7
    estimate, score = predictions.predict(0)
    assert score is not None
    assert estimate.quantile(0.1) < 2**score < estimate.quantile(0.9)


def test_a_prompt_is_there_once_and_may_be_messages(
    model: Path, prompts: Path, tmp_path: Path
) -> None:
    lines = [json.loads(line) for line in prompts.read_text().splitlines()]
    chats = [
        {"id": one["id"], "messages": [{"role": "user", "content": one["prompt"]}]} for one in lines
    ]
    as_chats = tmp_path / "chats.JSONL"
    as_chats.write_text("\ufeff" + "\n".join(map(json.dumps, chats)) + "\n\n", encoding="utf-8")
    of_texts, of_chats = (
        predictions_of(f"predictor:{model}@{path}", TRACE) for path in (prompts, as_chats)
    )
    assert of_texts.predict(3)[1] == of_chats.predict(3)[1]
    joined = tmp_path / "joined.jsonl"
    joined.write_text("\n".join(map(json.dumps, [*lines, lines[0]])))
    with pytest.raises(SimulationError, match=r"joined\.jsonl, row 61: id 'p0' is that of row 1"):
        predictions_of(f"predictor:{model}@{joined}", TRACE)


def test_a_request_log_needs_no_texts(model: Path, tmp_path: Path) -> None:
    log = tmp_path / "requests.db"
    write_log(log, LATER, "m")
    found = load_trace(log)
    assert tau(predictions_of(f"predictor:{model}@{log}", found), found.output_tokens) > 0.7


def test_what_is_missing_is_named(model: Path, prompts: Path) -> None:
    other = replace(TRACE, prompt_ids=["p0", "q1", *TRACE.prompt_ids[2:]])
    with pytest.raises(SimulationError, match="row 2: prompt 'q1' is not in"):
        predictions_of(f"predictor:{model}@{prompts}", other)
    with pytest.raises(SimulationError, match="needs the column prompt_id"):
        predictions_of(f"predictor:{model}@{prompts}", replace(TRACE, prompt_ids=()))
    with pytest.raises(SimulationError, match="no-such"):
        predictions_of(f"predictor:no-such.npz@{prompts}", TRACE)
    with pytest.raises(SimulationError, match="no-such"):
        predictions_of(f"predictor:{model}@no-such.db", TRACE)
