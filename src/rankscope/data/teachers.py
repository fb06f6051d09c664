"""Rankings by a teacher: a run file over the training queries, or a ranker's re-ranking."""

from collections.abc import Callable, Collection
from pathlib import Path

from rankscope.core.errors import BadInput
from rankscope.core.formats import read_run
from rankscope.core.records import Run


def teacher_run(path: Path, *, has_doc: Callable[[str], bool], query_ids: Collection[str]) -> Run:
    """A teacher's run file, once it is known to fit: its docs exist and some queries are ours."""
    run = read_run(path)
    ours = {query_id: run.rankings[query_id] for query_id in query_ids if query_id in run.rankings}
    if not ours:
        raise BadInput(
            f"{path}: none of its {len(run.rankings)} queries is in the collection. "
            "Give a run over the same queries."
        )
    unknown = [
        doc.doc_id for ranking in ours.values() for doc in ranking if not has_doc(doc.doc_id)
    ]
    if unknown:
        raise BadInput(
            f"{path}: {len(unknown)} ranked docs are not in the collection (first: {unknown[0]}). "
            "Give a run made from the same docs."
        )
    return Run(run.tag, ours)
