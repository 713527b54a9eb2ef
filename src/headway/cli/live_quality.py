"""How a gateway's predictor does on its live traffic, from `/metrics`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from headway.cli.exit import BAD_CONFIG, Failure
from headway.cli.live_gateway import asked_of
from headway.extras import install_extra

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric

PREFIX = "headway_prediction_"
SHOWN = {
    "trusted": "in use",
    "kendall_tau": "Kendall's tau",
    "pairwise_accuracy": "pairs in order",
    "coverage_80": "in the 80%",
    "bias_octaves": "bias, octaves",
}
"""Readable names of gauges, which are over the newest answers."""


def live_quality(url: str) -> dict[str, float]:
    """The gauges of prediction at the gateway's base URL, by name; none before there are answers.

    Raises:
        Failure: there is no answer, it is no gateway, or the extra `serve` is not installed.
    """
    families = asked_of(url, "/metrics", _families, what="metrics", option="--url")
    return {
        sample.name.removeprefix(PREFIX): sample.value
        for family in families
        if family.type == "gauge"
        for sample in family.samples
        if sample.name.startswith(PREFIX)
    }


def _families(text: bytes) -> list[Metric]:
    try:
        from prometheus_client.parser import text_string_to_metric_families
    except ModuleNotFoundError as error:
        raise Failure(f"--url needs {error.name}: {install_extra('serve')}", BAD_CONFIG) from None
    return list(text_string_to_metric_families(text.decode()))
