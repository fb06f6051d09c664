import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from rankscope.core.errors import BadInput
from rankscope.core.records import Query, Run
from rankscope.data.names import AsGiven, InCollection
from rankscope.data.teachers import from_lists, recognised
from support.collection import Docs

DOCS = Docs(d1="Red  Cats sit", d2="green dogs run", d3="Title body", d4="green DOGS run")
NAMES = InCollection([Query("q1", "Who sits?"), Query("q2", "who runs")], DOCS)

KD = {"query_id": "q1", "document_ids": ["d1", "d2", "d3"], "scores": [0.5, 2.0, -1]}
FLAG = {"query": "who  SITS?", "pos": ["red cats sit"], "neg": ["green dogs run", "elsewhere"]}
TEVATRON = {
    "query_id": "x9",
    "query": "who sits?",
    "positive_passages": [{"docid": "d3", "title": "Title", "text": "body"}],
    "negative_passages": [{"docid": "77", "title": "", "text": "red cats sit"}],
}
DPR = {
    "question": "who runs",
    "positive_ctxs": [{"title": "title", "text": "body", "score": 1, "passage_id": "5"}],
    "hard_negative_ctxs": [{"title": "", "text": "red cats sit", "score": 99, "psg_id": 3}],
    "negative_ctxs": [{"title": "", "text": "green dogs run"}],
}


def lines(path: Path, *entries: Any) -> Path:
    path.write_text("".join(json.dumps(entry) + "\n" for entry in entries))
    return path


def scores(run: Run) -> dict[str, dict[str, float]]:
    return {q: {doc.doc_id: doc.score for doc in docs} for q, docs in run.rankings.items()}


def test_kd_lists_keep_their_scores(tmp_path: Path) -> None:
    path = lines(tmp_path / "kd.jsonl", KD, KD | {"query_id": 5}, KD)
    teacher = from_lists(path, "kd", NAMES)
    assert scores(teacher.run) == {"q1": {"d2": 2.0, "d1": 0.5, "d3": -1.0}}
    assert teacher.dropped == {"query not in the collection": 1, "query listed before": 1}
    assert teacher.scores == "the file's"
    unchecked = from_lists(path, "kd", AsGiven())
    assert unchecked.run.rankings.keys() == {"q1", "5"}


def test_kd_lists_in_one_json_list_and_in_parquet(tmp_path: Path) -> None:
    whole, table = tmp_path / "kd.json", tmp_path / "kd.parquet"
    whole.write_text(json.dumps([KD]))
    pd.DataFrame([KD | {"query_id": "q2"}, KD]).to_parquet(table)
    for path in (whole, table):
        assert recognised(path) == "kd"
        assert scores(from_lists(path, "kd", NAMES).run)["q1"]["d2"] == 2.0
    pd.DataFrame([KD | {"query_id": 7}]).to_parquet(table)
    assert list(from_lists(table, "kd", AsGiven()).run.rankings) == ["7"]


def test_texts_are_looked_up_by_their_words(tmp_path: Path) -> None:
    """Case and white space make no difference; d2 and d4 have the same words, and the first is taken."""
    path = lines(tmp_path / "f.jsonl", FLAG, FLAG | {"query": "who flies"})
    teacher = from_lists(path, "flag_embedding", NAMES)
    assert scores(teacher.run) == {"q1": {"d1": 1.0, "d2": 0.0}}
    assert teacher.scores == "1 for a positive, 0 for a negative"
    assert teacher.dropped == {"query not in the collection": 1}
    assert teacher.dropped_docs == {"doc not in the collection": 1}
    scored = lines(tmp_path / "s.jsonl", FLAG | {"pos_scores": [0.9], "neg_scores": [0.3, 0.2]})
    assert scores(from_lists(scored, "flag_embedding", NAMES).run) == {"q1": {"d1": 0.9, "d2": 0.3}}


def test_tevatron_by_id_and_else_by_text(tmp_path: Path) -> None:
    """The query's id and one doc's are another collection's; their words are ours."""
    teacher = from_lists(lines(tmp_path / "t.jsonl", TEVATRON), "tevatron", NAMES)
    assert scores(teacher.run) == {"q1": {"d3": 1.0, "d1": 0.0}}
    scored = {
        "query_id": "q2",
        "positive_passages": [{"docid": "d1", "score": 7}],
        "negative_passages": [{"docid": "d2", "score": 8.5}, {"docid": "d1", "score": 9}],
    }
    teacher = from_lists(lines(tmp_path / "s.jsonl", scored), "tevatron", NAMES)
    assert scores(teacher.run) == {"q2": {"d2": 8.5, "d1": 7.0}}
    assert teacher.dropped_docs == {"doc listed before": 1}
    new = {"query_id": "q1", "positive_document_ids": ["d1"], "negative_document_ids": ["d2"]}
    teacher = from_lists(lines(tmp_path / "n.jsonl", new), "tevatron", AsGiven())
    assert scores(teacher.run) == {"q1": {"d1": 1.0, "d2": 0.0}}


def test_dprs_scores_are_the_searchs_and_not_read(tmp_path: Path) -> None:
    """The hard negative's 99 is BM25's; easy negatives count only where there are no hard ones."""
    path = tmp_path / "dpr.json"
    path.write_text(json.dumps([DPR, DPR | {"question": "who sits?", "hard_negative_ctxs": []}]))
    assert recognised(path) == "dpr"
    teacher = from_lists(path, "dpr", NAMES)
    assert scores(teacher.run) == {"q2": {"d3": 1.0, "d1": 0.0}, "q1": {"d3": 1.0, "d2": 0.0}}
    with pytest.raises(BadInput, match="entry 1: a query is named by its text alone"):
        from_lists(path, "dpr", AsGiven())


def test_a_list_none_of_whose_docs_is_there_is_counted(tmp_path: Path) -> None:
    strange = KD | {"document_ids": ["x", "y", "z"]}
    path = lines(tmp_path / "kd.jsonl", strange, KD | {"query_id": "q2"})
    teacher = from_lists(path, "kd", NAMES)
    assert teacher.run.rankings.keys() == {"q2"}
    assert teacher.dropped == {"no doc of it in the collection": 1}
    with pytest.raises(BadInput, match="no list is left .no doc of it in the collection: 1"):
        from_lists(lines(tmp_path / "x.jsonl", strange), "kd", NAMES)


def test_ids_of_another_collection_are_seen_by_their_texts(tmp_path: Path) -> None:
    """Every collection has a doc 1: where ids agree and most texts do not, the collection is another."""
    passages = [{"docid": "d1", "text": "something else"}, {"docid": "d2", "text": "and else"}]
    entry = TEVATRON | {"positive_passages": passages, "negative_passages": []}
    with pytest.raises(BadInput, match="2 of the 2 compared have other texts there .first: d1"):
        from_lists(lines(tmp_path / "t.jsonl", entry), "tevatron", NAMES)


@pytest.mark.parametrize(
    ("kind", "entry", "message"),
    [
        ("kd", KD | {"scores": [1, 2]}, "line 1: 2 `scores` for 3 docs. Give one for each doc."),
        ("kd", KD | {"scores": [1, 2, "high"]}, "line 1: the score 'high' is not a finite number"),
        ("kd", KD | {"scores": [1, 2, float("nan")]}, "the score nan is not a finite number"),
        ("kd", KD | {"scores": [1, 2, 10**400]}, "is not a finite number"),
        ("kd", KD | {"scores": None}, "line 1: it has no `scores`"),
        ("kd", KD | {"scores": 5}, "line 1: `scores` is 5. Give it as a list."),
        ("kd", KD | {"document_ids": []}, "line 1: it has no `document_ids`"),
        (
            "kd",
            KD | {"document_ids": ["a", "b c", "d"]},
            "the doc id 'b c' is empty or has a space",
        ),
        ("kd", KD | {"query_id": None}, "line 1: it has no `query_id`"),
        ("kd", "q1", "line 1: found 'q1'. Give a JSON object"),
        ("flag_embedding", FLAG | {"query": " "}, "line 1: it has no `query`"),
        ("flag_embedding", FLAG | {"query": 5}, "line 1: `query` is 5"),
        ("flag_embedding", FLAG | {"pos": [], "neg": []}, "neither positives nor negatives"),
        ("flag_embedding", FLAG | {"pos": [5]}, "line 1: a doc is '5'"),
        ("flag_embedding", FLAG | {"pos_scores": [1]}, "one of `pos_scores` and `neg_scores`"),
        ("flag_embedding", FLAG | {"pos_scores": [1, 2]}, "2 `pos_scores` for 1 doc"),
        ("tevatron", TEVATRON | {"positive_passages": ["a"]}, "line 1: a passage is 'a'"),
        ("tevatron", TEVATRON | {"positive_passages": [{}]}, "has neither id nor text"),
        (
            "tevatron",
            TEVATRON | {"positive_passages": [{"docid": "d1", "score": 1}, {"docid": "d2"}]},
            "some of its passages have a `score` and some do not",
        ),
        (
            "tevatron",
            TEVATRON | {"positive_passages": [{"docid": "d1", "score": 1}]},
            "some of its passages have a `score` and some do not",
        ),
        ("dpr", {"positive_ctxs": []}, "line 1: it has no `question`"),
    ],
)
def test_a_bad_entry_is_named_by_its_line(
    tmp_path: Path, kind: str, entry: Any, message: str
) -> None:
    with pytest.raises(BadInput, match=message):
        from_lists(lines(tmp_path / "f.jsonl", entry), kind, NAMES)


def test_a_file_scores_all_its_lists_or_none(tmp_path: Path) -> None:
    scored = FLAG | {"pos_scores": [1], "neg_scores": [0, 0]}
    path = lines(tmp_path / "f.jsonl", FLAG, scored)
    with pytest.raises(BadInput, match=r"f.jsonl, line 1 has no scores, .*f.jsonl, line 2 has"):
        from_lists(path, "flag_embedding", NAMES)
