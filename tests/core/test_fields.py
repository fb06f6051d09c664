"""One rule for ids, texts and grades, at every door."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import rankscope
from rankscope.cli.arguments import read_groups
from rankscope.core.errors import BadInput
from rankscope.core.fields import as_grade, as_text, is_score, shown
from rankscope.core.formats import from_mapping, read_qrels, read_run
from rankscope.core.records import Qrel, Run, ScoredDoc
from rankscope.core.trec.writing import write_qrels, write_run
from rankscope.data.collections import LocalFiles
from rankscope.data.listed import read_listed
from rankscope.data.lists import given_lists
from rankscope.evaluate import evaluation
from rankscope.evaluate.evaluation import measure
from rankscope.evaluate.runs import judgements

SPACED, HALF = "annex d1", "d\ud83d"


def stored(path: Path, value: Any) -> Path:
    path.write_text(value if isinstance(value, str) else json.dumps(value))
    return path


def docs(path: Path) -> list[Any]:
    return list(LocalFiles(path, path, path).docs())


def lists(path: Path) -> list[Any]:
    return list(given_lists(path, "kd"))


DOORS: dict[str, Callable[[Path, Any], Any]] = {
    "JSON run": lambda path, name: read_run(stored(path, {"q": {name: 1.0}})),
    "RankLLM": lambda path, name: read_run(
        stored(path, [{"query": {"qid": "q"}, "candidates": [{"docid": name, "score": 1}]}])
    ),
    "JSON qrels": lambda path, name: read_qrels(stored(path, {"q": {name: 1}})),
    "docs": lambda path, name: docs(stored(path, [{"_id": name, "text": "a"}])),
    "doc lines": lambda path, name: docs(stored(path, json.dumps({"_id": name, "text": "a"}))),
    "lists": lambda path, name: lists(
        stored(path, [{"query_id": "q", "document_ids": [name], "scores": [1]}])
    ),
    "table": lambda path, name: from_mapping({"q": {name: 1.0}}, "r", "the run 'r'"),
    "qrels": lambda path, name: judgements([Qrel("q", name, 1)]),
    "run": lambda path, name: measure(
        {"a": Run("r", {"q": [ScoredDoc("q", name, 1.0)]})}, {"q": {"d": 1}}
    ),
    "written run": lambda path, name: write_run(path, Run("r", {"q": [ScoredDoc("q", name, 1.0)]})),
    "written qrels": lambda path, name: write_qrels(path, [Qrel("q", name, 1)]),
}
TEXT_DOORS: dict[str, Callable[[Path, str], Any]] = {
    "TREC run by tabs": lambda path, name: read_run(stored(path, f"q\tQ0\t{name}\t1\t2.0\tt\n")),
    "TREC run by tabs, no tag": lambda path, name: read_run(
        stored(path, f"q\tQ0\t{name}\t1\t2.0\n")
    ),
    "three columns by tabs": lambda path, name: read_run(stored(path, f"q\t{name}\t2.5\n")),
    "TREC qrels by tabs": lambda path, name: read_qrels(stored(path, f"q\t0\t{name}\t1\n")),
    "qrels of three columns": lambda path, name: read_qrels(stored(path, f"q\t{name}\t1\n")),
    "BEIR qrels": lambda path, name: read_qrels(
        stored(path, f"query-id\tcorpus-id\tscore\nq\t{name}\t1\n")
    ),
    "TSV docs": lambda path, name: docs(stored(path, f"{name}\ttext\n")),
    "groups": lambda path, name: read_groups(stored(path, f"{name}\tg\n")),
}


@pytest.mark.parametrize("door", [*DOORS, *TEXT_DOORS])
def test_an_id_with_a_space_is_refused_and_never_split(tmp_path: Path, door: str) -> None:
    """Before: `1<tab>annex d1<tab>1` was TREC's four columns, and doc d1."""
    with pytest.raises(BadInput, match="has a space|expected [46] columns"):
        (DOORS | TEXT_DOORS)[door](tmp_path / "f", SPACED)


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("value", [HALF, 7.0, True, None, ["d"], "", " d", "a\0b"])
def test_what_is_no_id_is_refused(tmp_path: Path, door: str, value: Any) -> None:
    if isinstance(value, list) and door in ("table", "JSON run", "JSON qrels"):
        pytest.skip("no key of a table")
    if door in ("JSON run", "JSON qrels") and not isinstance(value, str):
        pytest.skip("a key of JSON is text")
    with pytest.raises(BadInput):
        DOORS[door](tmp_path / "f", value)


def test_columns_of_tabs_keep_what_follows_the_tag_and_mixed_lines_without_doubt(
    tmp_path: Path,
) -> None:
    """A tag may have spaces; tabs beyond the columns part nothing."""
    path = stored(tmp_path / "r", "q\tQ0\td\t1\t2.0\tmy tag\nq Q0 e 2 1.0 t\tmore\n")
    assert [doc.doc_id for doc in read_run(path).rankings["q"]] == ["d", "e"]


TEXTS = [["liver", "pain"], {"en": "lung"}, 7, 7.5, True, "half \ud83d"]


@pytest.mark.parametrize("value", TEXTS)
@pytest.mark.parametrize("field", ["text", "title", "contents", "body"])
def test_what_is_no_text_is_refused_with_file_line_and_field(
    tmp_path: Path, field: str, value: Any
) -> None:
    good, bad = {"_id": "a", "text": "liver"}, {"_id": "b", "text": None} | {field: value}
    bad = bad | ({"text": "x"} if field == "title" else {})
    path = stored(tmp_path / "f", f"{json.dumps(good)}\n{json.dumps(bad)}\n")
    with pytest.raises(BadInput, match=f"f, line 2: `{field}` (is|holds half)"):
        docs(path)


def test_a_nan_for_a_title_is_none(tmp_path: Path) -> None:
    """As pandas writes it; before, it was indexed as the word "nan"."""
    path = stored(tmp_path / "f", '{"_id": "t", "title": NaN, "text": "liver"}')
    assert docs(path) == [("t", "liver")]
    with pytest.raises(BadInput, match="line 1: not a doc"):
        docs(stored(path, '{"_id": "t", "title": "a", "text": NaN}'))


@pytest.mark.parametrize("value", TEXTS)
def test_listed_docs_have_the_same_rule(tmp_path: Path, value: Any) -> None:
    entry = {
        "question": "q", "positive_ctxs": [{"title": value, "text": "a"}],
        "hard_negative_ctxs": [{"text": "b"}],
    }  # fmt: skip
    with pytest.raises(BadInput, match="line 1: `title`"):
        read_listed(stored(tmp_path / "f", json.dumps(entry)), "dpr")


def test_a_field_twice_in_one_entry_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"line 1: not a doc.*'text' stands twice"):
        docs(stored(tmp_path / "f", '{"_id": "a", "text": "x", "text": "y"}'))


def test_a_line_of_names_is_no_doc(tmp_path: Path) -> None:
    assert docs(stored(tmp_path / "f", "id\ttext\nd1\tone\n")) == [("d1", "one")]
    with pytest.raises(BadInput, match="names 3 columns"):
        docs(stored(tmp_path / "f", "id\ttext\ttitle\nd1\tone\ttwo\n"))


def test_docs_are_told_by_what_they_hold(tmp_path: Path) -> None:
    """JSON lines called .tsv, TSV called .jsonl, a list of entries, and Parquet."""
    entry = {"_id": 1, "title": "a", "text": "b"}
    for name, text in (
        ("a.tsv", json.dumps(entry)), ("a.jsonl", "1\ta b\n"), ("a.txt", json.dumps([entry], indent=1)),
    ):  # fmt: skip
        assert docs(stored(tmp_path / name, text)) == [("1", "a b")]
    pd.DataFrame([entry | {"_id": "1"}]).to_parquet(tmp_path / "a")
    assert docs(tmp_path / "a") == [("1", "a b")]


GRADED = {
    "TREC": "q 0 d {}\n",
    "BEIR": "query-id\tcorpus-id\tscore\nq\td\t{}\n",
    "JSON": '{{"q": {{"d": {}}}}}',
}


@pytest.mark.parametrize("form", GRADED)
@pytest.mark.parametrize(("written", "grade"), [("2.0", 2), ("2", 2), ("-1.0", -1), ("0.00", 0)])
def test_a_grade_written_as_a_fraction_of_nothing_is_read(
    tmp_path: Path, form: str, written: str, grade: int
) -> None:
    assert read_qrels(stored(tmp_path / "f", GRADED[form].format(written))) == [
        Qrel("q", "d", grade)
    ]


@pytest.mark.parametrize("form", GRADED)
@pytest.mark.parametrize("written", ["0.5", "1e400", '"2"', "NaN", "true", "1.0.0", "2,0"])
def test_what_is_no_grade_is_refused(tmp_path: Path, form: str, written: str) -> None:
    with pytest.raises(BadInput, match="not a whole number|beyond|not JSON"):
        read_qrels(stored(tmp_path / "f", GRADED[form].format(written)))


def test_grades_of_tables() -> None:
    assert [as_grade(value, "here") for value in (np.int64(2), np.float32(2), 2.0)] == [2, 2, 2]
    frame = pd.DataFrame({"qid": ["q"], "docno": ["d"], "label": [2.0]})
    assert judgements(frame) == judgements({"q": {"d": np.int64(2)}}) == [Qrel("q", "d", 2)]
    with pytest.raises(BadInput, match=r"not a whole number but text\. Give it without quotes"):
        as_grade("2", "here")


def test_the_front_reads_and_writes_paths_as_text(tmp_path: Path) -> None:
    path = str(tmp_path / "a.run")
    rankscope.write_run(path, Run.of("r", [ScoredDoc("q", "d", 1.0)]))
    assert rankscope.read_run(path).rankings == {"q": [ScoredDoc("q", "d", 1.0)]}
    rankscope.write_qrels(path, [Qrel("q", "d", 1)])
    assert rankscope.read_qrels(path) == [Qrel("q", "d", 1)]
    assert (
        evaluation.measure([str(stored(tmp_path / "b.run", "q Q0 d 1 1 b\n"))], path).n_queries == 1
    )


def test_values_of_any_type_are_grades_scores_or_refused() -> None:
    assert [as_grade(value, "here") for value in (2, 2.0, np.int64(3), -1)] == [2, 2, 3, -1]
    for value in ("1", b"1", 1.5, None, [], True, float("nan"), 10**400, float("inf")):
        with pytest.raises(BadInput, match="^here: the relevance "):
            as_grade(value, "here")
    values = [1, 1.5, np.float32(2), "1", True, None, [], float("nan"), 10**400]
    assert [is_score(value) for value in values] == [True] * 3 + [False] * 6
    with pytest.raises(BadInput, match="half a character"):
        as_text("a\ud800", "title", "here")
    with pytest.raises(BadInput, match="Give it as text"):
        as_text(3, "title", "here")
    assert shown(10**5000) == "a int too long to be written"
