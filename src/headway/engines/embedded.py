"""The embedded engine: llama.cpp in a child process that is restarted when it dies."""

from __future__ import annotations

from pathlib import Path


class EmbeddedServer:
    """Supervises one llama.cpp child process on a loopback port."""

    def __init__(
        self,
        model: Path,
        *,
        name: str = "embedded",
        slots: int | None = None,
        threads: int | None = None,
        context_tokens: int = 4096,
        alias: str | None = None,
    ) -> None:
        """`context_tokens` is per slot; None means: what the machine has."""
        raise NotImplementedError

    async def start(self) -> None:
        """Start it and wait until it is ready. Raises ModelError when it cannot load the model."""
        raise NotImplementedError

    async def stop(self) -> None:
        """End the child and stop supervising."""
        raise NotImplementedError
