"""Checks of answers, named in tests.yaml."""


def ends_like_a_sentence(answer, variables):
    """Return True, or a text that says why not."""
    return answer.endswith(".") or f"the answer for {variables['country']} has no end"
