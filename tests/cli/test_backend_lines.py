"""What is printed of the backends at the start: a model is only claimed where one answered."""

from __future__ import annotations

from headway.cli.backend_lines import backend_lines
from headway.engines.backend_status import STARTING, BackendStatus
from headway.engines.engine import Description

HERE = "http://127.0.0.1:40123/v1"


def lines(*statuses: BackendStatus) -> list[str]:
    return list(backend_lines(statuses, "embedded"))


def up(name: str, *models: str) -> BackendStatus:
    description = Description(models=models, slots=1)
    return BackendStatus(name, HERE, description, healthy=True, slots=1, error=None)


def down(error: str | None, url: str = "http://gpu:8000/v1") -> BackendStatus:
    return BackendStatus("gpu", url, None, healthy=False, slots=0, error=error)


def test_a_backend_that_is_up_is_named_with_its_models() -> None:
    assert lines(up("gpu", "small", "large")) == [f"  model   small, large on {HERE}"]


def test_the_embedded_engine_has_no_address_to_call() -> None:
    assert lines(up("embedded", "smol")) == ["  model   smol on the embedded engine"]


def test_no_model_is_claimed_on_a_backend_that_is_down() -> None:
    assert lines(down("gpu (http://gpu:8000/v1): nobody listens."), up("b", "small")) == [
        "  down    http://gpu:8000/v1: nobody listens; it is tried again",
        f"  model   small on {HERE}",
    ]


def test_a_password_in_an_address_is_not_printed() -> None:
    line = lines(down("http://a:hush@gpu:8000 refuses", "http://a:hush@gpu:8000/v1"))[0]
    assert "hush" not in line


def test_an_engine_that_starts_is_not_called_down() -> None:
    status = BackendStatus("embedded", "", None, healthy=False, slots=0, error=STARTING)
    assert lines(status) == ["  starts  the embedded engine; requests wait for it"]
