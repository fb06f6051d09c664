"""Choices for probes: every relevant doc once, with negatives that are not judged relevant."""

import pytest

from rankscope.core.errors import BadInput
from rankscope.core.records import Qrel, Run, ScoredDoc
from rankscope.data.choices import choices_from_qrels

QRELS = [Qrel("q1", "d1", 1), Qrel("q1", "d2", 2), Qrel("q2", "d9", 1), Qrel("q3", "d1", 0)]
RUN = Run(
    "bm25",
    {
        "q1": [ScoredDoc("q1", f"d{n}", 10.0 - n) for n in range(1, 9)],
        "q2": [ScoredDoc("q2", f"d{n}", 10.0 - n) for n in range(1, 3)],
        "q3": [ScoredDoc("q3", f"d{n}", 10.0 - n) for n in range(1, 9)],
    },
)


def made(**how: int) -> dict[tuple[str, str], tuple[str, ...]]:
    usual = {"n_docs": 4, "depth": 8, "seed": 1}
    found = choices_from_qrels(QRELS, RUN, **usual | how)
    return {(c.query_id, c.doc_ids[0]): c.doc_ids[1:] for c in found.choices}


def test_each_relevant_doc_stands_against_docs_that_are_not_judged_relevant() -> None:
    found = made()
    assert set(found) == {("q1", "d1"), ("q1", "d2")}
    for docs in found.values():
        assert len(set(docs)) == 3
        assert set(docs) <= {f"d{n}" for n in range(3, 9)}
    dropped = choices_from_qrels(QRELS, RUN, n_docs=4, depth=8, seed=1).dropped
    assert dropped == {"relevant docs with fewer hard negatives than asked for": 1}


def test_a_seed_draws_the_same_and_another_other_docs() -> None:
    assert made() == made()
    assert made() != made(seed=2)


def test_ranks_and_grades_are_respected() -> None:
    assert set(made(min_relevance=2)) == {("q1", "d2")}
    for docs in made(n_docs=3, skip_top=4, depth=7).values():
        assert set(docs) <= {"d5", "d6", "d7"}


def test_without_any_choice_the_sentence_says_what_was_looked_for() -> None:
    with pytest.raises(BadInput, match="8 hard negatives at ranks 1 to 8"):
        made(n_docs=9)
