"""An OpenAI event stream on its way through: counted, and otherwise left alone."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

DONE = b"data: [DONE]\n\n"

_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])


class EventRelay:
    """Passes the blocks of a backend's stream through, whatever their boundaries.

    Only events with a usage object are touched: they get Headway's part if the client asked
    for usage, and are kept from it otherwise (Headway asks for usage always, to learn lengths).

    Args:
        wants_usage: whether the client asked for usage.
        usage: given the backend's usage object, the one to send on.
    """

    __slots__ = ("_rest", "_usage", "_wants_usage", "done", "events")

    def __init__(
        self,
        wants_usage: bool,
        usage: Callable[[dict[str, msgspec.Raw]], dict[str, msgspec.Raw]],
    ) -> None:
        self._wants_usage = wants_usage
        self._usage = usage
        self._rest = b""
        self.events = 0
        """Events so far that carry output."""
        self.done = False
        """Whether the stream came to its proper end."""

    def feed(self, block: bytes) -> bytes:
        """What to send on now that `block` came."""
        if self._rest:
            block = self._rest + block
            self._rest = b""
        if b"\r" in block:
            # Inside JSON a carriage return is always escaped: this one ends a line.
            held = b"\r" if block.endswith(b"\r") else b""
            block = block[: len(block) - len(held)].replace(b"\r\n", b"\n")
        else:
            held = b""
        if not block.endswith(b"\n\n"):
            whole, separator, self._rest = block.rpartition(b"\n\n")
            block = whole + separator
        self._rest += held
        if b'"usage":{' not in block and b'"usage": {' not in block and b"[DONE]" not in block:
            self.events += block.count(b"\n\n")
            return block
        return b"".join(map(self._event, block.split(b"\n\n")[:-1]))

    def _event(self, event: bytes) -> bytes:
        if event.strip() == b"data: [DONE]":
            self.done = True
            return DONE
        if not event.startswith(b"data:") or b'"usage"' not in event:
            self.events += 1
            return event + b"\n\n"
        try:
            chunk = _OBJECT.decode(event[5:])
            usage = _OBJECT.decode(chunk.get("usage", b"null"))
        except (msgspec.DecodeError, UnicodeDecodeError):
            self.events += 1
            return event + b"\n\n"
        mine = self._usage(usage)
        if bytes(chunk.get("choices", b"[]")).strip() != b"[]":
            # Some servers put usage into the last event that has output.
            self.events += 1
        elif not self._wants_usage:
            return b""
        if self._wants_usage:
            chunk["usage"] = msgspec.Raw(msgspec.json.encode(mine))
            return b"data: " + msgspec.json.encode(chunk) + b"\n\n"
        return event + b"\n\n"
