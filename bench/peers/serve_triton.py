"""The model behind Triton, by nvidia-pytriton: one instance, Triton's dynamic batcher."""

from __future__ import annotations

from typing import Any

import numpy as np
from pytriton.decorators import batch
from pytriton.model_config import DynamicBatcher, ModelConfig, Tensor
from pytriton.triton import Triton, TritonConfig
from served_model import Order

ORDER = Order.given()
MODEL = ORDER.load()


@batch
def infer(input: Any) -> dict[str, Any]:
    """Batches of requests in, their answers out."""
    found = MODEL([text.decode() for text in input[:, 0]])
    return {"embedding": np.array([[one.encode()] for one in found], dtype=bytes)}


if __name__ == "__main__":
    config = TritonConfig(
        http_address="127.0.0.1",
        http_port=ORDER.port,
        allow_grpc=False,
        allow_metrics=False,
        log_verbose=0,
    )
    with Triton(config=config) as triton:
        triton.bind(
            model_name="encoder",
            infer_func=infer,
            inputs=[Tensor(name="input", dtype=bytes, shape=(1,))],
            outputs=[Tensor(name="embedding", dtype=bytes, shape=(1,))],
            config=ModelConfig(
                max_batch_size=ORDER.max_batch_size,
                batcher=DynamicBatcher(max_queue_delay_microseconds=1000 * ORDER.wait_ms),
            ),
        )
        triton.serve()
