import json
from pathlib import Path

from rankscope.core.formats import read_run
from rankscope.core.records import Qrel, Run, ScoredDoc
from rankscope.core.trec.writing import write_run
from rankscope.data.conventions import Convention
from rankscope.store.artifacts import Store
from rankscope.store.fingerprint import Digests
from rankscope.study.load import load
from rankscope.study.plan import plan
from rankscope.study.runner import carry_out
from rankscope.verbs import judgements, reproduce


def test_a_query_left_without_docs_is_no_query_in_common(tmp_path: Path) -> None:
    """A query whose only doc is its own has no ranking in either run, and none to agree about."""
    run = {"q1": {"q1": 2.0}, "q2": {"a": 2.0, "b": 1.0}, "q3": {"a": 2.0}}
    path = tmp_path / "a.run"
    write_run(
        path, Run.of("r", (ScoredDoc(q, d, s) for q, of in run.items() for d, s in of.items()))
    )
    qrels = [Qrel(query, "a", 1) for query in run]
    judged = judgements.Judgements("made", qrels, Convention(drop_own_docs=True))
    found = reproduce.reproduce([path], judged, ["RR"], original=path)
    assert found.order is not None
    assert (found.order.n_queries, found.order.kendall_tau) == (2, 1.0)


def test_the_docs_that_rankgpt_was_shown_are_a_run(tiny_study: Path, tmp_path: Path) -> None:
    """Its training file has an order and no scores; queries are known by their words, and the order is kept."""
    shown = tmp_path / "marco-train.jsonl"
    entries = [
        {
            "query": "where sits the red cat",
            "retrieved_passages": [{"docid": doc_id, "text": ""} for doc_id in ("d3", "d0", "d9")],
        },
        {"query": "of no collection", "retrieved_passages": [{"docid": "d1", "text": ""}]},
    ]
    shown.write_text("".join(json.dumps(entry) + "\n" for entry in entries), "utf-8")
    loaded = load(
        tiny_study,
        [
            f"first_stages.shown={{kind: run_files, paths: {{test: {shown}}}, depth: 2}}",
            "evaluate.rerank={from: [shown], depth: 2}",
            "evaluate.baseline=[shown]",
            "evaluate.rankers=[plain]",
        ],
    )
    made = plan(loaded, Digests().of)
    store = Store(tmp_path / "results")
    (search,) = (step for step in made.steps if step.label == "shown.test")
    carry_out(made, store)
    run = read_run(store.open(search.name) / "run.trec")
    assert {q: [doc.doc_id for doc in docs] for q, docs in run.rankings.items()} == {"q0": ["d3", "d0"]}  # fmt: skip
