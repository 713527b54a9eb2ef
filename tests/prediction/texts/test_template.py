"""The lines that many prompts share."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from headway.prediction.texts.template import Template

FORMAT = "Answer in the JSON format below."


def test_lines_that_many_share_are_left_out() -> None:
    texts = [f"How many are {n} times 7?\n  {FORMAT}" for n in range(100)]
    template = Template.learned_from(texts)
    assert template.own(texts[3]) == "How many are 3 times 7?"
    assert template.own(f"{FORMAT}\nSomething else.") == "Something else."


def test_a_few_prompts_that_share_a_line_are_no_template() -> None:
    texts = [f"{number}\n{FORMAT}" for number in range(4)]
    assert Template.learned_from(texts).own(texts[0]) == texts[0]


def test_a_prompt_that_is_all_template_has_nothing_of_its_own() -> None:
    assert Template.learned_from([FORMAT] * 10).own(FORMAT) == ""


@given(st.text())
def test_without_a_template_everything_is_its_own(text: str) -> None:
    assert Template().own(text) == text
