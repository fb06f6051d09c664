"""What moved between two rankers over a collection, without a study file."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rankscope.analyses import examples
from rankscope.analyses.changes import words
from rankscope.analyses.changes.heads import (
    DEPTH_OF_NEGATIVES,
    check_heads,
    controlled,
    lesson,
)
from rankscope.analyses.changes.plan import ChangeParams, HeadsParams
from rankscope.analyses.changes.results import (
    Both,
    Changes,
    as_json,
    ranking_change,
    sides,
    states_changed,
    weights_changed,
)
from rankscope.analyses.changes.spec import ChangesSpec, HeadsSpec
from rankscope.analyses.forms import forms_of
from rankscope.core.errors import BadInput
from rankscope.core.judged.margins import DEFAULT_MARGIN
from rankscope.core.progress import Progress
from rankscope.core.records import Run
from rankscope.core.result import Result, Table
from rankscope.data import collections
from rankscope.data.collections import Source, StoredDocs, Topics, judged_topics
from rankscope.data.conventions import convention
from rankscope.evaluate.measures import computable, with_relevance_level
from rankscope.evaluate.runs import without_own_docs
from rankscope.models import opening
from rankscope.models.files import tensors
from rankscope.models.location import downloaded, located
from rankscope.models.ranker import PAIR, Side, TrainableRanker
from rankscope.pipeline.spec.fields import spec_of
from rankscope.retrieve import bm25
from rankscope.retrieve.analyzer import ENGLISH
from rankscope.retrieve.rerank import rerank

READ: dict[Side, str] = {"query": "queries", "document": "docs", PAIR: "pairs"}
"""What a side's texts are called."""
ROUNDED = {"BF16": ("bfloat16", "0.4 %"), "F16": ("float16", "0.05 %")}
"""What safetensors calls a narrow type, its name, and half the distance of two numbers over their size at most."""


@dataclass(frozen=True)
class Opened:
    """Two rankers of one kind, by name."""

    before: str
    after: str
    rankers: Both
    stored: tuple[str | None, str | None] = (None, None)
    """The types of their stored weights, as safetensors calls them."""


@dataclass(frozen=True)
class FirstStage:
    """The BM25 whose top both rankers re-rank."""

    language: str = ENGLISH
    """Of its analyzer."""
    drop_own_docs: bool = False
    """Whether docs that have their query's id are left out of the top."""


@dataclass(frozen=True)
class Heads:
    """Heads that are to be fitted anew, and the queries they learn from."""

    train: Source
    params: HeadsParams
    drop_own_docs: bool = False
    """Whether docs that have their query's id are left out of what they learn from."""


@dataclass(frozen=True)
class DiffSettings:
    """What `rankscope diff` is told: over which texts two rankers are compared, and whether heads are refitted."""

    collection: str
    split: str = "test"
    train_collection: str | None = None
    """Whose queries heads are fitted on, if others'; over the same docs."""
    train_split: str = "train"
    queries: int = 100
    depth: int = 20
    texts: int = 500
    neighbours: int = 10
    heads: bool = False
    measure: str = "nDCG@10"
    """Of the heads' runs."""
    margin: float = DEFAULT_MARGIN
    language: str | None = None
    """Of BM25's analyzer; English, if None."""
    seed: int = 42

    def __post_init__(self) -> None:
        """Raises BadInput before any work for a measure there is none of, and for too few texts."""
        computable(self.measure)
        if self.neighbours >= self.texts:
            raise BadInput(
                f"--neighbours {self.neighbours}: among --texts {self.texts} a text has {self.texts - 1} others. Give fewer neighbours, "
                "or more texts."
            )

    def params(self) -> ChangeParams:
        """What of states and rankings is compared."""
        spec = spec_of(
            ChangesSpec,
            over=self.collection,
            first_stage="bm25",
            texts=self.texts,
            neighbours=self.neighbours,
        )
        return ChangeParams(spec, self.depth, self.seed)

    def fitted(self) -> Heads | None:
        """The heads that are to be fitted anew; None where none are."""
        if not self.heads:
            return None
        learnt_from = self.train_collection or self.collection
        usual, of_train = convention(self.collection), convention(learnt_from)
        params = HeadsParams(
            spec_of(HeadsSpec, train=learnt_from),
            depth=self.depth,
            measure=with_relevance_level(self.measure, usual.relevance_level),
            margin=self.margin,
            train_relevance_level=of_train.relevance_level,
            seed=self.seed,
        )
        train = collections.source(learnt_from, self.train_split)
        return Heads(train, params, of_train.drop_own_docs)


def answer(
    models: Sequence[str],
    settings: DiffSettings,
    *,
    revision: str | None,
    pooling: str | None,
    progress: Progress,
) -> Result:
    """What moved from the first model to the second, in every form."""
    params, heads = settings.params(), settings.fitted()
    source = collections.source(settings.collection, settings.split)
    found = diff(
        opened(models, revision=revision, pooling=pooling),
        source,
        params,
        queries=settings.queries,
        heads=heads,
        first_stage=FirstStage(
            settings.language or ENGLISH, convention(settings.collection).drop_own_docs
        ),
        progress=progress,
    )
    sentences, table = [*words.in_words(found), words.CAVEAT], words.layer_table(found)
    title = f"{found['after']} against {found['before']}, {settings.collection}"
    control = found["heads"]
    return Result(
        tables=(
            Table(title, *table),
            *([Table(control["measure"], *words.head_table(found))] if control else []),
        ),
        lines=tuple(sentences),
        forms=forms_of(found, sentences, lambda: words.full_rows([found]), table),
        notes=(*found["notes"], *(control["notes"] if control else [])),
    )


def opened(models: Sequence[str], *, revision: str | None, pooling: str | None) -> Opened:
    """The two rankers: NAME=MODEL, or a model by its own name. BadInput where they are of two kinds."""
    (before, first), (after, second) = opening.opened(
        models, revision=revision, pooling=pooling
    ).items()
    places = [located(opening.named(each)[1], revision=revision) for each in models]
    old, new = (tensors.stored_as(downloaded(place)) for place in places)
    return Opened(before, after, (first, second), (old, new))


def diff(
    pair: Opened,
    source: Source,
    params: ChangeParams,
    *,
    queries: int,
    heads: Heads | None = None,
    first_stage: FirstStage | None = None,
    progress: Progress,
) -> dict[str, Any]:
    """Everything that moved between the two, as plain data; what they rank is the top of BM25.

    `queries` are drawn from the judged ones. With `heads`, the control for cross-encoders too. Raises BadInput
    where the architectures differ, or heads cannot be fitted.
    """
    how = first_stage or FirstStage()
    weights = weights_changed(pair.rankers)
    topics = judged_topics(source, limit=queries, seed=params.seed)
    train = heads and judged_topics(heads.train)
    if train:
        check_heads(pair.rankers)
        examples.without(train, topics)
    with examples.indexed(source, how.language, progress) as (docs, index):
        run = bm25.search(index, topics.queries, depth=params.depth, progress=progress)
        run = without_own_docs(run) if how.drop_own_docs else run
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


def _reading(ranker: TrainableRanker) -> dict[tuple[str, str, str], str]:
    """How a ranker does what, by what it does, of which side, and what differs where another does otherwise."""
    found: dict[tuple[str, str, str], str] = {}
    if ranker.compares_by is not None:
        found["scores", "", "rankings differ"] = f"by {ranker.compares_by}"
    for side in ranker.sides:
        texts = READ[side]
        if side != PAIR:
            found["pools {}", texts, "states differ"] = f"by {ranker.pooling(side)}"
            found["puts before {}", texts, "states differ"] = repr(ranker.prompt_of(side))
        longer = "states of longer texts differ"
        found["reads of {}", texts, longer] = f"{ranker.most_tokens(side)} tokens"
    return found


def _vocabularies(ranker: TrainableRanker) -> list[dict[str, int]]:
    """The tokens of every side's tokenizer."""
    return [ranker.tokenizer_of(side).get_vocab() for side in ranker.sides]


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
    if heads.drop_own_docs:
        train_run = without_own_docs(train_run)
    made, notes = lesson(train, train_run, topics, run, docs, heads.params)
    found = controlled(pair.rankers, made, runs, topics.qrels, heads.params, progress)
    return found | {"notes": notes}
