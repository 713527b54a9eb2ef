"""A client that sends the bytes it is given, right or wrong, and reads what comes back."""

from __future__ import annotations

import asyncio
import json
import math
import socket
import struct
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from tests.gateway.conftest import HELLO

CHAT = "/v1/chat/completions"
GOOD = json.dumps({"model": "fake", "messages": HELLO}).encode()
STREAMED = json.dumps({"model": "fake", "messages": HELLO, "stream": True}).encode()
LIMIT_S = 30.0


@dataclass(frozen=True)
class Answer:
    """One response, its body without chunks."""

    status: int
    headers: tuple[tuple[str, str], ...]
    """Names in lower case."""
    body: bytes

    def all(self, name: str) -> list[str]:
        return [value for known, value in self.headers if known == name]

    def error(self) -> dict[str, Any]:
        """The error object, after a check of its shape."""
        error = json.loads(self.body)["error"]
        assert set(error) == {"message", "type", "param", "code"}
        assert error["code"] and 0 < len(error["message"]) < 400
        return error


class RawClient:
    """One connection to a gateway.

    Args:
        host: as its address has it, with the port.
        reader, writer: the connection.
    """

    def __init__(
        self, host: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.host = host.encode()
        self._reader = reader
        self._writer = writer

    def request(
        self,
        method: str = "POST",
        target: str | bytes = CHAT,
        *headers: bytes,
        body: bytes | None = None,
        version: bytes = b"1.1",
    ) -> bytes:
        """A well-formed request, but for what the test makes of it."""
        target = target.encode() if isinstance(target, str) else target
        lines = [b"%b %b HTTP/%b" % (method.encode(), target, version), b"Host: " + self.host]
        lines += headers
        if body is not None:
            lines.append(b"Content-Length: %d" % len(body))
        return b"\r\n".join([*lines, b"", body or b""])

    def send(self, *parts: bytes) -> None:
        self._writer.writelines(parts)

    async def send_in_packets(self, parts: Iterable[bytes], pause_s: float = 0.01) -> None:
        """One packet for each part; stops without an error when the server closes."""
        for part in parts:
            if self._writer.is_closing():
                return
            self._writer.write(part)
            try:
                await self._writer.drain()
            except ConnectionError:
                return
            await asyncio.sleep(pause_s)

    async def send_until_closed(self, part: bytes, most_bytes: float = math.inf) -> bool:
        """The same part again and again; whether the server closed before `most_bytes`."""
        sent = 0
        try:
            async with asyncio.timeout(2 * LIMIT_S):
                while sent < most_bytes:
                    if self._reader.at_eof():
                        return True
                    self._writer.write(part)
                    await self._writer.drain()
                    await asyncio.sleep(0.001)
                    sent += len(part)
        except ConnectionError:
            return True
        except TimeoutError:
            pass
        return False

    async def answer(self, *, to_head: bool = False, limit_s: float = LIMIT_S) -> Answer:
        """The next response; `100 Continue` counts as one."""
        async with asyncio.timeout(limit_s):
            head = await self._reader.readuntil(b"\r\n\r\n")
            first, *lines = head[:-4].split(b"\r\n")
            version, status, *_ = first.split(b" ", 2)
            assert version in (b"HTTP/1.1", b"HTTP/1.0"), first
            headers = tuple(
                (name.decode().lower(), value.decode("latin-1").strip())
                for name, _, value in (line.partition(b":") for line in lines)
            )
            known = dict(headers)
            body = b""
            if to_head or int(status) < 200 or int(status) in (204, 304):
                pass
            elif known.get("transfer-encoding") == "chunked":
                body = await self._chunks()
            elif "content-length" in known:
                body = await self._reader.readexactly(int(known["content-length"]))
            else:
                body = await self._reader.read()
        return Answer(int(status), headers, body)

    async def _chunks(self) -> bytes:
        body = b""
        while size := int(await self._reader.readuntil(b"\r\n"), 16):
            body += await self._reader.readexactly(size)
            assert await self._reader.readexactly(2) == b"\r\n"
        assert await self._reader.readexactly(2) == b"\r\n"
        return body

    async def read(self, most_bytes: int) -> bytes:
        """At least a byte of what comes next; empty once the server has closed."""
        async with asyncio.timeout(LIMIT_S):
            return await self._reader.read(most_bytes)

    async def rest(self, limit_s: float = LIMIT_S) -> bytes:
        """Everything until the server closes, which it must."""
        async with asyncio.timeout(limit_s):
            try:
                return await self._reader.read()
            except ConnectionError:
                return b""

    async def refused(self, *statuses: int) -> Answer:
        """An error answer, and the end of the connection: nothing that was sent later is served."""
        answer = await self.answer()
        assert answer.status in statuses, answer
        answer.error()
        assert await self.rest() == b""
        return answer

    def half_close(self) -> None:
        """Say that no more will be sent, and go on reading."""
        self._writer.write_eof()

    def close(self) -> None:
        self._writer.close()

    def reset(self) -> None:
        """Go away as a crashed client does, with a reset."""
        linger = struct.pack("ii", 1, 0)
        sock = self._writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self._writer.transport.abort()


@asynccontextmanager
async def connected(address: str, receive_buffer: int | None = None) -> AsyncIterator[RawClient]:
    """A connection to the gateway at `address`.

    Args:
        address: `http://host:port`.
        receive_buffer: bytes that the system takes for a client that does not read.
    """
    host = address.removeprefix("http://")
    sock = socket.socket()
    if receive_buffer is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    sock.setblocking(False)
    name, port = host.split(":")
    await asyncio.get_running_loop().sock_connect(sock, (name, int(port)))
    reader, writer = await asyncio.open_connection(sock=sock, limit=1 << 16)
    try:
        yield RawClient(host, reader, writer)
    finally:
        writer.close()


def chunked(body: bytes, *trailers: bytes, size: int = 16) -> bytes:
    """`body` in chunks, with trailers after the last one."""
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
    return chunks + b"\r\n".join([b"0", *trailers, b"", b""])
