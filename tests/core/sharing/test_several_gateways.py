"""What holds of several schedulers on shared slots, whatever the settings."""

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.core.drive import events, settings_of_every_kind, tight_events, tight_settings
from tests.core.sharing.shared import Several
from tests.deep import examples

happenings = st.lists(st.tuples(st.integers(0, 2), events), min_size=20, max_size=50)


@settings(max_examples=examples(80), deadline=None)
@given(settings_of_every_kind, happenings)
def test_slots_are_kept_and_used_and_every_request_runs(chosen, happened) -> None:
    several = Several(3, chosen, {"x": 2, "y": 1})
    several.play(happened)
    several.drain()


@settings(max_examples=examples(60), deadline=None)
@given(tight_settings, tight_events, st.integers(0, 10**6))
def test_and_where_caps_due_times_and_preemption_meet(chosen, happened, dealt) -> None:
    several = Several(2, chosen, {"x": 2, "y": 0})
    several.play([(dealt >> number & 1, event) for number, event in enumerate(happened)])
    several.drain()
