"""How a gateway's predictor does on its live traffic, from `/metrics`."""

from __future__ import annotations

from urllib.error import URLError
from urllib.request import urlopen

from prometheus_client.parser import text_string_to_metric_families

from headway.cli.exit import Failure
from headway.unreachable import why_unreachable

PREFIX = "headway_prediction_"
SHOWN = {
    "trusted": "in use",
    "kendall_tau": "Kendall's tau",
    "pairwise_accuracy": "pairs in order",
    "coverage_80": "in the 80%",
    "bias_octaves": "bias, octaves",
}
"""Readable names of gauges, which are over the newest answers."""
TIMEOUT_S = 10.0


def live_quality(url: str) -> dict[str, float]:
    """The gauges of prediction at the gateway's base URL, by name; none before there are answers.

    Raises:
        Failure: there is no answer, or it is no gateway.
    """
    address = f"{url.rstrip('/').removesuffix('/v1')}/metrics"
    try:
        with urlopen(address, timeout=TIMEOUT_S) as answer:
            text = answer.read().decode()
        families = list(text_string_to_metric_families(text))
    except (URLError, OSError, ValueError) as error:
        raise Failure(
            f"no metrics at {address}: {why_unreachable(error)}; pass the address of a gateway "
            "with --url"
        ) from None
    return {
        sample.name.removeprefix(PREFIX): sample.value
        for family in families
        if family.type == "gauge"
        for sample in family.samples
        if sample.name.startswith(PREFIX)
    }
