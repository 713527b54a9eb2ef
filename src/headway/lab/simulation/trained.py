"""What a trained predictor says of the prompts that a trace names."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from headway.core.cost import CostModel
from headway.core.estimate import SizeEstimate
from headway.lab.simulation.errors import SimulationError
from headway.lab.simulation.importers.recorded import refuse_repeated
from headway.lab.simulation.importers.rows import json_lines
from headway.lab.simulation.runs import LearnedRuns, Runs
from headway.lab.simulation.trace import Trace
from headway.prediction.learning.logged import features_of
from headway.prediction.learning.prompt_lines import PromptLine
from headway.prediction.models.artefact import ArtefactError, load
from headway.prediction.models.predictor import Predictor
from headway.store.request_log import RequestLogError, read

AT_ONCE = 256
"""Prompts that are predicted together."""


class Trained:
    """The predictor in a file, as the gateway would use it.

    Args:
        trace: whose `prompt_ids` say which prompt each request is.
        model: of `headway predictor train`.
        prompts: the texts, as lines of JSON (`PromptLine`), or a request log, whose
            features do as well.

    Raises:
        SimulationError: a file cannot be used, or lacks a prompt of the trace.
    """

    def __init__(self, trace: Trace, model: Path, prompts: Path) -> None:
        predictor, scores = _scores(model, prompts)
        if not trace.prompt_ids:
            raise SimulationError(
                f"{trace.name} does not name its prompts; a predictor needs the column prompt_id"
            )
        for row, prompt_id in enumerate(trace.prompt_ids, start=1):
            if prompt_id not in scores:
                raise SimulationError(
                    f"{trace.name}, row {row}: prompt {prompt_id!r} is not in {prompts}"
                )
        self._scores = [scores[prompt_id] for prompt_id in trace.prompt_ids]
        self._estimate = predictor.calibration.estimate

    def predict(self, number: int) -> tuple[SizeEstimate, float | None]:
        score = self._scores[number]
        return self._estimate(score), score

    def finished(self, number: int) -> None:
        """Nothing new."""

    def runs(self, trace: Trace, cost: CostModel) -> Runs:
        """Learned from those that ended."""
        return LearnedRuns(trace, cost)


@lru_cache(maxsize=1)
def _scores(model: Path, prompts: Path) -> tuple[Predictor, dict[str, float]]:
    """The predictor, and its score of every prompt by id. Kept: every policy asks for the same."""
    try:
        predictor = load(model)
        text = any(suffix.lower() in (".jsonl", ".json") for suffix in prompts.suffixes)
        found = _of_texts(predictor, prompts) if text else _of_log(predictor, prompts)
        return predictor, dict(found)
    except (ArtefactError, RequestLogError) as error:
        raise SimulationError(str(error)) from None


def _of_texts(predictor: Predictor, prompts: Path) -> Iterator[tuple[str, float]]:
    lines = list(json_lines(prompts, PromptLine))
    refuse_repeated(prompts.name, [str(line.id) for line in lines])
    for first in range(0, len(lines), AT_ONCE):
        some = lines[first : first + AT_ONCE]
        scores = predictor.scores([line.read() for line in some])
        yield from zip((str(line.id) for line in some), scores, strict=True)


def _of_log(predictor: Predictor, log: Path) -> Iterator[tuple[str, float]]:
    records = [(record.id, record.features) for _, record in read(log) if record.features]
    features, chosen = features_of([row for _, row in records])
    for first in range(0, len(chosen), AT_ONCE):
        some = slice(first, first + AT_ONCE)
        scores = predictor.model.scores_of(features.rows(some)).tolist()
        yield from zip((records[number][0] for number in chosen[some]), scores, strict=True)
