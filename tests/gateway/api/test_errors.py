"""Messages of errors."""

from __future__ import annotations

from headway.engines.engine import BackendGone
from headway.gateway.api.errors import gave_up


def test_one_failed_run_is_not_called_a_row_of_them() -> None:
    gone = BackendGone("it sent nothing for 60 s")
    advice = "it sent nothing for 60 s; try again, or see the backend's log."
    assert str(gave_up(1, gone)) == f"The request failed because {advice}"
    assert str(gave_up(3, gone)) == (
        f"The request failed 3 times in a row, the last time because {advice}"
    )
