import json
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pandas as pd
import pytest
from scipy.stats import kendalltau

from rankscope.core.errors import BadInput, RankscopeError
from rankscope.core.records import Qrel, Query, Run, ScoredDoc
from rankscope.core.trec.writing import write_run
from rankscope.data.candidates import TeacherCandidates, read_candidates
from rankscope.data.names import AsGiven, InCollection
from rankscope.data.teacher_report import position_bias, summary
from rankscope.data.teachers import KINDS, from_lists, from_permutations, from_run, recognised
from support.collection import Docs

RUN = Run.of("r", [ScoredDoc(q, f"d{i}", -float(i)) for q in ("q1", "q2") for i in range(4)])
DOCS = Docs(**{f"d{i}": f"text {i}" for i in range(4)})


def asking(*query_ids: str, docs: Docs = DOCS) -> InCollection:
    return InCollection([Query(query_id, query_id) for query_id in query_ids], docs)


def test_a_teachers_run_file_must_fit(tmp_path: Path) -> None:
    path = tmp_path / "t.run"
    write_run(path, RUN)
    teacher = from_run(path, asking("q1", "q7"))
    assert list(teacher.run.rankings) == ["q1"]
    assert teacher.dropped == {"query not in the collection": 1}
    with pytest.raises(BadInput, match="none of its 2 queries"):
        from_run(path, asking("q7"))
    with pytest.raises(BadInput, match="1 ranked doc is not in the collection .first: d3"):
        from_run(path, asking("q1", docs=Docs(d0="", d1="", d2="")))


def test_an_llms_docs_must_be_in_the_collection(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"query_id": "q1", "response": "[2] > [1]"}\n')
    shown = TeacherCandidates({"q1": ["d0", "x"]})
    with pytest.raises(BadInput, match="1 ranked doc is not in the collection .first: x"):
        from_permutations(path, shown, asking("q1"))
    assert list(from_permutations(path, shown, AsGiven()).run.rankings) == ["q1"]
    with pytest.raises(BadInput, match="no list is left .query not in the collection: 1"):
        from_permutations(path, shown, asking("q2"))


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        ("q1 Q0 d1 1 2.0 t\n", "run"),
        ('{"q1": {"d1": 2.5}}', "run"),
        ('{\n "q1": {\n  "d1": 2.5}}', "run"),
        ('{"query": {"qid": "q1"}, "candidates": []}\n', "run"),
        ('["[1] > [2]", "[2] > [1]"]', "permutations"),
        ('{"query_id": "q1", "response": "[1]"}\n', "permutations"),
        ('{"query_number": 1, "output": "[1]"}\n', "permutations"),
        ('{"query_id": 1, "document_ids": [1], "scores": [2]}\n', "kd"),
        ('{"query": "x", "pos": ["a"], "neg": []}\n', "flag_embedding"),
        ('{"query_id": "1", "positive_passages": []}\n', "tevatron"),
        ('{"query_id": "1", "positive_document_ids": []}\n', "tevatron"),
        ('[{"question": "x", "positive_ctxs": []}]', "dpr"),
    ],
)
def test_a_file_is_recognised_by_what_it_holds(tmp_path: Path, content: str, kind: str) -> None:
    path = tmp_path / "file.txt"
    path.write_text(content)
    assert recognised(path) == kind
    assert kind in KINDS


def test_a_run_in_parquet_is_a_run(tmp_path: Path) -> None:
    path = tmp_path / "file"
    pd.DataFrame({"query_id": ["q"], "doc_id": ["d"], "score": [1.0]}).to_parquet(path)
    assert recognised(path) == "run"


@pytest.mark.parametrize("content", ['{"a": 1}\n', "[1, 2]", '{"response": "", "pos": []}\n'])
def test_what_is_not_recognised_is_refused_with_what_there_is(tmp_path: Path, content: str) -> None:
    path = tmp_path / "file.jsonl"
    path.write_text(content)
    with pytest.raises(BadInput, match="Say which it is: permutations, run, kd"):
        recognised(path)


def test_counts_of_a_teacher(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    answers = [("q1", "[2] > [1]"), ("q2", "[3]"), ("q3", "no")]
    path.write_text(
        "".join(json.dumps({"query_id": q, "response": text}) + "\n" for q, text in answers)
    )
    shown = TeacherCandidates(
        {"q1": ["a", "b"], "q2": ["a", "b", "c"], "q3": ["a"]}, notes=("careful",)
    )
    found = summary(from_permutations(path, shown, AsGiven()))
    assert found == {
        "teacher": "permutations",
        "n_lists": 2,
        "list_lengths": {"shortest": 2, "median": 2.5, "longest": 3},
        "scores": "1/rank",
        "tied_share": 0.0,
        "n_answers": 3,
        "n_repaired_answers": 1,
        "repairs": {"missing": 1},
        "malformed": {"missing": 1, "no list": 1},
        "dropped_lists": {"no ids": 1},
        "notes": ["careful"],
    }


def test_position_bias_by_hand() -> None:
    """Four docs shown as a, b, c, d; the teacher says d, c, b, a for q1 and a, b, c, d for q2.

    Tau is -1 and 1; the tops are the last and the first quarter; the relevant docs are a (q1) and a, b (q2).
    """
    shown = {query: list("abcd") for query in ("q1", "q2")}
    teacher = Run.of(
        "t",
        [ScoredDoc("q1", doc, float(n)) for n, doc in enumerate("abcd")]
        + [ScoredDoc("q2", doc, -float(n)) for n, doc in enumerate("abcd")],
    )
    qrels = [Qrel("q1", "a", 1), Qrel("q2", "a", 1), Qrel("q2", "b", 2), Qrel("q2", "c", 0)]
    found = position_bias(teacher, shown, qrels)
    assert found is not None
    assert (found.n_queries, found.kendall_tau) == (2, 0.0)
    assert found.tops_by_quarter == (0.5, 0.0, 0.0, 0.5)
    assert found.expected_by_quarter == (0.25, 0.25, 0.25, 0.25)
    assert found.relevant_by_quarter == (0.75, 0.25, 0.0, 0.0)
    assert position_bias(teacher, {}, qrels) is None


def test_position_bias_with_ties_and_docs_not_shown() -> None:
    """x was not shown and c not ranked: a and b remain, tied at the top, so each is half a top."""
    teacher = Run.of(
        "t", [ScoredDoc("q1", doc, score) for doc, score in zip("abx", (1, 1, 0), strict=True)]
    )
    found = position_bias(teacher, {"q1": list("abc")})
    assert found is not None
    assert (found.kendall_tau, found.relevant_by_quarter) == (None, None)
    assert found.tops_by_quarter == (0.5, 0.0, 0.5, 0.0)  # of the two docs down to the last ranked
    assert found.expected_by_quarter == (0.5, 0.0, 0.5, 0.0)


def test_tau_is_scipys_over_the_docs_in_common() -> None:
    rng = Random(5)
    shown = [f"d{i}" for i in range(12)]
    scores = {doc: rng.gauss(0, 1) for doc in shown[:9]}
    teacher = Run.of("t", [ScoredDoc("q", doc, score) for doc, score in scores.items()])
    found = position_bias(teacher, {"q": shown})
    assert found is not None
    expected = kendalltau(range(0, -9, -1), list(scores.values())).statistic
    assert found.kendall_tau == pytest.approx(expected)


def test_a_shuffled_teacher_has_no_position_bias() -> None:
    rng = Random(1)
    shown = {f"q{n}": [f"d{i}" for i in range(20)] for n in range(400)}
    teacher = Run.of(
        "t", [ScoredDoc(query, doc, rng.random()) for query, docs in shown.items() for doc in docs]
    )
    found = position_bias(teacher, shown)
    assert found is not None
    assert abs(found.kendall_tau or 1) < 0.03
    assert all(abs(share - 0.25) < 0.07 for share in found.tops_by_quarter)


PARTS: list[Any] = [
    None, True, 5, -1.5, "", "q1", "[2] > [1]", "\ud800", [], [1, 2], ["d1"], {}, {"docid": "d1"}, {"text": "x"},
    [{"docid": "d1", "score": 2}], [None], 10**400, float("nan"), [[0, 1]], [0, 2],
]  # fmt: skip
FIELDS = [
    "query_id", "query", "response", "window", "document_ids", "scores", "pos", "neg", "pos_scores", "question",
    "positive_passages", "negative_passages", "positive_document_ids", "positive_ctxs", "retrieved_passages",
    "query_number",
]  # fmt: skip


def test_spoilt_teachers_are_read_or_refused_and_nothing_else(tmp_path: Path) -> None:
    """2,000 files of fields with anything in them, read as every kind there is."""
    path, names = tmp_path / "file.jsonl", asking("q1", "q2")
    shown = TeacherCandidates({"q1": ["d0", "d1"]}, in_file=("q1", None))
    outcomes: set[str] = set()
    for seed in range(2_000):
        rng = Random(seed)
        entries: list[Any] = [
            {name: rng.choice(PARTS) for name in rng.sample(FIELDS, rng.randint(1, 6))}
            for _ in range(rng.randint(0, 2))
        ]
        entries += [rng.choice(PARTS)] if rng.random() < 0.2 else []
        text = "".join(json.dumps(entry) + "\n" for entry in entries)
        path.write_text(json.dumps(entries) if rng.random() < 0.3 else text)
        kind = KINDS[2 + seed % 4]
        outcomes |= {
            outcome(recognised, path),
            outcome(from_permutations, path, shown, names),
            outcome(from_run, path, names),
            outcome(from_lists, path, kind, names),
            outcome(read_candidates, path, names),
        }
    assert outcomes == {"read", "refused"}


def outcome(read: Callable[..., object], *arguments: object) -> str:
    try:
        read(*arguments)
    except RankscopeError as error:
        return "refused" if "\n" not in str(error) else "refused in several lines"
    return "read"
