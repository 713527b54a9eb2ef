"""The `headway` command as a user meets it: a process, what it prints, its exit code."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import pytest
import yaml

from headway import __version__


def headway(*arguments: object, **variables: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("HEADWAY_")}
    return subprocess.run(
        [sys.executable, "-c", "from headway.cli import main; main()", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=60,
        env=clean | variables,
    )


def one_line_failure(done: subprocess.CompletedProcess[str], code: int) -> str:
    assert done.returncode == code, done.stderr
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("headway: ")
    return line.removeprefix("headway: ")


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_version() -> None:
    assert headway("version").stdout == f"headway {__version__}\n"
    assert headway("--version").stdout == f"headway {__version__}\n"


def test_help_lists_every_command() -> None:
    out = headway("--help").stdout
    assert all(name in out for name in ("serve", "bench", "config", "key", "version"))
    assert headway("-h").stdout == out
    assert "--policies" in headway("bench", "-h").stdout
    assert "Make an API key" in headway("key", "new", "-h").stdout
    assert "--backend" in headway("serve", "--help").stdout


def test_config_show_names_the_source_of_each_setting() -> None:
    Path("headway.yaml").write_text(
        "policy: fcfs\n"
        "backends:\n"
        "- url: http://a:1/v1\n"
        "  api_key: hush\n"
        "  models: [one, two]\n"
        "- url: http://b:1\n"
    )
    done = headway("config", "show", "--set", "log.prompts=true", HEADWAY_PORT="9")
    assert done.returncode == 0, done.stderr
    lines = {line.split(":")[0].strip(" -"): line for line in done.stdout.splitlines()}
    assert re.fullmatch(r'policy: "fcfs" +# headway.yaml:1', lines["policy"])
    assert re.fullmatch(r"port: 9 +# HEADWAY_PORT", lines["port"])
    assert re.fullmatch(r"  prompts: true +# --set log.prompts", lines["prompts"])
    assert re.fullmatch(r"slots: null +# default", lines["slots"])
    assert "hush" not in done.stdout
    shown = yaml.safe_load(done.stdout)
    assert [backend["url"] for backend in shown["backends"]] == ["http://a:1/v1", "http://b:1"]
    assert shown["backends"][0]["models"] == {"one": "one", "two": "two"}


def test_what_config_show_prints_is_a_configuration() -> None:
    first = headway("config", "show", "--set", "tenant_weights={acme: 2}").stdout
    Path("shown.yaml").write_text(first)
    second = headway("config", "show", "--config", "shown.yaml").stdout
    assert yaml.safe_load(second) == yaml.safe_load(first)
    assert yaml.safe_load(first)["tenant_weights"] == {"acme": 2.0}


def test_a_new_key_is_shown_once_and_kept_as_its_hash() -> None:
    out = headway("key", "new", "my app").stdout
    key = re.search(r"hw-\S{43}", out)
    assert key is not None
    snippet = yaml.safe_load(out[out.index("keys:") :])
    assert snippet == {"keys": [{"name": "my app", "sha256": sha256(key[0].encode()).hexdigest()}]}
    Path("headway.yaml").write_text(yaml.safe_dump(snippet))
    assert headway("config", "show").returncode == 0
    assert headway("key", "new", "my app").stdout != out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--policy", "fifo"), "--policy: policy: 'fifo' is not one of"),
        (("--backend", "gpu:8000"), "--backend: backends[0].url: 'gpu:8000' is not an http"),
        (("--set", "polcy=fcfs"), "--set polcy: unknown setting 'polcy'; did you mean policy?"),
        (("--set", "policy"), "--set policy: write it as KEY=VALUE"),
        (("--set", "policy=[1"), "--set policy: the value is not YAML"),
        (("--config", "none.yaml"), "none.yaml: cannot be read"),
        (("--max-concurrency", "3"), "--max-concurrency is for --backend"),
        (("--host", "0.0.0.0"), "host 0.0.0.0 is open to other machines and there are no API keys"),
    ],
)
def test_a_wrong_setting_is_one_line_and_exit_code_2(
    arguments: tuple[str, ...], message: str
) -> None:
    assert one_line_failure(headway("serve", *arguments), 2).startswith(message)


def test_a_wrong_variable_is_one_line_and_exit_code_2() -> None:
    done = headway("config", "show", HEADWAY_POLCY="fcfs")
    assert one_line_failure(done, 2) == (
        "HEADWAY_POLCY: unknown setting 'polcy'; did you mean HEADWAY_POLICY?"
    )


def test_a_taken_port_says_what_to_do() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        line = one_line_failure(headway("serve", "--port", port), 1)
    assert line == f"port {port} on 127.0.0.1 is taken: stop what uses it, or choose another --port"


def test_a_host_of_another_machine_says_what_to_do() -> None:
    line = one_line_failure(headway("serve", "--host", "192.0.2.1", "--allow-open"), 1)
    assert line == "host 192.0.2.1 is no address of this machine: choose another --host"


def test_a_model_file_that_is_none_says_what_to_do() -> None:
    Path("model.gguf").write_bytes(b"GGUF but not really" * 1000)
    done = headway("serve", "--model", "model.gguf", "--port", "0", HEADWAY_LOG__REQUESTS_DB="null")
    assert "model.gguf" in one_line_failure(done, 1)


def test_a_model_file_that_is_not_there_says_what_to_do() -> None:
    done = headway("serve", "--model", "none.gguf", "--port", "0", HEADWAY_LOG__REQUESTS_DB="null")
    assert "none.gguf" in one_line_failure(done, 1)


def test_a_place_that_cannot_hold_the_request_log_says_what_to_do() -> None:
    Path("file").write_text("")
    done = headway(
        "serve", "--backend", "http://127.0.0.1:9", "--port", "0",
        HEADWAY_LOG__REQUESTS_DB="file/requests.db",
    )  # fmt: skip
    assert "set log.requests_db to another path" in one_line_failure(done, 1)


@pytest.mark.skipif(sys.platform == "win32", reason="resource limits are POSIX")
def test_a_full_disk_at_the_start_says_what_to_do() -> None:
    script = (
        "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000));"
        "from headway.cli import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, "serve", "--backend", "http://127.0.0.1:9", "--port", "0",
         "--set", "log.requests_db=requests.db"],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert "free disk space" in one_line_failure(done, 1)
