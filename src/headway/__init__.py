"""Headway: the scheduler for LLM work."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from headway.batching.function import batched

__all__ = ["batched"]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """What a program may use, imported when it does: `import headway` stays cheap."""
    if name == "batched":
        from headway.batching.function import batched

        return batched
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
