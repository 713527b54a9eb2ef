"""A request in a simulated engine."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True, eq=False)
class EngineRequest:
    """One request in an engine."""

    number: int
    prompt_tokens: int
    output_tokens: int
    """Length of the whole answer, including what was produced before."""
    produced: int = 0
    """Output tokens at its arrival here, or when it last began to decode."""
    hashes: tuple[int, ...] = ()
    session: object = None
    """Key of the cached context that it extends; None: it has none."""
    shared_tokens: int = 0
    """Prompt tokens of that context."""

    piece_tokens: int = 0
    """Its prompt comes in pieces of so many tokens; 0: whole."""

    began_step: int = field(default=0, init=False)
    """The iteration after which it had `produced` tokens."""
    to_prefill: int = field(default=0, init=False)
    cached_tokens: int = field(default=0, init=False)
    """Tokens of its prompt that were cached when it was last admitted, without those of pieces."""
    prefilled: int = field(default=0, init=False)
    """Tokens computed in pieces before."""
    decodes: bool = field(default=False, init=False)
    here: bool = field(default=True, init=False)
    """Neither finished nor cancelled."""
    swapped: bool = field(default=False, init=False)
    """Its KV memory is kept by the host."""
    order: int = field(default=0, init=False)
    """Order of admission: the last admitted is the first to give its memory back."""

    @property
    def context_tokens(self) -> int:
        """Tokens to have in the KV cache before it decodes."""
        return self.prompt_tokens + self.produced

    def produced_at(self, step: int) -> int:
        """Output tokens after that iteration, while it decodes."""
        return self.produced + step - self.began_step
