"""The states of a batch."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headway.batches.batch import TRANSITIONS, Batch, Status, WrongStatus

NEW = Batch("batch_1", "ann", "/v1/chat/completions", "file-1", 100, 100 + 24 * 3600)


@given(st.lists(st.sampled_from([*Status, "cancel"]), max_size=30))
def test_it_only_goes_forward_and_ends_once(events: list[Status | str]) -> None:
    batch, ends = NEW, 0
    for now, event in enumerate(events, 200):
        before = batch
        try:
            batch = batch.cancelled(now) if event == "cancel" else batch.moved(Status(event), now)
        except WrongStatus:
            assert batch is before
            continue
        if batch is before:  # cancelled again, or too late
            assert event == "cancel"
            continue
        assert batch.status in TRANSITIONS[before.status]
        assert getattr(batch, f"{batch.status}_at") == now
        ends += batch.status.over
    assert ends <= 1
    assert batch.status.over == bool(ends)


def test_the_way_of_a_batch_that_completes() -> None:
    batch = NEW
    for now, status in enumerate((Status.IN_PROGRESS, Status.FINALIZING, Status.COMPLETED)):
        batch = batch.moved(status, 200.7 + now)
    assert (batch.in_progress_at, batch.finalizing_at, batch.completed_at) == (200, 201, 202)
    with pytest.raises(WrongStatus):
        batch.cancelled(300)


def test_cancelling_again_changes_nothing() -> None:
    batch = NEW.cancelled(200)
    assert batch.cancelled(300) is batch
    assert batch.moved(Status.CANCELLED, 300).cancelled(400).cancelling_at == 200


def test_a_batch_that_is_answered_already_completes() -> None:
    batch = NEW.moved(Status.IN_PROGRESS, 200).moved(Status.FINALIZING, 300)
    assert batch.cancelled(400) is batch
