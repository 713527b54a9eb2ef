"""Rotation: since when nobody takes a model."""

from __future__ import annotations

from dataclasses import replace

from headway.engines.backend_status import BackendStatus
from headway.engines.engine import Description
from headway.gateway.dispatch.rotation import Rotation


def status(name: str, *models: str, slots: int = 1, named: tuple[str, ...] = ()) -> BackendStatus:
    description = Description(models=models, slots=None) if models else None
    return BackendStatus(name, "", description, slots > 0, slots, None, named)


def test_a_model_is_served_as_long_as_one_backend_takes_it() -> None:
    rotation = Rotation()
    rotation.changed(status("a", "m"), 0.0)
    rotation.changed(status("b", "m", slots=0), 1.0)
    assert rotation.incomplete
    assert rotation.unserved_since_s("m") is None
    rotation.changed(status("a", "m", slots=0), 5.0)
    rotation.changed(status("b", "m", slots=0), 7.0)
    assert rotation.unserved_since_s("m") == 5.0, "the last one left then"
    rotation.changed(status("b", "m"), 8.0)
    assert rotation.unserved_since_s("m") is None


def test_a_backend_that_leaves_serves_nobody_who_waits() -> None:
    rotation = Rotation()
    rotation.changed(status("a", "m"), 0.0)
    rotation.changed(replace(status("a", "m", slots=0), leaving=True), 1.0)
    assert rotation.unserved_since_s("m") == float("-inf")
    rotation.left("a")
    assert not rotation.incomplete


def test_an_answer_that_has_begun_needs_a_backend_with_its_vocabulary() -> None:
    rotation = Rotation()
    exact = Description(models=("m",), slots=1, exact_resume=True, vocabulary="v")
    rotation.changed(BackendStatus("a", "", exact, True, 1, None), 0.0)
    assert rotation.unserved_since_s("m#v") is None
    assert rotation.unserved_since_s("m#w") == float("-inf")
    rotation.changed(status("new", slots=0, named=("m",)), 2.0)
    assert rotation.unserved_since_s("m#w") == 2.0


def test_a_backend_that_has_never_answered_may_have_any_model() -> None:
    rotation = Rotation()
    rotation.changed(status("a", "m"), 0.0)
    assert rotation.unserved_since_s("other") == float("-inf")
    rotation.changed(status("new", slots=0), 2.0)
    assert rotation.unserved_since_s("other") == 2.0
    rotation.changed(status("new", slots=0, named=("big",)), 3.0)
    assert rotation.unserved_since_s("other") == float("-inf")
    assert rotation.unserved_since_s("big") == 2.0
