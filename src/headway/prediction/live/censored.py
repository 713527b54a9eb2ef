"""What answers truncated by their own `max_tokens` say about lengths."""

from __future__ import annotations

from headway.prediction.models.bins import BIN_TOKENS, bin_of


def cut_off(output_tokens: int, max_tokens: int | None) -> bool:
    """Whether an answer ended at its own limit, and might have been longer."""
    return max_tokens is not None and output_tokens >= max_tokens


def teaches(output_tokens: int, expected_tokens: float) -> bool:
    """Whether to learn from a truncated answer as if it had ended there by itself.

    Args:
        output_tokens: its length, which is its limit.
        expected_tokens: the typical length of similar answers without that limit.
    """
    # Its full length is unknown, but at least `output_tokens`. Below the typical length that is no
    # information, and taken for a length it would make a wordy model look terse. From the typical
    # length on it counts, although too short: where most answers are cut at one common limit, only
    # the short ones would remain to learn from.
    return BIN_TOKENS[bin_of(output_tokens)] >= expected_tokens
