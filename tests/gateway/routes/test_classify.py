"""`/v1/classify`: the class of each text."""

from __future__ import annotations

from typing import Any

import pytest
import requests


def classify(models: str, given: Any, model: str = "mood") -> requests.Response:
    return requests.post(models + "/v1/classify", json={"model": model, "input": given})


def test_each_text_gets_its_label_and_probabilities(models: str) -> None:
    told = classify(models, ["fine", "ill"]).json()
    assert told["object"] == "list" and told["model"] == "mood"
    assert told["data"] == [
        {"index": 0, "label": "good", "probs": [0.75, 0.25], "num_classes": 2},
        {"index": 1, "label": "bad", "probs": [0.0, 1.0], "num_classes": 2},
    ]
    assert classify(models, "fine").json()["data"][0]["label"] == "good"


@pytest.mark.parametrize("given", [[], "", ["a", ""], 3, [4]])
def test_what_is_no_text_is_an_error(models: str, given: Any) -> None:
    answer = classify(models, given)
    assert answer.status_code == 400
    assert answer.json()["error"]["param"].startswith("input")


def test_a_model_that_does_something_else_says_what(models: str) -> None:
    answer = classify(models, "a", model="text")
    assert answer.status_code == 400
    assert "made to embed texts" in answer.json()["error"]["message"]


def test_results_that_are_no_classes_are_the_models_fault(models: str) -> None:
    for model in ("upper", "vectors"):
        answer = classify(models, "a", model=model)
        assert answer.status_code == 500
        assert "labels and probabilities" in answer.json()["error"]["message"]
