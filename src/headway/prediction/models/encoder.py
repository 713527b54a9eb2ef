"""A small transformer that reads a prompt whole: slower than counting words, and sees more."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from headway.prediction.arrays import Floats, State

MOST_TOKENS = 128
FIRST_CHARACTERS = 400
LAST_CHARACTERS = 150
"""How much of a long text is read: what is asked stands at its beginning or its end."""
BATCH = 4
"""Larger ones win nothing on one core, and are more padding."""


class Encoder:
    """all-MiniLM-L6-v2, fine-tuned to foretell lengths (`finetuning.py`), run by onnxruntime.

    Args:
        model: an ONNX file: ids and mask of a batch of texts go in, one score each comes out.
        tokenizer: the JSON file of its tokenizer.

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
            options.intra_op_num_threads = 1  # the engine needs the others
            options.log_severity_level = 3
            self._session = onnxruntime.InferenceSession(
                model, options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # each of the two has errors of its own, without a base class
            raise ValueError(f"its encoder cannot be used ({error})") from None

    def scores(self, texts: Sequence[str]) -> Floats:
        """One score per text, in the unit of the targets it was trained on."""
        scores = np.empty(len(texts), np.float32)
        ids = [self._tokenizer.encode(excerpt(text)).ids for text in texts]
        # Texts of about one length share a batch, so that little of it is padding.
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
    """What is read of `text`."""
    # Lone surrogates, as JSON may hold, are no text to a tokenizer.
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
