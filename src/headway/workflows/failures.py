"""Which failures another attempt may not meet, and how long to wait before it."""

from __future__ import annotations

import random

from headway.workflows.errors import (
    Cancelled,
    NotStorable,
    Rejected,
    StepFailed,
    TimedOut,
    WorkflowError,
)

FOR_GOOD = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    Cancelled,
    ImportError,
    LookupError,
    NameError,
    NotImplementedError,
    NotStorable,
    Rejected,
    SyntaxError,
    TypeError,
)
"""Errors of the program, and answers of people: another attempt meets them again. ValueError is
not among them, since it is what checks of a model's answer raise."""


def worth_retrying(error: BaseException) -> bool:
    """Whether another attempt may go well."""
    stated = getattr(error, "worth_retrying", None)
    if isinstance(stated, bool):
        return stated
    if isinstance(error, WorkflowError) and not isinstance(error, StepFailed | TimedOut):
        return False
    return not isinstance(error, FOR_GOOD)


def may_be_away(error: BaseException) -> bool:
    """Whether what failed may be away. A ValueError is what checks of an answer raise: it came."""
    return worth_retrying(error) and not isinstance(error, ValueError)


def backoff_s(retry: int, first_s: float, longest_s: float, after_s: float | None = None) -> float:
    """Seconds to wait before retry number `retry` (from 1), with jitter.

    `after_s` is what a server asks for: no shorter than that.
    """
    wait_s = min(longest_s, first_s * 2.0 ** min(retry - 1, 30)) * random.uniform(0.5, 1.0)
    return wait_s if after_s is None else max(wait_s, after_s)
