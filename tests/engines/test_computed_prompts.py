"""What is known of an engine's prefix cache."""

from hypothesis import given
from hypothesis import strategies as st

from headway.engines.computed_prompts import REMEMBERED, ComputedPrompts

ids = st.lists(st.integers(0, 2), max_size=12)


@given(st.lists(ids, max_size=6), ids)
def test_it_is_the_longest_beginning_that_any_prompt_shares(known, asked) -> None:
    prompts = ComputedPrompts()
    owners = [object() for _ in known]
    for owner, one in zip(owners, known, strict=True):
        prompts.add(one, owner)
    shared = prompts.shared(asked)
    assert shared == 0 or any(one[:shared] == asked[:shared] for one in known)
    assert not any(one[: shared + 1] == asked[: shared + 1] != asked[:shared] for one in known)


def test_a_prompt_that_grows_replaces_itself_and_old_ones_are_forgotten() -> None:
    prompts, first = ComputedPrompts(), object()
    prompts.add([1, 2, 3], first)
    prompts.add([9], first)
    assert prompts.shared([1, 2]) == 0
    others = [object() for _ in range(REMEMBERED)]
    for n, owner in enumerate(others):
        prompts.add([n + 10], owner)
    assert prompts.shared([9]) == 0
    assert prompts.shared([10]) == 1
