"""The model behind Ray Serve: one replica, `@serve.batch`."""

from __future__ import annotations

import signal

import ray
from ray import serve
from served_model import Order
from starlette.requests import Request

ORDER = Order.given()


@serve.deployment(num_replicas=1, max_ongoing_requests=1024, ray_actor_options={"num_cpus": 1})
class Model:
    """Batches of requests in, their answers out."""

    def __init__(self, order: Order) -> None:
        self.model = order.load()
        self.batched.set_max_batch_size(order.max_batch_size)
        self.batched.set_batch_wait_timeout_s(order.wait_ms / 1000.0)

    @serve.batch(max_batch_size=32, batch_wait_timeout_s=0.005)
    async def batched(self, texts: list[str]) -> list[str]:
        return self.model(texts)

    async def __call__(self, request: Request) -> dict[str, str]:
        return {"embedding": await self.batched((await request.json())["input"])}


if __name__ == "__main__":
    ray.init(
        num_cpus=2,
        include_dashboard=False,
        object_store_memory=100 * 1024 * 1024,
        log_to_driver=False,
        _node_ip_address="127.0.0.1",
    )
    serve.start(http_options={"host": "127.0.0.1", "port": ORDER.port})
    serve.run(Model.bind(ORDER), route_prefix="/embed")  # type: ignore[attr-defined]
    signal.sigwait([signal.SIGTERM, signal.SIGINT])
    serve.shutdown()
    ray.shutdown()
