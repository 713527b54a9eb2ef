"""The profile of a gateway's engines, from the answers in its own request log."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from headway.lab.simulation.errors import SimulationError
from headway.lab.simulation.profile import Profile
from headway.lab.simulation.site import Site
from headway.store.request_record import RequestRecord

LEAST_TOKENS = 8
"""Of an answer whose time per token counts."""
LEAST_ANSWERS = 30
"""Of a backend whose profile is to be fitted."""
LEAST_S_PER_TOKEN = 1e-7
"""Smallest credible time of a prompt token."""
ROUNDING_S = 0.001
"""Error of a logged time."""
PROMPT_TOKENS = 1024
"""Length of the part of the fitted line that is for prompts."""


def logged_sites(records: Sequence[RequestRecord], slots: dict[str, int]) -> list[Site]:
    """The backends that gave these answers, each with the profile that its answers show.

    Args:
        records: of requests that were answered in full.
        slots: of backends, by name; those that are missing had as many as ever ran there at once.

    Raises:
        SimulationError: too few answers to fit a profile.
    """
    by_backend: dict[str, list[RequestRecord]] = {}
    for record in records:
        if _is_timed(record):
            by_backend.setdefault(record.backend, []).append(record)
    sites = [
        Site(name, _fitted(name, found, slots.get(name, 0)))
        for name, found in sorted(by_backend.items())
        if len(found) >= LEAST_ANSWERS and slots.get(name) != 0
    ]
    if not sites:
        most = max(map(len, by_backend.values()), default=0)
        raise SimulationError(
            f"a profile needs {LEAST_ANSWERS} answers of one backend, and the log has {most}; "
            "serve more requests first"
        )
    return sites


def _is_timed(record: RequestRecord) -> bool:
    times = (record.queue_ms, record.ttft_ms, record.total_ms)
    if record.preemptions or any(time is None for time in times):
        return False
    queue_ms, ttft_ms, total_ms = (time or 0.0 for time in times)
    return 0.0 <= queue_ms <= ttft_ms <= total_ms


def _fitted(name: str, records: Sequence[RequestRecord], slots: int) -> Profile:
    """Least squares: time per token = fixed + per request that runs + per prompt token computed."""
    arrival_s = np.array([record.arrival_unix_s for record in records])
    started_s, first_s, ended_s = (
        arrival_s + np.array([getattr(record, field) or 0.0 for record in records]) / 1000.0
        for field in ("queue_ms", "ttft_ms", "total_ms")
    )
    output_tokens = np.array([record.output_tokens or 0 for record in records])
    prompt_tokens = np.array(
        [max(1, (record.prompt_tokens or 0) - (record.cached_tokens or 0)) for record in records]
    )
    decodes = (output_tokens >= LEAST_TOKENS) & (ended_s > first_s)
    if decodes.sum() < LEAST_ANSWERS:
        raise SimulationError(
            f"too few answers of {name} have {LEAST_TOKENS} tokens or more that were timed one by "
            f"one; a profile needs {LEAST_ANSWERS} streamed answers"
        )
    steps = (output_tokens - 1)[decodes]
    fixed_s, sequence_s, prompt_s = _not_negative(
        np.column_stack(
            [
                np.ones(len(steps)),
                _concurrency(started_s, ended_s, first_s, ended_s)[decodes],
                _computed(first_s, ended_s, prompt_tokens)[decodes] / steps,
            ]
        ),
        (ended_s - first_s)[decodes] / steps,
        weights=steps,
    )
    prompt_s = max(prompt_s, LEAST_S_PER_TOKEN)
    most = max(2, slots or _most_at_once(started_s, ended_s))
    busy_s = fixed_s + sequence_s * most
    alone_s = np.mean(first_s - started_s - prompt_s * prompt_tokens)
    return Profile(
        name=name,
        dense_tokens=(1, most, most + PROMPT_TOKENS),
        dense_s=(fixed_s + sequence_s, busy_s, busy_s + PROMPT_TOKENS * prompt_s),
        slots=slots or most,
        request_s=max(0.0, float(alone_s) - 1.5 * busy_s),
        source=f"{len(records)} answers in a request log",
    )


def _not_negative(columns: np.ndarray, values: np.ndarray, weights: np.ndarray) -> list[float]:
    """Weighted least squares without negative coefficients: the most negative one is left out."""
    scale = np.sqrt(weights)
    found = np.zeros(columns.shape[1])
    kept = list(range(len(found)))
    while kept:
        some, *_ = np.linalg.lstsq(columns[:, kept] * scale[:, None], values * scale, rcond=None)
        if some.min() >= 0.0:
            found[kept] = some
            break
        del kept[int(some.argmin())]
    return found.tolist()


def _computed(first_s: np.ndarray, ended_s: np.ndarray, prompt_tokens: np.ndarray) -> np.ndarray:
    """Prompt tokens of others that were computed during each answer."""
    order = np.argsort(first_s, kind="stable")
    so_far = np.concatenate([[0], np.cumsum(prompt_tokens[order])])
    until = np.searchsorted(first_s[order], ended_s, side="right")
    before = np.searchsorted(first_s[order], first_s, side="right")
    computed: np.ndarray = so_far[until] - so_far[before]
    return computed


def _concurrency(
    started_s: np.ndarray, ended_s: np.ndarray, from_s: np.ndarray, to_s: np.ndarray
) -> np.ndarray:
    """Mean number of requests that ran between `from_s` and `to_s`, for each request."""
    times = np.concatenate([started_s, ended_s])
    steps = np.concatenate([np.ones(len(started_s)), -np.ones(len(ended_s))])
    order = np.argsort(times, kind="stable")
    times, running = times[order], np.cumsum(steps[order])
    areas = np.concatenate([[0.0], np.cumsum(running[:-1] * np.diff(times))])
    spent_s = np.interp(to_s, times, areas) - np.interp(from_s, times, areas)
    at_once: np.ndarray = spent_s / np.maximum(to_s - from_s, 1e-9)
    return at_once


def _most_at_once(started_s: np.ndarray, ended_s: np.ndarray) -> int:
    ended_s = np.maximum(started_s, ended_s - ROUNDING_S)
    times = np.concatenate([ended_s, started_s])  # of equal times, ends count first
    steps = np.concatenate([-np.ones(len(ended_s)), np.ones(len(started_s))])
    return int(np.cumsum(steps[np.argsort(times, kind="stable")]).max())
