"""`/v1/rerank`: documents by how well they fit a query."""

from __future__ import annotations

from typing import Any

import pytest
import requests

DOCUMENTS = ["is an animal", "a cat", {"text": "a cat is an animal"}]


def rerank(models: str, **asked: Any) -> requests.Response:
    body = {"model": "text", "query": "a cat", "documents": DOCUMENTS, **asked}
    return requests.post(models + "/v1/rerank", json=body)


def test_the_best_document_is_first(models: str) -> None:
    told = rerank(models).json()
    assert told["model"] == "text" and told["object"] == "list"
    assert told["results"][0]["index"] == 1
    scores = [result["relevance_score"] for result in told["results"]]
    assert scores == sorted(scores, reverse=True)
    assert scores[0] == pytest.approx(1.0)
    assert told["usage"]["total_tokens"] == 4 + 5 + 4 + 7


def test_so_many_as_are_asked_for_come_back_with_their_texts_if_that_is_asked(
    models: str,
) -> None:
    told = rerank(models, top_n=1, return_documents=True).json()
    (best,) = told["results"]
    assert best["document"] == {"text": "a cat"}
    assert "document" not in rerank(models).json()["results"][0]


def test_cohere_s_newer_clients_find_it(models: str) -> None:
    body = {"model": "text", "query": "a cat", "documents": DOCUMENTS[:2], "top_n": 1}
    newer = requests.post(models + "/v2/rerank", json=body).json()
    older = requests.post(models + "/v1/rerank", json=body).json()
    assert newer["results"] == older["results"]


def test_functions_score_pairs(models: str) -> None:
    told = rerank(models, model="overlap").json()
    assert [(r["index"], r["relevance_score"]) for r in told["results"]] == [
        (1, 2.0),
        (2, 2.0),
        (0, 0.0),
    ]


@pytest.mark.parametrize(
    ("asked", "param"),
    [
        ({"query": ""}, "query"),
        ({"documents": []}, "documents"),
        ({"documents": [3]}, "documents[0]"),
        ({"documents": "a cat"}, "documents"),
        ({"documents": ["cat " * 100]}, "documents"),
        ({"top_n": 0}, "top_n"),
        ({"model": "doubled"}, "model"),
    ],
)
def test_what_is_wrong_is_named(models: str, asked: dict[str, Any], param: str) -> None:
    answer = rerank(models, **asked)
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == param


def test_scores_that_are_no_numbers_are_the_models_fault(models: str) -> None:
    for model in ("not_a_number", "mood"):
        answer = rerank(models, model=model, documents=["fine"])
        assert answer.status_code == 500
        assert answer.json()["error"]["code"] == "model_failed"


def test_an_unknown_model_is_not_found(models: str) -> None:
    assert rerank(models, model="nope").status_code == 404
