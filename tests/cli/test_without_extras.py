"""What runs without the extra `serve`, and what is said where it is missing."""

from __future__ import annotations

import subprocess
import sys

import pytest

from headway.extras import install_extra


def without(module: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`headway ARGUMENTS` where `module` is not installed."""
    script = f"import sys; sys.modules[{module!r}] = None; from headway.cli import main; main()"
    return subprocess.run(
        [sys.executable, "-c", script, *arguments], capture_output=True, text=True, timeout=60
    )


def test_the_gateway_says_what_to_install() -> None:
    done = without("prometheus_client", "serve", "--backend", "http://127.0.0.1:1", "--port", "0")
    assert done.returncode == 2
    assert done.stderr.strip() == (
        f"headway: the gateway needs prometheus_client: {install_extra('serve')}"
    )


def test_a_check_says_what_to_install() -> None:
    assert install_extra("serve") in without("prometheus_client", "check").stderr


@pytest.mark.parametrize("module", ["prometheus_client", "uvloop", "xllamacpp"])
@pytest.mark.parametrize("command", ["simulate", "calibrate", "bench"])
def test_simulator_and_clients_need_no_extra(module: str, command: str) -> None:
    assert without(module, command, "--help").returncode == 0


def test_what_needs_no_gateway_needs_no_library_of_it() -> None:
    assert without("prometheus_client", "predictor", "info").returncode == 0
