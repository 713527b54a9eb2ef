"""Vidur on one trace: started by `against_vidur.py` under the interpreter that has Vidur.

Arguments: the trace, the profile, and `bare` (it writes nothing down), `metrics` (as it comes, but
for its plots) or `default`. Prints one line of JSON: the time of the simulation, and latencies.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import numpy as np
from vidur._native.entities import ExecutionTime
from vidur.config import (
    CacheConfig,
    ClusterConfig,
    MetricsConfig,
    RandomForrestExecutionTimePredictorConfig,
    ReplicaConfig,
    SarathiSchedulerConfig,
    SimulationConfig,
    SyntheticRequestGeneratorConfig,
)
from vidur.entities import Batch, Request
from vidur.events import RequestArrivalEvent
from vidur.execution_time_predictor import ExecutionTimePredictorRegistry
from vidur.simulator import Simulator
from vidur.types import ExecutionTimePredictorType

from headway.lab.simulation.profile import Profile, read_profile

STORED = (
    "store_plots",
    "store_request_metrics",
    "store_batch_metrics",
    "store_utilization_metrics",
)


class OfProfile:
    """Times of iterations by a profile of Headway, in the place of Vidur's random forest."""

    profile: Profile

    def __init__(self, **_: object) -> None:
        pass

    def get_execution_time(self, batch: Batch, pipeline_stage: int) -> ExecutionTime:
        profile = self.profile
        prompts = decoding = contexts = 0
        attention = 0.0
        for request, tokens, context in zip(
            batch.requests, batch.num_q_tokens, batch.num_kv_tokens, strict=True
        ):
            if request.is_prefill_complete:
                decoding += 1
                contexts += context
            else:
                prompts += tokens
                attention += tokens * (context - tokens / 2.0)
        spent_s = profile.mixed_s(prompts, decoding) if prompts else profile.dense(decoding)
        spent_s += profile.sequence_s * len(batch.requests)
        spent_s += profile.decode_kv_s * contexts + profile.prefill_kv_s * attention
        # One layer, all of whose time is in one operator, in milliseconds.
        return ExecutionTime(1, *(0.0,) * 2, 1000.0 * spent_s, *(0.0,) * 11)


def main() -> None:
    rows = np.loadtxt(sys.argv[1], delimiter=",")
    OfProfile.profile = profile = read_profile(Path(sys.argv[2]).read_bytes(), sys.argv[2])
    kind = ExecutionTimePredictorType.RANDOM_FORREST
    ExecutionTimePredictorRegistry.unregister(kind)
    ExecutionTimePredictorRegistry.register(kind, OfProfile)
    metrics = MetricsConfig(store_plots=sys.argv[3] == "default")
    if sys.argv[3] == "bare":
        metrics = MetricsConfig(
            write_metrics=False, enable_chrome_trace=False, **dict.fromkeys(STORED, False)
        )
    config = SimulationConfig(
        log_level="error",
        cluster_config=ClusterConfig(
            replica_config=ReplicaConfig(
                num_pipeline_stages=1,
                tensor_parallel_size=1,
                device="a100",
                network_device="a100_dgx",
            ),
            cache_config=CacheConfig(
                block_size=profile.block_tokens,
                num_blocks=profile.kv_tokens // profile.block_tokens,
            ),
            replica_scheduler_config=SarathiSchedulerConfig(
                batch_size_cap=profile.slots, chunk_size=profile.batch_tokens
            ),
        ),
        # Its one request is taken out again below, for those of the trace.
        request_generator_config=SyntheticRequestGeneratorConfig(num_requests=1),
        execution_time_predictor_config=RandomForrestExecutionTimePredictorConfig(),
        metrics_config=metrics,
    )
    simulator = Simulator(config)
    requests = [
        Request(arrived_at=at_s, num_prefill_tokens=int(prompt), num_decode_tokens=int(output))
        for at_s, prompt, output in rows.tolist()
    ]
    simulator._event_queue.clear()
    simulator._add_events([RequestArrivalEvent(r.arrived_at, r) for r in requests])
    began_s, began_cpu_s = time.perf_counter(), time.process_time()
    simulator.run()
    spent_s, cpu_s = time.perf_counter() - began_s, time.process_time() - began_cpu_s
    latency_s = np.array([request.completed_at - request.arrived_at for request in requests])
    found = {
        "spent_s": spent_s,
        "cpu_s": cpu_s,
        "latency_mean_s": float(latency_s.mean()),
        "latency_p99_s": float(np.quantile(latency_s, 0.99)),
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
