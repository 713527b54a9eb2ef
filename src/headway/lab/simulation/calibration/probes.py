"""What is measured on a server, one noun for each kind of probe."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from headway.lab.simulation.trace import Trace

DECODED = 64
"""Tokens of each answer while decoding is measured."""
SHORT_PROMPT = 16
"""Words before which decoding is measured."""


@dataclass(frozen=True, slots=True)
class Decoding:
    """Requests that decoded side by side."""

    requests: int
    words: int
    """Of each prompt."""
    context_tokens: float
    """Mean over them, half way through."""
    tpot_s: float


@dataclass(frozen=True, slots=True)
class Prefill:
    """One request alone, until its first token."""

    words: int
    prompt_tokens: int
    """Of the prompt, those that were computed."""
    ttft_s: float


@dataclass(frozen=True, slots=True)
class Mixed:
    """Requests that decoded while a prompt was computed."""

    requests: int
    prompt_tokens: int
    gap_s: float
    """Time between two of their tokens, around the first token of that prompt."""


@dataclass(frozen=True, slots=True)
class Trial:
    """Requests of many sizes, more than there are slots: a sample of traffic."""

    prompt_tokens: tuple[int, ...]
    output_tokens: tuple[int, ...]
    arrival_s: tuple[float, ...]
    latency_s: tuple[float, ...]

    @property
    def spent_s(self) -> float:
        """Until the last was answered."""
        return max(map(sum, zip(self.arrival_s, self.latency_s, strict=True)))

    def trace(self) -> Trace:
        """The same requests, to be simulated."""
        return Trace(
            "trial",
            np.array(self.arrival_s),
            np.array(self.prompt_tokens),
            np.array(self.output_tokens),
        )


@dataclass(frozen=True)
class Probes:
    """Everything that was measured."""

    slots: int
    """Requests that the server decodes at once."""
    long_at_once: int
    """Requests with long prompts that decoded side by side."""
    decodings: list[Decoding] = field(default_factory=list)
    prefills: list[Prefill] = field(default_factory=list)
    mixed: list[Mixed] = field(default_factory=list)
    cached: list[Prefill] = field(default_factory=list)
    """Time of a prompt that was computed before: what remains is not the engine's work."""
    trials: list[Trial] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    """Sentences on what could not be measured, and on what was assumed."""
