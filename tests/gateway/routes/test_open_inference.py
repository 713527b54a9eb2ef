"""`/v2`, with NVIDIA's own client."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import requests

triton = pytest.importorskip("tritonclient.http")


@pytest.fixture(scope="module")
def client(models: str) -> Iterator[Any]:
    client = triton.InferenceServerClient(models.removeprefix("http://"))
    yield client
    client.close()


def tensor(name: str, array: np.ndarray, binary: bool = True) -> Any:
    one = triton.InferInput(name, list(array.shape), triton_type(array))
    one.set_data_from_numpy(array, binary_data=binary)
    return one


def triton_type(array: np.ndarray) -> str:
    return {"f": "FP32", "i": "INT64", "O": "BYTES"}[array.dtype.kind]


X = np.array([[1, 2], [3, 4], [5, 6]], np.float32)
Z = np.array([1, 0, -1], np.int64)
Y = 2 * X + Z[:, None]


def test_the_server_tells_what_it_is(client: Any) -> None:
    assert client.is_server_live() and client.is_server_ready()
    told = client.get_server_metadata()
    assert told["name"] == "headway" and "binary_tensor_data" in told["extensions"]


def test_models_tell_what_they_take(client: Any) -> None:
    assert client.is_model_ready("doubled") and client.is_model_ready("doubled", "1")
    assert not client.is_model_ready("nope") and not client.is_model_ready("doubled", "2")
    told = client.get_model_metadata("doubled")
    assert told["versions"] == ["1"] and told["platform"] == "onnxruntime_onnx"
    assert told["inputs"] == [
        {"name": "x", "datatype": "FP32", "shape": [-1, 2]},
        {"name": "z", "datatype": "INT64", "shape": [-1]},
    ]
    config = client.get_model_config("doubled")
    assert config["max_batch_size"] == 32
    assert config["input"][0] == {"name": "x", "data_type": "TYPE_FP32", "dims": [2]}
    assert client.get_model_config("three")["max_batch_size"] == 0


@pytest.mark.parametrize("binary", [True, False])
def test_tensors_are_answered_in_json_or_binary(client: Any, binary: bool) -> None:
    given = [tensor("x", X, binary), tensor("z", Z, binary)]
    wanted = [triton.InferRequestedOutput("y", binary_data=binary)]
    answer = client.infer("doubled", given, outputs=wanted, request_id="seven")
    np.testing.assert_array_equal(answer.as_numpy("y"), Y)
    assert answer.get_response()["id"] == "seven"
    np.testing.assert_array_equal(client.infer("doubled", given).as_numpy("y"), Y)


def test_what_the_request_says_of_binary_holds_for_named_outputs(models: str) -> None:
    body = {
        "inputs": [
            {"name": "x", "shape": [1, 2], "datatype": "FP32", "data": [1, 2]},
            {"name": "z", "shape": [1], "datatype": "INT64", "data": [0]},
        ],
        "parameters": {"binary_data_output": True},
        "outputs": [{"name": "y"}],
    }
    url = models + "/v2/models/doubled/infer"
    answer = requests.post(url, json=body)
    length = int(answer.headers["inference-header-content-length"])
    assert np.frombuffer(answer.content[length:], np.float32).tolist() == [2, 4]
    body["outputs"][0]["parameters"] = {"binary_data": False}  # type: ignore[index]
    assert requests.post(url, json=body).json()["outputs"][0]["data"] == [2, 4]


@pytest.mark.parametrize("binary", [True, False])
def test_the_largest_values_are_answered_as_classes(client: Any, binary: bool) -> None:
    given = [tensor("x", X), tensor("z", Z)]

    def classes(model: str, count: int) -> list[Any]:
        wanted = [triton.InferRequestedOutput("y", binary_data=binary, class_count=count)]
        return client.infer(model, given, outputs=wanted).as_numpy("y").astype("U").tolist()

    assert classes("doubled", 1) == [["5.000000:1"], ["8.000000:1"], ["11.000000:1"]]
    assert classes("doubled", 9)[0] == ["5.000000:1", "3.000000:0"]
    assert classes("three", 9)[:2] == ["11.000000:5", "9.000000:4"]


def test_statistics_count_requests_and_items(client: Any, models: str) -> None:
    def counted() -> dict[str, Any]:
        (stats,) = client.get_inference_statistics("doubled")["model_stats"]
        return stats

    given = [tensor("x", X), tensor("z", Z)]
    client.infer("doubled", given)
    before = counted()
    client.infer("doubled", given)
    after = counted()
    assert (after["name"], after["version"]) == ("doubled", "1")
    assert after["inference_count"] == before["inference_count"] + 3
    assert after["execution_count"] > before["execution_count"]
    assert after["last_inference"] >= before["last_inference"] > 1.7e12
    was, now = before["inference_stats"], after["inference_stats"]
    assert now["success"]["count"] == was["success"]["count"] + 1
    assert now["success"]["ns"] > was["success"]["ns"]
    assert now["compute_infer"]["ns"] > was["compute_infer"]["ns"] > 0
    of_all = requests.get(models + "/v2/models/stats").json()["model_stats"]
    assert {one["name"] for one in of_all} > {"doubled", "text"}
    assert client.get_inference_statistics("doubled", "1")["model_stats"][0]["version"] == "1"


@pytest.mark.parametrize(
    ("parameters", "of_output"),
    [
        ({"sequence_id": 7, "sequence_start": True}, {}),
        ({}, {"shared_memory_region": "mine", "shared_memory_byte_size": 24}),
        ({}, {"classification": -1}),
        ({}, {"classification": "two"}),
    ],
)
def test_what_is_not_supported_is_refused(
    models: str, parameters: dict[str, Any], of_output: dict[str, Any]
) -> None:
    body = {
        "inputs": [
            {"name": "x", "shape": [1, 2], "datatype": "FP32", "data": [1, 2]},
            {"name": "z", "shape": [1], "datatype": "INT64", "data": [0]},
        ],
        "parameters": parameters,
        "outputs": [{"name": "y", "parameters": of_output}],
    }
    answer = requests.post(models + "/v2/models/doubled/infer", json=body)
    assert answer.status_code == 400
    assert next(iter(of_output or parameters)).split("_")[0] in answer.json()["error"].lower()


def test_a_text_that_is_too_long_gets_advice_that_this_protocol_knows(client: Any) -> None:
    with pytest.raises(triton.InferenceServerException, match="shorten it") as refused:
        client.infer("text", [tensor("text", np.array([b"cat " * 50], object))])
    assert "truncate_prompt_tokens" not in str(refused.value)


def test_packed_bodies_are_taken(client: Any) -> None:
    given = [tensor("x", X), tensor("z", Z)]
    for coding in ("gzip", "deflate"):
        answer = client.infer("doubled", given, request_compression_algorithm=coding)
        np.testing.assert_array_equal(answer.as_numpy("y"), Y)


def test_a_graph_of_a_fixed_size_runs_one_request_at_a_time(client: Any) -> None:
    answer = client.infer("three", [tensor("x", X), tensor("z", Z)])
    np.testing.assert_array_equal(answer.as_numpy("y"), Y)
    with pytest.raises(triton.InferenceServerException, match=r"has the shape \[3, 2\]"):
        client.infer("three", [tensor("x", X[:2]), tensor("z", Z[:2])])


def test_many_requests_at_once_each_get_their_own(client: Any) -> None:
    for row in range(3):
        asked = [tensor("x", X[row : row + 1]), tensor("z", Z[row : row + 1])]
        np.testing.assert_array_equal(
            client.infer("doubled", asked).as_numpy("y"), Y[row : row + 1]
        )


def test_texts_and_strings_are_bytes(client: Any, models: str) -> None:
    texts = np.array([b"a cat", "é".encode()], object)
    vectors = client.infer("text", [tensor("text", texts)]).as_numpy("embedding")
    assert vectors.shape == (2, 4)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-6)
    same = client.infer("echoed", [tensor("text", texts)]).as_numpy("same")
    assert same.tolist() == texts.tolist()


def test_functions_get_rows_by_the_names_of_their_tensors(client: Any) -> None:
    answer = client.infer("tensors", [tensor("x", X)])
    assert answer.as_numpy("sum").tolist() == [3, 7, 11]
    assert answer.as_numpy("name").tolist() == [b"ada"] * 3


@pytest.mark.parametrize(
    ("model", "inputs", "told"),
    [
        ("nope", {"x": X}, "does not exist; there are"),
        ("doubled", {"x": X}, "'z' is missing"),
        ("doubled", {"x": X, "z": Z, "q": Z}, "no input 'q'; it has x, z"),
        ("doubled", {"x": X, "z": Z[:2]}, "the same first size"),
        ("doubled", {"x": X[:, :1], "z": Z}, r"has the shape \[-1, 2\], and \[3, 1\] was sent"),
        ("doubled", {"x": Z, "z": Z}, "'x' is FP32, and INT64 was sent"),
        ("doubled", {"x": X[:0], "z": Z[:0]}, "at least 1"),
        ("text", {"text": np.array([b""], object)}, "empty text"),
        ("text", {"text": np.array([b"cat " * 50], object)}, "tokens"),
        ("few", {"x": X}, "returned 0 results for 1 items"),
        ("Unloadable", {"x": X}, "there is no room"),
    ],
)
def test_what_is_wrong_is_told(
    client: Any, model: str, inputs: dict[str, np.ndarray], told: str
) -> None:
    with pytest.raises(triton.InferenceServerException, match=told):
        client.infer(model, [tensor(name, array) for name, array in inputs.items()])


def test_an_unknown_version_or_output_is_told(client: Any) -> None:
    given = [tensor("x", X), tensor("z", Z)]
    with pytest.raises(triton.InferenceServerException, match="has the version 1, not 2"):
        client.infer("doubled", given, model_version="2")
    wanted = [triton.InferRequestedOutput("w")]
    with pytest.raises(triton.InferenceServerException, match="no output 'w'; it has y"):
        client.infer("doubled", given, outputs=wanted)


def test_models_are_loaded_and_unloaded_by_hand(client: Any) -> None:
    client.load_model("vectors")
    states = {one["name"]: one["state"] for one in client.get_model_repository_index()}
    assert states["vectors"] == "READY"
    client.unload_model("vectors")
    states = {one["name"]: one["state"] for one in client.get_model_repository_index()}
    assert states["vectors"] == "UNAVAILABLE"
    assert client.is_model_ready("vectors")  # it is loaded again when it is asked
    with pytest.raises(triton.InferenceServerException, match="there is no room"):
        client.load_model("Unloadable")


@pytest.mark.parametrize(
    ("path", "method", "status"),
    [
        ("/v2/nothing", "GET", 404),
        ("/v2x", "GET", 404),
        ("/v2/models/doubled/explode", "POST", 404),
        ("/v2/models/doubled/infer", "GET", 405),
        ("/v2/repository/models/doubled/load", "GET", 405),
    ],
)
def test_errors_have_the_protocols_own_shape(
    models: str, path: str, method: str, status: int
) -> None:
    answer = requests.request(method, models + path)
    assert answer.status_code == status
    assert list(answer.json()) == ["error"]


@pytest.mark.parametrize("length", ["-1", "x", "99", "3"])
def test_a_wrong_length_of_the_json_is_told(models: str, length: str) -> None:
    headers = {"Inference-Header-Content-Length": length}
    body = json.dumps({"inputs": []})
    answer = requests.post(models + "/v2/models/doubled/infer", data=body, headers=headers)
    assert answer.status_code == 400
