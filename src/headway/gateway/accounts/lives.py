"""A request's life, as History shows it: prediction, runs, and what its client sent with it."""

from __future__ import annotations

from headway.core.estimate import SizeEstimate
from headway.gateway.work.work import Work
from headway.store.history.life import Life, Run
from headway.store.request_record import Outcome


def life_of(work: Work, outcome: Outcome) -> Life:
    """The life of `work`, which has ended."""
    request, deadline_s = work.request, work.request.deadline_s
    by, low, high, last = "", None, None, None
    looks: tuple[int, ...] = ()
    if work.kind is not None:
        by, estimate = _first_prediction(work)
        low, high = estimate.likely()
        if work.predicted.looks:
            looks = tuple([look.output_tokens for look in work.predicted.looks])
            last = round(request.estimate.mean, 1)
    return Life(
        work.path,
        work.stream,
        by,
        low,
        high,
        looks,
        last,
        None if deadline_s is None else ms(deadline_s - request.arrival_s),
        work.claimed_tokens,
        work.trace.get("traceparent", ""),
        work.user_agent,
        _runs(work, outcome) if work.served.runs else (),
        work.generation is None and not work.stream,
    )


def _first_prediction(work: Work) -> tuple[str, SizeEstimate]:
    """Who made the estimate that it was first scheduled by, and the estimate."""
    request, predicted = work.request, work.predicted
    if predicted.claim_counts:
        return "client", request.estimate
    forecast = predicted.forecast
    if forecast is None:
        return "history", request.estimate
    estimate = forecast.estimate.capped(request.max_tokens)
    if estimate.mean == request.predicted_tokens:
        return "prompt", estimate
    return "history", forecast.of_history.capped(request.max_tokens)


def _runs(work: Work, outcome: Outcome) -> tuple[Run, ...]:
    served, arrival_s = work.served, work.request.arrival_s
    runs = [
        Run(
            run.backend,
            ms(run.began_s - arrival_s),
            None if run.first_s < 0.0 else ms(run.first_s - arrival_s),
            ms(run.ended_s - arrival_s),
            run.why,
            run.output_tokens,
        )
        for run in served.runs
    ]
    if served.began_s >= 0.0:  # it did not end while it waited
        first_s = served.began_s + work.turn.first_byte_s if work.turn.answering else None
        runs.append(
            Run(
                served.backend,
                ms(served.began_s - arrival_s),
                None if first_s is None else ms(first_s - arrival_s),
                ms(served.ended_s - arrival_s),
                outcome,
                work.output_tokens,
            )
        )
    return tuple(runs)


def ms(seconds: float) -> float:
    """Seconds in ms, to the microsecond."""
    return round(seconds * 1e6) / 1e3  # ten times as fast as rounding to digits
