"""What moved between two rankers over a collection, without a study file."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rankscope.analyses import examples
from rankscope.analyses.changes.heads import (
    DEPTH_OF_NEGATIVES,
    controlled,
    lesson,
    scorers,
)
from rankscope.analyses.changes.plan import ChangeParams, HeadsParams
from rankscope.analyses.changes.results import (
    Changes,
    as_json,
    ranking_change,
    sides,
    states_changed,
    weights_changed,
)
from rankscope.core.progress import Progress
from rankscope.core.records import Run
from rankscope.data.collections import Source, StoredDocs, Topics, judged_topics
from rankscope.evaluate.evaluation import without_own_docs
from rankscope.models import backbone, opening
from rankscope.models.bi_encoder import SIDES, BiEncoder
from rankscope.models.cross_encoder import CrossEncoder
from rankscope.models.location import downloaded, located
from rankscope.retrieve import bm25
from rankscope.retrieve.analyzer import ENGLISH
from rankscope.retrieve.rerank import rerank

ROUNDED = {"BF16": ("bfloat16", "0.4 %"), "F16": ("float16", "0.05 %")}
"""What safetensors calls a narrow type, its name, and half the distance of two numbers over their size at most."""


@dataclass(frozen=True)
class Opened:
    """Two rankers of one kind, by name."""

    before: str
    after: str
    rankers: tuple[BiEncoder | CrossEncoder, BiEncoder | CrossEncoder]
    stored: tuple[str | None, str | None] = (None, None)
    """The types of their stored weights, as safetensors calls them."""


@dataclass(frozen=True)
class Heads:
    """Heads that are to be fitted anew, and the queries they learn from."""

    train: Source
    params: HeadsParams


def opened(models: Sequence[str], *, revision: str | None, pooling: str | None) -> Opened:
    """The two rankers: NAME=MODEL, or a model by its own name. BadInput where they are of two kinds."""
    (before, first), (after, second) = opening.opened(
        models, revision=revision, pooling=pooling
    ).items()
    for ranker in (first, second):
        ranker.model.to(backbone.device())
    places = [located(opening.named(each)[1], revision=revision) for each in models]
    old, new = (backbone.stored_as(downloaded(place)) for place in places)
    return Opened(before, after, (first, second), (old, new))


def diff(
    pair: Opened,
    source: Source,
    params: ChangeParams,
    *,
    queries: int,
    heads: Heads | None = None,
    language: str = ENGLISH,
    progress: Progress,
) -> dict[str, Any]:
    """Everything that moved between the two, as plain data; what they rank is the top of BM25.

    `queries` are drawn from the judged ones. With `heads`, the
    control for cross-encoders too. `language` is that of BM25's analyzer. Raises BadInput where the architectures differ, or heads cannot be fitted.
    """
    weights = weights_changed(pair.rankers)
    topics = judged_topics(source, limit=queries, seed=params.seed)
    train = heads and judged_topics(heads.train)
    if train:
        scorers(pair.rankers)
        examples.without(train, topics)
    with examples.indexed(source, language, progress) as (docs, index):
        run = bm25.search(index, topics.queries, depth=params.depth, progress=progress)
        top = {doc.doc_id for ranking in run.rankings.values() for doc in ranking}
        texts = dict(zip(sorted(top), docs.texts(sorted(top)), strict=True))
        compared = sides(pair.rankers[0], topics.queries, run, texts, params)
        states = states_changed(pair.rankers, compared, params, progress)
        runs = [
            rerank(
                ranker,
                topics.queries,
                run,
                texts=docs.texts,
                depth=params.depth,
                tag=tag,
                progress=progress,
            )
            for tag, ranker in zip((pair.before, pair.after), pair.rankers, strict=True)
        ]
        control = None
        if heads and train:
            asked = topics, run, runs
            control = _control(pair, heads, train, asked, (docs, index), progress)
    found = as_json(
        Changes(
            before=pair.before,
            after=pair.after,
            collection=params.spec.over,
            modules=tuple(weights),
            states=tuple(states),
            rankings=ranking_change(runs[0], runs[1], params),
        )
    )
    return found | {"heads": control, "notes": [*_read_otherwise(pair), *_rounded(pair)]}


def _read_otherwise(pair: Opened) -> list[str]:
    """In what the two read texts otherwise or score otherwise, whatever their weights: a sentence each."""
    mine, theirs = (_reading(ranker) for ranker in pair.rankers)
    of_sides: dict[tuple[str, str, str, str], list[str]] = {}
    for (what, side, differ), how in mine.items():
        other = theirs[what, side, differ]
        if how != other:
            of_sides.setdefault((what, how, other, differ), []).append(side)
    notes = [
        f"{pair.before} {what.format(' and '.join(of))} {how}, {pair.after} {other}: {differ} for that alone."
        for (what, how, other, differ), of in of_sides.items()
    ]
    if _vocabularies(pair.rankers[0]) != _vocabularies(pair.rankers[1]):
        notes.append(
            f"{pair.before} and {pair.after} have tokenizers of other vocabularies, so one text is other tokens to "
            "each: states differ for that alone."
        )
    return notes


def _reading(ranker: BiEncoder | CrossEncoder) -> dict[tuple[str, str, str], str]:
    """How a ranker does what, by what it does, of which side, and what differs where another does otherwise."""
    tokens, longer = "reads of {}", "states of longer texts differ"
    if isinstance(ranker, CrossEncoder):
        return {(tokens, "pairs", longer): f"{ranker.max_length} tokens"}
    name = "cosine" if ranker.is_normalised else ranker.inner.similarity_fn_name
    found = {("scores", "", "rankings differ"): f"by {name}"}
    for side in SIDES:
        texts = "queries" if side == "query" else "docs"
        prompt = ranker.inner.prompts.get(side) or ""
        found |= {
            ("pools {}", texts, "states differ"): f"by {ranker.pooling(side)}",
            ("puts before {}", texts, "states differ"): repr(prompt),
            (tokens, texts, longer): f"{ranker.max_length(side)} tokens",
        }
    return found


def _vocabularies(ranker: BiEncoder | CrossEncoder) -> list[dict[str, int]]:
    """The tokens of every tokenizer there is."""
    if isinstance(ranker, CrossEncoder):
        return [ranker.tokenizer.get_vocab()]
    return [ranker.tower(side).tokenizer.get_vocab() for side in SIDES]


def _rounded(pair: Opened) -> list[str]:
    """What of the update is the stored numbers' rounding; a ranker tuned from rounded ones began at just them."""
    before, after = (ROUNDED.get(stored or "") for stored in pair.stored)
    if after:
        name, (kind, share), unless = pair.after, after, ""
    elif before:
        name, (kind, share), unless = (
            pair.before,
            before,
            f" unless {pair.after} was tuned from these",
        )
    else:
        return []
    return [
        f"{name}'s weights are stored as {kind}: what moved by less than about {share} of a weight may be rounding, and "
        f"effective ranks then too high{unless}."
    ]


def _control(
    pair: Opened,
    heads: Heads,
    train: Topics,
    asked: tuple[Topics, Run, Sequence[Run]],
    over: tuple[StoredDocs, bm25.Index],
    progress: Progress,
) -> dict[str, Any]:
    """Heads fitted anew on both encoders, with queries that are not among those ranked."""
    (topics, run, runs), (docs, index) = asked, over
    train_run = bm25.search(index, train.queries, depth=DEPTH_OF_NEGATIVES, progress=progress)
    if heads.params.train_convention.drop_own_docs:
        train_run = without_own_docs(train_run)
    made, notes = lesson(train, train_run, topics, run, docs, heads.params)
    found = controlled(pair.rankers, made, runs, topics.qrels, heads.params, progress)
    return found | {"notes": notes}
