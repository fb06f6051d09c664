"""What each word adds to a score: the score less that of the text without it."""

from collections.abc import Sequence

import pytest

from rankscope.viewer import left_out
from rankscope.viewer.left_out import word_falls

WEIGHTS = {"cat": 2.0, "red": 0.5, "not": -1.0}


def score_all(groups: Sequence[tuple[str, Sequence[str]]]) -> list[list[float]]:
    """Ten for each word of the query, and the words' weights of the doc."""
    return [
        [
            10 * len(query.split()) + sum(WEIGHTS.get(word, 0) for word in doc.split())
            for doc in docs
        ]
        for query, docs in groups
    ]


def test_every_word_has_what_it_adds_at_each_of_its_places() -> None:
    found = word_falls(score_all, "who  sits", "the cat\nnot red cat")
    assert found.score == 23.5
    assert found.query == (("who", 10), ("sits", 10))
    assert found.doc == (("the", 0), ("cat", 2), ("not", -1), ("red", 0.5), ("cat", 2))


def test_all_other_space_stays_as_it_is() -> None:
    """A tokenizer may read two spaces otherwise than one: what is compared differs by the word alone."""
    read: list[tuple[str, list[str]]] = []

    def watched(groups: Sequence[tuple[str, Sequence[str]]]) -> list[list[float]]:
        read.extend((query, [*docs]) for query, docs in groups)
        return score_all(groups)

    word_falls(watched, " who\tsits ", "the  cat\r\nnot  red\u2028cat ")
    assert read == [
        (
            " who\tsits ",
            [
                "the  cat\r\nnot  red\u2028cat ",
                "cat\r\nnot  red\u2028cat ",
                "the  not  red\u2028cat ",
                "the  cat\r\nred\u2028cat ",
                "the  cat\r\nnot  cat ",
                "the  cat\r\nnot  red ",
            ],
        ),
        (" sits ", ["the  cat\r\nnot  red\u2028cat "]),
        (" who ", ["the  cat\r\nnot  red\u2028cat "]),
    ]


@pytest.mark.parametrize(("query", "doc"), [("", ""), ("who", ""), ("", "cat")])
def test_a_text_without_words_has_none(query: str, doc: str) -> None:
    found = word_falls(score_all, query, doc)
    assert [word.text for word in found.query] == query.split()
    assert [word.text for word in found.doc] == doc.split()


def test_words_far_behind_are_not_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(left_out, "MOST_WORDS", 2)
    found = word_falls(score_all, "who", "red cat cat")
    assert [word.fall for word in found.doc] == [0.5, 2.0, None]
