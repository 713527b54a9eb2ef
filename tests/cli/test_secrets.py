"""A secret that was configured, in its place or in a wrong one, is never printed."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
from hashlib import sha256
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

from headway.cli import main
from headway.gateway.api.errors import from_engine

MARK = "m4rk3d-s3cret"


@pytest.fixture(autouse=True)
def clean(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for variable in [name for name in os.environ if name.startswith("HEADWAY_")]:
        monkeypatch.delenv(variable)


def run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str
) -> tuple[int, str]:
    """Exit code, and everything that was printed."""
    monkeypatch.setattr(sys, "argv", ["headway", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    out, err = capsys.readouterr()
    return int(ended.value.code or 0), out + err


def test_config_show_hides_what_is_right(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CLOUD_API_KEY", MARK)
    Path("headway.yaml").write_text(
        "backends:\n"
        f"- url: http://ann:{MARK}@a:1/v1\n"
        f"- url: http://{MARK}@b:1/v1\n"
        f"- url: http://c:1/v1?api_key={MARK}\n"
        f"- url: http://d:1/v1\n  api_key: {MARK}\n"
        "- url: http://e:1/v1\n  api_key_env: CLOUD_API_KEY\n"
        f"models:\n- name: m\n  path: http://ann:{MARK}@f:1/v2/models/m\n"
        f"keys:\n- name: k\n  sha256: {sha256(MARK.encode()).hexdigest()}\n"
    )
    code, printed = run(monkeypatch, capsys, "config", "show")
    assert code == 0
    assert MARK not in printed
    assert "http://***@a:1/v1" in printed and "CLOUD_API_KEY" in printed


@pytest.mark.parametrize(
    "text",
    [
        f"backends: http://ann:{MARK}@a",
        f"backends: {MARK}",
        f"backends: [{MARK}]",
        f"backends: ['http://ann:{MARK}@a']",
        f"backends: [{{url: 'htps://ann:{MARK}@a'}}]",
        f"backends: [{{url: 'ann:{MARK}@a:8000'}}]",
        f"backends: [{{url: http://a, api_key: [{MARK}]}}]",
        f"backends: [{{url: http://a, api_key: {{is: {MARK}}}}}]",
        f"backends: [{{url: http://a, api_key_env: {MARK}}}]",
        f"backends: [{{url: http://a, api_key_env: {MARK}, api_key: {MARK}}}]",
        f"backends: [{{url: http://a, api_keys: {MARK}}}]",
        f"backends: [{{url: http://a, api_key: {MARK}, max_concurrency: 0}}]",
        f"backends: [{{api_key: {MARK}}}]",
        f"backends:\n- url: http://a\n  api_key: *{MARK}",
        f"backends:\n- url: http://a\n  api_key: !{MARK} x",
        f'backends:\n- url: http://a\n  api_key: "{MARK}',
        f"backends:\n- url: http://a\n  api_key: @{MARK}",
        f"keys: {MARK}",
        f"keys: [{MARK}]",
        f"keys: {{{MARK}: {MARK}}}",
        f"keys: [{{name: a, sha256: {MARK}}}]",
        f"keys: [{{name: a, sha256: [{MARK}]}}]",
        f"keys: [{{name: a, key: {MARK}}}]",
        f"models: [{{name: a, path: [{MARK}]}}]",
        f"models: 'http://ann:{MARK}@a'",
        f"policy: 'http://ann:{MARK}@a'",
    ],
)
def test_an_error_in_the_file_does_not_repeat_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], text: str
) -> None:
    Path("headway.yaml").write_text(f"{text}\n")
    code, printed = run(monkeypatch, capsys, "config", "show")
    assert code == 2
    assert MARK not in printed
    assert printed.startswith("headway: headway.yaml:")


@pytest.mark.parametrize(
    "arguments",
    [
        ("--set", MARK),
        ("--set", f"{MARK}=="),
        ("--set", f"{MARK}.x=1"),
        ("--set", f"keys={MARK}"),
        ("--set", f"keys=[{{name: a, sha256: {MARK}}}]"),
        ("--set", f"backends=[{{url: 'a:{MARK}@b'}}]"),
        ("--set", f"backends=[{{url: http://a, api_key: !{MARK} x}}]"),
    ],
)
def test_an_error_in_a_flag_does_not_repeat_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]
) -> None:
    code, printed = run(monkeypatch, capsys, "config", "show", *arguments)
    assert code == 2
    assert MARK not in printed


def test_a_backend_s_flag_does_not_repeat_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, printed = run(monkeypatch, capsys, "serve", "--backend", f"ann:{MARK}@a:8000")
    assert code == 2
    assert MARK not in printed and "--backend: backends[0].url" in printed


def test_a_model_that_is_not_there_does_not_repeat_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ("--port", "0", "--set", "log.requests_db=null", "--model")
    code, printed = run(monkeypatch, capsys, "serve", *arguments, f"m=htps://ann:{MARK}@a/m")
    assert code == 1
    assert MARK not in printed


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("HEADWAY_API_KEY", MARK),
        ("HEADWAY_KEYS", MARK),
        ("HEADWAY_KEYS", f'["{MARK}"]'),
        ("HEADWAY_KEYS", f'[{{"name": "a", "sha256": "{MARK}"}}]'),
        ("HEADWAY_BACKENDS", f"http://ann:{MARK}@a"),
        ("HEADWAY_BACKENDS", f'["{MARK}"]'),
        ("HEADWAY_BACKENDS", f'[{{"url": "a:{MARK}@b"}}]'),
        ("HEADWAY_BACKENDS", f'[{{"url": "http://a", "api_key": ["{MARK}"]}}]'),
        ("HEADWAY_PORT", f"http://ann:{MARK}@a"),
        ("HEADWAY_HOSTS", f'["http://ann:{MARK}@a"]'),
    ],
)
def test_an_error_in_a_variable_does_not_repeat_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    _, printed = run(monkeypatch, capsys, "config", "show")
    assert MARK not in printed


def test_a_key_in_place_of_its_hash_is_met_with_what_to_do(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("headway.yaml").write_text(f"keys:\n- name: a\n  sha256: {MARK}\n")
    _, printed = run(monkeypatch, capsys, "config", "show")
    assert "headway.yaml:3: keys[0].sha256" in printed and "`headway key hash`" in printed
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{MARK}\n"))
    code, printed = run(monkeypatch, capsys, "key", "hash")
    assert (code, printed) == (0, f"{sha256(MARK.encode()).hexdigest()}\n")
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    code, printed = run(monkeypatch, capsys, "key", "hash")
    assert code == 1 and "no key" in printed


def test_what_a_backend_says_of_the_key_is_not_passed_on() -> None:
    body = json.dumps({"error": {"message": f"Incorrect API key provided: {MARK}"}}).encode()
    error = from_engine(401, body, {})
    assert error.code == "backend_refused" and MARK not in error.message


def test_a_gateway_whose_backends_are_down_shows_no_secret() -> None:
    Path("headway.yaml").write_text(
        "port: 0\n"
        "log: {requests_db: null, level: debug}\n"
        "limits: {unavailable_wait_s: 0}\n"
        "prediction: {predictor: off}\n"
        "backends:\n"
        f"- {{url: 'http://ann:{MARK}@127.0.0.1:9/v1', name: one}}\n"
        f"- {{url: 'http://127.0.0.1:9/v1', name: two, api_key: {MARK}}}\n"
        "models:\n"
        f"- {{name: m, path: 'http://ann:{MARK}@127.0.0.1:9/v2/models/m', preload: false}}\n"
    )
    with (
        Path("printed").open("w") as file,
        subprocess.Popen(
            [sys.executable, "-c", "from headway.cli import main; main()", "serve"],
            stdout=file,
            stderr=subprocess.STDOUT,
            env=os.environ | {"PYTHONUNBUFFERED": "1"},
        ) as process,
    ):
        try:
            address = _address(process)
            answers = [_get(f"{address}{path}") for path in ("/readyz", "/v1/headway/queue")]
            answers.append(_get(f"{address}/v2/models/m"))
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(20)
    assert "one" in answers[0] and "127.0.0.1:9" in answers[0] + answers[1]
    assert "cannot be reached" in answers[2]
    assert MARK not in "".join(answers)
    assert MARK not in Path("printed").read_text()


def _address(process: subprocess.Popen[bytes]) -> str:
    """Where it listens, once the banner says so."""
    deadline_s = time.monotonic() + 30.0
    while time.monotonic() < deadline_s and process.poll() is None:
        for line in Path("printed").read_text().splitlines():
            if line.startswith("Headway serves "):
                return line.removeprefix("Headway serves ").removesuffix("/v1")
        time.sleep(0.05)
    raise AssertionError(Path("printed").read_text())


def _get(url: str) -> str:
    try:
        with urlopen(url, timeout=10) as answer:
            return str(answer.read().decode())
    except HTTPError as error:
        return error.read().decode()
