"""What rankers' insides show, for a notebook: probes, attribution, and the changes between two."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from os import PathLike
from typing import Any

from rankscope.analyses.attribution import answer as attribution
from rankscope.analyses.changes import answer as changes
from rankscope.analyses.probes import answer as probes
from rankscope.core.errors import BadInput, choose
from rankscope.core.fields import given_whole, given_words
from rankscope.models.location import downloaded
from rankscope.models.ranker import TrainableRanker
from rankscope.notebook.answer import ShownResult
from rankscope.notebook.collections import OpenedCollection, opened_collection
from rankscope.notebook.rankers import LoadedRanker, RankerLike, loaded
from rankscope.terminal import progress

Rankers = Sequence[RankerLike] | Mapping[str, RankerLike]


def probe(
    rankers: Rankers,
    collection: OpenedCollection,
    *,
    train: OpenedCollection | None = None,
    baseline: str | Sequence[str] = (),
    candidates: Sequence[int] = (2, 3, 4, 5),
    **fields: Any,
) -> ShownResult:
    """What each layer knows of relevance, with controls and verdicts; `record` has every accuracy.

    rankers: all of one kind, loaded or by folder or hub id; `{name: ranker}` names them. train: the collection whose
    queries the probes learn; the split `train`, if None. Other fields are those of `explain.probes` in a study file.

    >>> probed = rs.probe([ranker], c, candidates=(2,), fits=1)
    >>> sorted({*probed.frame()["probe"]})
    ['first stage', 'linear', 'random_labels', 'shuffled_queries']
    """
    tested = opened_collection(collection)
    learnt = OpenedCollection(tested.name, "train") if train is None else opened_collection(train)
    choices, params = probes.params_of(
        learnt.name,
        tested.name,
        fields.pop("depth", 100),
        candidates=" ".join(
            str(given_whole(each, "number of candidates")) for each in _several(candidates)
        ),
        also=fields.pop("also", ()),
        as_published=fields.pop("method", "sound") == "as_published",
        **fields,
    )
    settings = probes.ProbeSettings(
        train=learnt.source,
        test=tested.source,
        choices=choices,
        probes=params,
        baselines=_names(baseline),
        drop_own_docs=probes.OwnDocsLeftOut(
            train=learnt.convention.drop_own_docs, test=tested.convention.drop_own_docs
        ),
    )
    return ShownResult(probes.answer(_opened(rankers), settings, progress()))


def attribute(
    rankers: Rankers,
    collection: OpenedCollection,
    *,
    baseline: str | Sequence[str] = (),
    seed: int = 42,
    **fields: Any,
) -> ShownResult:
    """Through which neurons rankers prefer a relevant doc, with checks of the numbers; `record` has every number.

    rankers as for `probe`. Other fields are those of `explain.attribution` in a study file.

    >>> rs.attribute([ranker], c, examples=4, nodes=2, ablate=False).record.n_examples
    4
    """
    shown, seed = opened_collection(collection), given_whole(seed, "seed")
    method = fields.pop("method", "sound")
    stated = {name: fields.pop(name, None) for name in ("path", "nodes", "ablate")}
    params = attribution.params_of(
        shown.name, seed, as_published=method == "as_published", stated=stated, **fields
    )
    settings = attribution.AttributeSettings(
        shown.source,
        params,
        baselines=_names(baseline),
        drop_own_docs=shown.convention.drop_own_docs,
    )
    return ShownResult(attribution.answer(_opened(rankers), settings, progress()))


def diff(
    before: RankerLike, after: RankerLike, collection: OpenedCollection, **settings: Any
) -> ShownResult:
    """What moved from one ranker to another, layer by layer: weights, states, rankings; `record` has every number.

    Settings are those of `rankscope diff`: queries, depth, texts, neighbours, heads, measure, margin, language, seed.

    >>> moved = rs.diff(ranker, rs.load("other"), c, queries=25, texts=30)
    >>> moved.record.changes.after
    'other'
    """
    measured = opened_collection(collection)
    known = {field.name: field for field in dataclasses.fields(changes.DiffSettings)}
    for name, value in settings.items():
        if choose(known, name, what="setting of diff").type is int:
            settings[name] = given_whole(value, name)
    chosen = changes.DiffSettings(measured.name, measured.split, **settings)
    models = [_written(before), _written(after)]
    return ShownResult(
        changes.answer(models, chosen, revision=None, pooling=None, progress=progress())
    )


def _written(ranker: RankerLike) -> str:
    """NAME=FOLDER, as the command takes it: of a hub's model the folder of the commit that was loaded."""
    opened = loaded(ranker)
    _ = opened.trainable  # BadInput for one without weights or states
    return f"{opened.name}={downloaded(opened.location)}"


def _opened(rankers: Rankers) -> dict[str, TrainableRanker]:
    """The rankers by name."""
    if isinstance(rankers, LoadedRanker | str | PathLike):
        raise BadInput(
            "This is a single ranker. Give a list of rankers, or a table of names and rankers."
        )
    if not isinstance(rankers, Iterable) or not (given := list(rankers)):
        raise BadInput(
            "No rankers are given. Give a list of rankers, or a table of names and rankers."
        )
    if isinstance(rankers, Mapping):
        return {name: loaded(ranker).trainable for name, ranker in rankers.items()}
    opened = [loaded(ranker) for ranker in given]
    names = [ranker.name for ranker in opened]
    again = sorted({name for name in names if names.count(name) > 1})
    if again:
        raise BadInput(f"Two rankers are called {again[0]!r}. Give a table of names and rankers.")
    return {ranker.name: ranker.trainable for ranker in opened}


def _several(values: Any) -> Sequence[Any]:
    return list(values) if isinstance(values, Iterable) else [values]


def _names(baseline: str | Sequence[str]) -> tuple[str, ...]:
    return given_words(baseline, "baselines")
