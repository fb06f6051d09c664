from pathlib import Path

import pytest

from rankscope.core.errors import UnknownChoice
from rankscope.core.formats import read_qrels, read_run
from rankscope.core.records import Qrel, Run, ScoredDoc
from rankscope.evaluate.measures import Measuring, measured

QRELS = [Qrel("q1", "a", 1), Qrel("q1", "z", 0), Qrel("q2", "b", 2)]


def test_values_by_hand_and_a_missing_query_counts_zero() -> None:
    """q1: the relevant doc at rank 2, RR 1/2; q2 is not ranked, 0; mean 1/4."""
    run = Run.of("r", [ScoredDoc("q1", "z", 2.0), ScoredDoc("q1", "a", 1.0)])
    found = measured(run, QRELS, ["RR@10", "P@1"])
    assert found.values["RR@10"] == {"q1": 0.5, "q2": 0.0}
    assert found.means() == {"RR@10": 0.25, "P@1": 0.0}
    assert found.missing_queries == ("q2",)


def test_all_tools_see_one_order_of_ties() -> None:
    """Equal scores: as in trec_eval the larger doc_id is first, for every measure's tool."""
    run = Run.of("r", [ScoredDoc("q1", "A", 1.0), ScoredDoc("q1", "a", 1.0)])
    values = measured(run, QRELS[:2], ["P@1", "RR@1", "RR", "nDCG@10"]).values
    assert [by_query["q1"] for by_query in values.values()] == [1.0, 1.0, 1.0, 1.0]


def test_unjudged_queries_of_a_run_do_not_count() -> None:
    run = Run.of("r", [ScoredDoc("q1", "a", 1.0), ScoredDoc("q9", "a", 1.0)])
    assert measured(run, QRELS[:2], ["RR"]).values == {"RR": {"q1": 1.0}}


@pytest.mark.parametrize("name", ["nDGC@10", "nDCG@", "RR(rel=", "RR(level=2)"])
def test_an_unknown_measure_is_named(name: str) -> None:
    with pytest.raises(UnknownChoice, match="Unknown measure"):
        measured(Run.of("r", []), QRELS, [name])


def test_anserinis_bm25_on_dl19(real_data: Path) -> None:
    """nDCG@10 0.5058 (Anserini), RankVicuna's re-ranking 0.6682 and AP(rel=2)@100 0.3316 (its authors)."""
    folder = real_data / "msmarco-dl19"
    qrels = read_qrels(folder / "qrels" / "test.tsv")
    bm25 = measured(read_run(folder / "runs" / "bm25.run"), qrels, ["nDCG@10"])
    assert bm25.means()["nDCG@10"] == pytest.approx(0.5058, abs=5e-5)
    vicuna = read_run(folder / "teachers" / "rankvicuna.bm25-top100.run")
    means = measured(vicuna, qrels, ["nDCG@10", "AP(rel=2)@100", "R@20", "R@100"]).means()
    assert [round(mean, 4) for mean in means.values()] == [0.6682, 0.3316, 0.2617, 0.4531]


@pytest.mark.parametrize("name", ["bm25.run", "bm25+t5(zs).run"])
def test_trec_evals_own_values_on_dl_hard(real_data: Path, name: str) -> None:
    """Per query, to 4 decimals, against trec_eval -q -c -l 2."""
    folder = real_data / "trec-eval" / "dl-hard"
    ours = {
        "ndcg_cut_10": "nDCG@10",
        "map": "AP(rel=2)",
        "recip_rank": "RR(rel=2)",
        "P_5": "P(rel=2)@5",
    }
    theirs: dict[str, dict[str, float]] = {}
    for line in (folder / f"{name}.eval").read_text().splitlines():
        measure, query_id, value = line.split()
        if query_id != "all" and measure in ours:
            theirs.setdefault(ours[measure], {})[query_id] = float(value)
    run, qrels = read_run(folder / name), read_qrels(folder / "dl_hard-passage.qrels")
    values = measured(run, qrels, list(ours.values())).values
    for measure, by_query in theirs.items():
        assert {q: round(v, 4) for q, v in values[measure].items()} == pytest.approx(
            by_query, abs=1e-4
        )


def test_queries_without_a_relevant_doc_at_a_measures_level_are_told() -> None:
    """q1 has grade 2, q2 grade 1, q3 grade 0: two have nothing for RR(rel=2), one nothing for nDCG."""
    qrels = [Qrel("q1", "d", 2), Qrel("q2", "d", 1), Qrel("q3", "d", 0)]
    measuring = Measuring(qrels, ["nDCG@10", "RR(rel=2)@10", "R@100", "Judged@10"])
    assert measuring.notes() == [
        "1 of 3 queries have no doc of grade 1 or above (first: q3): they count 0 in nDCG@10, R@100, as in trec_eval",
        "2 of 3 queries have no doc of grade 2 or above (first: q2): they count 0 in RR(rel=2)@10, as in trec_eval",
    ]
    assert Measuring(qrels[:1], ["nDCG@10", "RR(rel=2)@10"]).notes() == []
    assert Measuring(qrels, ["Judged@10"]).notes() == []
    run = Run.of("r", [ScoredDoc(query, "d", 1.0) for query in ("q1", "q2", "q3")])
    assert measuring.of(run).values["RR(rel=2)@10"] == {"q1": 1.0, "q2": 0.0, "q3": 0.0}
