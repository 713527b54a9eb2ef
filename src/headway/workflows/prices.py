"""What the calls of a run cost: tokens, at the prices of their models."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from headway.prices.tokens import TokenPrice, Tokens
from headway.workflows.journal.rows import StepRow


def cost_of(steps: Iterable[StepRow], prices: Mapping[str, TokenPrice]) -> tuple[float, set[str]]:
    """What steps cost together, and the models among them that have no price.

    Args:
        steps: of a run.
        prices: by the name of the model, as its answers bear it.
    """
    cost, unknown = 0.0, set()
    for step in steps:
        if step.output_tokens is None:
            continue
        price = prices.get(step.model or "")
        if price is None:
            unknown.add(step.model or "?")
        else:
            used = Tokens(prompt=step.prompt_tokens or 0, output=step.output_tokens)
            cost += price.cost(used)
    return cost, unknown
