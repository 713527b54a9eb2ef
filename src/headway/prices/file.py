"""Prices of models from a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import yaml

from headway.prices.tokens import PriceError, TokenPrice
from headway.yaml_words import document


def read_prices(file: Path) -> dict[str, TokenPrice]:
    """Prices by model from YAML, as under `prices.models` in the settings of a gateway.

    Raises:
        PriceError: it cannot be read, or is wrong.
    """
    try:
        content = document(file.read_text(encoding="utf-8"))
        written = msgspec.convert(content, dict[str, dict[str, float]])
        return {model: TokenPrice(**_known(prices)) for model, prices in written.items()}
    except (OSError, TypeError, ValueError, RecursionError, yaml.YAMLError) as error:
        why = " ".join(str(error).split())
        raise PriceError(
            f"{file}: {why}; write MODEL: {{input: 0.15, output: 0.60}}, for a million tokens"
        ) from None


def _known(prices: dict[str, float]) -> dict[str, Any]:
    for name in prices:
        if name not in TokenPrice.__dataclass_fields__:
            raise PriceError(f"a price has no {name!r}")
    for name in ("input", "output"):
        if name not in prices:
            raise PriceError(f"a price needs {name!r}")
    return dict(prices)
