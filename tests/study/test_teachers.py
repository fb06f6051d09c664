import json
from pathlib import Path

import pytest

from rankscope.core.formats import read_run
from rankscope.core.records import Qrel, Run, ScoredDoc
from rankscope.pipeline.planner import Plan
from rankscope.pipeline.teachers import agreement
from rankscope.pipeline.work import Work
from rankscope.report.steps import step_rows
from rankscope.store.artifacts import Store
from rankscope.store.fingerprint import Digests
from rankscope.study import runner
from rankscope.study.load import load
from rankscope.study.plan import plan
from rankscope.study.report import stored_results

SHOWN = [f"d{i}" for i in range(6)]
QUERIES = ["q1", "q2", "q4", "q0"]


def planned(study: Path, *overrides: str) -> Plan:
    return plan(load(study, overrides), Digests().of)


def teacher_of(made: Plan, store: Store) -> tuple[Path, dict[str, object]]:
    name = next(step.name for step in made.steps if step.kind == "teacher")
    return store.folder(name), store.manifest(name)["summary"]


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """An LLM's answers: in reverse for q1, malformed for q2, refused for q4; q0 is a test query."""
    answers = [" > ".join(map(str, range(6, 0, -1))), "[2] > [2] > [1]", "None.", "[1]"]
    (tmp_path / "answers.jsonl").write_text(
        "".join(
            json.dumps({"query_id": query, "response": text}) + "\n"
            for query, text in zip(QUERIES, answers, strict=True)
        )
    )
    lines = [f"{query} {doc} {6.5 - n}\n" for query in QUERIES for n, doc in enumerate(SHOWN)]
    (tmp_path / "shown.run").write_text("".join(lines))
    kd = {"query_id": "q1", "document_ids": ["d1", "d2", "d4"], "scores": [1.5, 1.5, -2.0]}
    (tmp_path / "kd.jsonl").write_text(json.dumps(kd) + "\n")
    return tmp_path


def only_distilled(teacher: str) -> list[str]:
    return [
        f"teachers.llm={teacher}", "rankers.C-D.samples.labels=llm", "rankers.C-D.start=plain",
        "rankers.C-D.samples.group_size=3", "evaluate.baseline=[bm25]", "evaluate.rankers=[C-D]",
    ]  # fmt: skip


def test_a_ranker_learns_from_an_llms_answers(
    tiny_study: Path, files: Path, tmp_path: Path
) -> None:
    """q1 and q2 are learnt from; the report says what was mended, dropped, and how good the order is."""
    path = f"path: {files}/answers.jsonl, candidates: {files}/shown.run"
    overrides = only_distilled(f"{{kind: permutations, {path}, depth: 4}}")
    made, store = planned(tiny_study, *overrides), Store(tmp_path / "results")
    runner.carry_out(made, store)
    folder, summary = teacher_of(made, store)
    run = read_run(folder / "run.json")
    assert [doc.doc_id for doc in run.rankings["q1"]] == ["d5", "d4", "d3", "d2"]
    assert [doc.score for doc in run.rankings["q2"]] == [1, 1 / 2, 1 / 3, 1 / 4]
    assert summary["repairs"] == {"repeats": 1, "missing": 1}
    assert summary["dropped_lists"] == {"query not in the collection": 1, "no ids": 1}
    assert summary["n_queries_without_ranking"] == 6
    assert summary["list_lengths"] == {"shortest": 6, "median": 6.0, "longest": 6}
    assert summary["position_bias"]["n_queries"] == 2  # type: ignore[index]
    assert summary["agreement_with_qrels"]["n_queries"] == 2  # type: ignore[index]
    trained = next(step.name for step in made.steps if step.kind == "train")
    assert store.manifest(trained)["summary"]["n_samples"] == 2
    report = next(step for step in made.steps if step.kind == "report")
    rows = step_rows(stored_results(Work(report, made, store, tmp_path, None)))  # type: ignore[arg-type]
    facts = dict(next(row.facts for row in rows if row.kind == "teacher"))
    assert facts["repairs"] == "missing 1, repeats 1"
    dropped = planned(
        tiny_study, *only_distilled(f"{{kind: permutations, {path}, malformed: drop}}")
    )
    assert dropped.steps[-1].fingerprint != made.steps[-1].fingerprint


def test_a_files_scores_and_ties_reach_the_loss(
    tiny_study: Path, files: Path, tmp_path: Path
) -> None:
    """A run of ours would part d1 and d2, whose scores are tied; the stored teacher does not."""
    overrides = only_distilled(f"{{kind: kd, path: {files}/kd.jsonl}}")
    overrides += ["rankers.C-D.samples.teacher_labels=scores"]
    made, store = planned(tiny_study, *overrides), Store(tmp_path / "results")
    runner.carry_out(made, store)
    folder, summary = teacher_of(made, store)
    assert (folder / "run.json").read_text() == ('{\n"q1": {"d2": 1.5, "d1": 1.5, "d4": -2.0}\n}\n')
    assert summary["scores"] == "the file's"
    assert "position_bias" not in summary
    ranks = planned(tiny_study, *overrides[:-1])
    runner.carry_out(planned(tiny_study, *overrides[:-1], "rankers.C-D.loss=kl"), store)
    names = [folder.name for folder in (store.root / "steps").glob("train-C-D-*")]
    told = [store.manifest(name)["summary"]["notes"] for name in names]
    assert sorted(map(len, told)) == [0, 1], (
        "kl learns how far apart labels are, and ranks are 1 apart"
    )
    differs = {s.kind for s in made.steps} - {
        s.kind for s in made.steps if s.fingerprint in {r.fingerprint for r in ranks.steps}
    }
    assert differs == {"train", "rerank", "evaluate", "report"}


def test_agreement_by_hand() -> None:
    """One relevant doc each: nDCG@10 is 1 at the top and 1/log2(3) below it."""
    qrels = [Qrel("q1", "a", 1), Qrel("q2", "a", 1), Qrel("q9", "a", 1)]
    teacher = Run.of(
        "t",
        [ScoredDoc(q, d, s) for q, d, s in (("q1", "a", 2), ("q1", "b", 1), ("q2", "b", 2), ("q2", "a", 1))],
    )  # fmt: skip
    found = agreement(teacher, {"q1": ["b", "a"], "q2": ["b", "a"]}, qrels)
    second = 0.6309297535714575
    assert found == {
        "n_queries": 2,
        "nDCG@10": pytest.approx((1 + second) / 2),
        "n_queries_shown": 2,
        "candidates_nDCG@10": pytest.approx(second),
        "share_improved": 0.5,
        "share_worsened": 0.0,
    }
    assert agreement(teacher, None, qrels) == {
        "n_queries": 2,
        "nDCG@10": pytest.approx((1 + second) / 2),
    }
    assert agreement(teacher, None, qrels[2:]) is None
