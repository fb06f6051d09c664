"""Our values against trec_eval's own output, for every measure both have."""

from pathlib import Path
from random import Random

import pytest
import pytrec_eval

from rankscope.core.errors import BadInput
from rankscope.core.formats import read_qrels, read_run, read_run_file
from rankscope.core.records import Qrel, Run, ScoredDoc
from rankscope.evaluate.measuring import measured

CUTOFFS = (5, 10, 15, 20, 30, 100, 200, 500, 1000)
AT_CUTOFFS = {
    "P_{}": "P(rel=2)@{}",
    "recall_{}": "R(rel=2)@{}",
    "map_cut_{}": "AP(rel=2)@{}",
    "ndcg_cut_{}": "nDCG@{}",
}
WHOLE = {
    "map": "AP(rel=2)",
    "Rprec": "Rprec(rel=2)",
    "bpref": "Bpref(rel=2)",
    "recip_rank": "RR(rel=2)",
    "infAP": "infAP(rel=2)",
    "ndcg": "nDCG",
    "set_P": "SetP(rel=2)",
    "set_relative_P": "SetP(rel=2,relative=True)",
    "set_recall": "SetR(rel=2)",
    "set_map": "SetAP(rel=2)",
    "set_F": "SetF(rel=2)",
    "success_1": "Success(rel=2)@1",
    "success_5": "Success(rel=2)@5",
    "success_10": "Success(rel=2)@10",
    "num_ret": "NumRet",
    "num_rel_ret": "NumRet(rel=2)",
}
NAMES = WHOLE | {
    theirs.format(cutoff): ours.format(cutoff)
    for theirs, ours in AT_CUTOFFS.items()
    for cutoff in CUTOFFS
}


def trec_eval_output(path: Path) -> dict[tuple[str, str], float]:
    """(measure, query_id) to the value that trec_eval printed."""
    lines = (line.split() for line in path.read_text().splitlines())
    return {
        (name, query_id): float(value)
        for name, query_id, value in lines
        if name in NAMES and query_id != "all"
    }


@pytest.mark.parametrize("name", ["bm25.run", "bm25+t5(zs).run"])
def test_every_value_of_every_query_is_trec_evals(real_data: Path, name: str) -> None:
    """DL-Hard, `trec_eval -q -c -l 2`: to the 4 decimals that it prints, ties and all."""
    folder = real_data / "trec-eval" / "dl-hard"
    theirs = trec_eval_output(folder / f"{name}.eval")
    qrels = read_qrels(folder / "dl_hard-passage.qrels")
    ours = measured(read_run(folder / name), qrels, list(NAMES.values())).values
    assert {measure for measure, _ in theirs} == NAMES.keys()
    assert len(theirs) == 50 * len(NAMES)
    wrong = {
        (measure, query_id): (value, ours[NAMES[measure]][query_id])
        for (measure, query_id), value in theirs.items()
        if abs(ours[NAMES[measure]][query_id] - value) > 0.500001e-4
    }
    assert not wrong


def test_by_doc_id_ascending_ties_would_not_be_trec_evals(real_data: Path) -> None:
    """The other direction (decision 5) gives other values: the test above can fail."""
    folder = real_data / "trec-eval" / "dl-hard"
    theirs = trec_eval_output(folder / "bm25.run.eval")
    qrels = read_qrels(folder / "dl_hard-passage.qrels")
    run = read_run(folder / "bm25.run")
    turned = {
        query_id: sorted(ranking, key=lambda doc: (-doc.score, doc.doc_id))
        for query_id, ranking in run.rankings.items()
    }
    ours = measured(Run("turned", turned), qrels, ["AP(rel=2)@200"]).values["AP(rel=2)@200"]
    wrong = [q for q in ours if abs(ours[q] - theirs["map_cut_200", q]) > 0.500001e-4]
    assert wrong == ["1103812"]


OUT_TEST = {"map": "AP", "Rprec": "Rprec", "bpref": "Bpref", "recip_rank": "RR", "P_10": "P@10"}


@pytest.mark.parametrize(
    ("run", "qrels", "output"),
    [
        ("results.test", "qrels.test", "out.test"),
        ("results.test", "qrels.test.with-comments", "out.test"),
        ("results.comment.test", "qrels.comment.test", "out.comment.test"),
    ],
)
def test_trec_evals_own_tests(real_data: Path, run: str, qrels: str, output: str) -> None:
    folder = real_data / "trec-eval" / "trec_eval-test"
    lines = (line.split() for line in (folder / output).read_text().splitlines())
    theirs = {name: value for name, query_id, value in lines if query_id == "all"}
    judgements, found = read_qrels(folder / qrels), read_run(folder / run)
    shared = [qrel for qrel in judgements if qrel.query_id in found.rankings]  # without -c
    means = measured(found, shared, list(OUT_TEST.values())).means()
    for name, measure in OUT_TEST.items():
        assert means[measure] == pytest.approx(float(theirs[name]), abs=0.50001e-4), name
    assert found.tag == theirs["runid"]


def test_lines_with_words_after_the_tag_are_read_and_counted(real_data: Path) -> None:
    found = read_run_file(real_data / "trec-eval" / "trec_eval-test" / "results.trunc")
    assert sum(map(len, found.run.rankings.values())) == 584
    assert "what follows the tag in 5 of its lines was left out" in found.notes


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("prefs.rank20", "line 1: the query id is empty"),
        ("qrels.test", "line 1: expected 6 columns"),
        ("out.test", "line 1: the score 'STANDARD' is not a finite number"),
    ],
)
def test_what_is_no_run_is_refused_with_its_place(real_data: Path, name: str, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        read_run(real_data / "trec-eval" / "trec_eval-test" / name)


@pytest.mark.parametrize("name", ["prefs.test", "prefs.comment.test", "results.test"])
def test_what_is_no_qrels_is_refused_with_its_place(real_data: Path, name: str) -> None:
    with pytest.raises(BadInput, match=name):
        read_qrels(real_data / "trec-eval" / "trec_eval-test" / name)


def test_grade_levels_of_trec_evals_tests(real_data: Path) -> None:
    qrels = read_qrels(real_data / "trec-eval" / "trec_eval-test" / "qrels.rel_level")
    assert {qrel.relevance for qrel in qrels} > {0, 1}
    assert isinstance(qrels[0], Qrel)


MEASURES_OF_NEGATIVES = (
    "nDCG",
    "nDCG@10",
    "AP",
    "RR",
    "R@5",
    "P@5",
    "Bpref",
    "infAP",
    "Judged@10",
    "NumRel",
    "nDCG(gains={0: 1, 1: 2})@10",
    "nDCG(judged_only=True)",
    "nDCG(gains={0: 1})",
)


def test_a_query_whose_grades_are_all_below_0_has_no_relevant_doc() -> None:
    """trec_eval ends the process from -2 down, and at -1 counts with the grades of the query before."""
    rng = Random(5)
    for _ in range(40):
        qrels = [Qrel("q1", f"d{at}", rng.choice([-2, 0, 1, 3])) for at in range(6)]
        lowest = rng.choice([-2, -1])
        qrels += [Qrel("q2", f"d{at}", rng.randint(lowest, -1)) for at in range(rng.randint(1, 6))]
        run = Run.of("r", [ScoredDoc(q, f"d{at}", rng.random()) for q in ("q1", "q2") for at in range(8)])  # fmt: skip
        values = measured(run, qrels, MEASURES_OF_NEGATIVES).values
        alone = [qrel for qrel in qrels if qrel.query_id == "q1"]
        for name, by_query in measured(run, alone, MEASURES_OF_NEGATIVES).values.items():
            assert values[name]["q1"] == by_query["q1"]
        n_judged = sum(qrel.query_id == "q2" for qrel in qrels)
        assert values.pop("Judged@10")["q2"] == n_judged / 8
        assert {name: by_query["q2"] for name, by_query in values.items()} == dict.fromkeys(
            values, 0.0
        )


def test_ndcg_of_the_whole_ranking_is_trec_evals_to_the_last_bit() -> None:
    """Ours asks for a cutoff, because trec_eval's takes the square of the highest grade in time."""
    rng = Random(6)
    for _ in range(200):
        grades = {f"d{at}": rng.choice([0, 0, 1, 2, 7, 50]) for at in range(rng.randint(1, 12))}
        docs = {f"d{at}": rng.random() for at in range(rng.randint(1, 15))}
        theirs = pytrec_eval.RelevanceEvaluator({"q": grades}, {"ndcg"}).evaluate({"q": docs})
        run = Run.of("r", [ScoredDoc("q", doc_id, score) for doc_id, score in docs.items()])
        qrels = [Qrel("q", doc_id, grade) for doc_id, grade in grades.items()]
        assert measured(run, qrels, ["nDCG"]).values["nDCG"]["q"] == theirs["q"]["ndcg"]
