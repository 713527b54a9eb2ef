"""The model behind mosec: one worker process."""

from __future__ import annotations

import sys
from typing import Any

from mosec import Server, Worker
from served_model import Order

ORDER = Order.given()


class Model(Worker):
    """Batches of requests in, their answers out."""

    def __init__(self) -> None:
        self.model = ORDER.load()

    def forward(self, data: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [{"embedding": e} for e in self.model([request["input"] for request in data])]


if __name__ == "__main__":
    sys.argv[1:] = ["--address", "127.0.0.1", "--port", str(ORDER.port), "--log-level", "error"]
    sys.argv += ["--timeout", "60000"]
    server = Server()
    server.append_worker(
        Model, num=1, max_batch_size=ORDER.max_batch_size, max_wait_time=ORDER.wait_ms
    )
    server.run()
