"""What every peer serves: the same graph, threads, tokenizer and padding as Headway, or a fake.

Runs in the peers' environments, so it imports nothing of Headway.
"""

from __future__ import annotations

import json
import os
import time
from base64 import b64encode
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

FAKE_S = 0.005


@dataclass(frozen=True)
class Order:
    """What a peer is to serve, and how; from the environment variable PEER."""

    model: str
    """`encoder` or `fake`."""
    graph: str
    tokenizer: str
    threads: int
    port: int
    max_batch_size: int
    wait_ms: int
    """The longest wait for company."""

    @classmethod
    def given(cls) -> Order:
        """The one of this process."""
        return cls(**json.loads(os.environ["PEER"]))

    def load(self) -> Callable[[Sequence[str]], list[str]]:
        """The model: from texts to their answers."""
        return fake if self.model == "fake" else Encoder(self)


class Encoder:
    """Vectors of unit length in base64, as float32 in the order of bytes of this machine."""

    def __init__(self, order: Order) -> None:
        import onnxruntime
        from tokenizers import Tokenizer

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = order.threads
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session = onnxruntime.InferenceSession(
            order.graph, options, providers=["CPUExecutionProvider"]
        )
        self._tokenizer: Any = Tokenizer.from_file(order.tokenizer)
        self._tokenizer.no_truncation()
        self._tokenizer.enable_padding()

    def __call__(self, texts: Sequence[str]) -> list[str]:
        import numpy as np

        encoded = self._tokenizer.encode_batch_fast(list(texts))
        feed = {
            "input_ids": np.array([one.ids for one in encoded], np.int64),
            "attention_mask": np.array([one.attention_mask for one in encoded], np.int64),
            "token_type_ids": np.array([one.type_ids for one in encoded], np.int64),
        }
        (tokens,) = self._session.run(["last_hidden_state"], feed)
        weights = feed["attention_mask"].astype(np.float32)
        found = (weights[:, None] @ tokens)[:, 0] / weights.sum(axis=1, keepdims=True)
        found = found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-12)
        return [b64encode(row.tobytes()).decode() for row in found]


def fake(texts: Sequence[Any]) -> list[str]:
    """A model of 5 ms a batch."""
    time.sleep(FAKE_S)
    return ["" for _ in texts]
