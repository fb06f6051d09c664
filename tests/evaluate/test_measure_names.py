import ir_measures
import pytest
import pytrec_eval
from ir_measures.measures import registry

import rankscope
from rankscope.core.errors import BadInput, UnknownChoice
from rankscope.evaluate.measure_names import SEVERAL_MEANINGS, by_name, name_of, names_of

READ = {
    "map": "AP",
    "ndcg": "nDCG",
    "ndcg_cut_10": "nDCG@10",
    "ndcg_cut.10": "nDCG@10",
    "NDCG_CUT_10": "nDCG@10",
    "recall_100": "R@100",
    "P_10": "P@10",
    "recip_rank": "RR",
    "map_cut_100": "AP@100",
    "set_P": "SetP",
    "iprec_at_recall_0.10": "IPrec@0.1",
    "mrr@10": "RR@10",
    "MRR@10": "RR@10",
    "ndcg@10": "nDCG@10",
    "NDCG@10": "nDCG@10",
    "Recall@100": "R@100",
    "Precision@5": "P@5",
    "ndcg_at_10": "nDCG@10",
    "map_at_100": "AP@100",
    "hit_rate@20": "Success@20",
    "ndcg(dcg='exp-log2')@10": "nDCG(dcg='exp-log2')@10",
    "P(rel=1)@2": "P(rel=1)@2",
    "map, ndcg_cut_10,mrr@10": "AP nDCG@10 RR@10",
    "P_5,10": "P@5 P@10",
    "nDCG@5, 10 AP": "nDCG@5 nDCG@10 AP",
    "AP(rel=2)@100,nDCG(gains={0: 0, 1: 1})@10": "AP(rel=2)@100|nDCG(gains={0: 0, 1: 1})@10",
    " ,": "",
}


@pytest.mark.parametrize("written", READ)
def test_a_measure_is_read_as_ir_measures_names_it(written: str) -> None:
    parts = READ[written].split("|" if "|" in READ[written] else None)
    assert names_of(written) == parts
    assert names_of(parts) == parts, "what was read is read as itself"
    assert all(ir_measures.parse_measure(part) for part in parts)


@pytest.mark.parametrize("name", sorted(registry))
def test_a_name_of_ir_measures_is_read_in_any_case(name: str) -> None:
    """As it is written, always; in another case unless other tools have another measure of that name."""
    assert name_of(f"{name}@10") == f"{registry[name].NAME}@10"
    for written in (name.lower(), name.upper()):
        if written in registry or written.lower() not in SEVERAL_MEANINGS:
            assert name_of(f"{written}@10") == f"{registry[name].NAME}@10"
        else:
            with pytest.raises(UnknownChoice, match="may mean"):
                name_of(f"{written}@10")


@pytest.mark.parametrize("name", sorted(pytrec_eval.supported_measures))
def test_a_name_of_trec_eval_is_read_as_ir_measures_reads_it_or_refused(name: str) -> None:
    try:
        theirs = ir_measures.parse_trec_measure(name)
    except ValueError:
        assert name_of(name) == name, "read as nothing, so that it is refused as unknown"
        return
    if len(theirs) == 1 or name in registry:
        assert name_of(name) == (name if name in registry else str(theirs[0]))
    else:
        with pytest.raises(UnknownChoice, match=r"has no cutoff, .* Name one of them\."):
            name_of(name)


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("accuracy@10", r"may mean Success@10 .* or Accuracy@10 .*Write the one that is meant\."),
        ("accuracy_at_1", "may mean Success@1 "),
        ("hits@10", "or as in ranx their number, which is P@10 times the cutoff"),
        ("recall", r"computes R@5, R@10, .* under it\. Name one of them\."),
        ("P_5,10", r"'P_5,10' names 2 measures \(P@5, P@10\), and one is needed here\. Keep one\."),
    ],
)
def test_what_may_mean_two_measures_is_not_guessed(written: str, said: str) -> None:
    with pytest.raises(UnknownChoice, match=said):
        name_of(written)


@pytest.mark.parametrize(
    ("written", "meant"),
    [("map_10", "AP@10"), ("ndcg10", "nDCG@10"), ("nDGC@10", "nDCG@10"), ("P10", "P@10")],
)
def test_a_near_name_is_offered_and_not_read(written: str, meant: str) -> None:
    with pytest.raises(UnknownChoice, match=f"Did you mean '{meant}'"):
        rankscope.measure([{"q": {"d": 1.0}}], {"q": {"d": 1}}, [written])


def test_no_far_name_is_offered() -> None:
    with pytest.raises(UnknownChoice, match=r"\(measure not found: metric\)\. Use a name"):
        rankscope.measure([{"q": {"d": 1.0}}], {"q": {"d": 1}}, ["metric"])


def test_what_was_read_is_what_is_shown() -> None:
    """Two docs, the relevant one second: RR 1/2, and AP the same."""
    poor, good = {"d": 1.0, "e": 2.0}, {"d": 2.0, "e": 1.0}
    runs = {"a": {"q": poor, "r": poor}, "b": {"q": good, "r": poor}}
    qrels = {"q": {"d": 1}, "r": {"d": 1}}
    found = rankscope.measure(runs, qrels, "map,mrr@10").record
    assert found.means()["a"] == {"AP": 0.5, "RR@10": 0.5}
    compared = rankscope.compare(runs, qrels, "mrr@10", margin={"MRR@10": 0.3}).record
    assert [(row.measure, str(row.judged.comparison.margin)) for row in compared.rows] == [
        ("RR@10", "0.3")
    ]


def test_two_values_under_two_names_of_one_measure_are_refused() -> None:
    assert by_name({"mrr@10": "0.1", "RR@10": "0.1"}, what="margins") == {"RR@10": "0.1"}
    with pytest.raises(BadInput, match=r"mrr@10 and RR@10 are one measure with two margins, 0\.1 and 0\.2"):  # fmt: skip
        by_name({"mrr@10": "0.1", "RR@10": "0.2"}, what="margins")
