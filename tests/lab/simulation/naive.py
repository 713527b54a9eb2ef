"""The engine model again, token by token: slow, and what the fast one must agree with."""

from __future__ import annotations

from dataclasses import dataclass

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


def iteration_s(profile: Profile, decoding: int, prompts: int) -> float:
    """All tokens in one pass, or prompts and the others in two."""
    mixing_s = profile.mixing_s if decoding and prompts else 0.0
    if profile.apart and decoding and prompts:
        return mixing_s + profile.dense(decoding) + profile.dense(prompts)
    return mixing_s + profile.dense(decoding + prompts)


def run(profile: Profile, pieces: list[Piece]) -> None:
    """Fill in when each piece had its first token and its last one."""
    coming = sorted(pieces, key=lambda piece: piece.at_s)
    running: list[Piece] = []
    now_s = 0.0
    while coming or running:
        if not running:
            now_s = max(now_s, coming[0].at_s + profile.request_s)
        while coming and coming[0].at_s + profile.request_s <= now_s + 1e-9:
            if len(running) == profile.slots:
                break
            piece = coming.pop(0)
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
        for piece, tokens in chunks:
            piece.to_prefill -= tokens
            if not piece.to_prefill:
                piece.produced, piece.first_s = 1, now_s
        for piece in list(running):
            if piece.produced == piece.output_tokens:
                piece.end_s = now_s
                running.remove(piece)
