"""Learning from answers that their own limit cut off."""

from headway.prediction.live.censored import teaches


def test_an_answer_cut_off_early_does_not_count() -> None:
    assert not teaches(8, 128)


def test_an_answer_cut_off_beyond_the_typical_length_counts() -> None:
    assert teaches(256, 128)


def test_one_cut_off_in_the_bin_of_the_typical_length_counts() -> None:
    assert teaches(200, 215)
