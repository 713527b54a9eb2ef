"""Where a backend is and how the operator wants it used."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One OpenAI-compatible server, as configured."""

    name: str
    url: str
    """With or without the trailing `/v1`."""
    api_key: str | None = None
    max_concurrency: int | None = None
    """Requests to keep in flight there; None: the slots it tells, else an adaptive limit."""
    models: tuple[str, ...] = ()
    """Model names to offer instead of those it lists."""

    @property
    def base_url(self) -> str:
        """The URL without a trailing slash and without `/v1`."""
        return self.url.rstrip("/").removesuffix("/v1").rstrip("/")
