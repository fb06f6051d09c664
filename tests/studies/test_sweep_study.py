"""A study of two seeds, two learning rates and two stages: its numbers by hand, and how it says so."""

import csv
import json
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import ir_measures
import pytest
from safetensors.numpy import load_file

from rankscope.core.progress import SILENT
from rankscope.pipeline.planner import Plan
from rankscope.pipeline.work import Work
from rankscope.report.steps import trainings
from rankscope.report.summary import read
from rankscope.store.artifacts import Store
from rankscope.store.fingerprint import Digests
from rankscope.study.command import results_rows
from rankscope.study.load import load
from rankscope.study.plan import plan
from rankscope.study.report import stored_results
from rankscope.study.runner import carry_out
from support.stored import folder

SWEEP = ["rankers.plain.seeds=[1,2]", "rankers.C-D.learning_rate=[1e-3,1e-4]"]
SYSTEMS = {
    "plain": ["plain.seed=1", "plain.seed=2"],
    "C": ["C.seed=1", "C.seed=2"],
    **{
        f"C-D.learning_rate={rate}": [f"C-D.learning_rate={rate}.seed={seed}" for seed in (1, 2)]
        for rate in ("0.001", "0.0001")
    },
}


@pytest.fixture(scope="module")
def study(tiny_study: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Plan, Store]:
    made = plan(load(tiny_study, SWEEP), Digests().of)
    store = Store(tmp_path_factory.mktemp("results") / "tiny")
    carry_out(made, store)
    return made, store


@pytest.fixture(scope="module")
def summary(study: tuple[Plan, Store]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((study[1].root / "summary.json").read_text())
    return found


def test_every_seed_is_trained_on_its_own_from_the_same_seed_of_the_stage_before(
    study: tuple[Plan, Store],
) -> None:
    made, store = study
    trained = {step.label: step for step in made.steps if step.kind == "train"}
    assert list(trained) == [*SYSTEMS["C"], *list(SYSTEMS.values())[2], *list(SYSTEMS.values())[3]]
    starts = {name: store.manifest(step.name)["summary"]["start"] for name, step in trained.items()}
    assert starts["C.seed=2"] == "plain.seed=2"
    assert starts["C-D.learning_rate=0.0001.seed=1"] == "C.seed=1"
    heads = [
        load_file(folder(study, "ranker", name) / "model" / "model.safetensors")[
            "classifier.weight"
        ]
        for name in SYSTEMS["plain"]
    ]
    assert (heads[0] != heads[1]).any(), "the fresh head is drawn anew"


def test_a_systems_mean_is_that_of_its_seeds_each_by_ir_measures(
    study: tuple[Plan, Store], summary: dict[str, Any]
) -> None:
    path = folder(study, "collection", "test") / "qrels.trec"
    qrels = list(ir_measures.read_trec_qrels(str(path)))
    rows = {row["system"]: row for row in summary["results"]}
    assert list(rows) == ["bm25", "bi", *SYSTEMS]
    assert all("runs" not in rows[alone] for alone in ("bm25", "bi"))
    for system, rankers in SYSTEMS.items():
        assert [run["name"] for run in rows[system]["runs"]] == rankers
        for name in ("nDCG@10", "RR@10"):
            measure = ir_measures.parse_measure(name)
            means = []
            for ranker, run in zip(rankers, rows[system]["runs"], strict=True):
                assert f"rerank-{ranker}.test.bm25-" in run["run"]
                stored = list(ir_measures.read_trec_run(str(study[1].root / run["run"])))
                means.append(ir_measures.calc_aggregate([measure], qrels, stored)[measure])
                assert run["means"][name] == pytest.approx(means[-1], abs=1e-12)
            assert rows[system]["means"][name] == pytest.approx(fmean(means))
            assert rows[system]["seed_sd"][name] == pytest.approx(stdev(means))


def test_systems_are_compared_whole_by_their_names(summary: dict[str, Any]) -> None:
    """Per query the mean over the seeds; the seeds' spread makes the interval wider than without."""
    found = [row for row in summary["comparisons"] if row["measure"] == "nDCG@10"]
    pairs = {(row["system"], row["baseline"]): row for row in found}
    assert set(pairs) == {
        *((system, "bm25") for system in ("bi", *SYSTEMS)),
        *((system, "C") for system in ("bi", "plain", *list(SYSTEMS)[2:])),
    }
    means = {row["system"]: row["means"]["nDCG@10"] for row in summary["results"]}
    for (system, baseline), row in pairs.items():
        assert row["n_seeds"] == [2 if name in SYSTEMS else 1 for name in (system, baseline)]
        assert row["difference"] == pytest.approx(means[system] - means[baseline])
        assert (row["bootstrap_interval"] is None) == (row["n_seeds"] != [1, 1])


def test_the_tables_say_so(study: tuple[Plan, Store], summary: dict[str, Any]) -> None:
    tables = study[1].root / "tables"
    with (tables / "seeds.csv").open(newline="") as file:
        seeds = list(csv.DictReader(file))
    assert [row["ranker"] for row in seeds if row["measure"] == "RR@10"] == [
        ranker for rankers in SYSTEMS.values() for ranker in rankers
    ]
    assert all((study[1].root / row["run"]).is_file() for row in seeds)
    with (tables / "means.csv").open(newline="") as file:
        means = {(row["system"], row["measure"]): row for row in csv.DictReader(file)}
    row = means["C", "nDCG@10"]
    of_c = [
        float(row["mean"]) for row in seeds if (row["system"], row["measure"]) == ("C", "nDCG@10")
    ]
    assert (row["n_seeds"], float(row["seed_sd"])) == ("2", pytest.approx(stdev(of_c)))
    assert row["run"].count("; ") == 1
    assert (means["bi", "nDCG@10"]["n_seeds"], means["bi", "nDCG@10"]["seed_sd"]) == ("1", "")
    with (tables / "comparisons.csv").open(newline="") as file:
        first = next(row for row in csv.DictReader(file) if row["system"] == "plain")
    assert (first["system_seeds"], first["baseline_seeds"]) == ("2", "1")
    assert r"{\scriptsize$\pm$" in (tables / "means.tex").read_text()
    assert "of the seeds' means" in (tables / "means.tex").read_text()


def test_the_terminal_says_so(summary: dict[str, Any]) -> None:
    columns, rows = results_rows(read(summary, where="summary.json"))
    assert columns[:4] == ["system", "collection / first stage", "seeds", "nDCG@10"]
    by_system = {row[0]: row for row in rows}
    mean = next(row for row in summary["results"] if row["system"] == "C")
    assert by_system["C"][2:4] == [
        "2",
        f"{mean['means']['nDCG@10']:.4f} ± {mean['seed_sd']['nDCG@10']:.4f}",
    ]
    assert by_system["bi"][2] == "1"
    assert "±" not in by_system["bi"][3]


def test_the_page_says_so_and_shows_each_seeds_training(study: tuple[Plan, Store]) -> None:
    made, store = study
    page = (store.root / "report.html").read_text("utf-8")
    for expected in (
        "Means with ± are over 2 seeds",
        "2 seeds against 1",
        "means of 2 seeds",
        "The seeds&#39; spread is part of the error: it is pooled over all trained systems",
        "two seeds a system, so nothing tells whether",
        "C on test from bm25, nDCG@10: 2 seeds, whose means",
    ):
        assert expected in page, expected
    work = Work(made.steps[-1], made, store, store.root, SILENT)
    results = stored_results(work)
    assert {training.ranker for training in trainings(results)} == {
        ranker for system, rankers in SYSTEMS.items() if system != "plain" for ranker in rankers
    }
    assert all(training.loss for training in trainings(results))


def test_a_query_has_the_mean_of_its_seeds(study: tuple[Plan, Store]) -> None:
    made, store = study
    results = stored_results(Work(made.steps[-1], made, store, store.root, SILENT))
    row = next(row for row in results.evaluation.results if row.system == "C")
    stored: dict[str, dict[str, float]] = {}
    with (folder(study, "evaluate", "all") / "per_query.csv").open(newline="") as file:
        for line in csv.DictReader(file):
            if line["measure"] == "RR@10":
                stored.setdefault(line["run"], {})[line["query_id"]] = float(line["value"])
    one, two = (stored[run.run] for run in row.seeds)
    assert one != two
    assert results.per_query[row.run]["RR@10"] == pytest.approx(
        {query: (one[query] + two[query]) / 2 for query in one}
    )


def test_rankers_of_one_seed_beside_others_are_noted(tiny_study: Path, tmp_path: Path) -> None:
    """plain and bi: a fresh head could have been drawn again, a bi-encoder could not."""
    store = Store(tmp_path / "tiny")
    overrides = ["rankers.C.seeds=[1,2]", "evaluate.rankers=[bi,plain,C]"]
    carry_out(plan(load(tiny_study, overrides), Digests().of), store)
    notes = json.loads((store.root / "summary.json").read_text())["notes"]
    assert len(notes) == 2
    assert notes[1].startswith("C: two seeds a system, so nothing tells"), notes
    assert notes[0].startswith(
        "plain: one run each, so verdicts are of these runs, not of the methods"
    )
