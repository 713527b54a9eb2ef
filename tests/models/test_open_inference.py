"""The Open Inference Protocol's bytes, in both directions."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from headway.models.open_inference import (
    InferRequest,
    decode_request,
    decode_response,
    encode_request,
    encode_response,
)
from headway.models.signature import BadItem
from headway.models.wire_tensors import DTYPES, datatype_of, typed

NUMBERS = [name for name in DTYPES if name != "BYTES"]


@st.composite
def tensors(draw: st.DrawFn) -> np.ndarray:
    shape = draw(arrays.array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=4))
    name = draw(st.sampled_from(list(DTYPES)))
    if name == "BF16":
        return draw(arrays.arrays(np.float16, shape)).astype(DTYPES[name])
    if name != "BYTES":
        return draw(arrays.arrays(DTYPES[name], shape))
    size = int(np.prod(shape))
    flat = np.empty(size, object)
    flat[:] = draw(st.lists(st.binary(max_size=9), min_size=size, max_size=size))
    return flat.reshape(shape)


def same(found: np.ndarray, sent: np.ndarray) -> bool:
    assert found.dtype == sent.dtype and found.shape == sent.shape
    if sent.dtype.name == "bfloat16":  # numpy has no idea of it
        found, sent = found.astype(np.float32), sent.astype(np.float32)
    return np.array_equal(found, sent, equal_nan=sent.dtype.kind == "f")


def request(**of_input: Any) -> bytes:
    """A request with one input, which `of_input` spoils."""
    whole = {"name": "x", "shape": [2], "datatype": "FP32", "data": [1, 2]}
    return json.dumps({"inputs": [whole | of_input]}).encode()


@given(st.dictionaries(st.text(min_size=1), tensors(), min_size=1, max_size=3))
def test_what_is_sent_in_binary_arrives(sent: dict[str, np.ndarray]) -> None:
    asked = decode_request(*encode_request(sent))
    assert asked.inputs.keys() == sent.keys()
    assert all(same(asked.inputs[name], sent[name]) for name in sent)
    assert asked.all_binary
    found = decode_response(*encode_response("m", "1", asked, sent))
    assert all(same(found[name], sent[name]) for name in sent)


@given(tensors())
def test_what_is_answered_in_json_arrives(sent: np.ndarray) -> None:
    if sent.dtype == object:  # JSON holds text, not bytes
        sent = np.array([v.hex().encode() for v in sent.flat], object).reshape(sent.shape)
    elif sent.dtype.kind == "f" or sent.dtype.name == "bfloat16":  # JSON has no infinity
        sent = np.where(np.isinf(sent), np.nan, sent).astype(sent.dtype)
    body, json_bytes = encode_response("m", "1", InferRequest({}), {"y": sent})
    assert json_bytes is None
    assert same(decode_response(body, None)["y"], sent)


def test_a_request_may_mix_json_and_binary_and_wish_for_either() -> None:
    raw = np.array([[3, 4]], "<i2").tobytes()
    head = json.dumps({
        "id": "seven",
        "inputs": [
            {"name": "a", "shape": [2, 1], "datatype": "BYTES", "data": [["é"], ["b"]]},
            {"name": "b", "shape": [1, 2], "datatype": "INT16",
             "parameters": {"binary_data_size": len(raw)}},
        ],
        "outputs": [{"name": "y", "parameters": {"binary_data": True}}, {"name": "z"}],
    }).encode()  # fmt: skip
    asked = decode_request(head + raw, len(head))
    assert asked.inputs["a"].tolist() == [["é".encode()], [b"b"]]
    assert asked.inputs["b"].tolist() == [[3, 4]]
    assert asked.binary("y") and not asked.binary("z")
    outputs = {"y": np.array([1.5], np.float32), "z": np.array(["text"])}
    body, json_bytes = encode_response("m", "1", asked, outputs)
    assert json_bytes is not None and len(body) == json_bytes + 4
    answer = json.loads(body[:json_bytes])
    assert (answer["id"], answer["model_name"], answer["model_version"]) == ("seven", "m", "1")
    assert answer["outputs"][1] == {
        "name": "z", "datatype": "BYTES", "shape": [1], "data": ["text"]
    }  # fmt: skip


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "no inference request"),
        (b"{}", "no inference request"),
        (b"\xff", "no inference request"),
        (b'{"inputs": []}', "has no inputs"),
        (b'{"inputs": ' + b"[" * 5000, "no inference request"),
        (request(shape=[3]), "has 2 values, and its shape .3. has 3"),
        (request(shape=[]), "has the shape"),
        (request(shape=[-1]), "has the shape"),
        (request(shape=[2**62, 2**62]), "has 2 values"),
        (request(data=[1, [2]]), "is not FP32"),
        (request(data=["1", "2"]), "is not FP32: there are values of another type"),
        (request(data=None), "neither data nor binary_data_size"),
        (request(datatype="FP128"), "there are BOOL, UINT8"),
        (request(datatype="INT32", data=[1.5, 2]), "is not INT32"),
        (request(datatype="UINT8", data=[1, 300]), "is not UINT8"),
        (request(datatype="INT64", data=[1, 2**70]), "is not INT64"),
        (request(datatype="BOOL", data=[1, 0]), "is not BOOL"),
        (request(datatype="BYTES"), "something else than strings"),
        (request(parameters={"binary_data_size": 1}), "0 bytes are left"),
        (request(parameters={"binary_data_size": -1}), "0 bytes are left"),
        (json.dumps({"inputs": json.loads(request())["inputs"] * 2}).encode(), "there twice"),
    ],
)
def test_an_error_says_what_is_wrong_with_the_request(body: bytes, message: str) -> None:
    with pytest.raises(BadItem, match=message):
        decode_request(body, None)


def test_text_that_is_nested_too_deeply_is_an_error() -> None:
    data = b"[" * 900 + b'"x"' + b"]" * 900
    body = b'{"inputs":[{"name":"x","shape":[1],"datatype":"BYTES","data":' + data + b"}]}"
    try:
        assert decode_request(body, None).inputs["x"].tolist() == [b"x"]
    except BadItem as error:
        assert "deep" in str(error) or "recursion" in str(error)


@pytest.mark.parametrize(
    ("datatype", "raw", "message"),
    [
        ("FP32", b"\0" * 7, "ends within a value"),
        ("FP32", b"\0" * 4, "has 1 values"),
        ("BYTES", b"\3\0\0\0ab", "ends within a value"),
        ("BYTES", b"\1\0", "ends within a value"),
        ("BYTES", b"\1\0\0\0a", "has 1 values"),
    ],
)
def test_binary_tensors_that_do_not_fit_are_an_error(
    datatype: str, raw: bytes, message: str
) -> None:
    parameters = {"binary_data_size": len(raw)}
    head = request(datatype=datatype, data=None, parameters=parameters)
    with pytest.raises(BadItem, match=message):
        decode_request(head + raw, len(head))


def test_bytes_that_belong_to_no_tensor_are_an_error() -> None:
    with pytest.raises(BadItem, match="3 bytes behind the last tensor"):
        decode_request(request() + b"abc", len(request()))
    with pytest.raises(BadItem, match="content-length is 99999"):
        decode_request(request(), 99999)


@pytest.mark.parametrize("body", [b"", b"[]", b'{"outputs": 3}', b"\xff\xfe"])
def test_an_invalid_answer_is_an_error(body: bytes) -> None:
    with pytest.raises(BadItem, match="no inference response"):
        decode_response(body, None)


@pytest.mark.parametrize("name", NUMBERS)
def test_every_datatype_has_its_name(name: str) -> None:
    assert datatype_of(np.zeros(1, DTYPES[name])) == name


def test_types_without_a_name_are_an_error() -> None:
    assert datatype_of(np.array(["text"])) == "BYTES"
    with pytest.raises(TypeError, match="complex128"):
        datatype_of(np.zeros(1, complex))


def test_the_largest_integers_stay_what_they_are() -> None:
    assert typed([2**63, 0], "UINT64").tolist() == [2**63, 0]
    with pytest.raises(OverflowError):
        typed([2**64, 0], "UINT64")
    with pytest.raises(TypeError):
        typed([2.0**63, 0], "UINT64")


def test_null_is_nan() -> None:
    assert np.isnan(typed([None, 1], "FP32")).tolist() == [True, False]
    with pytest.raises(TypeError):
        typed([None], "INT32")
