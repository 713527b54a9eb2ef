"""What runs did before a restart, learned again from the request log."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from headway.core.cost import CostModel
from headway.core.estimate import SizeEstimate
from headway.core.programs import Programs
from headway.core.request import Request
from headway.prediction.live.cached_prompts import CachedPrompts
from headway.prediction.live.history import Origin
from headway.prediction.live.run_history import RunHistory
from headway.store.request_record import RequestRecord


def learn(
    records: Sequence[RequestRecord],
    history: RunHistory,
    cached: CachedPrompts,
    cost: CostModel,
    zero_unix_s: float,
) -> None:
    """Learn from the requests of earlier runs as if they came and were answered again.

    Args:
        records: answered requests.
        history: learns what runs do after their answers.
        cached: learns what is cached of their prompts.
        cost: turns tokens into service.
        zero_unix_s: Unix time at which the clock of `history` is 0.
    """
    programs, requests = Programs(), dict[int, Request]()
    for at_unix_s, ends, place in _in_order(records):
        record = records[place]
        at_s = at_unix_s - zero_unix_s
        origin = origin_of(record)
        if not ends:
            request = requests[place] = _request(record, at_s)
            programs.arrived(request)
            history.arrived(origin, record.step, cost.service_s(request), at_s)
            continue
        request = requests.pop(place)
        path_s = request.run_path_s + cost.attained_s(request)
        programs.left(request, cost)
        history.left(origin, record.step, path_s, at_s)
        prompt, output = request.prompt_tokens, request.output_tokens
        cached.answered(origin, prompt, output, record.cached_tokens)
    history.interrupted()


def origin_of(record: RequestRecord) -> Origin:
    """Where a request came from."""
    return Origin(record.model, record.tenant, int(record.template or "0", 16), record.program)


def _in_order(records: Sequence[RequestRecord]) -> Iterator[tuple[float, bool, int]]:
    """Arrivals and ends of the requests of runs, by time: when, whether it ends, and which.

    At the same time, ends come first.
    """
    events = []
    for place, record in enumerate(records):
        if record.program and record.prompt_tokens:
            end_unix_s = record.arrival_unix_s + (record.total_ms or 0.0) / 1000.0
            events.append((record.arrival_unix_s, 1, place))
            # After its own arrival, even if it took no time.
            events.append((end_unix_s, 0 if end_unix_s > record.arrival_unix_s else 2, place))
    for at_unix_s, kind, place in sorted(events):
        yield at_unix_s, kind != 1, place


def _request(record: RequestRecord, arrival_s: float) -> Request:
    request = Request(
        record.id,
        arrival_s,
        record.prompt_tokens or 0,
        SizeEstimate.exactly(max(1, record.output_tokens or 0)),
        tenant=record.tenant,
        program=record.program,
        step=record.step,
        parents=tuple(record.parents.split(",")) if record.parents else (),
        cached_tokens=record.cached_tokens or 0,
    )
    request.started_s = 0.0  # it was started; the clock may have been below 0 then
    request.output_tokens = record.output_tokens or 0
    return request
