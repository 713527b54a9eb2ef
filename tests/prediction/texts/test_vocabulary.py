"""Words are looked up once."""

from hypothesis import given
from hypothesis import strategies as st

from headway.prediction.texts import vocabulary
from headway.prediction.texts.vectors import shipped_vectors
from headway.prediction.texts.vocabulary import Vocabulary
from headway.prediction.texts.words import words_of

VOCABULARY = Vocabulary(shipped_vectors())


@given(st.lists(st.text(), min_size=1))
def test_the_words_are_those_of_each_text(texts: list[str]) -> None:
    """Also where they are found piece by piece, between spaces."""
    words = VOCABULARY.words(texts)
    for row, text in enumerate(texts):
        begin, length = int(words.start[row]), int(words.lengths[row])
        assert [words.after(at - 1, 1)[0] for at in range(begin, begin + length)] == words_of(text)
        assert words.row[begin : begin + length + 1].tolist() == [row] * (length + 1)


def test_nothing_follows_the_last_word_of_a_text() -> None:
    words = VOCABULARY.words(["name 5", "words for snow"])
    assert words.named.tolist() == [0, 5, 0, 0, 0, 0, 0]
    assert words.after(1, 2) == []
    assert words.after(3, 2) == ["for", "snow"]


def test_a_full_vocabulary_begins_anew_and_knows_the_same(monkeypatch) -> None:
    monkeypatch.setattr(vocabulary, "MOST_WORDS", 64)
    small = Vocabulary(shipped_vectors())
    before = small.words(["write five lines"])
    for number in range(40):
        small.words([f"a{number} b{number} {number}"])
    after = small.words(["write five lines"])
    assert (before.hashes == after.hashes).all()
    assert (before.kinds == after.kinds).all()
    assert before.after(0, 2) == after.after(0, 2) == ["five", "lines"]


def test_texts_may_bring_more_new_words_at_once_than_are_kept(monkeypatch) -> None:
    monkeypatch.setattr(vocabulary, "MOST_WORDS", 8)
    small = Vocabulary(shipped_vectors())
    texts = [f"write five lines {' '.join(f'{n}a{m}' for m in range(20))}" for n in range(5)]
    words = small.words(texts)
    again = Vocabulary(shipped_vectors()).words(texts)
    assert (words.hashes != again.hashes).sum() == 0
    assert words.named.sum() == 5 * 5
