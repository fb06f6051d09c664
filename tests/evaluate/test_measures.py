import math
import re
from pathlib import Path

import ir_measures
import numpy as np
import pytest
import pytrec_eval

from rankscope.core.errors import BadInput, UnknownChoice
from rankscope.core.formats import read_qrels, read_run
from rankscope.core.records import Qrel, Run, ScoredDoc
from rankscope.core.trec.writing import write_run
from rankscope.evaluate import measuring
from rankscope.evaluate.measuring import Measuring, measured

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


REFUSED = {
    "nDCG@0": "a cutoff is a number of docs, from 1",
    "RR@0": "a cutoff is a number of docs, from 1",
    "Success@0": "a cutoff is a number of docs, from 1",
    "ERR@0": "a cutoff is a number of docs, from 1",
    "Judged@0": "a cutoff is a number of docs, from 1",
    "P@99999999999": "from 1 to 1,000,000",
    "nDCG@-1": "no parameter is negative",
    "P(rel=-1)@5": "no parameter is negative",
    "AP(rel=0)": "`rel` is the lowest relevant grade, 1 or more",
    "AP(rel=99999999999)": "`rel` is the lowest relevant grade",
    "P(rel=True)@5": "`rel` is the lowest relevant grade",
    "BPM(max_rel=0)@5": "`max_rel` is the highest grade, 1 or more",
    "BPM(min_rel=3,max_rel=1)@5": "`max_rel` must be above `min_rel`",
    "INST(T=0.0,max_rel=1)": "`T` is above 0",
    "Compat(p=2.0)": "`p` lies between 0 and 1",
    "SetF(beta=0.0)": "`beta` is above 0",
    "IPrec@1.5": "recall lies from 0 to 1",
    "IPrec@0.104": r"levels of recall to two digits\. Give 0\.10",
    "Accuracy@1": "counts pairs of docs, and its cutoff leaves one doc",
    "alpha_nDCG(alpha=2.0)@10": "`alpha` lies from 0 to 1",
    "nDCG(gains={'a':1})@5": "`gains` are grades",
    "alpha_nDCG@10": r"cannot be computed .*\(it needs pyndeval\)\. Use another, .*or install that",
    "BPM(max_rel=1)@5": r"it needs cwl_eval",
    "P": r"\(it needs `cutoff`\)",
    "ERR": r"\(no tool of ir_measures has it with these parameters\)",
    "": "Unknown measure ''",
    "(((((": "Unknown measure",
}


@pytest.mark.parametrize("name", REFUSED)
def test_no_tool_sees_a_parameter_that_it_cannot_take(name: str) -> None:
    """Before: SIGABRT in pytrec_eval, tracebacks elsewhere. Nothing here may reach a tool."""
    with pytest.raises(UnknownChoice, match=REFUSED[name]):
        measured(Run.of("r", [ScoredDoc("q1", "d1", 1.0)]), QRELS, [name])


def test_ties_are_those_of_float32_as_in_trec_eval(tmp_path: Path) -> None:
    """20.0000001 and 20.0 are one float32, so the higher id comes first: RR 1.0, as pytrec_eval has it."""
    (tmp_path / "a.run").write_text("q 0 a 1 20.0000001 t\nq 0 b 2 20.0 t\n")
    run = read_run(tmp_path / "a.run")
    (theirs,) = (
        pytrec_eval.RelevanceEvaluator({"q": {"b": 1}}, {"recip_rank"})
        .evaluate({"q": {"a": 20.0000001, "b": 20.0}})
        .values()
    )
    for each in (run, Run.of("r", [ScoredDoc("q", "a", 20.0000001), ScoredDoc("q", "b", 20.0)])):
        assert measured(each, [Qrel("q", "b", 1)], ["RR"]).means() == {"RR": 1.0}
    assert (theirs["recip_rank"], run.tied_share()) == (1.0, 1.0)
    write_run(tmp_path / "b.run", run)
    again = read_run(tmp_path / "b.run")
    assert [doc.doc_id for doc in again.rankings["q"]] == ["b", "a"]
    assert np.float32(again.rankings["q"][0].score) > np.float32(again.rankings["q"][1].score)


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
        "1 of 3 queries has no doc of grade 1 or above (first: q3): it counts 0 in nDCG@10, R@100, as in trec_eval",
        "2 of 3 queries have no doc of grade 2 or above (first: q2): they count 0 in RR(rel=2)@10, as in trec_eval",
    ]
    assert Measuring(qrels[:1], ["nDCG@10", "RR(rel=2)@10"]).notes() == []
    assert Measuring(qrels, ["Judged@10"]).notes() == []
    run = Run.of("r", [ScoredDoc(query, "d", 1.0) for query in ("q1", "q2", "q3")])
    assert measuring.of(run).values["RR(rel=2)@10"] == {"q1": 1.0, "q2": 0.0, "q3": 0.0}


REQUIRED = {"cutoff": 3, "max_rel": 2, "recall": 0.5}
"""What measures of ir_measures ask for."""
LEGAL = {
    "a query without a relevant doc": ({"q1": {"a": 1}, "q2": {"b": 0}}, {"q1": "ax", "q2": "bx"}),
    "no query with a relevant doc": ({"q1": {"a": 0}}, {"q1": "ax"}),
    "a query the run leaves out": ({"q1": {"a": 1}, "q2": {"b": 1}}, {"q1": "ax"}),
    "no judged doc in the run": ({"q1": {"a": 1}}, {"q1": "xyz"}),
    "relevant docs alone": ({"q1": {"a": 1, "b": 2}}, {"q1": "ab"}),
    "one doc": ({"q1": {"a": 2}}, {"q1": "a"}),
    "grades below 0": ({"q1": {"a": -2, "b": 1}}, {"q1": "ab"}),
    "a grade above 4": ({"q1": {"a": 5, "b": 1}}, {"q1": "ab"}),
}


def asked(name: str) -> str:
    """A measure of ir_measures with what it asks for."""
    parameters = ir_measures.measures.registry[name].SUPPORTED_PARAMS
    needed = [each for each, info in parameters.items() if info.required or each == "cutoff"]
    made = ir_measures.measures.registry[name](**{each: REQUIRED[each] for each in needed})
    return str(made)


@pytest.mark.parametrize("name", ir_measures.measures.registry)
def test_every_measure_has_a_value_or_a_sentence_on_legal_input(
    name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """For each judged query and no other; what a tool prints beside it is no sentence of ours."""
    measure = asked(name)
    for what, (qrels, run) in LEGAL.items():
        judged = [Qrel(q, doc, grade) for q, docs in qrels.items() for doc, grade in docs.items()]
        ranked = [ScoredDoc(q, doc, -float(at)) for q, docs in run.items() for at, doc in enumerate(docs)]  # fmt: skip
        said = ""
        try:
            values = measured(Run.of("r", ranked), judged, [measure]).values[measure]
        except (BadInput, UnknownChoice) as error:
            said = str(error)
        if said:
            assert not re.search(r"\n|exit status|division|Error", said), said
        else:
            assert values.keys() == qrels.keys(), what
            assert all(map(math.isfinite, values.values())), what
    assert capfd.readouterr().err == ""


def test_two_names_of_one_measure_have_its_value() -> None:
    """Before: of RR@10 and MRR@10 the first one was 0."""
    run = Run.of("r", [ScoredDoc("q1", "z", 2.0), ScoredDoc("q1", "a", 1.0)])
    names = ["RR@10", "MRR@10", "P@2", "P(rel=1)@2", "RR@10"]
    assert measured(run, QRELS[:2], names).means() == dict.fromkeys(names, 0.5)


def test_measures_of_one_call_do_not_change_each_other() -> None:
    """Before: beside other gains, nDCG@10 was of those or 0; NumRet beside `judged_only` missed docs."""
    qrels = [Qrel("q1", "a", 1), Qrel("q1", "b", 2), Qrel("q1", "c", 0)]
    run = Run.of("r", [ScoredDoc("q1", doc, -float(at)) for at, doc in enumerate("xayb")])
    names = ["nDCG@10", "nDCG(gains={1:9,2:1})@10", "nDCG(judged_only=True)@10", "NumRet", "AP", "P(judged_only=True)@2",
             "NumQ", "SetF(beta=2.0)", "SetF", "IPrec@0.5", "IPrec@0.51", "ERR@10", "nDCG(dcg='exp-log2')@10"]  # fmt: skip
    alone = {name: measured(run, qrels, [name]).means()[name] for name in names}
    assert measured(run, qrels, names).means() == alone
    assert measured(run, qrels, names[::-1]).means() == alone
    assert (alone["NumRet"], alone["P(judged_only=True)@2"]) == (4.0, 1.0)
    assert len({alone[name] for name in names if name.startswith("nDCG")}) == 4


def test_queries_whose_ids_gdeval_mistakes_have_their_values() -> None:
    """gdeval takes PLAIN-2 for 2 and refuses q1: before, ERR was half of it, and a failure."""
    for query_id in ("PLAIN-2", "q1", "02", "2"):
        qrels = [Qrel(query_id, "a", 4), Qrel("7", "a", 4)]
        run = Run.of("r", [ScoredDoc(each, "a", 1.0) for each in (query_id, "7")])
        found = measured(run, qrels, ["ERR@10"]).values["ERR@10"]
        assert found == {query_id: 0.9375, "7": 0.9375}  # (2^4 - 1) / 2^4 at rank 1


def test_accuracy_counts_pairs_and_says_where_there_is_none() -> None:
    """z before a, b behind it: of the pairs (a, z) and (a, b) one is in order, 1/2. ir_measures ends in 0/0."""
    qrels, docs = [Qrel("q1", "a", 1)], [ScoredDoc("q1", d, -float(n)) for n, d in enumerate("zab")]
    assert measured(Run.of("r", docs), qrels, ["Accuracy"]).means() == {"Accuracy": 0.5}
    for ranked, said in (
        (docs[1:2], "of the first 1 doc of query q1 1 is relevant"),
        (docs[:1], "of the first 1 doc of query q1 0 are relevant"),
    ):
        with pytest.raises(
            BadInput, match=f"r: Accuracy@2 counts pairs .*{said}: there is no pair"
        ):
            measured(Run.of("r", ranked), qrels, ["Accuracy@2"])


@pytest.mark.parametrize("n_judged", [3, 40])
@pytest.mark.parametrize("ids", ["doc{}", "!{:09}", "é{}"])
def test_names_for_unjudged_docs_change_no_value(tmp_path: Path, ids: str, n_judged: int) -> None:
    """Docs may be named as stand-ins are; few judged docs are looked for, many are not."""
    names = [ids.format(at) for at in np.random.default_rng(3).permutation(200)]
    path = tmp_path / "a.run"
    lines = (f"q Q0 {name} {at} {-at} made\n" for at, name in enumerate(names, 1))
    path.write_text("".join(lines), "utf-8")
    judged = {name: at % 3 for at, name in enumerate([*names[5::60], *names[:n_judged], "other"])}
    qrels = [Qrel("q", name, grade) for name, grade in judged.items()]
    theirs = {"AP": "map", "nDCG@20": "ndcg_cut_20", "bpref": "bpref", "R@100": "recall_100"}
    found = measured(read_run(path), qrels, ["AP", "nDCG@20", "Bpref", "R@100"])
    tool = pytrec_eval.RelevanceEvaluator(
        {"q": judged}, {"map", "ndcg_cut.20", "bpref", "recall.100"}
    )
    expected = tool.evaluate({"q": {name: -float(at) for at, name in enumerate(names)}})["q"]
    assert [values["q"] for values in found.values.values()] == [
        expected[name] for name in theirs.values()
    ]


@pytest.mark.parametrize("at_once", [1, 2, 256])
def test_queries_are_measured_alike_however_many_at_once(
    monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    """One batch has no ranked query, one no grade above -1."""
    monkeypatch.setattr(measuring, "QUERIES_AT_ONCE", at_once)
    qrels = [Qrel(f"q{at}", "a", -1 if at in (2, 3) else 1 + at % 2) for at in range(8)]
    docs = [
        ScoredDoc(f"q{at}", doc, at - rank) for at in range(8) for rank, doc in enumerate("zab")
    ]
    run = Run.of("r", [doc for doc in docs if doc.query_id not in ("q4", "q5")])
    found = measured(run, qrels, ["RR", "nDCG@10", "ERR@10"])
    assert found.missing_queries == ("q4", "q5")
    ranked = [0.0 if at in (2, 3, 4, 5) else 0.5 for at in range(8)]
    assert [*found.values["RR"].values()] == ranked
    one_by_one = [measured(run, [qrel], ["ERR@10"]).values["ERR@10"] for qrel in qrels]
    assert [*found.values["ERR@10"].values()] == [next(iter(each.values())) for each in one_by_one]
