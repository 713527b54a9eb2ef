"""A small transformer that reads sentences: slower than counting words, and more accurate."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from headway.prediction.arrays import Floats, State

MOST_TOKENS = 128
FIRST_CHARACTERS = 400
LAST_CHARACTERS = 150
"""How much of a long text is read: the question is usually at its beginning or its end."""
BATCH = 4
"""Larger batches gain nothing on one core, and need more padding."""


class Encoder:
    """all-MiniLM-L6-v2, fine-tuned to predict lengths (`finetuning.py`), run by onnxruntime.

    Args:
        model: an ONNX file that maps ids and mask of a batch of texts to one score each.
        tokenizer: its tokenizer, as JSON.

    Raises:
        ImportError: onnxruntime or tokenizers is not installed.
        ValueError: the files are damaged.
    """

    def __init__(self, model: bytes, tokenizer: bytes) -> None:
        import onnxruntime
        from tokenizers import Tokenizer

        self._files = (model, tokenizer)
        try:
            self._tokenizer = Tokenizer.from_buffer(tokenizer)
            self._tokenizer.enable_truncation(MOST_TOKENS)
            self._tokenizer.no_padding()
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = 1  # the engine needs the other cores
            options.log_severity_level = 3
            # Without it, sums of INT8 graphs overflow on CPUs that have AVX2 and no VNNI.
            options.add_session_config_entry("session.x64quantprecision", "1")
            self._session = onnxruntime.InferenceSession(
                model, options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # the two libraries share no base class
            raise ValueError(f"its encoder cannot be used ({error})") from None

    def scores(self, texts: Sequence[str]) -> Floats:
        """One score per text, in the unit of the training targets."""
        scores = np.empty(len(texts), np.float32)
        ids = [self._tokenizer.encode(excerpt(text)).ids for text in texts]
        # Texts of similar length share a batch, to keep padding small.
        order = sorted(range(len(ids)), key=lambda number: len(ids[number]))
        for first in range(0, len(order), BATCH):
            chosen = order[first : first + BATCH]
            tokens, mask = padded([ids[number] for number in chosen])
            (found,) = self._session.run(None, {"ids": tokens, "mask": mask})
            scores[chosen] = found
        return scores

    def state(self) -> State:
        names = ("model", "tokenizer")
        return {n: np.frombuffer(f, np.uint8) for n, f in zip(names, self._files, strict=True)}

    @classmethod
    def of(cls, state: State) -> Encoder:
        return cls(state["model"].tobytes(), state["tokenizer"].tobytes())


def excerpt(text: str) -> str:
    """The part of `text` that the encoder reads."""
    # JSON may hold lone surrogates, which tokenizers refuse.
    if len(text) > FIRST_CHARACTERS + LAST_CHARACTERS:
        text = f"{text[:FIRST_CHARACTERS]} … {text[-LAST_CHARACTERS:]}"
    return text.encode("utf-8", "replace").decode()


def padded(ids: Sequence[Sequence[int]]) -> tuple[np.ndarray, np.ndarray]:
    """Token ids and mask, (texts, longest)."""
    longest = max(map(len, ids))
    tokens = np.zeros((len(ids), longest), np.int64)
    mask = np.zeros((len(ids), longest), np.int64)
    for row, of_text in enumerate(ids):
        tokens[row, : len(of_text)] = of_text
        mask[row, : len(of_text)] = 1
    return tokens, mask
