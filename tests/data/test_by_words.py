from pathlib import Path

from rankscope.core.records import Doc, Qrel, Query, Run, ScoredDoc
from rankscope.data.by_words import ByWords
from rankscope.data.choices import choices_from_qrels
from rankscope.data.collections import StoredDocs, Topics, write_docs
from rankscope.data.samples import pools_from_qrels, pools_from_teacher, pools_of_texts

TEXTS = {"d1": "A red cat.", "d2": "a  RED cat.", "d3": "a dog", "d4": "a bird", "d5": "A dog"}
TOPICS = Topics(
    [Query("q1", "what cat"), Query("q2", "What  Cat"), Query("q3", "what dog")],
    [Qrel("q1", "d1", 1), Qrel("q2", "d4", 2), Qrel("q3", "d3", 1), Qrel("q3", "far", 1)],
)
RUN = Run.of("r", [ScoredDoc(q, d, -n) for q in ("q1", "q2", "q3") for n, d in enumerate(TEXTS)])


def by_words(folder: Path) -> ByWords:
    write_docs((Doc(*each) for each in TEXTS.items()), folder)
    return ByWords(TOPICS, StoredDocs(folder).key)


def test_relevant_is_what_a_twin_wants_and_what_has_a_relevant_docs_words(tmp_path: Path) -> None:
    same = by_words(tmp_path)
    relevant = {q: [d for d in TEXTS if same.is_relevant(q, d)] for q in ("q1", "q2", "q3")}
    assert relevant == {"q1": ["d1", "d2", "d4"], "q2": ["d1", "d2", "d4"], "q3": ["d3", "d5"]}
    assert same.is_relevant("q3", "far"), "a judged doc without a text goes by its id"
    assert same.distinct(TEXTS) == ["d1", "d3", "d4"]
    assert same.twins(["q1", "q2", "q3"]) == ["q1", "q2"]
    assert same.doubles(TEXTS) == ["d1", "d2", "d3", "d5"]


def test_hard_negatives_are_others_in_words_and_each_once(tmp_path: Path) -> None:
    """By ids alone q1 would have d2 and d4 as negatives, and d3 beside d5."""
    how = {"skip_top": 0, "depth": 5, "by_words": by_words(tmp_path)}
    pools = pools_from_qrels(TOPICS.qrels, RUN, missing_positive="add", **how)  # type: ignore[arg-type]
    assert [(p.query_id, p.hard_negatives, p.left_out) for p in pools.pools] == [  # type: ignore[attr-defined]
        ("q1", ("d3",), ("d2", "d4")),
        ("q2", ("d3",), ("d1", "d2")),
        ("q3", ("d1", "d4"), ("d5",)),
    ]
    made = choices_from_qrels(
        TOPICS.qrels, RUN, n_docs=2, depth=5, seed=1, by_words=how["by_words"]
    )  # type: ignore[arg-type]
    assert {each.doc_ids for each in made.choices if each.query_id != "q3"} == {
        ("d1", "d3"),
        ("d4", "d3"),
    }


def test_a_teacher_ranks_no_doc_above_itself(tmp_path: Path) -> None:
    (pool,) = pools_from_teacher(["q1"], RUN, depth=5, by_words=by_words(tmp_path)).pools
    assert pool.doc_ids == ("d1", "d3", "d4")
    two = Run.of("t", [ScoredDoc("q1", "d1", 2.0), ScoredDoc("q1", "d2", 1.0), ScoredDoc("q3", "d1", 2.0),
                       ScoredDoc("q3", "d3", 1.0)])  # fmt: skip
    found = pools_from_teacher(["q1", "q3"], two, depth=5, by_words=by_words(tmp_path))
    assert found.dropped == {"only one doc to rank": 1}


def test_crops_are_of_docs_that_differ(tmp_path: Path) -> None:
    found = pools_of_texts([*TEXTS, "none"], "none".__eq__, by_words(tmp_path))
    assert [pool.query_id for pool in found.pools] == ["d1", "d3", "d4"]
    assert found.dropped == {"no text": 1, "words of another": 2}
