"""A name has the same colour on every page."""

from __future__ import annotations

from headway.core.policies import POLICIES
from headway.lab.report.colours import COLOURS, looks


def test_every_policy_has_a_colour_of_its_own() -> None:
    for shade in (0, 1):
        assert len({COLOURS[name][shade] for name in (*POLICIES, "oracle")}) == len(POLICIES) + 1


def test_the_colour_does_not_depend_on_the_other_rows() -> None:
    assert looks(["srpt"])["srpt"] == looks(["fcfs", "sjf", "srpt"])["srpt"]


def test_rows_of_one_policy_differ_by_their_dashes() -> None:
    found = looks(["fcfs, shared", "fcfs, least_work", "srpt+noise:1"])
    assert {label: look.colour for label, look in found.items()} == {
        "fcfs, shared": "fcfs",
        "fcfs, least_work": "fcfs",
        "srpt+noise:1": "srpt",
    }
    assert found["fcfs, shared"].dashes != found["fcfs, least_work"].dashes


def test_the_oracle_is_a_reference_under_each_of_its_names() -> None:
    for label in ("srpt+oracle", "srpt (oracle)", "srpt+oracle, shared"):
        look = looks([label])[label]
        assert look.colour == "oracle" and look.dashes


def test_a_server_has_a_colour_too() -> None:
    assert looks(["http://gpu:8000/v1"])["http://gpu:8000/v1"].colour == "other"
