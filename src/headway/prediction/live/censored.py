"""What an answer that its own `max_tokens` cut off still says of lengths."""

from __future__ import annotations

from headway.prediction.models.bins import BIN_TOKENS, bin_of


def cut_off(output_tokens: int, max_tokens: int | None) -> bool:
    """Whether its own limit ended an answer, which might have become longer."""
    return max_tokens is not None and output_tokens >= max_tokens


def teaches(output_tokens: int, expected_tokens: float) -> bool:
    """Whether an answer cut off at `output_tokens` is to be learned from as if it ended there.

    Args:
        output_tokens: its length, which is its limit.
        expected_tokens: the typical length of its like, without that limit.
    """
    # How long it would have become nobody knows, only that it was at least so long. Below what is
    # typical that is no news, and taken for a length it would make a wordy model look terse. From
    # there on it is taken for one, too short as it is: where most answers are cut at one usual
    # limit, those that are not would else be all that is known, and they are the short ones.
    return BIN_TOKENS[bin_of(output_tokens)] >= expected_tokens
