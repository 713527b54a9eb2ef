"""Classifiers and models of pairs, against what sentence-transformers and transformers answer."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.models.encoder.make_corpus import TEXTS
from tests.models.encoder.make_scorers import PLACE, QUERIES, SCORERS, Scorer

from headway.gateway.routes.vectors import scored
from headway.models.runners.text import TextModel
from headway.models.tokens import Tokens


@pytest.fixture(scope="module")
def scorers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("scorers")
    with tarfile.open(fileobj=io.BytesIO(PLACE.read_bytes())) as archive:
        archive.extractall(place, filter="data")
    return place


def of_kind(pairs: bool) -> Any:
    chosen = [one for one in SCORERS if (one.classes == 1 and one.problem is None) == pairs]
    return pytest.mark.parametrize("one", chosen, ids=lambda one: one.name)


@of_kind(pairs=True)
async def test_pairs_score_as_a_cross_encoder_scores_them(scorers: Path, one: Scorer) -> None:
    place = scorers / one.name
    expected = np.array(json.loads((place / "expected.json").read_text()))
    model = TextModel(str(place), threads=1)
    assert model.signature.task == "rerank"
    tokens = Tokens(model.signature)
    for query, scores in zip(QUERIES, expected, strict=True):
        items = await tokens.of_pairs(query, TEXTS, model.signature.max_tokens)
        alone = np.concatenate([model.run([item]) for item in items])
        for rows in (alone, model.run(items)):
            found = [scored(row, model.signature.activation)[0] for row in rows]
            np.testing.assert_allclose(found, scores, rtol=0, atol=1e-4)


@of_kind(pairs=False)
async def test_texts_score_as_in_the_pipeline_of_transformers(scorers: Path, one: Scorer) -> None:
    place = scorers / one.name
    expected = json.loads((place / "expected.json").read_text())
    model = TextModel(str(place), threads=1)
    items = await Tokens(model.signature).of_texts(TEXTS, model.signature.max_tokens)
    for row, scores in zip(model.run(items), expected, strict=True):
        found = scored(row, model.signature.activation)
        by_label = dict(zip(model.signature.labels, found.tolist(), strict=True))
        assert by_label == pytest.approx({e["label"]: e["score"] for e in scores}, abs=1e-4)
