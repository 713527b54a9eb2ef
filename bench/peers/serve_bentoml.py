"""The model behind BentoML: a service of one worker, `bentoml serve serve_bentoml:Model`."""

from __future__ import annotations

import bentoml
from served_model import Order

ORDER = Order.given()


@bentoml.service(
    workers=1,
    threads=1,
    traffic={"timeout": 60, "max_concurrency": 4096},
    logging={"access": {"enabled": False}},
)
class Model:
    """Batches of requests in, their answers out."""

    def __init__(self) -> None:
        self.model = ORDER.load()

    @bentoml.api(
        route="/embed",
        batchable=True,
        max_batch_size=ORDER.max_batch_size,
        max_latency_ms=60_000,
    )
    def embed(self, input: list[str]) -> list[str]:
        return self.model(input)
