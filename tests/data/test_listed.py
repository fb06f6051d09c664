"""Files whose queries bring their own docs: read, drawn from as a collection is, and as study A draws."""

import gzip
import json
import random
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from rankscope.analyses.probes.published import published_points
from rankscope.core.errors import BadInput, UnknownChoice
from rankscope.data.listed import read_listed
from rankscope.data.lists import given_lists

DPR = [
    {
        "question": "who sits",
        "positive_ctxs": [{"title": "Cats", "text": "cats sit"}, {"title": "", "text": "dogs sit"}],
        "hard_negative_ctxs": [{"title": "N", "text": f"none {n}"} for n in range(6)],
    },
    {
        "question": "who runs",
        "positive_ctxs": [{"title": "Dogs", "text": "run"}],
        "hard_negative_ctxs": [{"title": "N", "text": f"none {n}"} for n in range(2)],
    },
    {"question": "who sings", "positive_ctxs": [{"text": "birds"}], "hard_negative_ctxs": []},
]


def whole(path: Path, entries: Any) -> Path:
    path.write_text(json.dumps(entries), "utf-8")
    return path


def test_dprs_passages_have_their_titles_in_front_and_every_positive_is_a_row(
    tmp_path: Path,
) -> None:
    found = read_listed(whole(tmp_path / "nq.json", DPR), "dpr")
    texts = [(found.queries[r.query_id], found.docs[r.relevant]) for r in found.rows]
    assert texts == [
        ("who sits", "Cats cats sit"),
        ("who sits", "dogs sit"),
        ("who runs", "Dogs run"),
    ]
    assert [len(row.others) for row in found.rows] == [6, 6, 2]
    assert found.n_without_both == 1


HARD = {"title": "N", "text": "hard"}
EASY = {"title": None, "text": "easy", "passage_id": 7}


def test_easy_negatives_are_taken_where_no_entry_has_hard_ones(tmp_path: Path) -> None:
    """As the reader of a teacher's lists does; beside hard ones they are left, as study A leaves them."""
    easy = {"question": "who sits", "positive_ctxs": [{"text": "cats"}], "negative_ctxs": [EASY]}
    listed = read_listed(whole(tmp_path / "easy.json", [easy]), "dpr")
    assert [listed.docs[other] for row in listed.rows for other in row.others] == ["easy"]
    assert listed.notes == (
        "No entry of the file has hard negatives, so its easy ones (`negative_ctxs`) were taken.",
    )
    hard = easy | {"hard_negative_ctxs": [HARD]}
    listed = read_listed(whole(tmp_path / "both.json", [easy, hard]), "dpr")
    assert [listed.docs[other] for row in listed.rows for other in row.others] == ["N hard"]
    assert set(listed.docs.values()) == {"cats", "N hard"}
    assert (listed.n_without_both, listed.notes) == (1, ())


@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        ({}, None),
        ({"positive_ctxs": [{"title": None, "text": "a", "psg_id": 3}]}, None),
        ({"hard_negative_ctxs": [], "negative_ctxs": [EASY]}, None),
        ({"question": " "}, "it has no `question`"),
        ({"positive_ctxs": ["a"]}, "a passage is 'a', with no `text`"),
        ({"positive_ctxs": [{"title": "A", "text": " "}]}, "a passage has neither id nor text"),
        ({"positive_ctxs": [{"text": "a", "passage_id": "b c"}]}, "the doc id 'b c' is empty or"),
        ({"hard_negative_ctxs": "a"}, "`hard_negative_ctxs` is 'a'"),
    ],
)
def test_an_entry_of_dpr_is_read_or_refused_alike_for_teachers_and_for_examples(
    tmp_path: Path, changes: dict[str, Any], refusal: str | None
) -> None:
    entry = {"question": "q", "positive_ctxs": [{"text": "a"}], "hard_negative_ctxs": [HARD]}
    path = whole(tmp_path / "nq.json", [entry | changes])
    for read in (lambda: read_listed(path, "dpr"), lambda: list(given_lists(path, "dpr"))):
        with pytest.raises(BadInput, match=refusal) if refusal else nullcontext():
            read()


def test_a_passage_of_an_id_alone_names_a_doc_of_a_collection_and_is_no_example(
    tmp_path: Path,
) -> None:
    entry = {"question": "q", "positive_ctxs": [{"psg_id": 5}], "hard_negative_ctxs": [HARD]}
    path = whole(tmp_path / "nq.json", [entry])
    (given,) = given_lists(path, "dpr")
    assert given.docs[0].doc.name == "5"
    with pytest.raises(BadInput, match="entry 1: the passage 5 has no `text`"):
        read_listed(path, "dpr")


def test_the_sound_choices_never_repeat_a_doc_and_count_what_they_leave_out(tmp_path: Path) -> None:
    found = read_listed(whole(tmp_path / "nq.json", DPR), "dpr").choices(n_docs=5, seed=1)
    assert len(found.choices) == 2
    assert all(len(set(choice.doc_ids)) == 5 for choice in found.choices)
    assert sum(found.dropped.values()) == 2  # a row with two negatives, an entry with none


def test_the_published_choices_are_those_of_one_generator_down_the_rows(tmp_path: Path) -> None:
    listed = read_listed(whole(tmp_path / "nq.json", DPR), "dpr")
    rng = random.Random(42)
    expected = [
        *(rng.sample([f"N none {n}" for n in range(6)], 4) for _ in range(2)),
        rng.choices([f"N none {n}" for n in range(2)], k=4),
    ]
    made = [
        [listed.docs[doc_id] for doc_id in choice.doc_ids[1:]]
        for choice in listed.published_choices(n_docs=5).choices
    ]
    assert made == expected


def test_ms_marcos_marks_part_the_passages(tmp_path: Path) -> None:
    passages = {"is_selected": [0, 1, 0], "passage_text": ["a", "b", "c"]}
    row = {"query": "which", "passages": passages}
    table = tmp_path / "v1.1.parquet"
    as_arrays = {name: np.array(values) for name, values in passages.items()}
    pd.DataFrame([row | {"passages": as_arrays}]).to_parquet(table)
    for path in (whole(tmp_path / "v1.1.json", [row]), table):
        found = read_listed(path, "ms_marco_qa")
        (only,) = found.rows
        assert found.docs[only.relevant] == "b"
        assert [found.docs[other] for other in only.others] == ["a", "c"]


def test_fewer_candidates_are_the_first_of_the_same_draw(tmp_path: Path) -> None:
    listed = read_listed(whole(tmp_path / "nq.json", DPR), "dpr")
    five, three = (listed.published_choices(n_docs=n).choices for n in (5, 3))
    assert [choice.doc_ids[:3] for choice in five] == [choice.doc_ids for choice in three]


def test_rows_already_drawn_stay_as_they_are(tmp_path: Path) -> None:
    row = {"question": "which", "positive_context": "a"} | {
        f"negative_context_{n}": f"no {n}" for n in range(4)
    }
    found = read_listed(whole(tmp_path / "rows.json", [row]), "sampled")
    assert [found.docs[other] for other in found.rows[0].others] == [f"no {n}" for n in range(4)]
    (choice,) = found.published_choices(n_docs=3).choices
    assert [found.docs[doc_id] for doc_id in choice.doc_ids] == ["a", "no 0", "no 1"]
    with pytest.raises(BadInput, match="a row has 4 negatives"):
        found.published_choices(n_docs=6)


@pytest.mark.parametrize(
    ("kind", "entry", "said"),
    [
        ("dpr", {"positive_ctxs": [], "hard_negative_ctxs": []}, "no `question`"),
        ("dpr", {"question": "q", "positive_ctxs": ["a"]}, "no `text`"),
        ("dpr", {"question": "q", "positive_ctxs": []}, "no entry has a relevant doc"),
        ("ms_marco_qa", {"query": "q"}, "no `passages`"),
        (
            "ms_marco_qa",
            {"query": "q", "passages": {"passage_text": ["a", "b"], "is_selected": ["0", "1"]}},
            "an `is_selected` is '0'",
        ),
        (
            "ms_marco_qa",
            {"query": "q", "passages": {"passage_text": ["a"], "is_selected": []}},
            "1 `passage_text` and 0 `is_selected`",
        ),
        ("sampled", {"question": "q"}, "no `positive_context`"),
    ],
)
def test_an_entry_of_another_kind_is_one_sentence(
    tmp_path: Path, kind: str, entry: Any, said: str
) -> None:
    with pytest.raises(BadInput, match=said):
        read_listed(whole(tmp_path / "bad.json", [entry]), kind)


def test_reported_curves_are_read_by_dataset(tmp_path: Path) -> None:
    path = tmp_path / "curves.csv"
    path.write_text(
        "dataset,encoder,model,num_passages,layer,accuracy,star\nnq,cls,dpr,2,0,0.5,1\n", "utf-8"
    )
    (point,) = published_points(path, "nq")
    assert point == ("cls/dpr", 2, 0, 0.5)
    with pytest.raises(UnknownChoice, match="There are: nq|There is"):
        published_points(path, "msmarco")
    path.write_text("a,b\n1,2\n", "utf-8")
    with pytest.raises(BadInput, match="there is no column dataset, encoder"):
        published_points(path, "nq")


HEAD = "dataset,encoder,model,num_passages,layer,accuracy\n"


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("nq,cls,dpr,2,0,nan\n", "line 2: the accuracy 'nan' is not a number"),
        ("nq,cls,dpr,2,0,1e999\n", "line 2: the accuracy '1e999' is not a number"),
        ("nq,cls,dpr,2,0,0_5\n", "line 2: the accuracy '0_5' is not a number"),
        ("nq,cls,dpr,2,0,0.5\nnq,cls,dpr,2,-1,0.5\n", "line 3: the layer '-1' is not a whole number"),
        (f"nq,cls,dpr,2,0,0.5\nnq,{'x' * 140_000},dpr,2,1,0.5\n", "line 3: not readable as CSV"),
        ("nq,cls,dpr,2,0,0.5,6\n", "line 2: more fields than the first line"),
    ],
)  # fmt: skip
def test_what_is_no_curve_is_refused(tmp_path: Path, written: str, said: str) -> None:
    path = tmp_path / "curves.csv"
    path.write_text(HEAD + written, "utf-8")
    with pytest.raises(BadInput, match=said):
        published_points(path, "nq")
    with pytest.raises(BadInput, match="several columns model"):
        path.write_text(HEAD.replace("encoder", "encoder,model") + written, "utf-8")
        published_points(path, "nq")


def test_packed_curves_are_read(tmp_path: Path) -> None:
    path = tmp_path / "curves.csv"
    path.write_bytes(gzip.compress((HEAD + "nq,cls,dpr,2,0,0.5\n").encode()))
    assert published_points(path, "nq") == [("cls/dpr", 2, 0, 0.5)]
