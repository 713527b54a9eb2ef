"""The engine model again, token by token: slow, and what the fast one must agree with."""

from __future__ import annotations

from dataclasses import dataclass, field

from headway.lab.simulation.profile import Profile


@dataclass
class Piece:
    """One request: its arrival, its sizes, and what is still to do."""

    at_s: float
    prompt_tokens: int
    output_tokens: int
    to_prefill: int = 0
    produced: int = 0
    first_s: float = 0.0
    end_s: float = 0.0
    token_s: list[float] = field(default_factory=list)
    """When each of its tokens came."""


def iteration_s(profile: Profile, decoding: int, prompts: int) -> float:
    """All tokens in one pass, or prompts and the others in two."""
    mixing_s = profile.mixing_s if decoding and prompts else 0.0
    if profile.apart and decoding and prompts:
        return mixing_s + profile.dense(decoding) + profile.dense(prompts)
    return mixing_s + profile.dense(decoding + prompts)


def run(profile: Profile, pieces: list[Piece], at_once: int = 0) -> None:
    """Fill in when each piece had its tokens; `at_once` are sent at once at most, 0: all."""
    coming = sorted(pieces, key=lambda piece: piece.at_s)
    on_its_way: list[tuple[float, Piece]] = []
    running: list[Piece] = []
    now_s = freed_s = 0.0
    while coming or on_its_way or running:
        while coming and not (at_once and len(on_its_way) + len(running) >= at_once):
            piece = coming.pop(0)
            sent_s = max(piece.at_s, freed_s) if at_once else piece.at_s
            on_its_way.append((sent_s + profile.request_s, piece))
        if not running:
            now_s = max(now_s, on_its_way[0][0])
        while on_its_way and on_its_way[0][0] <= now_s + 1e-9:
            if len(running) == profile.slots:
                break
            _, piece = on_its_way.pop(0)
            piece.to_prefill = piece.prompt_tokens
            running.append(piece)
        decoding = [piece for piece in running if not piece.to_prefill]
        prefilling = [piece for piece in running if piece.to_prefill]
        if prefilling and not profile.mixed:
            decoding = []
        budget = max(1, profile.batch_tokens - len(decoding))
        attention, chunks = 0.0, []
        for piece in prefilling:
            tokens = min(budget, piece.to_prefill)
            if tokens:
                before = piece.prompt_tokens - piece.to_prefill
                attention += tokens * (before + tokens / 2)
                chunks.append((piece, tokens))
                budget -= tokens
        kv_s = profile.mixed_kv_s if chunks and profile.mixed_kv_s else profile.decode_kv_s
        now_s += (
            iteration_s(profile, len(decoding), sum(tokens for _, tokens in chunks))
            + profile.sequence_s * (len(decoding) + len(chunks))
            + kv_s * sum(piece.prompt_tokens + piece.produced for piece in decoding)
            + profile.prefill_kv_s * attention
        )
        for piece in decoding:
            piece.produced += 1
            piece.token_s.append(now_s)
        for piece, tokens in chunks:
            piece.to_prefill -= tokens
            if not piece.to_prefill:
                piece.produced, piece.first_s = 1, now_s
                piece.token_s.append(now_s)
        for piece in list(running):
            if piece.produced == piece.output_tokens:
                piece.end_s = freed_s = now_s
                running.remove(piece)
