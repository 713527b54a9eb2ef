"""What pages in browsers may do with a gateway, and what its own pages and other clients may."""

from __future__ import annotations

import json

import aiohttp
import pytest
from tests.gateway.conftest import HELLO, Serve
from tests.gateway.fake_backend import FakeBackend

from headway.gateway.api.errors import ApiError
from headway.gateway.http.browsers import Browsers
from headway.gateway.keys.keys import hash_key
from headway.gateway.settings import ApiKey

HERE = "127.0.0.1:8080"
APP = "https://app.example"


def code(browsers: Browsers, **headers: str) -> str | None:
    """The error's code, None where the request passes."""
    try:
        browsers.check({name.replace("_", "-"): value for name, value in headers.items()})
    except ApiError as error:
        assert error.status == 403
        return error.code
    return None


@pytest.mark.parametrize(
    ("bound_to", "hosts", "host", "passes"),
    [
        ("127.0.0.1", (), "127.0.0.1:8080", True),
        ("127.0.0.1", (), "127.8.8.8", True),
        ("127.0.0.1", (), "localhost", True),
        ("127.0.0.1", (), "LOCALHOST:8080", True),
        ("127.0.0.1", (), "localhost.:8080", True),
        ("127.0.0.1", (), "headway.localhost:8080", True),
        ("::1", (), "[::1]:8080", True),
        ("localhost", (), "[::ffff:127.0.0.1]", True),
        ("127.0.0.1", (), "evil.example", False),
        ("127.0.0.1", (), "evil.example:8080", False),
        ("127.0.0.1", (), "localhost.evil.example", False),
        ("127.0.0.1", (), "127.0.0.1.evil.example", False),
        ("127.0.0.1", (), "10.0.0.1:8080", False),
        ("127.0.0.1", (), "", False),
        ("127.0.0.1", ("Gateway.internal",), "gateway.INTERNAL:443", True),
        ("127.0.0.1", ("gateway.internal",), "localhost", True),
        ("127.0.0.1", ("gateway.internal",), "other.internal", False),
        ("0.0.0.0", (), "whatever.example", True),
        ("0.0.0.0", ("gateway.internal",), "gateway.internal", True),
        ("0.0.0.0", ("gateway.internal",), "10.1.2.3:8080", True),
        ("0.0.0.0", ("gateway.internal",), "[fd00::1]:8080", True),
        ("0.0.0.0", ("gateway.internal",), "localhost:8080", True),
        ("0.0.0.0", ("gateway.internal",), "evil.example", False),
    ],
)
def test_a_gateway_answers_to_its_own_names(
    bound_to: str, hosts: tuple[str, ...], host: str, passes: bool
) -> None:
    assert code(Browsers(bound_to, hosts), host=host) == (None if passes else "host_not_allowed")


@pytest.mark.parametrize("bound_to", ["127.0.0.1", "0.0.0.0"])
@pytest.mark.parametrize("host", ["localhost@evil.example", "localhost:x", "[::1", "a b", ":80"])
def test_a_host_that_is_none_is_not_valid_http(bound_to: str, host: str) -> None:
    with pytest.raises(ApiError) as error:
        Browsers(bound_to).check({"host": host})
    assert (error.value.status, error.value.code) == (400, "invalid_http")


def test_a_client_without_a_host_is_no_browser() -> None:
    assert code(Browsers("127.0.0.1")) is None


@pytest.mark.parametrize(
    ("allowed", "headers", "passes"),
    [
        # No browser, or a page that is not from elsewhere.
        ((), {}, True),
        ((), {"sec_fetch_site": "none"}, True),
        ((), {"sec_fetch_site": "same-origin"}, True),
        ((), {"origin": "http://127.0.0.1:8080"}, True),
        ((), {"origin": "http://127.0.0.1:8080", "sec_fetch_site": "same-origin"}, True),
        # A page from elsewhere, whatever the kind of its request.
        ((), {"origin": APP}, False),
        ((), {"origin": APP, "content_type": "text/plain"}, False),
        ((), {"origin": "http://127.0.0.1:3000"}, False),
        ((), {"origin": "http://localhost:8080"}, False),
        ((), {"origin": "http://127.0.0.1"}, False),
        ((), {"origin": "null"}, False),
        ((), {"origin": ""}, False),
        ((), {"origin": "http://user@127.0.0.1:8080"}, False),
        ((), {"origin": "http://127.0.0.1:8080/path"}, False),
        ((), {"sec_fetch_site": "cross-site"}, False),
        ((), {"sec_fetch_site": "Cross-Site"}, False),
        # A link that somebody followed.
        ((), {"sec_fetch_site": "cross-site", "sec_fetch_mode": "navigate"}, True),
        ((), {"origin": "null", "sec_fetch_mode": "navigate"}, False),
        # What the operator allowed.
        ((APP,), {"origin": APP}, True),
        ((APP,), {"origin": APP, "sec_fetch_site": "cross-site"}, True),
        ((APP,), {"origin": "HTTPS://APP.EXAMPLE"}, True),
        ((APP,), {"origin": "http://app.example"}, False),
        ((APP,), {"origin": "https://app.example.evil"}, False),
        ((APP,), {"origin": "https://app.example:8443"}, False),
        ((APP,), {"origin": "null"}, False),
        ((APP,), {"sec_fetch_site": "cross-site"}, False),
        (("*",), {"origin": "https://any.example"}, True),
        (("*",), {"origin": "null"}, True),
        (("*",), {"sec_fetch_site": "cross-site"}, True),
    ],
)
def test_pages_of_other_origins_are_refused_unless_they_are_allowed(
    allowed: tuple[str, ...], headers: dict[str, str], passes: bool
) -> None:
    browsers = Browsers("127.0.0.1", allow_origins=allowed)
    assert code(browsers, host=HERE, **headers) == (None if passes else "origin_not_allowed")


@pytest.mark.parametrize(
    ("origin", "host", "own"),
    [
        ("https://gateway.example", "gateway.example", True),
        ("https://gateway.example", "gateway.example:443", True),
        ("http://gateway.example", "gateway.example:80", True),
        ("https://gateway.example:8443", "gateway.example:8443", True),
        ("https://gateway.example", "gateway.example:8443", False),
        ("ftp://gateway.example", "gateway.example", False),
    ],
)
def test_its_own_origin_is_what_it_was_reached_by_also_behind_tls(
    origin: str, host: str, own: bool
) -> None:
    expected = None if own else "origin_not_allowed"
    assert code(Browsers("0.0.0.0"), host=host, origin=origin) == expected


PREFLIGHT = {
    "host": HERE,
    "origin": APP,
    "access-control-request-method": "POST",
    "access-control-request-headers": "authorization,content-type,x-stainless-lang",
}


def test_a_preflight_of_an_allowed_origin_is_answered_in_full() -> None:
    answer = Browsers("127.0.0.1", allow_origins=[APP]).preflight("OPTIONS", PREFLIGHT)
    assert answer == {
        "Access-Control-Allow-Origin": APP,
        "Access-Control-Expose-Headers": "*",
        "Access-Control-Allow-Methods": "GET, HEAD, POST, OPTIONS",
        "Access-Control-Allow-Headers": "authorization,content-type,x-stainless-lang",
        "Access-Control-Max-Age": "7200",
        "Vary": "Origin, Access-Control-Request-Method, Access-Control-Request-Headers",
    }


def test_a_preflight_may_come_from_the_internet_to_a_private_network() -> None:
    asked = PREFLIGHT | {"access-control-request-private-network": "true"}
    answer = Browsers("127.0.0.1", allow_origins=["*"]).preflight("OPTIONS", asked)
    assert answer is not None
    assert answer["Access-Control-Allow-Private-Network"] == "true"
    assert answer["Access-Control-Allow-Origin"] == "*"


@pytest.mark.parametrize("names", ["", "x\r\nset-cookie: a=b", "x" * 5000, "ä"])
def test_a_preflight_is_not_repeated_blindly(names: str) -> None:
    asked = PREFLIGHT | {"access-control-request-headers": names}
    answer = Browsers("127.0.0.1", allow_origins=[APP]).preflight("OPTIONS", asked)
    assert answer is not None
    assert answer["Access-Control-Allow-Headers"] == "authorization, content-type, x-api-key"


@pytest.mark.parametrize(
    ("method", "without"),
    [("POST", None), ("OPTIONS", "origin"), ("OPTIONS", "access-control-request-method")],
)
def test_what_is_no_preflight_is_left_to_the_routes(method: str, without: str | None) -> None:
    asked = {name: value for name, value in PREFLIGHT.items() if name != without}
    assert Browsers("127.0.0.1", allow_origins=[APP]).preflight(method, asked) is None


def test_a_preflight_of_its_own_origin_gives_no_leave_to_anybody() -> None:
    asked = PREFLIGHT | {"origin": f"http://{HERE}"}
    assert Browsers("127.0.0.1").preflight("OPTIONS", asked) == {}


@pytest.mark.parametrize(
    ("allowed", "origin", "expected"),
    [
        ((), None, {}),
        ((), APP, {}),
        ((APP,), None, {"Vary": "Origin"}),
        ((APP,), "https://other.example", {"Vary": "Origin"}),
        (
            (APP,),
            APP,
            {
                "Vary": "Origin",
                "Access-Control-Allow-Origin": APP,
                "Access-Control-Expose-Headers": "*",
            },
        ),
        (
            ("*",),
            APP,
            {
                "Vary": "Origin",
                "Access-Control-Allow-Origin": "*",
                "Access-Control-Expose-Headers": "*",
            },
        ),
    ],
)
def test_answers_say_which_pages_may_read_them(
    allowed: tuple[str, ...], origin: str | None, expected: dict[str, str]
) -> None:
    headers = {} if origin is None else {"origin": origin}
    assert Browsers("127.0.0.1", allow_origins=allowed).headers(headers) == expected


# ---- over HTTP ------------------------------------------------------------------------------


CHAT = "/v1/chat/completions"
SENT = json.dumps({"model": "fake", "messages": HELLO})


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"Origin": APP, "Content-Type": "text/plain"}, "origin_not_allowed"),
        ({"Sec-Fetch-Site": "cross-site"}, "origin_not_allowed"),
        ({"Host": "evil.example"}, "host_not_allowed"),
    ],
)
async def test_what_a_page_may_not_send_never_reaches_a_backend(
    serve: Serve,
    backend: FakeBackend,
    http: aiohttp.ClientSession,
    headers: dict[str, str],
    code: str,
) -> None:
    gateway = await serve(backend)
    async with http.post(gateway.address + CHAT, data=SENT, headers=headers) as answer:
        assert answer.status == 403
        assert (await answer.json())["error"]["code"] == code
        assert "Access-Control-Allow-Origin" not in answer.headers
    async with http.options(gateway.address + CHAT, headers=PREFLIGHT | headers) as answer:
        assert answer.status == 403
    async with http.get(gateway.address + "/healthz", headers=headers) as answer:
        assert answer.status == 403
    assert not backend.requests


async def test_an_allowed_page_may_ask_and_read_every_kind_of_answer(
    serve: Serve, backend: FakeBackend, http: aiohttp.ClientSession
) -> None:
    key = ApiKey("app", hash_key("k1"))
    gateway = await serve(backend, allow_origins=(APP,), keys=(key,))
    asked = {name: value for name, value in PREFLIGHT.items() if name != "host"}
    async with http.options(gateway.address + CHAT, headers=asked) as answer:
        assert answer.status == 204
        assert answer.headers["Access-Control-Allow-Origin"] == APP
        assert "Access-Control-Request-Headers" in answer.headers["Vary"]
    stream = json.dumps({"model": "fake", "messages": HELLO, "stream": True})
    for sent, bearer, status in ((SENT, "k1", 200), (stream, "k1", 200), (SENT, "no", 401)):
        headers = {"Origin": APP, "Authorization": f"Bearer {bearer}"}
        async with http.post(gateway.address + CHAT, data=sent, headers=headers) as answer:
            assert answer.status == status
            assert answer.headers["Access-Control-Allow-Origin"] == APP
            assert answer.headers["Access-Control-Expose-Headers"] == "*"
            assert answer.headers["Vary"] == "Origin"
            await answer.read()
    async with http.get(gateway.address + "/nothing", headers={"Origin": APP}) as answer:
        assert (answer.status, answer.headers["Access-Control-Allow-Origin"]) == (404, APP)
