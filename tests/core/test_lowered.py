"""Scores without ties: the law, one float at a time, and the columns of a run."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rankscope.core.errors import BadInput
from rankscope.core.records import Columns, Rankings, Run, ScoredDoc, lowered
from rankscope.core.trec.writing import write_run

LARGEST = float(np.finfo(np.float32).max)
LOWEST = np.float32(-LARGEST)


def one_by_one(scores: list[float]) -> tuple[list[np.float32], int | None]:
    """Each score is the smaller of its own and the float32 under the one before."""
    ceiling, given = np.float32(np.inf), []
    for place, score in enumerate(scores):
        if score < -LARGEST or ceiling == LOWEST:
            return given, place
        below = np.nextafter(ceiling, np.float32(-np.inf))
        ceiling = min(np.float32(min(score, LARGEST)), below)
        given.append(ceiling)
    return given, None


@given(
    st.lists(
        st.floats(allow_nan=False) | st.sampled_from([0.0, -0.0, 1.0, 1e-45, -1e-45, LARGEST, -LARGEST, 1 + 1e-9]),
        max_size=30,
    )
)  # fmt: skip
def test_scores_are_lowered_as_one_by_one(scores: list[float]) -> None:
    with np.errstate(over="ignore"):
        expected, void = one_by_one(sorted(scores, reverse=True))
    given, first = lowered(sorted(scores, reverse=True))
    assert first == void
    assert [str(score) for score in given[:void]] == [str(score) for score in expected]


def test_a_run_of_columns_is_the_run_of_its_docs(tmp_path: Path) -> None:
    columns = {
        "2": Columns(["b", "a", "c"], np.array([2.5, 2.5, -0.0], dtype=np.float32)),
        "1": Columns(["x"], np.array([0.1], dtype=np.float32)),
    }
    docs = [
        ScoredDoc(query_id, doc_id, float(score))
        for query_id, (doc_ids, scores) in columns.items()
        for doc_id, score in zip(doc_ids, scores, strict=True)
    ]
    lazy, plain = Run("t", Rankings(columns)), Run.of("t", docs)
    assert lazy == plain
    assert plain == lazy
    assert lazy.rankings["2"] is lazy.rankings["2"], "docs are made once"
    assert list(lazy.rankings) == ["2", "1"]
    assert "3" not in lazy.rankings
    assert lazy.top(1).rankings["2"] == docs[:1]
    for run, name in ((lazy, "lazy"), (plain, "plain")):
        write_run(tmp_path / name, run)
    assert (tmp_path / "lazy").read_bytes() == (tmp_path / "plain").read_bytes()


def test_a_score_below_float32_is_refused_in_columns_too(tmp_path: Path) -> None:
    run = Run("t", Rankings({"q": Columns(["a", "b"], [1.0, -1e39])}))
    with pytest.raises(BadInput, match=r"query q, doc b: the score -1e\+39 is lower"):
        write_run(tmp_path / "r", run)
