"""Reports of GuideLLM (`benchmarks.json`): the requests that were answered."""

from __future__ import annotations

from pathlib import Path

import msgspec

from headway.lab.simulation.errors import SimulationError
from headway.lab.simulation.importers.recorded import recorded
from headway.lab.simulation.importers.rows import json_lines
from headway.lab.simulation.trace import Trace

KEYS = {"benchmarks"}


class _Request(msgspec.Struct):
    prompt_tokens: int | None = None
    output_tokens: int | None = None
    request_start_time: float | None = None
    """Seconds since 1970."""
    start_time: float | None = None
    """The same, before version 0.4."""
    request_id: str = ""


class _Requests(msgspec.Struct):
    successful: list[_Request]
    errored: list[object] = []
    incomplete: list[object] = []


class _Benchmark(msgspec.Struct):
    requests: _Requests


class _Report(msgspec.Struct):
    benchmarks: list[_Benchmark]


def load(path: Path) -> Trace:
    """All benchmarks of a report, at the times at which their requests were sent.

    Raises SimulationError.
    """
    groups = [one.requests for report in json_lines(path, _Report) for one in report.benchmarks]
    requests = [request for group in groups for request in group.successful]
    at_s: list[float] = []
    for number, request in enumerate(requests, start=1):
        start_s = request.request_start_time
        start_s = request.start_time if start_s is None else start_s
        if start_s is None or request.prompt_tokens is None or request.output_tokens is None:
            raise SimulationError(
                f"{path}, request {number}: its start, prompt_tokens or output_tokens are missing; "
                f"leave it out"
            )
        at_s.append(start_s)
    return recorded(
        path.name,
        at_s,
        [request.prompt_tokens or 0 for request in requests],
        [request.output_tokens or 0 for request in requests],
        ids=[request.request_id for request in requests],
        left_out=sum(len(group.errored) + len(group.incomplete) for group in groups),
    )
