"""Usage of requests with several answers, where the engine counts each answer by itself.

llama.cpp does: a stream has the usage of each answer at its end, a whole answer only that of the
first. Other engines count all of them together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from headway.engines.reported import reported_count

Usage = Mapping[str, msgspec.Raw]


class Several:
    """The answers that one request asks for.

    Args:
        prompt: the field of a completion; None: a chat.
        n: answers to each prompt.
    """

    def __init__(self, prompt: msgspec.Raw | None, n: int) -> None:
        self._prompts = _sizes(prompt)
        self._n = n
        self.number = n * len(self._prompts)
        """How many they are."""
        self._prompt_tokens = 0
        self._output_tokens = 0

    def so_far(self, usage: Usage) -> dict[str, msgspec.Raw]:
        """The usage of all answers that have ended: `usage` is that of one more."""
        self._prompt_tokens += reported_count(usage.get("prompt_tokens")) or 0
        self._output_tokens += reported_count(usage.get("completion_tokens")) or 0
        return _with(usage, self._prompt_tokens // self._n, self._output_tokens)

    def whole(
        self, usage: Usage, answers: Sequence[int], most_tokens: int | None
    ) -> dict[str, msgspec.Raw]:
        """The usage of all answers, estimated from their sizes: `usage` is that of the first.

        Args:
            usage: as the engine reports it.
            answers: the bytes of each.
            most_tokens: the limit of each; None: there is none.
        """
        prompt_tokens = reported_count(usage.get("prompt_tokens"))
        output_tokens = reported_count(usage.get("completion_tokens"))
        if prompt_tokens is None or output_tokens is None:
            return dict(usage)
        produced = _scaled(output_tokens, answers)
        if most_tokens is not None:
            produced = min(produced, most_tokens * self.number)
        return _with(usage, _scaled(prompt_tokens, self._prompts), produced)


def _with(usage: Usage, prompt_tokens: int, output_tokens: int) -> dict[str, msgspec.Raw]:
    counts = {
        "prompt_tokens": prompt_tokens,
        "completion_tokens": output_tokens,
        "total_tokens": prompt_tokens + output_tokens,
    }
    encoded = {name: msgspec.Raw(msgspec.json.encode(count)) for name, count in counts.items()}
    return {**usage, **encoded}


def _scaled(first_tokens: int, sizes: Sequence[int]) -> int:
    """The tokens of all, if the first one has so many."""
    if not sizes or not sizes[0]:
        return first_tokens * max(1, len(sizes))
    return round(first_tokens * sum(sizes) / sizes[0])


def _sizes(prompt: msgspec.Raw | None) -> list[int]:
    """The size of each prompt: bytes of a text, or number of token ids."""
    if prompt is None:
        return [1]
    try:
        given = msgspec.json.decode(prompt, type=list[str | list[int]])
    except (msgspec.DecodeError, UnicodeDecodeError):
        return [1]  # one text, or the ids of one
    return [len(one.encode() if isinstance(one, str) else one) for one in given] or [1]
