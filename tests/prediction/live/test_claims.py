"""Which claims about the length of answers are believed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headway.prediction.live import claims as module
from headway.prediction.live.claims import TRUE_CLAIMS, Claims, most_tokens


def liar() -> Claims:
    claims = Claims()
    claims.ended("acme", claimed_tokens=1, output_tokens=500)
    return claims


def come_true(claims: Claims, times: int) -> None:
    for _ in range(times):
        claims.ended("acme", claimed_tokens=100, output_tokens=130)


def test_a_tenant_is_believed_until_an_answer_is_longer_than_it_claimed() -> None:
    claims = Claims()
    assert claims.believes("acme")
    come_true(claims, 5)
    assert claims.believes("acme")
    claims.ended("acme", claimed_tokens=100, output_tokens=151)
    assert not claims.believes("acme")
    assert claims.believes("other")


@pytest.mark.parametrize("output_tokens", [1, 60, 150])
def test_an_answer_that_is_shorter_or_hardly_longer_proves_nothing_wrong(output_tokens) -> None:
    claims = Claims()
    claims.ended("acme", claimed_tokens=100, output_tokens=output_tokens)
    assert claims.believes("acme")


def test_a_few_tokens_are_no_lie() -> None:
    claims = Claims()
    claims.ended("acme", claimed_tokens=5, output_tokens=5 + module.TOLERANCE_TOKENS)
    assert claims.believes("acme")


def test_enough_claims_that_come_true_in_a_row_are_believed_again() -> None:
    claims = liar()
    come_true(claims, TRUE_CLAIMS - 1)
    assert not claims.believes("acme")
    come_true(claims, 1)
    assert claims.believes("acme")


@pytest.mark.parametrize(("claimed", "real"), [(10, 500), (500, 10)])
def test_one_that_is_wrong_in_either_way_begins_the_row_again(claimed, real) -> None:
    claims = liar()
    come_true(claims, TRUE_CLAIMS - 1)
    claims.ended("acme", claimed, real)
    come_true(claims, TRUE_CLAIMS - 1)
    assert not claims.believes("acme")


def test_an_answer_that_did_not_finish_can_only_prove_a_claim_wrong() -> None:
    claims = liar()
    for _ in range(TRUE_CLAIMS):
        claims.ended("acme", 100, 100, finished=False)
    assert not claims.believes("acme")
    claims.ended("other", 100, 3, finished=False)
    assert claims.believes("other")
    claims.ended("other", 1, 400, finished=False)
    assert not claims.believes("other")


def test_only_so_many_tenants_are_remembered(monkeypatch) -> None:
    monkeypatch.setattr(module, "REMEMBERED_TENANTS", 2)
    claims = Claims()
    for tenant in ("first", "second", "first", "third"):
        claims.refuted(tenant)
    assert [claims.believes(one) for one in ("first", "second", "third")] == [False, True, False]


@given(st.integers(1, 10**6))
def test_no_claim_is_held_against_an_answer_as_long_as_it(claimed) -> None:
    assert most_tokens(claimed) >= claimed
