"""The script that keeps the slots of all gateways in Redis."""

from __future__ import annotations

from functools import cached_property
from hashlib import sha1
from importlib.resources import files
from typing import Literal

Event = Literal["join", "post", "sync", "beat", "leave"]

LAYOUT = 1
"""Of the keys' values; gateways with another one do not understand each other."""
_KEYS = ("leases", "posts", "alive", "state", "expected")


class SlotScript:
    """The commands that call the script.

    Args:
        prefix: of its keys, which a cluster keeps together.
    """

    def __init__(self, prefix: str) -> None:
        self.keys = tuple(f"{{{prefix}}}:{LAYOUT}:{name}" for name in _KEYS)

    @cached_property
    def text(self) -> bytes:
        """The script itself."""
        return files("headway.sharing").joinpath("slots.lua").read_bytes()

    @cached_property
    def sha(self) -> str:
        """How Redis names it."""
        return sha1(self.text, usedforsecurity=False).hexdigest()

    def channel(self, gateway: str) -> str:
        """Where that gateway gets what was decided at others' calls."""
        return f"{self.keys[0]}:{gateway}"

    def call(
        self, event: Event, gateway: str, token: int, lease_s: float, said: bytes = b""
    ) -> tuple[str | int | bytes, ...]:
        """The command, which fails with NOSCRIPT where `load` did not come before it."""
        lease_ms = round(lease_s * 1000)
        arguments = (event, gateway, token, lease_ms, said)
        return ("EVALSHA", self.sha, len(self.keys), *self.keys, *arguments)

    def load(self) -> tuple[str | bytes, ...]:
        """The command that makes the script known."""
        return ("SCRIPT", "LOAD", self.text)
