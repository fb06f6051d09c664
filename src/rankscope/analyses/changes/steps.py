"""How the steps that compare two rankers are carried out: their changes, and the refitted heads."""

from rankscope.analyses.changes import results as changes
from rankscope.analyses.changes.heads import controlled, lesson
from rankscope.analyses.changes.plan import ChangeParams, HeadsParams
from rankscope.core.formats import read_run
from rankscope.core.judged.plain import as_plain
from rankscope.core.records import Run
from rankscope.data.collections import StoredDocs, read_topics
from rankscope.models.opening import open_trainable
from rankscope.pipeline.work import Summary, Work
from rankscope.store.artifacts import write_json

CHANGE, HEADS = "change.json", "heads.json"


def change(work: Work) -> Summary:
    """The changes between two rankers: weights, states, rankings."""
    params = work.params(ChangeParams)
    topics, run = read_topics(work.folder("collection")), read_run(work.folder("run") / "run.trec")
    rankers = _rankers(work)
    compared = changes.sides(
        rankers[0], topics.queries, run, _texts(work, run, params.depth), params
    )
    modules = changes.weights_changed(rankers)
    states = changes.states_changed(rankers, compared, params, work.progress)
    changed = changes.changes_between(_runs(work), modules, states, params)
    write_json(work.out / CHANGE, as_plain(changed))
    return {"displacement": changed.displacement, "overlap": changed.rankings.overlap.value}


def _rankers(work: Work) -> changes.Both:
    before, after = (open_trainable(work.folder(role) / "model") for role in ("before", "after"))
    return before, after


def _runs(work: Work) -> list[Run]:
    """The two rankers' re-rankings with their own heads."""
    return [read_run(work.folder(role) / "run.trec") for role in ("before run", "after run")]


def _texts(work: Work, run: Run, depth: int) -> dict[str, str]:
    """The text of every doc in the top of the run."""
    wanted = sorted({doc.doc_id for top in run.rankings.values() for doc in top[:depth]})
    return dict(zip(wanted, StoredDocs(work.folder("docs")).texts(wanted), strict=True))


def heads(work: Work) -> Summary:
    """Heads refitted on both encoders, and where a loss lies."""
    params = work.params(HeadsParams)
    topics, run = read_topics(work.folder("collection")), read_run(work.folder("run") / "run.trec")
    taught = lesson(
        read_topics(work.folder("train collection")),
        read_run(work.folder("train run") / "run.trec"),
        topics,
        run,
        StoredDocs(work.folder("docs")),
        params,
    )
    control = controlled(_rankers(work), taught, _runs(work), topics.qrels, params, work.progress)
    write_json(work.out / HEADS, as_plain(control))
    return {"conclusion": control.conclusion.value, "notes": control.notes}
