"""The model behind LitServe: one worker process, one API server."""

from __future__ import annotations

import litserve
from served_model import Order

ORDER = Order.given()


class Model(litserve.LitAPI):
    """Batches of requests in, their answers out."""

    def setup(self, device: str) -> None:
        self.model = ORDER.load()

    # LitServe reads a body by the annotation of `request`; without one it takes any JSON.
    def decode_request(self, request) -> str:  # type: ignore[no-untyped-def]
        text: str = request["input"]
        return text

    def batch(self, inputs: list[str]) -> list[str]:
        return inputs

    def predict(self, texts: list[str]) -> list[str]:
        return self.model(texts)

    def unbatch(self, output: list[str]) -> list[str]:
        return output

    def encode_response(self, output: str) -> dict[str, str]:
        return {"embedding": output}


if __name__ == "__main__":
    api = Model(max_batch_size=ORDER.max_batch_size, batch_timeout=ORDER.wait_ms / 1000.0)
    server = litserve.LitServer(api, accelerator="cpu", workers_per_device=1, fast_queue=True)
    server.run(
        host="127.0.0.1",
        port=ORDER.port,
        log_level="error",
        generate_client_file=False,
        access_log=False,
    )
