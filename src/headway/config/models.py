"""The models that answer whole batches."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import (
    Field,
    field_validator,
    model_validator,
)

from headway.config.section import (
    Count,
    Seconds,
    Section,
)
from headway.core.fleet.scaling import least_and_most


class ModelConfig(Section):
    """One model that answers whole batches: an encoder, a classifier, a function."""

    name: str
    """What clients call it."""
    path: str
    """all-MiniLM-L6-v2, a folder, a file, FILE.py:FUNCTION, or a server's URL."""
    instances: int | str = 1
    """Worker processes, each with the whole model, or LEAST..MOST of them; or batches that a server
    gets at once."""
    instance_idle_s: Annotated[float, Field(gt=0)] = 60.0
    """Of LEAST..MOST instances one ends when the others could have run everything for so long."""
    threads: Count | None = None
    """Of each instance; null: the machine's cores, divided by the most instances."""
    max_batch_size: Count = 32
    max_batch_tokens: Count | None = None
    """Padded size times padded length of a batch; null: no limit."""
    batch_sizes: tuple[Count, ...] = ()
    """Sizes that the model takes, ascending; empty: all."""
    batch_lengths: tuple[Count, ...] = ()
    """Padded lengths that the model takes, ascending; empty: all."""
    batching: Literal["adaptive", "optimal", "constant"] = "adaptive"
    """When a batch is launched: while waiting does not pay, by a solved table, after a delay."""
    max_delay_s: Seconds = 0.005
    """The longest wait for company where `batching` is constant."""
    slo_s: Annotated[float, Field(gt=0)] | None = None
    """Latency that `adaptive` keeps batches small for."""
    length_aware: bool | None = None
    """Batches of about equal length; null: where the model reads texts."""
    length_unit: Count = 1
    """Characters, list entries or tensor values of an item that count as one of its length."""
    preload: bool = True
    """Load it at the start; else when it is first asked for."""
    unload_after_s: Annotated[float, Field(gt=0)] | None = None
    """Unload it when nobody asked for so long; null: never."""

    @field_validator("name")
    @classmethod
    def _is_a_name(cls, name: str) -> str:
        if name in ("", "default"):
            raise ValueError(f"{name!r} is no name of a model; give it one of its own")
        return name

    @field_validator("instances", mode="plain")
    @classmethod
    def _is_a_number_or_a_range(cls, instances: object) -> int | str:
        if type(instances) is int and instances > 0:
            return instances
        if not isinstance(instances, str):
            raise ValueError(f"write a number from 1 on, or a range such as 1..4, not {instances}")
        least, most = least_and_most(instances)
        if not least:
            raise ValueError(f"write 1..{most}, and unload_after_s: then none is left when idle")
        return instances

    @field_validator("batch_sizes", "batch_lengths")
    @classmethod
    def _ascend(cls, values: tuple[int, ...]) -> tuple[int, ...]:
        if list(values) != sorted(set(values)):
            raise ValueError("they must ascend")
        return values

    @model_validator(mode="after")
    def _servers_are_not_scaled(self) -> ModelConfig:
        if isinstance(self.instances, str) and self.path.startswith(("http://", "https://")):
            raise ValueError(
                f"a server gets a fixed number of batches at once, not {self.instances}"
            )
        return self

    @property
    def least_instances(self) -> int:
        """How many there are without work."""
        return self._instances[0]

    @property
    def most_instances(self) -> int:
        """How many there are at most."""
        return self._instances[1]

    @property
    def _instances(self) -> tuple[int, int]:
        if isinstance(self.instances, str):
            return least_and_most(self.instances)
        return self.instances, self.instances
