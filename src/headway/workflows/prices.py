"""What the calls of a run cost: tokens, at the prices of their models."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec
import yaml

from headway.workflows.errors import WorkflowError
from headway.workflows.journal.rows import StepRow
from headway.yaml_words import document


class Price(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Of a million tokens, in the currency of the file."""

    input: float
    output: float


Prices = Mapping[str, Price]
"""By the name of the model, as its answers bear it."""


def read_prices(file: Path) -> Prices:
    """Prices from a YAML file: `MODEL: {input: 0.15, output: 0.60}`.

    Raises:
        WorkflowError: it cannot be read, or is wrong.
    """
    try:
        content = document(file.read_text(encoding="utf-8"))
        return msgspec.convert(content, dict[str, Price])
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        why = " ".join(str(error).split())
        raise WorkflowError(
            f"{file}: {why}; write MODEL: {{input: 0.15, output: 0.60}}, for a million tokens"
        ) from None


def cost_of(steps: Iterable[StepRow], prices: Prices) -> tuple[float, set[str]]:
    """What steps cost together, and the models among them that have no price."""
    cost, unknown = 0.0, set()
    for step in steps:
        if step.output_tokens is None:
            continue
        price = prices.get(step.model or "")
        if price is None:
            unknown.add(step.model or "?")
            continue
        tokens = (step.prompt_tokens or 0) * price.input + step.output_tokens * price.output
        cost += tokens / 1e6
    return cost, unknown
