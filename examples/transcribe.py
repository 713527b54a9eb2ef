"""A speech recogniser for Headway: PocketSphinx, whose wheel on PyPI has an English model in it.

    pip install pocketsphinx        # into Headway's own environment
    headway serve --config examples/transcribe.yaml
    python examples/transcribe_client.py

Audio is 16 kHz, mono, 16 bit. It comes as a tensor of the Open Inference Protocol, or in JSON as
base64 of the same bytes (little endian).
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

import numpy as np

SAMPLE_RATE_HZ = 16_000


class Transcriber:
    """Called with the audio clips of a batch, it returns their texts.

    It holds the interpreter while it decodes, so a batch runs item by item: for two at a time the
    model needs two instances, not threads.
    """

    def __init__(self) -> None:
        from pocketsphinx import Decoder

        # One pass instead of three takes a third less time and gets a few more words wrong.
        self._decoder = Decoder(
            samprate=SAMPLE_RATE_HZ, fwdflat=False, bestpath=False, loglevel="FATAL"
        )

    def __call__(self, items: list[Any]) -> list[str]:
        """Transcribe each item. Raises ValueError if one is no audio; Headway finds out which."""
        return [self._text(audio) for audio in [samples(item) for item in items]]

    def _text(self, audio: np.ndarray) -> str:
        self._decoder.start_utt()
        self._decoder.process_raw(audio.tobytes(), full_utt=True)
        self._decoder.end_utt()
        found = self._decoder.hyp()
        return found.hypstr if found is not None else ""


def samples(item: Any) -> np.ndarray:
    """The audio of an item, INT16 (samples,). Raises ValueError."""
    if isinstance(item, Mapping) and len(item) == 1:
        (item,) = item.values()
    if isinstance(item, str):
        raw = base64.b64decode(item, validate=True)
        if len(raw) % 2:
            raise ValueError("the audio ends within a sample; send 16 bits a sample")
        item = np.frombuffer(raw, "<i2")
    if not isinstance(item, np.ndarray) or item.dtype != np.int16 or item.ndim != 1:
        raise ValueError("an item is 16 kHz audio: one INT16 tensor (samples,), or its base64")
    return item
