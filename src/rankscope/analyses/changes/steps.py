"""Steps between two rankers: what moved, and heads fitted anew."""

from rankscope.analyses.changes import results as changes
from rankscope.analyses.changes.heads import HeadSettings, controlled, lesson
from rankscope.analyses.changes.plan import ChangeParams, HeadsParams
from rankscope.core.formats import read_run
from rankscope.core.records import Run
from rankscope.data.collections import StoredDocs, read_topics
from rankscope.evaluate.evaluation import as_margin, without_own_docs
from rankscope.evaluate.measures import with_relevance_level
from rankscope.models import backbone
from rankscope.models.bi_encoder import BiEncoder
from rankscope.models.cross_encoder import CrossEncoder
from rankscope.models.opening import open_tunable
from rankscope.pipeline.work import Summary, Work
from rankscope.store.artifacts import write_json

CHANGE, HEADS = "change.json", "heads.json"


def change(work: Work) -> Summary:
    """What moved between two rankers: weights, states, rankings."""
    params = work.params(ChangeParams)
    settings = changes.Settings(
        depth=params.depth,
        texts=params.spec.texts,
        neighbours=params.spec.neighbours,
        drop_own_docs=params.drop_own_docs,
        seed=params.seed,
    )
    topics, run = read_topics(work.folder("collection")), read_run(work.folder("run") / "run.trec")
    rankers = _rankers(work)
    compared = changes.sides(
        rankers[0], topics.queries, run, _texts(work, run, settings.depth), settings
    )
    modules = changes.weights_changed(rankers)
    states = changes.states_changed(rankers, compared, settings, work.progress)
    before, after = _runs(work)
    found = changes.Changes(
        before=params.before,
        after=params.after,
        collection=params.spec.over,
        modules=tuple(modules),
        states=tuple(states),
        rankings=changes.ranking_change(before, after, settings),
    )
    stored = changes.as_json(found)
    write_json(work.out / CHANGE, stored)
    return {"displacement": stored["displacement"], "overlap": stored["rankings"]["overlap"]}


def _rankers(work: Work) -> tuple[BiEncoder | CrossEncoder, BiEncoder | CrossEncoder]:
    before, after = (open_tunable(work.folder(role) / "model") for role in ("before", "after"))
    for ranker in (before, after):
        ranker.model.to(backbone.device())
    return before, after


def _runs(work: Work) -> list[Run]:
    """Both rankers' own re-rankings."""
    return [read_run(work.folder(role) / "run.trec") for role in ("before run", "after run")]


def _texts(work: Work, run: Run, depth: int) -> dict[str, str]:
    """Of every doc in the top of the run."""
    wanted = sorted({doc.doc_id for top in run.rankings.values() for doc in top[:depth]})
    return dict(zip(wanted, StoredDocs(work.folder("docs")).texts(wanted), strict=True))


def heads(work: Work) -> Summary:
    """Heads fitted anew on both encoders, and where a loss lies."""
    params = work.params(HeadsParams)
    settings = HeadSettings(
        candidates=params.spec.candidates,
        examples=params.spec.examples,
        fits=params.spec.fits,
        depth=params.depth,
        measure=with_relevance_level(params.measure, params.convention.relevance_level),
        margin=as_margin(params.margin),
        significance_level=params.significance_level,
        correction=params.correction,
        drop_own_docs=params.convention.drop_own_docs,
        seed=params.seed,
    )
    topics, run = read_topics(work.folder("collection")), read_run(work.folder("run") / "run.trec")
    train_run = read_run(work.folder("train run") / "run.trec")
    if params.train_convention.drop_own_docs:
        train_run = without_own_docs(train_run)
    made, notes = lesson(
        read_topics(work.folder("train collection")),
        train_run,
        topics,
        run,
        StoredDocs(work.folder("docs")),
        settings,
        min_relevance=params.train_convention.relevance_level,
    )
    found = controlled(_rankers(work), made, _runs(work), topics.qrels, settings, work.progress)
    write_json(work.out / HEADS, found | {"notes": notes})
    return {"conclusion": found["conclusion"], "notes": notes}
