"""What the field asks of an evaluation, by ir_datasets id: the grade that is relevant, docs that are their query."""

import pytest

from rankscope.core.records import Qrel, Run, ScoredDoc
from rankscope.data.conventions import Convention, convention
from rankscope.evaluate.evaluation import measure
from rankscope.pipeline.spec.collections import BeirSpec, IrDatasetsSpec

PLAIN, FROM_GRADE_2, WITHOUT_OWN_DOCS = (
    Convention(),
    Convention(relevance_level=2),
    Convention(drop_own_docs=True),
)


@pytest.mark.parametrize(
    ("dataset_id", "expected"),
    [
        ("msmarco-passage/trec-dl-2019/judged", FROM_GRADE_2),
        ("msmarco-passage/trec-dl-2020", FROM_GRADE_2),
        ("msmarco-passage/trec-dl-hard", FROM_GRADE_2),
        ("irds:msmarco-passage/trec-dl-2019/judged", FROM_GRADE_2),
        ("msmarco-passage-v2/trec-dl-2021/judged", FROM_GRADE_2),
        ("beir/arguana", WITHOUT_OWN_DOCS),
        ("beir/quora/test", WITHOUT_OWN_DOCS),
        ("irds:beir/quora/dev", WITHOUT_OWN_DOCS),
        ("msmarco-passage/dev/small", PLAIN),
        ("msmarco-document/trec-dl-2019/judged", PLAIN),
        ("beir/scifact/test", PLAIN),
        ("mine/beir/arguana", PLAIN),
        ("", PLAIN),
        (None, PLAIN),
    ],
)
def test_trecs_passage_tracks_count_from_grade_2_and_beirs_two_drop_own_docs(
    dataset_id: str | None, expected: Convention
) -> None:
    assert convention(dataset_id) == expected


def test_the_plain_convention_counts_from_grade_1_and_keeps_all_docs() -> None:
    assert (PLAIN.relevance_level, PLAIN.drop_own_docs) == (1, False)


def test_a_study_has_the_convention_of_its_collection_unless_it_says_otherwise() -> None:
    track = {"kind": "ir_datasets", "id": "msmarco-passage/trec-dl-2019/judged"}
    assert IrDatasetsSpec(**track).convention() == FROM_GRADE_2
    assert IrDatasetsSpec(**track, relevance_level=1).convention() == PLAIN
    arguments = {"kind": "ir_datasets", "id": "beir/arguana"}
    assert IrDatasetsSpec(**arguments).convention() == WITHOUT_OWN_DOCS
    assert IrDatasetsSpec(**arguments, drop_own_docs=False).convention() == PLAIN
    folder = BeirSpec(kind="beir", path="beir/arguana")
    assert folder.convention() == PLAIN, "a folder's name says nothing"


def test_what_the_conventions_change_of_a_reciprocal_rank() -> None:
    """The query's own doc, a doc of grade 1, one of grade 2: RR is 1/2; from grade 2 on 1/3; without own docs 1."""
    run = Run.of("r", [ScoredDoc("q", doc_id, -float(n)) for n, doc_id in enumerate("qab")])
    qrels = [Qrel("q", "a", 1), Qrel("q", "b", 2)]

    def reciprocal_rank(how: Convention) -> float:
        found = measure(
            {"r": run},
            qrels,
            ["RR@10"],
            relevance_level=how.relevance_level,
            drop_own_docs=how.drop_own_docs,
        )
        return next(iter(found.means()["r"].values()))

    assert reciprocal_rank(PLAIN) == pytest.approx(1 / 2)
    assert reciprocal_rank(FROM_GRADE_2) == pytest.approx(1 / 3)
    assert reciprocal_rank(WITHOUT_OWN_DOCS) == pytest.approx(1)
