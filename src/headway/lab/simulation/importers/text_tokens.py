"""Numbers of tokens where a trace has the texts and not the numbers."""

from __future__ import annotations

BYTES_PER_TOKEN = 4
"""Of English text, about; the gateway counts so before an engine has counted."""


def tokens_of(text: str) -> int:
    """Its tokens, about; 0 only where it is empty."""
    return -(-len(text.encode()) // BYTES_PER_TOKEN)


def shared_tokens(first: str, second: str) -> int:
    """The tokens, about, with which both texts begin."""
    least, most = 0, min(len(first), len(second))
    while least < most:  # comparing halves: prompts are long
        middle = (least + most + 1) // 2
        if first[:middle] == second[:middle]:
            least = middle
        else:
            most = middle - 1
    return len(first[:least].encode()) // BYTES_PER_TOKEN
