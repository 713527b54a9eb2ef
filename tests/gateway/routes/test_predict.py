"""`/v1/models/NAME:predict`: whatever a model makes of JSON."""

from __future__ import annotations

from typing import Any

import pytest
import requests


def predict(models: str, model: str, instances: Any) -> requests.Response:
    return requests.post(f"{models}/v1/models/{model}:predict", json={"instances": instances})


def test_functions_get_instances_as_they_are(models: str) -> None:
    instances = ["a", 3, {"c": [1, None]}, ["d"]]
    told = predict(models, "upper", instances).json()
    assert told == {"predictions": [str(one).upper() for one in instances]}


def test_tensors_may_be_of_any_shape_that_the_graph_takes(models: str) -> None:
    instances = [{"x": [1, 2], "z": 1}, {"x": [0.5, 0], "z": -1}]
    told = predict(models, "doubled", instances).json()
    assert told == {"predictions": [{"y": [3.0, 5.0]}, {"y": [0.0, -1.0]}]}
    assert predict(models, "echoed", ["é", "b"]).json() == {
        "predictions": [{"same": "é"}, {"same": "b"}]
    }


def test_texts_get_their_vectors(models: str) -> None:
    told = predict(models, "text", ["a cat"]).json()
    assert len(told["predictions"][0]) == 4


@pytest.mark.parametrize(
    ("model", "instances"),
    [
        ("upper", []),
        ("upper", "a"),
        ("upper", [1] * 2049),
        ("text", [""]),
        ("text", [3]),
        ("text", ["cat " * 100]),
        ("doubled", [[1, 2]]),
        ("doubled", [{"x": [1, 2]}]),
        ("doubled", [{"x": [1, 2], "z": 1, "more": 1}]),
        ("doubled", [{"x": ["1", "2"], "z": 1}]),
        ("doubled", [{"x": [1, 2], "z": 1.5}]),
        ("doubled", [{"x": [1, [2]], "z": 1}]),
        ("doubled", [{"x": [1, 2, 3], "z": 1}]),
    ],
)
def test_what_is_wrong_is_an_error(models: str, model: str, instances: Any) -> None:
    answer = predict(models, model, instances)
    assert answer.status_code == 400, answer.text
    assert answer.json()["error"]["code"] == "invalid_value"


def test_an_item_that_is_wrong_is_named_and_its_neighbours_are_answered(models: str) -> None:
    answer = predict(models, "Picky", ["a", "poison", "ccc"])
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert error["message"] == "Input 1 of 3: poison is not taken."
    assert error["param"] == "input[1]"
    assert predict(models, "Picky", ["a"]).json() == {"predictions": [1]}


def test_a_model_that_breaks_is_told_as_its_fault(models: str) -> None:
    answer = predict(models, "Picky", ["broken"])
    assert answer.status_code == 500
    assert "RuntimeError: this one breaks it" in answer.json()["error"]["message"]
    few = predict(models, "few", ["a", "b"])
    assert few.status_code == 500
    assert "returned 0 results for 1 items" in few.json()["error"]["message"]


def test_what_json_cannot_say_is_null(models: str) -> None:
    assert predict(models, "not_a_number", ["a"]).json() == {"predictions": [[None, 1.0]]}


def test_paths_and_methods_that_are_none_are_told(models: str) -> None:
    assert predict(models, "nope", ["a"]).status_code == 404
    assert requests.get(models + "/v1/models/upper:predict").status_code in (404, 405)
