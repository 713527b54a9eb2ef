"""The child process of the embedded engine: `python -m headway.engines.llama_child SETTINGS`.

Reads its API key from the first line of standard input, as arguments are visible to all users.
Writes one line of JSON once it is ready (`{"url": ...}`) or has failed (`{"error": ...}`). Exits
when standard input closes, as its parent holds the other end.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
import threading
from typing import Any

from headway.machine import saved_state_mib, usable_memory_mib

_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Load the model and serve until the parent is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent handles Ctrl-C and drains first
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    api_key = sys.stdin.readline().strip()
    threading.Thread(target=_end_with_parent, daemon=True).start()
    # Standard output is for our own line only: the engine's output goes to standard error.
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    settings: dict[str, Any] = json.loads(sys.argv[1])
    try:
        server = serve(api_key=api_key, **settings)
    except Exception as error:
        fields = {"error": str(error), "installed": not isinstance(error, ImportError)}
        print(json.dumps(fields), file=out, flush=True)
        os._exit(1)
    print(json.dumps({"url": server.listening_address}), file=out, flush=True)
    threading.Event().wait()


def serve(
    api_key: str, model: str, alias: str, slots: int, threads: int, context_tokens: int
) -> Any:
    """llama.cpp's server on a free loopback port, loaded and listening."""
    # Long spin-waits of threads make the engine far slower when other processes need the cores
    # (measured: 7 tokens/s instead of 36). Short ones are as fast on an idle machine.
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")
    from xllamacpp import CommonParams, Server  # type: ignore[import-untyped]

    params = CommonParams()
    params.model.path = model
    params.model_alias = [alias]
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    # Other users of this machine, and web pages in its browsers, can reach the port.
    params.api_keys = [api_key]
    params.cors_origins = ""
    params.cors_credentials = False
    params.n_parallel = slots
    # Every slot has its own KV cache. A shared one (kv_unified) is a fifth faster, as more slots
    # are computed together, but makes nearly every greedy answer depend on the other running
    # requests: 44 of 50 differed between two runs, against 0 to 4 here.
    params.n_ctx = context_tokens * slots
    params.cpuparams.n_threads = threads
    params.cpuparams_batch.n_threads = threads
    params.use_jinja = True
    params.endpoint_slots = True
    params.endpoint_metrics = True
    params.ui = False
    params.verbosity = 1  # errors only
    params.cache_ram_mib = saved_state_mib(usable_memory_mib())
    # A request reuses the contents of a slot only if they hold most of its prompt. Otherwise
    # llama.cpp saves them before overwriting them, so that a preempted request finds them again.
    # With a lower value, a shared system prompt would be enough to discard short ones. With one
    # slot, 0 turns the comparison off, and everything is saved.
    params.slot_prompt_similarity = 0.0 if slots == 1 else 0.7
    return Server(params)


def _end_with_parent() -> None:
    while os.read(0, 4096):
        pass
    os._exit(0)


if __name__ == "__main__":
    main()
