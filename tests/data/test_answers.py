import json
import re
from pathlib import Path
from typing import Any

import pytest

from rankscope.core.errors import BadInput
from rankscope.core.formats import read_run
from rankscope.core.records import Query
from rankscope.data.answers import Orders, ordered, positions, read_answers
from rankscope.data.candidates import TeacherCandidates, read_candidates
from rankscope.data.names import AsGiven, IdLookup, InCollection
from support.collection import Docs

SHOWN = TeacherCandidates({"q1": list("abcde"), "q2": list("vwxyz")})
IDS = AsGiven()


def lines(path: Path, *entries: Any) -> Path:
    path.write_text("".join(json.dumps(entry) + "\n" for entry in entries))
    return path


def whole(path: Path, *entries: Any) -> Path:
    path.write_text(json.dumps(entries))
    return path


def orders(path: Path, shown: TeacherCandidates = SHOWN, **options: Any) -> Orders:
    return ordered(read_answers(path, shown, IDS).by_query, shown, **options)


def test_one_answer_a_query_and_1_over_rank(tmp_path: Path) -> None:
    path = lines(
        tmp_path / "a.jsonl",
        {"query_id": "q1", "response": "[2] > [1] > [5] > [3] > [4]"},
        {"qid": "q2", "permutation": [5, 4, 3, 2, 1]},
    )
    found = orders(path)
    assert found.rankings == {"q1": list("baecd"), "q2": list("zyxwv")}
    assert (found.n_repaired, found.repairs, found.dropped) == (0, {}, {})
    scored = {doc: score for query, doc, score in positions(found.rankings) if query == "q1"}
    assert scored == {"b": 1, "a": 1 / 2, "e": 1 / 3, "c": 1 / 4, "d": 1 / 5}


def test_a_list_ends_with_the_last_doc_shown(tmp_path: Path) -> None:
    """With a window of 3 the answer is about a, b and c; nobody asked about d and e."""
    path = lines(tmp_path / "a.jsonl", {"query_id": "q1", "response": "[3] > [2] > [1]"})
    assert orders(path, size=3, step=1).rankings == {"q1": list("cba")}


def test_windows_by_hand(tmp_path: Path) -> None:
    """Windows of 3 that move by 2 over abcde: [2, 5] carries e up, [0, 3] then sees a, b, e."""
    stated = lines(
        tmp_path / "a.jsonl",
        {"query_id": "q1", "window": [2, 5], "response": "[3] > [1] > [2]"},
        {"query_id": "q1", "window": [0, 3], "response": "[3] > [2] > [1]"},
    )
    bare = lines(
        tmp_path / "b.jsonl",
        {"query_id": "q1", "response": "[3] > [1] > [2]"},
        {"query_id": "q1", "response": "[3] > [2] > [1]"},
    )
    assert orders(stated).rankings == {"q1": list("ebacd")}
    assert orders(bare, size=3, step=2).rankings == {"q1": list("ebacd")}


def test_windows_end_where_the_candidates_end(tmp_path: Path) -> None:
    path = lines(tmp_path / "a.jsonl", {"query_id": "q1", "window": [3, 23], "response": "2 > 1"})
    found = orders(path, malformed="drop")
    assert (found.rankings, found.repairs) == ({"q1": list("abced")}, {})


def test_malformed_answers_are_mended_or_dropped_and_counted_either_way(tmp_path: Path) -> None:
    path = lines(
        tmp_path / "a.jsonl",
        {"query_id": "q1", "response": "[2] > [2] > [1] > [4] > [3]"},
        {"query_id": "q2", "response": "[1] > [2]"},
        {"query_id": "q3", "response": "[1]"},
    )
    mends = orders(path)
    assert mends.rankings == {"q1": list("badce"), "q2": list("vwxyz")}
    assert mends.repairs == {"repeats": 1, "missing": 2}
    assert (mends.n_repaired, mends.dropped) == (2, {"not among the candidates": 1})
    drops = orders(path, malformed="drop")
    assert drops.rankings == {"q1": list("badce")}, "study B does not see a repeat"
    assert drops.repairs == {"repeats": 1, "missing": 1}
    assert drops.dropped == {"too few ids": 1, "not among the candidates": 1}


def test_a_refusal_teaches_nothing_but_a_refused_window_stays_as_it_was(tmp_path: Path) -> None:
    path = lines(
        tmp_path / "a.jsonl",
        {"query_id": "q1", "response": "None is relevant."},
        {"query_id": "q2", "window": [2, 5], "response": None},
        {"query_id": "q2", "window": [0, 3], "response": "[3] > [2] > [1]"},
    )
    found = orders(path)
    assert (found.rankings, found.dropped) == ({"q2": list("xwvyz")}, {"no ids": 1})
    assert (found.repairs, found.n_repaired) == ({"no ids": 1}, 1)
    assert orders(path, malformed="drop").dropped == {"no ids": 2}


def test_rankgpts_two_files_belong_together_line_by_line(tmp_path: Path) -> None:
    passages = [{"docid": doc, "rank": n, "text": "words"} for n, doc in enumerate("ab", start=1)]
    path = lines(
        tmp_path / "train.jsonl",
        {"query_id": "7", "query": "what", "retrieved_passages": passages},
        {"query": "who", "positive_passages": [], "retrieved_passages": passages},
        {"query_id": "9", "query": "elsewhere", "retrieved_passages": passages},
    )
    names: IdLookup = InCollection([Query("7", "What "), Query("8", " who")], Docs(a="x", b="y"))
    shown = read_candidates(path, names)
    assert shown.rankings == {"7": ["a", "b"], "8": ["a", "b"]}
    answers = read_answers(whole(tmp_path / "gpt.json", "[2] > [1]", "[1]", "[2]"), shown, names)
    assert (answers.n_answers, answers.n_other) == (2, 1)
    assert ordered(answers.by_query, shown).rankings == {"7": ["b", "a"], "8": ["a", "b"]}
    numbered = lines(tmp_path / "n.jsonl", {"query_number": 2, "output": "[2] > [1]"})
    assert read_answers(numbered, shown, names).by_query.keys() == {"8"}
    with pytest.raises(BadInput, match="2 answers that name no query, for 3 lines of candidates"):
        read_answers(whole(tmp_path / "two.json", "[1]", "[2]"), shown, names)
    with pytest.raises(BadInput, match="named by its text alone"):
        read_candidates(path, IDS)


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ([{"query_id": "q1"}], "line 1: an answer without response or output"),
        ([{"query_id": "q1", "response": 5}], "line 1: the answer is 5"),
        ([{"query_id": "q1", "response": "1", "window": [5]}], "line 1: the window is"),
        ([{"query_id": "q1", "response": "1", "window": [5, 5]}], "line 1: the window is"),
        ([{"query_id": "q1", "response": "1", "window": [False, True]}], "line 1: the window is"),
        ([{"query_id": "q1", "qid": "q2", "response": "1"}], "line 1: two ids, `query_id`: 'q1'"),
        ([{"query_id": "q1", "response": "1", "window": [5, 9]}], "lies below the 5 candidates"),
        ([{"query_id": "q 1", "response": "1"}], "has a space"),
        ([{"response": "1"}], "line 1: the answer names no query"),
        (["[1] > [2]"], "line 1: the answer names no query"),
        ([{"query_id": "q1", "response": "1"}] * 3, "3 answers, but 5 docs make 1 window of 20"),
        (
            [
                {"query_id": "q1", "response": "1", "window": [0, 3]},
                {"query_id": "q1", "response": "1"},
            ],
            "some answers to query q1 give their window and some do not",
        ),
    ],
)
def test_what_is_refused(tmp_path: Path, entries: list[Any], message: str) -> None:
    with pytest.raises(BadInput, match=message):
        orders(lines(tmp_path / "a.jsonl", *entries))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"query_id": "q1", "resp', "line 1: not JSON"),
        ("[1, 2", "line 1: not JSON"),
        ("[" * 100_000, "not readable as JSON"),
        ('["[1]", {"query_id": "q1"}]', "entry 1: the answer names no query"),
    ],
)
def test_what_is_no_json(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "a.json"
    path.write_text(text)
    with pytest.raises(BadInput, match=message):
        orders(path)


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"query_id": "1", "retrieved_passages": [{"text": "x"}]}, "has no `docid`"),
        ({"query_id": "1", "retrieved_passages": 5}, "`retrieved_passages` is 5"),
        ({"query_id": "1", "retrieved_passages": [{"docid": 1}, {"docid": "1"}]}, "twice"),
        ({"query_id": True, "retrieved_passages": []}, "the query id True is not text"),
    ],
)
def test_candidates_that_are_refused(tmp_path: Path, entry: Any, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        read_candidates(lines(tmp_path / "c.jsonl", entry), IDS)


def test_one_query_in_two_lines_of_candidates(tmp_path: Path) -> None:
    entry = {"query_id": "1", "retrieved_passages": [{"docid": "a"}]}
    with pytest.raises(BadInput, match="line 2: query 1 stands in a line above too"):
        read_candidates(lines(tmp_path / "c.jsonl", entry, entry), IDS)


def test_ties_among_the_candidates_fall_by_rank_or_the_query_is_dropped(tmp_path: Path) -> None:
    """a and b are tied in q1, and the ranks say which came first; in q2 no rank does; in q3 only far down."""
    run = tmp_path / "c.run"
    run.write_text(
        "q1 Q0 a 1 2.0 t\nq1 Q0 b 2 2.0 t\nq1 Q0 c 3 1.0 t\n"
        "q2 Q0 a 0 2.0 t\nq2 Q0 b 0 2.0 t\n"
        "q3 Q0 a 0 3.0 t\nq3 Q0 b 0 2.0 t\nq3 Q0 c 0 1.0 t\nq3 Q0 d 0 1.0 t\n"
    )
    shown = read_candidates(run, IDS)
    assert shown.rankings["q1"] == ["a", "b", "c"]
    assert shown.first_ties == {"q2": 0, "q3": 2}
    path = lines(
        tmp_path / "a.jsonl",
        *({"query_id": query, "window": [0, 2], "response": "[2] > [1]"} for query in ("q1", "q2", "q3")),
    )  # fmt: skip
    found = orders(path, shown)
    assert found.rankings == {"q1": ["b", "a"], "q3": ["b", "a"]}
    assert found.dropped == {"order of tied candidates unknown": 1}


@pytest.mark.parametrize(("teacher", "n_numbered"), [("rankvicuna", 0), ("vicuna-7b", 25)])
def test_real_windows_give_the_runs_beside_them(
    real_data: Path, teacher: str, n_numbered: int
) -> None:
    """But where `1.` stands before another doc: the program that made these runs takes it for doc 1."""
    folder = real_data / "msmarco-dl19"
    shown = read_candidates(folder / "runs" / "bm25.run", IDS)
    path = folder / "teachers" / f"{teacher}.windows.jsonl"
    found = orders(path, shown)
    beside = read_run(folder / "teachers" / f"{teacher}.bm25-top100.run")
    expected = {query: [doc.doc_id for doc in docs] for query, docs in beside.rankings.items()}
    given = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    numbered = {
        each["query_id"]
        for each in given
        if re.search(r"\b1\. \[(?!1\])|\b2\. \[", each["response"] or "")
    }
    assert (found.rankings.keys(), len(expected), len(numbered)) == (
        expected.keys(),
        43,
        n_numbered,
    )
    for query in expected.keys() - numbered:
        assert found.rankings[query] == expected[query], query
    published = orders(path, shown, malformed="repair_as_published")
    assert published.rankings == expected
