"""How two re-rankings of one run differ: the same of runs in memory and of runs that were written."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from rankscope.analyses.changes.results import ranking_change
from rankscope.core.formats import read_run
from rankscope.core.records import Run, ScoredDoc, ranked
from rankscope.core.trec.writing import write_run
from rankscope.evaluate.runs import without_own_docs
from support.changed import compared

DOCS = "abcd"
PARAMS = compared("test", depth=4)


def run(tag: str, *scores: tuple[float, ...]) -> Run:
    """A query for each tuple of the docs' scores."""
    return Run.of(
        tag,
        [
            ScoredDoc(f"q{number}", doc_id, score)
            for number, of in enumerate(scores)
            for doc_id, score in zip(DOCS, of, strict=True)
        ],
    )


def stored(made: Run, folder: Path) -> Run:
    write_run(folder / made.tag, made)
    return read_run(folder / made.tag)


BEFORE = run("before", (0.4, 0.3, 0.2, 0.1), (1.0, 2.0, 3.0, 4.0))
COLLAPSED = run("collapsed", (0.1,) * 4, (0.3,) * 4)
HALF = run("half", (0.2, 0.2, 0.2, 0.1), (1.0, 2.0, 3.0, 4.0))


@pytest.mark.parametrize("after", [BEFORE, COLLAPSED, HALF], ids=lambda run: run.tag)
def test_a_run_says_the_same_in_memory_and_written(after: Run, tmp_path: Path) -> None:
    again = [stored(each, tmp_path) for each in (BEFORE, after)]
    assert ranking_change(*again, PARAMS) == ranking_change(BEFORE, after, PARAMS)


def test_a_collapsed_ranker_has_no_order_and_half_a_tie_counts_its_docs(tmp_path: Path) -> None:
    """Of the three tied docs and d below them, 3 of 6 pairs are ordered: tau-b is 3 / sqrt(6 x 3)."""
    found = ranking_change(BEFORE, stored(COLLAPSED, tmp_path), PARAMS)
    assert (found.tau.value, found.correlation.value) == (0, 0)
    assert found.tied == {"before": 0, "after": 1}
    found = ranking_change(BEFORE, stored(HALF, tmp_path), PARAMS)
    assert found.tau.value == pytest.approx((3 / 18**0.5 + 1) / 2)
    assert found.tied == {"before": 0, "after": 3 / 8}
    both = ranking_change(*[stored(COLLAPSED, tmp_path)] * 2, PARAMS)
    assert (both.tau.value, both.correlation.value) == (1, 1)
    assert both.tied == {"before": 1, "after": 1}


def test_what_was_not_re_ranked_is_not_compared(tmp_path: Path) -> None:
    """Of four docs, e lies below the top; b, the query's own, is in no run: two pairs of three are turned round."""
    three = compared("test", depth=3)
    tail = ScoredDoc("b", "e", -1.0)
    runs = [
        Run(tag, {**made.rankings, "b": [*ranked(made.rankings["b"]), tail]})
        for tag, scores in (("one", (4, 9, 2, 1)), ("two", (3, 1, 2, 4)), ("tied", (0.1,) * 4))
        for made in [without_own_docs(named("b", scores))]
    ]
    before, after, tied = runs
    found = ranking_change(before, after, three)
    assert found.tau.value == pytest.approx((-1 / 3 + 1) / 2)
    assert ranking_change(before, after, PARAMS).tau.value != found.tau.value
    found = ranking_change(*[stored(run, tmp_path) for run in (before, tied)], three)
    assert found == ranking_change(before, tied, three)
    assert found.tied == {"before": 0, "after": 3 / 6}


def named(query_id: str, scores: Sequence[float]) -> Run:
    """Two queries: the one, by these scores, and one that both runs order alike."""
    docs = [ScoredDoc(query_id, d, s) for d, s in zip(DOCS, scores, strict=True)]
    return Run.of("r", [*docs, *BEFORE.rankings["q0"]])


def test_scores_that_keep_their_order_may_agree_little() -> None:
    spread = run("spread", (100.0, 0.3, 0.2, 0.1), (1.0, 2.0, 3.0, 400.0))
    found = ranking_change(BEFORE, spread, PARAMS)
    assert found.tau.value == pytest.approx(1)
    assert found.overlap.value == 1
    assert found.correlation.value < 0.8
