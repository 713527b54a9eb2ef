"""How long items are, and how an operator counts them."""

from __future__ import annotations

import numpy as np
import pytest

from headway.models.length import length_of
from headway.models.signature import Signature, TensorSpec


@pytest.mark.parametrize(
    ("item", "length"),
    [
        ("four", 4),
        ([101, 7592, 102], 3),
        (("query", "text"), 9),
        ({"b64": "AAECAw=="}, 8),
        (7, 1),
        ("", 1),
        ({}, 1),
    ],
)
def test_what_json_says_has_its_own_length(item: object, length: int) -> None:
    assert length_of(item, None, 1) == length


def test_audio_is_as_long_as_it_has_samples() -> None:
    assert length_of({"AUDIO": np.zeros(16_000, np.int16)}, None, 1) == 16_000


def test_a_unit_counts_so_many_as_one_and_rounds_up() -> None:
    assert length_of({"AUDIO": np.zeros(16_001, np.int16)}, None, 160) == 101


def test_only_axes_that_vary_count_where_the_model_names_them() -> None:
    signature = Signature("tensors", "any", (TensorSpec("frames", "FP32", (-1, -1, 80)),))
    assert length_of({"frames": np.zeros((12, 80), np.float32)}, signature, 1) == 12


def test_tensors_of_one_fixed_shape_are_all_equally_long() -> None:
    signature = Signature("tensors", "any", (TensorSpec("image", "FP32", (-1, 3, 8, 8)),))
    assert length_of({"image": np.zeros((3, 8, 8), np.float32)}, signature, 1) == 1


def test_bytes_are_as_long_as_they_are() -> None:
    values = np.empty(2, object)
    values[:] = [b"abc", b"de"]
    assert length_of({"TEXT": values}, None, 1) == 5
    assert length_of({"TEXT": values[0]}, None, 1) == 3
