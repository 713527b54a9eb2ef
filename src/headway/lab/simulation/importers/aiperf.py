"""Records of AIPerf (`profile_export.jsonl`): a JSON line for each request that it sent."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import msgspec

from headway.lab.simulation.errors import SimulationError
from headway.lab.simulation.importers.recorded import recorded
from headway.lab.simulation.importers.rows import json_lines
from headway.lab.simulation.trace import Trace

KEYS = {"metadata", "metrics"}
MEASURED = "profiling"
"""The phase that counts; others warm the server up."""


class _Metadata(msgspec.Struct):
    request_start_ns: int
    """Since 1970."""
    x_request_id: str | None = None
    x_correlation_id: str | None = None
    """Of the session."""
    benchmark_phase: str = MEASURED
    was_cancelled: bool = False


class _Count(msgspec.Struct):
    value: int


class _Metrics(msgspec.Struct):
    input_sequence_length: _Count | None = None
    output_sequence_length: _Count | None = None
    """With the tokens of reasoning."""
    output_token_count: _Count | None = None
    """Without."""


class _Record(msgspec.Struct):
    metadata: _Metadata
    metrics: _Metrics | None = None
    error: object = None

    @property
    def is_whole(self) -> bool:
        """Whether it was answered in full."""
        return not self.metadata.was_cancelled and self.error is None


def load(path: Path) -> Trace:
    """Requests that failed or were cancelled are left out. Raises SimulationError."""
    measured = [
        one for one in json_lines(path, _Record) if one.metadata.benchmark_phase == MEASURED
    ]
    records = [record for record in measured if record.is_whole]
    turns = Counter(record.metadata.x_correlation_id for record in records)
    sessions = [record.metadata.x_correlation_id or "" for record in records]
    sizes = [_sizes(path, number, record) for number, record in enumerate(records, start=1)]
    return recorded(
        path.name,
        [record.metadata.request_start_ns * 1e-9 for record in records],
        [prompt for prompt, _ in sizes],
        [output for _, output in sizes],
        ids=[record.metadata.x_request_id or "" for record in records],
        programs=[one if turns[one] > 1 else "" for one in sessions],
        left_out=len(measured) - len(records),
    )


def _sizes(path: Path, number: int, record: _Record) -> tuple[int, int]:
    metrics = record.metrics or _Metrics()
    prompt = metrics.input_sequence_length
    output = metrics.output_sequence_length or metrics.output_token_count
    if prompt is None or output is None:
        raise SimulationError(
            f"{path}, answered request {number}: there is no input_sequence_length or no "
            f"output_sequence_length; leave it out"
        )
    return prompt.value, output.value
