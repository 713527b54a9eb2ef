"""Headway: the scheduler for LLM work."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from headway.batching.function import batched
    from headway.workflows.branches import gather
    from headway.workflows.branches import map_ as map
    from headway.workflows.definition import task, workflow
    from headway.workflows.model import embed, llm, now, predict, prompt, random
    from headway.workflows.waits import ask, receive, sleep, sleep_until

_HOMES = {
    "batched": "headway.batching.function",
    "gather": "headway.workflows.branches",
    "map": "headway.workflows.branches",
    "task": "headway.workflows.definition",
    "workflow": "headway.workflows.definition",
    "embed": "headway.workflows.model",
    "llm": "headway.workflows.model",
    "now": "headway.workflows.model",
    "predict": "headway.workflows.model",
    "prompt": "headway.workflows.model",
    "random": "headway.workflows.model",
    "ask": "headway.workflows.waits",
    "receive": "headway.workflows.waits",
    "sleep": "headway.workflows.waits",
    "sleep_until": "headway.workflows.waits",
}
"""Where what a program may use is defined."""

__all__ = [
    "ask",
    "batched",
    "embed",
    "gather",
    "llm",
    "map",
    "now",
    "predict",
    "prompt",
    "random",
    "receive",
    "sleep",
    "sleep_until",
    "task",
    "workflow",
]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """What a program may use, imported when it does: `import headway` stays cheap."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), "map_" if name == "map" else name)
    globals()[name] = value  # found at once the next time
    return value
