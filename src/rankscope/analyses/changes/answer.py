"""`rankscope diff`: the changes between two rankers over a collection, without a study file."""

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
    changes_between,
    sides,
    states_changed,
    weights_changed,
)
from rankscope.analyses.changes.spec import ChangesSpec, HeadsSpec
from rankscope.analyses.changes.stored import HeadsControl, PairChanges, StoredChanges
from rankscope.analyses.forms import forms_of
from rankscope.core.errors import BadInput
from rankscope.core.judged.margins import DEFAULT_MARGIN
from rankscope.core.judged.plain import as_plain
from rankscope.core.progress import Progress
from rankscope.core.records import Run
from rankscope.core.result import Result, Rows, Table
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
from rankscope.report.wording.verdicts import UNCORRECTED
from rankscope.retrieve import bm25
from rankscope.retrieve.analyzer import ENGLISH
from rankscope.retrieve.rerank import rerank

READ: dict[Side, str] = {"query": "queries", "document": "docs", PAIR: "pairs"}
"""Side to the name of its texts."""
ROUNDED = {"BF16": ("bfloat16", "0.4 %"), "F16": ("float16", "0.05 %")}
"""safetensors' code of a narrow type to its name and its largest relative rounding error."""


@dataclass(frozen=True)
class RankerPair:
    """Two rankers of one kind, by name."""

    before: str
    after: str
    rankers: Both
    stored: tuple[str | None, str | None] = (None, None)
    """The types of their stored weights, as safetensors calls them."""


@dataclass(frozen=True)
class Bm25Top:
    """The BM25 whose top both rankers re-rank."""

    language: str = ENGLISH
    """The language of its analyzer."""
    drop_own_docs: bool = False
    """Whether docs that have their query's id are left out of the top."""


@dataclass(frozen=True)
class HeadsTraining:
    """How heads are refitted, and the queries they learn from."""

    train: Source
    params: HeadsParams
    drop_own_docs: bool = False
    """Whether docs that have their query's id are left out of their examples."""


@dataclass(frozen=True)
class DiffSettings:
    """The settings of `rankscope diff`: the texts over which two rankers are compared, and whether heads are refitted."""

    collection: str
    split: str = "test"
    train_collection: str | None = None
    """The collection whose queries heads are fitted on, over the same docs; `collection`, if None."""
    train_split: str = "train"
    queries: int = 100
    depth: int = 20
    texts: int = 500
    neighbours: int = 10
    heads: bool = False
    measure: str = "nDCG@10"
    """The measure of the heads' runs."""
    margin: float = DEFAULT_MARGIN
    language: str | None = None
    """The language of BM25's analyzer; English, if None."""
    seed: int = 42

    def __post_init__(self) -> None:
        """Raises BadInput before any work for an unknown measure and for too few texts."""
        computable(self.measure)
        if self.neighbours >= self.texts:
            raise BadInput(
                f"--neighbours {self.neighbours}: among --texts {self.texts} a text has {self.texts - 1} others. Give fewer neighbours, "
                "or more texts."
            )

    def params(self) -> ChangeParams:
        """How states and rankings are compared."""
        spec = spec_of(
            ChangesSpec,
            over=self.collection,
            first_stage="bm25",
            texts=self.texts,
            neighbours=self.neighbours,
        )
        return ChangeParams(spec, self.depth, self.seed)

    def fitted(self) -> HeadsTraining | None:
        """How heads are refitted; None where they are not."""
        if not self.heads:
            return None
        train_name = self.train_collection or self.collection
        over, train_convention = convention(self.collection), convention(train_name)
        params = HeadsParams(
            spec_of(HeadsSpec, train=train_name),
            depth=self.depth,
            measure=with_relevance_level(self.measure, over.relevance_level),
            margin=self.margin,
            train_relevance_level=train_convention.relevance_level,
            seed=self.seed,
        )
        train = collections.source(train_name, self.train_split, option="--train-split")
        return HeadsTraining(train, params, train_convention.drop_own_docs)


def answer(
    models: Sequence[str],
    settings: DiffSettings,
    *,
    revision: str | None,
    pooling: str | None,
    progress: Progress,
) -> Result:
    """The changes from the first model to the second, in every form."""
    params, heads = settings.params(), settings.fitted()
    source = collections.source(settings.collection, settings.split)
    shown = diff(
        opened(models, revision=revision, pooling=pooling),
        source,
        params,
        queries=settings.queries,
        heads=heads,
        first_stage=Bm25Top(
            settings.language or ENGLISH, convention(settings.collection).drop_own_docs
        ),
        progress=progress,
    )
    changes, control = shown.changes, shown.heads
    sentences, table = [*words.sentences(shown), words.CAVEAT], words.layer_table(changes)
    title = f"{changes.after} against {changes.before}, {settings.collection}"
    return Result(
        tables=(
            Table(title, *table, n_names=1, secondary=_effective_ranks(table)),
            *([_head_table(changes, control)] if control else []),
        ),
        lines=tuple(sentences),
        forms={
            **forms_of(as_plain(shown), sentences, lambda: words.full_rows([shown]), table),
            "chart": lambda: _chart(changes),
        },
        notes=(*shown.notes, *(control.notes if control else ())),
        record=shown,
    )


def _effective_ranks(table: Rows) -> list[str]:
    """The columns of the table of layers that a narrow terminal leaves out."""
    return [column for column in table[0] if column.startswith("effective rank")]


def _head_table(changes: StoredChanges, control: HeadsControl) -> Table:
    """The comparisons of the control, as a terminal shows them."""
    secondary = ("fragility", "mean", "against", UNCORRECTED)
    rows = words.head_table(changes, control)
    return Table(control.measure, *rows, n_names=1, secondary=secondary)


def _chart(changes: StoredChanges) -> dict[str, Any]:
    """How far each layer's weights moved."""
    from rankscope.analyses.changes import charts

    return charts.change_map(changes)


def opened(models: Sequence[str], *, revision: str | None, pooling: str | None) -> RankerPair:
    """The two rankers: NAME=MODEL, or a model by its own name. BadInput where they are of two kinds."""
    (before, first), (after, second) = opening.opened(
        models, revision=revision, pooling=pooling
    ).items()
    places = [located(opening.named(model)[1], revision=revision) for model in models]
    stored_before, stored_after = (tensors.stored_as(downloaded(place)) for place in places)
    return RankerPair(before, after, (first, second), (stored_before, stored_after))


def diff(
    pair: RankerPair,
    source: Source,
    params: ChangeParams,
    *,
    queries: int,
    heads: HeadsTraining | None = None,
    first_stage: Bm25Top | None = None,
    progress: Progress,
) -> PairChanges:
    """All changes between the two; both re-rank the top of BM25.

    `queries` of the judged ones are drawn. With `heads` the result has the control for cross-encoders too. Raises
    BadInput where the architectures differ, or heads cannot be fitted.
    """
    bm25_top = first_stage or Bm25Top()
    weights = weights_changed(pair.rankers)
    topics = judged_topics(source, limit=queries, seed=params.seed)
    train = heads and judged_topics(heads.train)
    if train:
        check_heads(pair.rankers)
        examples.without(train, topics)
    with examples.indexed(source, bm25_top.language, progress) as (docs, index):
        run = bm25.search(index, topics.queries, depth=params.depth, progress=progress)
        run = without_own_docs(run) if bm25_top.drop_own_docs else run
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
            ranked = topics, run, runs
            control = _control(pair, heads, train, ranked, (docs, index), progress)
    changes = changes_between(runs, weights, states, params)
    return PairChanges(changes, control, (*_reading_notes(pair), *_rounding_notes(pair)))


def _reading_notes(pair: RankerPair) -> list[str]:
    """A sentence for each setting by which the two read or score texts differently, whatever their weights."""
    mine, theirs = (_reading_settings(ranker) for ranker in pair.rankers)
    sides_of: dict[tuple[str, str, str, str], list[str]] = {}
    for (verb, side, effect), setting in mine.items():
        other = theirs[verb, side, effect]
        if setting != other:
            sides_of.setdefault((verb, setting, other, effect), []).append(side)
    notes = [
        f"{pair.before} {verb.format(' and '.join(sides))} {setting}, {pair.after} {other}: {effect} for this reason alone."
        for (verb, setting, other, effect), sides in sides_of.items()
    ]
    if _vocabularies(pair.rankers[0]) != _vocabularies(pair.rankers[1]):
        notes.append(
            f"{pair.before} and {pair.after} have tokenizers with different vocabularies, so they split one text into "
            "different tokens: for that alone states differ."
        )
    return notes


def _reading_settings(ranker: TrainableRanker) -> dict[tuple[str, str, str], str]:
    """Settings that affect how a ranker reads or scores text: {(setting, side, effect of a difference): value}."""
    settings: dict[tuple[str, str, str], str] = {}
    if ranker.compares_by is not None:
        settings["scores", "", "rankings differ"] = f"by {ranker.compares_by}"
    for side in ranker.sides:
        texts = READ[side]
        if side != PAIR:
            settings["pools {}", texts, "states differ"] = f"by {ranker.pooling(side)}"
            settings["puts before {}", texts, "states differ"] = repr(ranker.prompt_of(side))
        longer_texts = "states of longer texts differ"
        settings["reads of {}", texts, longer_texts] = f"{ranker.most_tokens(side)} tokens"
    return settings


def _vocabularies(ranker: TrainableRanker) -> list[dict[str, int]]:
    """The tokens of every side's tokenizer."""
    return [ranker.tokenizer_of(side).get_vocab() for side in ranker.sides]


def _rounding_notes(pair: RankerPair) -> list[str]:
    """A note on which part of the update may be rounding of the stored weights.

    A ranker tuned from rounded weights began at exactly these, so rounding is no part of its update.
    """
    before, after = (ROUNDED.get(stored or "") for stored in pair.stored)
    if after:
        name, (number_type, share), unless = pair.after, after, ""
    elif before:
        name, (number_type, share), unless = (
            pair.before,
            before,
            f" unless {pair.after} was tuned from these",
        )
    else:
        return []
    return [
        f"{name}'s weights are stored as {number_type}: changes of less than about {share} of a weight may be rounding, which "
        f"makes effective ranks too high{unless}."
    ]


def _control(
    pair: RankerPair,
    heads: HeadsTraining,
    train: Topics,
    ranked: tuple[Topics, Run, Sequence[Run]],
    over: tuple[StoredDocs, bm25.Index],
    progress: Progress,
) -> HeadsControl:
    """The control with heads refitted on both encoders, from queries that are not among those ranked."""
    (topics, run, runs), (docs, index) = ranked, over
    train_run = bm25.search(index, train.queries, depth=DEPTH_OF_NEGATIVES, progress=progress)
    if heads.drop_own_docs:
        train_run = without_own_docs(train_run)
    taught = lesson(train, train_run, topics, run, docs, heads.params)
    return controlled(pair.rankers, taught, runs, topics.qrels, heads.params, progress)
