"""Encoders as they are published today, against what sentence-transformers answers for them."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.models.encoder.make_corpus import FOLDERS, PLACE, TEXTS, Folder

from headway.models.runners.text import TextModel
from headway.models.source import source_of
from headway.models.tokens import Tokens

TOLERANCE = {"fp32": 1e-4, "fp16": 2e-3, "int8": 1e-4}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("corpus")
    with tarfile.open(fileobj=io.BytesIO(PLACE.read_bytes())) as archive:
        archive.extractall(place, filter="data")
    return place


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADWAY_CACHE", str(tmp_path / "cache"))


@pytest.mark.parametrize("one", FOLDERS, ids=lambda one: one.name)
async def test_vectors_are_those_of_sentence_transformers(corpus: Path, one: Folder) -> None:
    place = corpus / one.name
    expected: dict[str, Any] = json.loads((place / "expected.json").read_text())["vectors"]
    source = source_of(str(place))
    assert source.kind == "text"
    model = TextModel(source.location, threads=1)
    tokens = Tokens(model.signature)
    assert set(model.signature.prompts.texts) >= set(one.prompts)
    batch = expected.pop("batch", None)
    for name, vectors in expected.items():
        prompt = model.signature.prompts.named(name or None)
        items = await tokens.of_texts(TEXTS, model.signature.max_tokens, prompt)
        alone = np.concatenate([model.run([item]) for item in items])
        together = model.run(items)
        tolerance = TOLERANCE[one.numbers] * max(1.0, np.abs(vectors).max())
        np.testing.assert_allclose(alone, vectors, rtol=0, atol=tolerance)
        of_batch = vectors if batch is None or name else batch
        if batch is None or not name:
            np.testing.assert_allclose(together, of_batch, rtol=0, atol=tolerance)
