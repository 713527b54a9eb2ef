"""The scheduler settings of a simulation."""

from __future__ import annotations

from dataclasses import replace

from headway.config.settings import Settings
from headway.lab.simulation.settings import served_settings


def test_what_is_served_are_the_defaults_of_the_configuration() -> None:
    assert replace(served_settings(), policy="srpt") == Settings().scheduler()
