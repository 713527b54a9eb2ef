"""Prompts, similarities and scores of encoders, as their folders have them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import requests
from tests.gateway.conftest import catalog_of, in_thread
from tests.models.encoder.folders import TABLE, folder, modules

from headway.models.source import source_of

DESCRIBED = {"prompts": {"query": "is ", "document": "an "}, "default_prompt_name": "document"}
MEAN = {"modules.json": modules("Pooling"), "1_Pooling/config.json": {"pooling_mode": "mean"}}
FILES: dict[str, dict[str, Any]] = {
    "prompted": {**MEAN, "config_sentence_transformers.json": DESCRIBED},
    **{
        name: {**MEAN, "config_sentence_transformers.json": {"similarity_fn_name": name}}
        for name in ("cosine", "dot", "euclidean", "manhattan")
    },
}
LABELS = {str(n): name for n, name in enumerate("abcd")}
PROBLEMS = ("single_label_classification", "multi_label_classification", "regression")


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    place = tmp_path_factory.mktemp("encoders")
    for name, files in FILES.items():
        folder(place / name, files)
    for problem in PROBLEMS:
        config = {"config.json": {"id2label": LABELS, "problem_type": problem}}
        folder(place / problem, config, output="logits", summed=True)
    pair = {"config.json": {"id2label": {"0": "fits"}}}
    folder(place / "pairs", pair, output="logits", summed=True, table=TABLE[:, :1])
    raw = {"config.json": {"id2label": {"0": "stars"}, "problem_type": "regression"}}
    folder(place / "stars", raw, output="logits", summed=True, table=TABLE[:, :1])
    sources = {one.name: source_of(str(one)) for one in place.iterdir()}
    with in_thread(catalog_of(**sources), with_backend=False) as address:
        yield address


def vector_of(*ids: int) -> np.ndarray:
    return TABLE[[2, *ids, 3]].mean(0)


def embedded(served: str, **asked: Any) -> np.ndarray:
    body = {"model": "prompted", "input": "a cat", **asked}
    answer = requests.post(served + "/v1/embeddings", json=body)
    assert answer.status_code == 200, answer.text
    return np.array(answer.json()["data"][0]["embedding"])


def test_a_prompt_is_written_before_a_text_by_name_or_by_default(served: str) -> None:
    np.testing.assert_allclose(embedded(served), vector_of(7, 4, 5), atol=1e-6)
    named = embedded(served, prompt_name="query")
    np.testing.assert_allclose(named, vector_of(6, 4, 5), atol=1e-6)
    np.testing.assert_allclose(embedded(served, input=[4, 5]), vector_of(4, 5), atol=1e-6)
    body = {"instances": ["a cat"]}
    (found,) = requests.post(served + "/v1/models/prompted:predict", json=body).json()[
        "predictions"
    ]
    np.testing.assert_allclose(found, vector_of(7, 4, 5), atol=1e-6)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"prompt_name": "title"}, "no prompt 'title'; it has query, document"),
        ({"prompt_name": "query", "input": [4, 5]}, "token ids were sent"),
        ({"prompt_name": "query", "model": "dot"}, "no prompt 'query'; it has none"),
    ],
)
def test_a_prompt_that_there_is_not_is_an_error(
    served: str, asked: dict[str, Any], message: str
) -> None:
    body = {"model": "prompted", "input": "a cat", **asked}
    answer = requests.post(served + "/v1/embeddings", json=body)
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == "prompt_name"
    assert message in answer.json()["error"]["message"]


def test_a_query_and_documents_get_their_own_prompts_in_reranking(served: str) -> None:
    body = {"model": "prompted", "query": "a", "documents": ["cat"]}
    (found,) = requests.post(served + "/v1/rerank", json=body).json()["results"]
    query, document = vector_of(6, 4), vector_of(7, 5)
    expected = query @ document / np.linalg.norm(query) / np.linalg.norm(document)
    assert found["relevance_score"] == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("name", ["cosine", "dot", "euclidean", "manhattan"])
def test_vectors_are_compared_as_the_model_says(served: str, name: str) -> None:
    body = {"model": name, "query": "a", "documents": ["a cat", "is an animal", "cat"]}
    found = requests.post(served + "/v1/rerank", json=body).json()["results"]
    one, others = vector_of(4), [vector_of(4, 5), vector_of(6, 7, 8), vector_of(5)]
    scores = {
        "cosine": [o @ one / np.linalg.norm(o) / np.linalg.norm(one) for o in others],
        "dot": [o @ one for o in others],
        "euclidean": [-np.sqrt(((o - one) ** 2).sum()) for o in others],
        "manhattan": [-np.abs(o - one).sum() for o in others],
    }[name]
    by_index = {one["index"]: one["relevance_score"] for one in found}
    assert [by_index[n] for n in range(3)] == pytest.approx(scores, abs=1e-5)
    assert [one["index"] for one in found] == np.argsort(scores)[::-1].tolist()


@pytest.mark.parametrize("problem", PROBLEMS)
def test_scores_are_made_as_the_problem_asks(served: str, problem: str) -> None:
    body = {"model": problem, "input": ["a cat", "an animal"]}
    data = requests.post(served + "/v1/classify", json=body).json()["data"]
    for one, ids in zip(data, ([2, 4, 5, 3], [2, 7, 8, 3]), strict=True):
        logits = TABLE[ids].sum(0).astype(np.float64)
        expected = {
            "single_label_classification": np.exp(logits) / np.exp(logits).sum(),
            "multi_label_classification": 1 / (1 + np.exp(-logits)),
            "regression": logits,
        }[problem]
        assert one["probs"] == pytest.approx(expected.tolist(), abs=1e-6)
        assert one["label"] == "abcd"[int(logits.argmax())]


def test_a_score_of_pairs_may_be_asked_of_a_single_text(served: str) -> None:
    logit = float(TABLE[[2, 4, 5, 3], 0].sum())
    for model, expected in (("pairs", 1 / (1 + np.exp(-logit))), ("stars", logit)):
        body = {"model": model, "input": "a cat"}
        (one,) = requests.post(served + "/v1/classify", json=body).json()["data"]
        assert one["probs"] == pytest.approx([expected], abs=1e-6)
        assert one["label"] == {"pairs": "fits", "stars": "stars"}[model]
    body = {"model": "stars", "query": "a", "documents": ["cat"]}
    (found,) = requests.post(served + "/v1/rerank", json=body).json()["results"]
    assert found["relevance_score"] == pytest.approx(TABLE[[2, 4, 3, 5, 3], 0].sum(), abs=1e-5)


def test_vectors_that_had_no_unit_length_get_none_when_they_are_cut(served: str) -> None:
    whole = embedded(served, model="dot")
    np.testing.assert_allclose(embedded(served, model="dot", dimensions=2), whole[:2], atol=1e-7)
