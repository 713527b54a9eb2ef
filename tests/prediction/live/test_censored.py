"""What is learned of answers that their own limit cut off."""

from headway.prediction.live.censored import teaches


def test_an_answer_cut_off_early_teaches_nothing() -> None:
    assert not teaches(8, 128)


def test_an_answer_cut_off_later_than_its_like_end_teaches_that_they_are_longer() -> None:
    assert teaches(256, 128)


def test_one_cut_off_in_the_bin_of_the_typical_length_still_teaches() -> None:
    assert teaches(200, 215)
