"""The child process of the embedded engine: `python -m headway.engines.llama_child SETTINGS`.

Reads its API key from the first line of its standard input, since everybody can see arguments.
Writes one line of JSON when it is ready (`{"url": ...}`) or cannot be (`{"error": ...}`), and
ends when its standard input does: its parent holds the other end.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
import threading
from typing import Any

_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Load the model and serve until the parent is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which drains first
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    api_key = sys.stdin.readline().strip()
    threading.Thread(target=_end_with_parent, daemon=True).start()
    # Only our own line may appear on standard output: the engine's prints go to standard error.
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    settings: dict[str, Any] = json.loads(sys.argv[1])
    try:
        server = serve(api_key=api_key, **settings)
    except Exception as error:
        print(json.dumps({"error": str(error)}), file=out, flush=True)
        os._exit(1)
    print(json.dumps({"url": server.listening_address}), file=out, flush=True)
    threading.Event().wait()


def serve(
    api_key: str, model: str, alias: str, slots: int, threads: int, context_tokens: int
) -> Any:
    """llama.cpp's server on a free loopback port, loaded and listening."""
    # Threads that spin for long while they wait for each other lose nearly all speed as soon as
    # anything else wants the cores (7 tokens/s instead of 36 were seen); a short spin is as fast
    # on an idle machine.
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")
    from xllamacpp import CommonParams, Server  # type: ignore[import-untyped]

    params = CommonParams()
    params.model.path = model
    params.model_alias = [alias]
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    # Other users of this machine and pages in its browsers reach the port, too.
    params.api_keys = [api_key]
    params.cors_origins = ""
    params.cors_credentials = False
    params.n_parallel = slots
    # Every slot has a KV memory of its own. With one for all (kv_unified), slots that are no
    # neighbours would be computed together, a fifth faster, but nearly every greedy answer would
    # depend on who else runs: 44 of 50 differed between two runs, here 0 to 4 do.
    params.n_ctx = context_tokens * slots
    params.cpuparams.n_threads = threads
    params.cpuparams_batch.n_threads = threads
    params.use_jinja = True
    params.endpoint_slots = True
    params.endpoint_metrics = True
    params.ui = False
    params.verbosity = 1  # errors only
    # A slot is taken over for what it shares with the new prompt only where that is most of it.
    # Otherwise llama.cpp saves what the slot holds before it is overwritten, and a preempted
    # request finds it again; a shared system prompt alone would make it forget short ones. With
    # one slot there is nothing to choose, and everything is saved.
    params.slot_prompt_similarity = 0.0 if slots == 1 else 0.7
    return Server(params)


def _end_with_parent() -> None:
    while os.read(0, 4096):
        pass
    os._exit(0)


if __name__ == "__main__":
    main()
