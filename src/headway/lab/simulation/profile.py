"""Profiles of engines: how long iterations take, and where the numbers come from."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, fields, replace
from functools import cached_property
from itertools import pairwise
from math import inf
from typing import Any

import msgspec

from headway.lab.simulation.errors import SimulationError

FROM_ZERO_ON = (
    "sequence_s",
    "decode_kv_s",
    "mixed_kv_s",
    "prefill_kv_s",
    "kv_tokens",
    "swap_s_per_token",
    "request_s",
    "mixing_s",
    "price_per_hour",
)
"""Fields of a profile that must not be negative."""


@dataclass(frozen=True)
class Profile:
    """Time and memory of one engine on one machine, for continuous batching.

    One iteration produces a token for every request that decodes, and computes a part of the
    prompts that are to be prefilled, together at most `batch_tokens` tokens. It takes

        dense(tokens) + sequences * sequence_s + decode_kv_s * (contexts of all that decode)
        + prefill_kv_s * (prompt tokens * the context before them)

    with `mixed_kv_s` in place of `decode_kv_s` if the iteration also computes prompts.

    `dense` is a straight line between measured points: nearly flat where weights are read
    for few tokens, steep where the arithmetic of many is what takes time.
    """

    name: str
    dense_tokens: tuple[float, ...]
    """Tokens of an iteration, rising, at which its time was measured."""
    dense_s: tuple[float, ...]
    sequence_s: float = 0.0
    decode_kv_s: float = 0.0
    """Per token of context, in each iteration: attention reads it once."""
    mixed_kv_s: float = 0.0
    """The same in an iteration that also computes prompts, with other kernels. 0: as without
    prompts."""
    prefill_kv_s: float = 0.0
    batch_tokens: int = 2048
    """Most tokens of one iteration (vLLM: max_num_batched_tokens; llama.cpp: n_batch)."""
    slots: int = 256
    """Requests at once (vLLM: max_num_seqs; llama.cpp: n_parallel)."""
    kv_tokens: int = 0
    """KV memory; 0: unlimited for slots and for the prefix cache."""
    block_tokens: int = 16
    """Size of the blocks in which KV memory is allocated."""
    swap_s_per_token: float = 0.0
    """Time to move a token's KV memory to the host or back; 0: evicted requests are recomputed."""
    prefix_cache: bool = True
    """Whether unused KV memory is kept as a prefix cache."""
    request_s: float = 0.0
    """Time of every request outside of the engine's loop: HTTP, tokenizing."""
    mixed: bool = True
    """Whether prompts are computed beside decoding (chunked prefill); else they go first."""
    apart: bool = False
    """Whether such an iteration is two passes through the model, one for prompts and one for
    decoding, as in llama.cpp; else all tokens share one pass."""
    piecewise: bool = False
    """Whether the gateway gives it prompts in pieces where higher tiers are about."""
    mixing_s: float = 0.0
    """Extra time of an iteration that computes prompts beside decoding."""
    price_per_hour: float = 0.0
    source: str = ""
    """Where the numbers come from, and their licence."""

    def __post_init__(self) -> None:
        points = self.dense_tokens
        if not points or len(points) != len(self.dense_s):
            raise SimulationError(
                f"profile {self.name!r}: dense_tokens and dense_s need the same number of points, "
                f"at least one; they have {len(points)} and {len(self.dense_s)}"
            )
        if any(b <= a for a, b in pairwise(points)):
            raise SimulationError(f"profile {self.name!r}: dense_tokens must rise")
        if min(self.dense_s) < 0.0 or not 0.0 < max(self.dense_s) < inf:
            raise SimulationError(
                f"profile {self.name!r}: dense_s are the seconds of an iteration, above 0; correct "
                f"{min(self.dense_s):g} to {max(self.dense_s):g}"
            )
        for name in FROM_ZERO_ON:
            if not 0.0 <= getattr(self, name) < inf:
                raise SimulationError(
                    f"profile {self.name!r}: {name} is {getattr(self, name):g}; give 0 or more"
                )
        for name in ("batch_tokens", "slots", "block_tokens"):
            if getattr(self, name) < 1:
                raise SimulationError(f"profile {self.name!r}: {name} must be at least 1")

    @cached_property
    def _known(self) -> dict[int, float]:
        return {}

    def dense(self, tokens: int) -> float:
        """Seconds of an iteration over `tokens`, without attention."""
        known = self._known.get(tokens)
        if known is None:
            known = self._known[tokens] = self._between(tokens)
        return known

    def _between(self, tokens: int) -> float:
        xs, ys = self.dense_tokens, self.dense_s
        right = min(bisect_left(xs, tokens), len(xs) - 1)
        if right == 0:
            return ys[0]
        slope = (ys[right] - ys[right - 1]) / (xs[right] - xs[right - 1])
        if tokens > xs[right]:
            slope = max(0.0, slope)  # as the last two points do, but never down to less than none
        return ys[right] + slope * (tokens - xs[right])

    def alone_s(self, prompt_tokens: int, output_tokens: int, cached_tokens: int = 0) -> float:
        """Time of a request alone on the engine: the denominator of slowdown."""
        decodes = max(0, output_tokens - 1)
        context = prompt_tokens + (decodes + 1) / 2.0
        decode_s = decodes * (self.dense(1) + self.sequence_s + self.decode_kv_s * context)
        return self.prefill_s(prompt_tokens, cached_tokens) + decode_s

    def mixed_s(self, prompts: int, decoding: int) -> float:
        """Seconds of an iteration with this many prompt tokens, without attention."""
        if not decoding:
            return self.dense(prompts)
        if self.apart:
            return self.mixing_s + self.dense(prompts) + self.dense(decoding)
        return self.mixing_s + self.dense(prompts + decoding)

    def slower(self, factor: float) -> Profile:
        """The same profile with iterations `factor` times as long."""
        return replace(
            self,
            dense_s=tuple(factor * seconds for seconds in self.dense_s),
            sequence_s=factor * self.sequence_s,
            decode_kv_s=factor * self.decode_kv_s,
            mixed_kv_s=factor * self.mixed_kv_s,
            prefill_kv_s=factor * self.prefill_kv_s,
            mixing_s=factor * self.mixing_s,
        )

    def prefill_s(self, prompt_tokens: int, cached_tokens: int = 0) -> float:
        """Time to first token on the idle engine."""
        left, context, spent_s = prompt_tokens - cached_tokens, cached_tokens, self.request_s
        while left > 0:
            chunk = min(left, self.batch_tokens)
            attention_s = self.prefill_kv_s * chunk * (context + chunk / 2.0)
            spent_s += self.dense(chunk) + self.sequence_s + attention_s
            left, context = left - chunk, context + chunk
        return spent_s


def read_profile(data: bytes, name: str) -> Profile:
    """A profile from JSON, as `headway calibrate` writes it.

    Raises:
        SimulationError: it is not one; the message names the field.
    """
    known = [field.name for field in fields(Profile)]
    try:
        found = msgspec.json.decode(data, type=dict[str, Any])
        # A misspelt field would silently get its default: kv_token, unlimited memory.
        unknown = [key for key in found if key not in known]
        if unknown:
            raise SimulationError(
                f"{name} is no engine profile: it has a field {unknown[0]!r}, and there are "
                f"{', '.join(known)}"
            )
        return msgspec.convert(found, Profile)
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        raise SimulationError(f"{name} is no engine profile: {error}") from None


def write_profile(profile: Profile) -> bytes:
    """As JSON, for `read_profile`."""
    return msgspec.json.format(msgspec.json.encode(profile), indent=1) + b"\n"
