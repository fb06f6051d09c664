from pathlib import Path

import pytest

from rankscope.core.errors import BadInput
from rankscope.data import world
from rankscope.data.collections import beir_folder, judged_topics
from rankscope.evaluate.measuring import measured
from rankscope.retrieve import bm25


@pytest.fixture(scope="module")
def made() -> world.World:
    return world.world(1, n_people=30)


def test_the_same_seed_makes_the_same_world(made: world.World) -> None:
    assert world.world(1, n_people=30) == made
    assert world.world(2, n_people=30) != made


def test_every_query_has_one_answer_one_hint_and_distractors(made: world.World) -> None:
    grades: dict[str, list[int]] = {}
    for qrel in made.qrels:
        grades.setdefault(qrel.query_id, []).append(qrel.relevance)
    assert len(grades) == len(made.queries) == 240
    assert {tuple(sorted(found, reverse=True)) for found in grades.values()} == {
        (2, 1, 0), (2, 1, 0, 0),
    }  # fmt: skip


def test_most_answers_share_no_content_word_with_the_question(made: world.World) -> None:
    texts, queries = dict(made.docs), dict(made.queries)
    names = {word for query in queries.values() for word in query.split()[-2:]}
    shared = 0
    for query_id, doc_id, grade in made.qrels:
        if grade == 2:
            asked = set(bm25.analyzed(queries[query_id]))
            stated = set(bm25.analyzed(texts[doc_id].split(" . ")[0])) & asked
            shared += bool(stated - {term for name in names for term in bm25.analyzed(name)})
    assert shared / len(queries) < 0.6


def test_word_overlap_alone_does_not_solve_it(made: world.World, tmp_path: Path) -> None:
    """BM25 finds nearly all answers in its top 50, and puts few of them in front."""
    bm25.build(made.docs, tmp_path)
    run = bm25.search(bm25.Index.load(tmp_path), made.queries, depth=50)
    means = measured(run, made.qrels, ["nDCG@10", "R(rel=2)@50"]).means()
    assert means["nDCG@10"] < 0.4
    assert means["R(rel=2)@50"] > 0.8


def test_the_teacher_is_good_but_not_perfect(made: world.World) -> None:
    first = measured(made.teacher, made.qrels, ["P(rel=2)@1"]).means()["P(rel=2)@1"]
    assert 0.7 < first < 1.0


def test_a_world_is_written_as_a_beir_folder_with_disjoint_splits(
    made: world.World, tmp_path: Path
) -> None:
    world.write(made, tmp_path, test_share=0.25, seed=1)
    splits = [
        {query.query_id for query in judged_topics(beir_folder(tmp_path, split)).queries}
        for split in ("train", "test")
    ]
    assert not splits[0] & splits[1]
    assert [len(split) for split in splits] == [180, 60]


def test_a_world_has_its_limits() -> None:
    with pytest.raises(BadInput, match="4 to 240 people"):
        world.world(1, n_people=3)
