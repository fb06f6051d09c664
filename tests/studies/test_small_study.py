"""A study from its file to its report, and the numbers in it checked by other tools."""

import csv
import json
import re
import shutil
from pathlib import Path

import ir_measures
import pytest

from rankscope.pipeline.planner import Plan
from rankscope.store.artifacts import Store
from rankscope.store.fingerprint import Digests
from rankscope.study.load import load
from rankscope.study.plan import plan
from rankscope.study.runner import carry_out
from support.stored import folder, scores_are_sentence_transformers


@pytest.fixture(scope="module")
def study(tiny_study: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Plan, Store]:
    made = plan(load(tiny_study), Digests().of)
    store = Store(tmp_path_factory.mktemp("results") / "tiny")
    carry_out(made, store)
    return made, store


def test_every_mean_is_that_of_ir_measures_on_the_stored_run(study: tuple[Plan, Store]) -> None:
    summary = json.loads((study[1].root / "summary.json").read_text())
    qrels = list(
        ir_measures.read_trec_qrels(str(folder(study, "collection", "test") / "qrels.trec"))
    )
    assert len(summary["results"]) == 5
    for result in summary["results"]:
        run = list(ir_measures.read_trec_run(str(study[1].root / result["run"])))
        for name, mean in result["means"].items():
            measure = ir_measures.parse_measure(name)
            by_hand = ir_measures.calc_aggregate([measure], qrels, run)[measure]
            assert mean == pytest.approx(by_hand, abs=1e-12), (result["system"], name)


def test_test_queries_that_were_trained_on_are_noted(tiny_study: Path, tmp_path: Path) -> None:
    store = Store(tmp_path / "tiny")
    carry_out(plan(load(tiny_study, ["evaluate.over=[train]"]), Digests().of), store)
    note, _ = json.loads((store.root / "summary.json").read_text())["notes"]
    assert note.startswith("8 of 8 queries of train are training queries (train)")
    assert "the results of C, C-D there do not hold for new queries" in note
    assert note in (store.root / "report.html").read_text("utf-8")


def test_a_study_measures_as_its_collection_and_its_tests_ask(
    tiny_study: Path, tmp_path: Path, study: tuple[Plan, Store]
) -> None:
    """From grade 2 on, no own docs, all pairs, uncorrected: and nothing but evaluation is done anew.

    Own docs are dropped by the searches of the test collection, so these are done anew too, and what re-ranks them.
    """
    overrides = [
        "collections.test.relevance_level=2", "evaluate.tests=as_published", "evaluate.baseline=[]",
    ]  # fmt: skip
    store = Store(tmp_path / "tiny")
    shutil.copytree(study[1].root, store.root)
    done = carry_out(plan(load(tiny_study, overrides), Digests().of), store).done
    assert [name.split("-")[0] for name in done] == ["evaluate", "report"]
    overrides.append("collections.test.drop_own_docs=true")
    done = carry_out(plan(load(tiny_study, overrides), Digests().of), store).done
    kinds = [name.split("-")[0] for name in done]
    assert kinds == ["search", *["rerank"] * 4, "evaluate", "report"]
    summary = json.loads((store.root / "summary.json").read_text())
    usual = json.loads((study[1].root / "summary.json").read_text())
    for result, before in zip(summary["results"], usual["results"], strict=True):
        assert result["means"]["nDCG@10"] == before["means"]["nDCG@10"], "graded: no level"
        assert result["means"]["RR@10"] <= before["means"]["RR@10"]
    notes = " ".join(summary["notes"])
    assert "measured were RR(rel=2)@10" in notes
    assert "query's id were left out" in notes
    assert "As published (study B)" in notes
    assert len(summary["comparisons"]) == 2 * 10
    assert all(row["corrected_p"] == row["p_value"] for row in summary["comparisons"])
    assert all(row["equivalence_p"] is None for row in summary["comparisons"])


def test_no_such_note_where_the_test_is_unseen(study: tuple[Plan, Store]) -> None:
    notes = json.loads((study[1].root / "summary.json").read_text())["notes"]
    assert not any("training queries" in note for note in notes)


def test_a_study_of_single_seeds_says_so_once_where_it_is_read_first(
    study: tuple[Plan, Store],
) -> None:
    (note,) = json.loads((study[1].root / "summary.json").read_text())["notes"]
    assert note == (
        "plain, C, C-D: one run each, so verdicts are of these runs, not of the methods: with another training "
        "seed the order may be another (docs/verdicts.md says how often). `seeds: [1, 2, 3]` counts the seeds in."
    )
    page = (study[1].root / "report.html").read_text("utf-8")
    findings = page.partition('<section id="findings">')[2].partition("</section>")[0]
    assert findings.count(note) == 1


def test_tables_hold_the_same_numbers(study: tuple[Plan, Store]) -> None:
    root = study[1].root
    summary = json.loads((root / "summary.json").read_text())
    with (root / "tables" / "means.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    stored = {
        (r["system"], name): mean for r in summary["results"] for name, mean in r["means"].items()
    }
    assert {(r["system"], r["measure"]): float(r["mean"]) for r in rows} == stored
    assert r"\toprule" in (root / "tables" / "comparisons.tex").read_text()


def test_the_summary_has_every_comparison_with_its_verdict(study: tuple[Plan, Store]) -> None:
    summary = json.loads((study[1].root / "summary.json").read_text())
    pairs = [
        (c["system"], c["baseline"]) for c in summary["comparisons"] if c["measure"] == "nDCG@10"
    ]
    assert sorted(pairs) == sorted(
        [(s, "bm25") for s in ("bi", "plain", "C", "C-D")]
        + [(s, "C") for s in ("bi", "plain", "C-D")]
    )
    for comparison in summary["comparisons"]:
        assert comparison["verdict"] in {"better", "worse", "equivalent", "cannot tell"}
        assert comparison["interval"][0] <= comparison["difference"] <= comparison["interval"][1]


def test_a_tuned_ranker_loads_in_sentence_transformers_with_the_stored_scores(
    study: tuple[Plan, Store],
) -> None:
    scores_are_sentence_transformers(study, "C")


def test_the_page_is_whole_and_fetches_nothing(study: tuple[Plan, Store]) -> None:
    page = (study[1].root / "report.html").read_text("utf-8")
    for expected in ("C-D", "bm25", "nDCG@10", "seed: 3", "Holm", "train-C-"):
        assert expected in page
    assert "default-src 'none'" in page
    assert not re.search(r"""<(script|link|img|iframe)[^>]+(src|href)=["']?https?:""", page)


def test_training_is_logged_with_its_validation(study: tuple[Plan, Store]) -> None:
    log = (folder(study, "train", "C") / "log.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in log]
    assert [row["update"] for row in rows if "validation" in row] == [0, 2, 4, 6]
    assert len([row for row in rows if "loss" in row]) == 6
