"""Results of `vllm bench serve --save-result --save-detailed`: one JSON object with lists."""

from __future__ import annotations

from pathlib import Path

import msgspec

from headway.lab.simulation.errors import SimulationError
from headway.lab.simulation.importers.recorded import recorded
from headway.lab.simulation.importers.rows import json_lines
from headway.lab.simulation.trace import Trace

KEYS = {"input_lens", "output_lens"}


class _Result(msgspec.Struct):
    input_lens: list[int]
    output_lens: list[int]
    start_times: list[float] | None = None
    """Seconds of a clock with any beginning."""


def load(path: Path) -> Trace:
    """Failed requests, which have no output, are left out. Raises SimulationError."""
    results = list(json_lines(path, _Result))
    if len(results) != 1:
        raise SimulationError(
            f"{path} holds {len(results)} runs of a benchmark, whose clocks may differ; leave one"
        )
    (result,) = results
    if result.start_times is None:
        raise SimulationError(
            f"{path} holds lengths without start_times, so nothing says when requests were sent; "
            f"run `vllm bench serve` with --save-detailed"
        )
    sizes = {len(result.start_times), len(result.input_lens), len(result.output_lens)}
    if len(sizes) > 1:
        raise SimulationError(
            f"{path}: start_times, input_lens and output_lens have different lengths; is it whole?"
        )
    return recorded(path.name, result.start_times, result.input_lens, result.output_lens)
