"""examples/transcribe.py: what the served class makes of a batch, with or without a recogniser."""

from __future__ import annotations

import base64
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from headway.models.runners.python_object import PythonObject
from headway.models.signature import BadItem

EXAMPLE = Path(__file__).parents[2] / "examples/transcribe.py"


@pytest.fixture
def samples() -> PythonObject:
    """The part of the example that needs no recogniser, on one item."""
    return PythonObject(f"{EXAMPLE}:samples")


def test_a_tensor_and_its_base64_are_the_same_audio(samples: PythonObject) -> None:
    audio = np.array([0, 1, -32768], "<i2")
    encoded = base64.b64encode(audio.tobytes()).decode()
    for item in (audio, {"AUDIO": audio}, encoded, {"b64": encoded}):
        assert samples.run(item).tolist() == audio.tolist()  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "item", [7, "?", "AAEC", np.zeros(4, np.float32), np.zeros((2, 2), np.int16), {}]
)
def test_what_is_no_audio_is_a_bad_item(samples: PythonObject, item: object) -> None:
    with pytest.raises(BadItem):
        samples.run(item)  # type: ignore[arg-type]


@pytest.mark.skipif(find_spec("pocketsphinx") is None, reason="pip install pocketsphinx")
def test_a_batch_has_a_text_for_each_clip() -> None:
    transcriber = PythonObject(f"{EXAMPLE}:Transcriber")
    silence = {"AUDIO": np.zeros(16_000, np.int16)}
    texts = transcriber.run([silence, silence])
    assert len(texts) == 2
    assert all(isinstance(text, str) for text in texts)
    with pytest.raises(BadItem):
        transcriber.run([silence, "?"])
