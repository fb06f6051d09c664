"""Docs that have their query's id (ArguAna, Quora): dropped where a collection is searched, and nowhere after."""

import json
from pathlib import Path
from typing import Any

import pytest

from rankscope.analyses import examples
from rankscope.core.errors import BadInput
from rankscope.core.formats import read_run
from rankscope.core.records import Run, ScoredDoc
from rankscope.core.trec.writing import write_run
from rankscope.data import conventions
from rankscope.evaluate.evaluation import measure
from rankscope.store.artifacts import Store
from rankscope.store.fingerprint import Digests
from rankscope.study import runner
from rankscope.study.load import load
from rankscope.study.plan import Plan, plan
from rankscope.train import loop
from support import dense_study, tiny
from support.command import Command

ASKED = [
    "first_stages.dense={kind: dense, ranker: bi, depth: 20}",
    "first_stages.both={kind: fuse, of: [bm25, dense], depth: 20}",
    "evaluate={over: [test], rankers: [bi, plain], measures: [nDCG@10, R@20], baseline: [bm25, both], "
    "search: {depth: 20, beside: [bm25, mine]}, rerank: {from: [both], depth: 10}}",
]
DROPPED = "collections.test.drop_own_docs=true"


NAMES = {f"q{n}": f"d{n + 1}" for n in range(12)}


def call_queries_as_docs(data: Path) -> None:
    """Call each query like the doc behind its own in the collection."""
    names = NAMES
    queries = [json.loads(line) for line in (data / "queries.jsonl").read_text().splitlines()]
    renamed = [json.dumps(query | {"_id": names[query["_id"]]}) for query in queries]
    (data / "queries.jsonl").write_text("\n".join(renamed))
    for path in (data / "qrels").iterdir():
        head, *rows = (line.split("\t") for line in path.read_text().splitlines())
        lines = [head, *([names[query], *rest] for query, *rest in rows)]
        path.write_text("".join("\t".join(line) + "\n" for line in lines))


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny study; each query is called like the doc behind its own in the collection."""
    file = tiny.write_study(tmp_path_factory.mktemp("own"))
    call_queries_as_docs(file.parent / "data")
    docs = [f"d{n}" for n in range(24)]
    tests = [NAMES[f"q{n}"] for n in range(0, 12, 3)]
    scored = {query: [(doc, -float(rank)) for rank, doc in enumerate(docs)] for query in tests}
    write_run(file.parent / "mine.run", run_of(scored))
    return file


def run_of(scored: dict[str, list[tuple[str, float]]]) -> Run:
    rows = (ScoredDoc(query, *pair) for query, pairs in scored.items() for pair in pairs)
    return Run.of("mine", rows)


def carried_out(study: Path, results: Path, *overrides: str) -> tuple[Plan, Store]:
    own = f"first_stages.mine={{kind: run_files, paths: {{test: {study.parent / 'mine.run'}}}, depth: 20}}"
    made, store = plan(load(study, [own, *ASKED, *overrides]), Digests().of), Store(results)
    runner.carry_out(made, store)
    return made, store


def runs(made: Plan, store: Store) -> dict[str, Run]:
    """Every run of a plan over the test collection, by kind and label of its step."""
    kinds = ("search", "fuse", "rerank")
    steps = [step for step in made.steps if step.kind in kinds]
    return {f"{s.kind} {s.label}": read_run(store.folder(s.name) / "run.trec") for s in steps}


def n_own(run: Run) -> int:
    return sum(doc.doc_id == query for query, docs in run.rankings.items() for doc in docs)


def test_no_run_of_a_study_holds_own_docs_and_searched_ones_measure_as_before(
    study: Path, tmp_path: Path
) -> None:
    """What is searched is what it was, less own docs; what rests on it goes on without them."""
    with_own = runs(*carried_out(study, tmp_path / "with"))
    made, store = carried_out(study, tmp_path / "without", DROPPED)
    without = runs(made, store)
    assert with_own.keys() == without.keys()
    assert {name.split(".")[0] for name in without} == {
        "search bm25", "search bi", "search mine", "fuse both", "rerank plain", "rerank bi",
    }  # fmt: skip
    assert all(n_own(run) == 4 for run in with_own.values())
    assert not any(n_own(run) for run in without.values())
    for name, run in with_own.items():
        if name.startswith("search"):
            left = {q: [d for d in docs if d.doc_id != q] for q, docs in run.rankings.items()}
            assert {q: [d.doc_id for d in docs] for q, docs in without[name].rankings.items()} == {
                q: [d.doc_id for d in docs] for q, docs in left.items()
            }
    summary = json.loads((store.root / "summary.json").read_text())
    assert any("docs that have their query's id were left out" in note for note in summary["notes"])
    means = {row["system"]: row["means"] for row in of_all_docs(summary)}
    qrels = study.parent / "data" / "qrels" / "test.tsv"
    for system, name in (("bm25", "bm25.test"), ("bi", "bi.test"), ("mine", "mine.test")):
        found = measure(
            {"r": with_own[f"search {name}"]}, qrels, ["nDCG@10", "R@20"], drop_own_docs=True
        )
        assert means[system] == pytest.approx(found.means()["r"])


def of_all_docs(summary: dict[str, Any]) -> list[dict[str, Any]]:
    return [row for row in summary["results"] if row["first_stage"] == "all docs"]


def test_docs_that_a_ranker_finds_for_its_own_training_are_without_own_docs_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A self-refreshed negative was the query itself; no other training gets another name."""
    file = dense_study.write(tmp_path)
    call_queries_as_docs(tmp_path / "data")
    updated = loop._Training._updated

    def dying(self: Any, update: int, batches: Any) -> Any:
        if update == 5:
            raise KeyboardInterrupt
        return updated(self, update, batches)

    def found(results: str, *overrides: str) -> Run:
        asked = [
            "rankers.fresh.samples.negatives.depth=20",
            "evaluate={over: [test], rerank: {from: [bm25], depth: 5}, measures: [nDCG@10], "
            "baseline: [bm25], rankers: [fresh]}",
        ]
        made = plan(load(file, [*asked, *overrides]), Digests().of)
        step = next(step for step in made.steps if (step.kind, step.label) == ("train", "fresh"))
        store = Store(tmp_path / results)
        with pytest.raises(KeyboardInterrupt), store.locked():
            runner.prepare([step], made, store)
        (run,) = store.root.glob("work/*/found-000000003/run.trec")
        return read_run(run)

    monkeypatch.setattr(loop._Training, "_updated", dying)
    assert n_own(found("with"))
    assert not n_own(found("without", "collections.train.drop_own_docs=true"))


@pytest.mark.parametrize("command", ["probe", "attribute"])
def test_analyses_without_a_study_drop_own_docs_by_the_collections_convention(
    command: str, study: Path, monkeypatch: pytest.MonkeyPatch, rankscope: Command
) -> None:
    """ArguAna's own doc is the first that BM25 finds, and was a hard negative."""

    def refused(run: Run) -> Run:
        assert n_own(run)
        raise BadInput("own docs are dropped")

    data = study.parent / "data"
    monkeypatch.setattr(examples, "without_own_docs", refused)
    by_id = {str(data): conventions.Convention(drop_own_docs=True)}
    monkeypatch.setattr(conventions, "CONVENTIONS", by_id)
    model = str(study.parent / "bi")
    code, _, err = rankscope(command, model, "--collection", str(data), "--depth", "20")
    assert (code, err.strip()) == (1, "rankscope: own docs are dropped")
