"""One request's life: what the log keeps of it beside its record, and the phases that follow."""

from __future__ import annotations

from typing import Literal

import msgspec

from headway.store.request_record import RequestRecord

Phase = Literal["queued", "prefill", "decode", "running", "stopped", "batched"]
"""`running`: it ran, and its answer came whole, so that nobody saw its first token. `batched`: it
waited for a batch and ran in it; how long each took is not kept."""


class Run(msgspec.Struct, frozen=True, array_like=True):
    """A run at one backend. Times are ms since the request's arrival."""

    backend: str
    began_ms: float
    first_ms: float | None
    """When its first token came; None: none came."""
    ended_ms: float
    why: str
    """`preempted`, `failed`, `moved` (its backend is leaving or down), or the request's outcome."""
    output_tokens: int
    """Of the whole answer, at its end."""


class Life(msgspec.Struct, frozen=True, array_like=True, omit_defaults=True):
    """As it lies in the log: an array, and fields that are added come at its end."""

    endpoint: str = ""
    """Path in the API of backends."""
    stream: bool = False
    predicted_by: str = ""
    """`client` (its claim), `prompt` (the predictor) or `history` (of similar requests)."""
    low_tokens: int | None = None
    """One answer in ten is shorter, by the first prediction."""
    high_tokens: int | None = None
    """One in ten is longer."""
    looks: tuple[int, ...] = ()
    """When it was predicted again: at so many output tokens."""
    last_tokens: float | None = None
    """Mean of the last prediction; None: the first was the last."""
    deadline_ms: float | None = None
    claimed_tokens: int | None = None
    traceparent: str = ""
    user_agent: str = ""
    runs: tuple[Run, ...] = ()
    """Empty: none, or the only one, which is in the record."""
    whole: bool = False
    """Whether its backend answered in one piece."""
    message: str = ""
    """The error that its client got, where it was refused before it was scheduled."""


class Stretch(msgspec.Struct, frozen=True, kw_only=True):
    """A stretch of a request's life. Times are ms since its arrival."""

    phase: Phase
    began_ms: float
    ended_ms: float
    backend: str = ""
    """Empty: it waits."""
    output_tokens: int | None = None
    """Of the whole answer, at the end of a run."""
    why: str = ""
    """Why a run ended."""


def decoded(text: str | None) -> Life | None:
    """The life of a row; None: the row is older than the column, or damaged."""
    try:
        return None if text is None else msgspec.json.decode(text, type=Life)
    except (msgspec.DecodeError, UnicodeDecodeError, TypeError):
        return None


def stretches(record: RequestRecord, life: Life | None) -> list[Stretch]:
    """What the request did, one after another, from its arrival to its end."""
    total_ms = record.total_ms
    if not record.policy and total_ms is not None:
        return [Stretch(phase="batched", began_ms=0.0, ended_ms=total_ms)]
    runs: tuple[Run, ...] = () if life is None else life.runs
    whole = life is not None and life.whole
    if not runs and record.queue_ms is not None and total_ms is not None:
        run = Run(
            record.backend,
            record.queue_ms,
            record.ttft_ms,
            total_ms,
            record.outcome,
            record.output_tokens or 0,
        )
        runs = (run,)
    found: list[Stretch] = []
    at_ms = 0.0
    for run in runs:
        if run.began_ms > at_ms:
            found.append(_wait(bool(found), at_ms, run.began_ms))
        found += _of_run(run, whole)
        at_ms = run.ended_ms
    if total_ms is not None and total_ms > at_ms:
        found.append(_wait(bool(found), at_ms, total_ms))
    return found


def _wait(again: bool, began_ms: float, ended_ms: float) -> Stretch:
    return Stretch(phase="stopped" if again else "queued", began_ms=began_ms, ended_ms=ended_ms)


def _of_run(run: Run, whole: bool) -> list[Stretch]:
    last = Stretch(
        phase="running" if whole else "prefill" if run.first_ms is None else "decode",
        began_ms=run.began_ms,
        ended_ms=run.ended_ms,
        backend=run.backend,
        output_tokens=run.output_tokens,
        why=run.why,
    )
    if whole or run.first_ms is None:
        return [last]
    first_ms = min(max(run.first_ms, run.began_ms), run.ended_ms)
    first = Stretch(phase="prefill", began_ms=run.began_ms, ended_ms=first_ms, backend=run.backend)
    return [first, msgspec.structs.replace(last, began_ms=first_ms)]
