"""HTTPS, with a certificate of the operator's."""

from __future__ import annotations

import ssl
from pathlib import Path

import aiohttp
import pytest
import trustme
from tests.gateway.conftest import HELLO, Serve
from tests.gateway.fake_backend import FakeBackend

from headway.gateway.http.server import CertificateError

CHAT = "/v1/chat/completions"


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def files(authority: trustme.CA, tmp_path: Path) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1, and its key."""
    issued = authority.issue_cert("127.0.0.1")
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    issued.cert_chain_pems[0].write_to_path(str(cert))
    issued.private_key_pem.write_to_path(str(key))
    return cert, key


async def test_answers_and_streams(
    serve: Serve,
    backend: FakeBackend,
    http: aiohttp.ClientSession,
    authority: trustme.CA,
    files: tuple[Path, Path],
) -> None:
    gateway = await serve(backend, tls_cert=files[0], tls_key=files[1])
    assert gateway.address.startswith("https://127.0.0.1:")
    context = ssl.create_default_context()
    authority.configure_trust(context)
    body = {"model": "fake", "messages": HELLO}
    async with http.post(gateway.address + CHAT, json=body, ssl=context) as answer:
        assert (await answer.json())["usage"]["completion_tokens"] == 100
    body["stream"] = True
    async with http.post(gateway.address + CHAT, json=body, ssl=context) as answer:
        assert (await answer.content.read()).endswith(b"data: [DONE]\n\n")


async def test_plain_http_is_not_answered(
    serve: Serve, backend: FakeBackend, http: aiohttp.ClientSession, files: tuple[Path, Path]
) -> None:
    gateway = await serve(backend, tls_cert=files[0], tls_key=files[1])
    with pytest.raises(aiohttp.ClientError):
        await http.get(gateway.address.replace("https", "http") + "/healthz")


async def test_files_that_are_no_certificate_stop_the_start(
    serve: Serve, backend: FakeBackend, tmp_path: Path
) -> None:
    wrong = tmp_path / "cert.pem"
    wrong.write_text("no certificate")
    for path in (wrong, tmp_path / "missing.pem"):
        with pytest.raises(CertificateError, match=f"{path} cannot be used"):
            await serve(backend, tls_cert=path)
