from pathlib import Path

from rankscope.core.records import Qrel, Run, ScoredDoc
from rankscope.core.trec.writing import write_run
from rankscope.data.conventions import Convention
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
