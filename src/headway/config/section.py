"""What the sections of the configuration share."""

from __future__ import annotations

import os
import re
from typing import Annotated, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
)

from headway.core.policies import POLICIES

TierName = Literal["interactive", "standard", "batch"]
Port = Annotated[int, Field(ge=0, le=65535)]
Count = Annotated[int, Field(ge=1)]
Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Weight = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Section(BaseModel):
    """A mapping in the configuration; a key that it does not know is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class UnknownName(ValueError):
    """A value that must be one of some names and is not."""

    def __init__(self, value: str, known: tuple[str, ...]) -> None:
        super().__init__(f"{value!r} is not one of {', '.join(known)}")
        self.value = value
        self.known = known


def policy_name(name: str) -> str:
    """`name`, if a policy has it. Raises UnknownName."""
    if name not in POLICIES:
        raise UnknownName(name, tuple(POLICIES))
    return name


def check_secret_variable(variable: str | None, setting: str, example: str) -> None:
    """Raise ValueError if `setting` names an environment variable with a secret that is not set."""
    if variable is None or variable in os.environ:
        return
    if not re.fullmatch("[A-Z]+(_[A-Z0-9]+)*", variable):
        # It may be the secret itself: not shown.
        raise ValueError(f"{setting} is not the name of a variable, as {example}")
    raise ValueError(f"{setting} names {variable}, which is not set")
