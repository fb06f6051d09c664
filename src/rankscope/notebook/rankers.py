"""Rankers for a notebook: loaded by their folder or hub id, asked for scores and rankings."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from os import PathLike
from typing import TYPE_CHECKING, NamedTuple, final

from rankscope.core.errors import BadInput, choose
from rankscope.core.fields import as_id, as_text, given_path, given_whole, given_word, shown
from rankscope.core.visible import visible
from rankscope.models.location import Location, declared_kind, downloaded, located
from rankscope.notebook.answer import MOST_LINES
from rankscope.notebook.collections import OpenedCollection, opened_collection
from rankscope.retrieve.analyzer import ENGLISH, LANGUAGES
from rankscope.retrieve.bm25_ranker import Bm25Ranker
from rankscope.verbs.models import tag_of

if TYPE_CHECKING:  # BM25 needs no torch
    from rankscope.models.opening import AnyRanker
    from rankscope.models.ranker import TrainableRanker

BM25 = "bm25"
"""The name that stands for BM25 in the place of a model."""


class RankedText(NamedTuple):
    """A doc in a ranking, counted from 1."""

    rank: int
    doc_id: str
    score: float
    text: str


@final
class RankedTexts(Sequence[RankedText]):
    """A ranking of texts, best first."""

    def __init__(self, texts: Sequence[RankedText]) -> None:
        self._texts = tuple(texts)

    def __getitem__(self, place):  # type: ignore[no-untyped-def]
        return self._texts[place]

    def __len__(self) -> int:
        return len(self._texts)

    def __iter__(self) -> Iterator[RankedText]:
        return iter(self._texts)

    def __repr__(self) -> str:
        lines = [
            f"{rank:>4}  {score:>9.4f}  {visible(str(doc_id))}  {visible(str(text))[:60]}"
            for rank, doc_id, score, text in self._texts[: MOST_LINES - 1]
        ]
        left_out = len(self._texts) - len(lines)
        return "\n".join([*lines, *([f"... {left_out} docs more"] if left_out else [])])


@final
class LoadedRanker:
    """A cross-encoder, bi-encoder or ColBERT with its weights in memory, on the device; or BM25 over a collection."""

    def __init__(
        self,
        name: str,
        ranker: "AnyRanker | Bm25Ranker",
        location: Location,
        *,
        pooling: str | None = None,
        collection: OpenedCollection | None = None,
    ) -> None:
        self.name, self.ranker, self.location = name, ranker, location
        self.pooling = pooling
        """The pooling that the user stated for a bare encoder."""
        self.collection = collection
        """The collection whose statistics BM25 ranks by."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What its folder says and nobody reads, and what it leaves open."""
        if isinstance(self.ranker, Bm25Ranker):
            return ()
        from rankscope.models.inputs import notes_on  # loads torch

        return tuple(notes_on(self.ranker))

    @property
    def trainable(self) -> "TrainableRanker":
        """The ranker as training and analyses take it; BadInput for BM25 and a ColBERT, which they cannot read."""
        if isinstance(self.ranker, Bm25Ranker):
            raise BadInput(
                f"{self.name}: BM25, which has no weights to train or to look into. Give a bi-encoder or a cross-encoder."
            )
        from rankscope.models.late_interaction import LateInteraction  # loads torch

        if isinstance(self.ranker, LateInteraction):
            raise BadInput(
                f"{self.name}: a ColBERT (late interaction), which has a vector a token and no states of whole texts. "
                "Give a bi-encoder or a cross-encoder."
            )
        return self.ranker

    def score(self, pairs: Iterable[tuple[str, str]]) -> list[float]:
        """A score for each (query, doc), in their order; higher is better. A logit, a similarity or BM25's sum, never a probability.

        Raises BadInput for what is no pair of texts.

        >>> len(ranker.score([("who sits", "the red cat sits"), ("who sits", "the blue dog")]))
        2
        """
        texts = _checked_pairs(pairs)
        by_query: dict[str, list[int]] = {}
        for place, (query, _) in enumerate(texts):
            by_query.setdefault(query, []).append(place)
        groups = [
            (query, [texts[place][1] for place in places]) for query, places in by_query.items()
        ]
        scores = [0.0] * len(texts)
        for places, group_scores in zip(
            by_query.values(), self.ranker.score_all(groups), strict=True
        ):
            for place, score in zip(places, group_scores, strict=True):
                scores[place] = score
        return scores

    def rank(
        self, query: str, docs: Iterable[str] | Mapping[str, str], *, top: int | None = None
    ) -> RankedTexts:
        """The docs, best first; a list's docs are named by their places, from 0. `top`: only so many; all, if None.

        Of equal scores the one with the higher doc id comes first, as in a run. Raises BadInput for docs that are no texts.

        >>> [hit.rank for hit in ranker.rank("who sits", ["the red cat sits", "the blue dog"])]
        [1, 2]
        """
        if top is not None and given_whole(top, "top") < 1:
            raise BadInput(
                f"top is {top}, and a ranking has at least 1 doc. Give 1 or more, or leave it out."
            )
        by_id = _checked_docs(query, docs)
        (scores,) = self.ranker.score_all([(query, list(by_id.values()))])
        order = sorted(zip(scores, by_id, strict=True), reverse=True)[:top]
        return RankedTexts(
            [
                RankedText(rank, doc_id, score, by_id[doc_id])
                for rank, (score, doc_id) in enumerate(order, start=1)
            ]
        )

    def __repr__(self) -> str:
        if self.collection is not None:
            return f"BM25 {self.name} over {self.collection.name}"
        return f"{type(self.ranker).__name__} {self.name} ({self.location.name})"


def _checked_pairs(pairs: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """The pairs, read once; BadInput for what is none."""
    expected = 'Give a list of pairs, as in [("a query", "a doc"), ...].'
    if isinstance(pairs, str) or not isinstance(pairs, Iterable):
        raise BadInput(f"The pairs are {shown(pairs)}. {expected}")
    checked = []
    for place, pair in enumerate(pairs):
        is_pair = isinstance(pair, tuple | list) and len(pair) == 2
        if not is_pair or not all(isinstance(text, str) for text in pair):
            raise BadInput(f"Pair {place} is {shown(pair)}, and not two texts. {expected}")
        query, doc = (
            as_text(text, name, f"Pair {place}")
            for name, text in zip(("query", "doc"), pair, strict=True)
        )
        checked.append((query or "", doc or ""))
    return checked


def _checked_docs(query: str, docs: Iterable[str] | Mapping[str, str]) -> dict[str, str]:
    """doc_id to text: ids are texts in a ranking, whole numbers by their digits."""
    if not isinstance(query, str):
        raise BadInput(f"The query is {shown(query)}. Give it as text.")
    as_text(query, "query", "What is ranked")
    if isinstance(docs, str) or not isinstance(docs, Iterable):
        raise BadInput(
            f"The docs are {shown(docs)}. Give a list of texts, or a table of doc ids and texts."
        )
    pairs = [*docs.items()] if isinstance(docs, Mapping) else [*enumerate(docs)]
    for doc_id, text in pairs:
        if not isinstance(text, str):
            raise BadInput(f"Doc {shown(doc_id)} is {shown(text)}. Give it as text.")
        as_text(text, "text", f"Doc {shown(doc_id)}")
    by_id = {as_id(doc_id, "doc", "the docs"): text for doc_id, text in pairs}
    if len(by_id) < len(pairs):
        raise BadInput(
            "Two docs have one id, written as a number and as text. Give each an id of its own."
        )
    return by_id


def load(
    model: str | PathLike[str],
    collection: OpenedCollection | None = None,
    *,
    revision: str | None = None,
    pooling: str | None = None,
    name: str | None = None,
    language: str | None = None,
) -> LoadedRanker:
    """A ranker from its folder, hub id or package, on the device; or "bm25", by a collection's statistics.

    collection: whose statistics BM25 ranks by: how many docs a term stands in, and how long docs are. revision: a hub's
    commit, tag or branch. pooling: of a bare encoder that states none: cls, mean or last. name: what tables call it; its
    folder's name, if None. language: of BM25's analyzer; English, if None. Raises BadInput for a folder that is no ranker,
    and for "bm25" without a collection.

    >>> rs.load("cross-encoder")
    CrossEncoder cross-encoder (cross-encoder)
    >>> rs.load("bm25", c).rank("who taught whom", ["one taught another", "the tax form"])[0].doc_id
    '0'
    """
    model = given_path(model, "model")
    for what, word in (
        ("revision", revision),
        ("pooling", pooling),
        ("name", name),
        ("language", language),
    ):
        given_word(word, what)
    if model.casefold() == BM25:
        of_models = {"revision": revision, "pooling": pooling}
        return _bm25(collection, of_models, name=name, language=language)
    if collection is not None or language is not None:
        given = "a collection" if collection is not None else "a language"
        raise BadInput(
            f"{model}: {given} is for bm25, and a model has what it learnt. Leave it out."
        )
    return _model(model, revision=revision, pooling=pooling, name=name)


def _bm25(
    collection: OpenedCollection | None,
    of_models: Mapping[str, str | None],
    *,
    name: str | None,
    language: str | None,
) -> LoadedRanker:
    """BM25 over a collection; BadInput for what only models have."""
    if given := [option for option, value in of_models.items() if value is not None]:
        raise BadInput(f"{', '.join(given)}: for models, and bm25 is none. Leave it out.")
    if collection is None:
        raise BadInput(
            'BM25 ranks by how many docs of a collection a term stands in, and no collection is given. Give one: rs.load("bm25", '
            'rs.collection("my-folder")).'
        )
    over = opened_collection(collection)
    choose(LANGUAGES, language or ENGLISH, what="language")
    ranker = Bm25Ranker.of(over.source.docs(), language=language or ENGLISH)
    return LoadedRanker(name or BM25, ranker, Location(BM25, None), collection=over)


def _model(
    model: str, *, revision: str | None, pooling: str | None, name: str | None
) -> LoadedRanker:
    from rankscope.models import opening  # loads torch

    location = located(model, revision=revision)
    folder = downloaded(location)
    ranker: AnyRanker
    if declared_kind(folder) == "late_interaction":
        ranker = opening.open_late_interaction(location)
    else:
        (ranker,) = opening.opened(
            [f"{name or tag_of(location)}={model}"], revision=revision, pooling=pooling
        ).values()
    stated = pooling if declared_kind(folder) is None else None
    return LoadedRanker(name or tag_of(location), ranker, location, pooling=stated)


RankerLike = LoadedRanker | str | PathLike[str]
"""A loaded ranker, or its folder or hub id."""


def loaded(ranker: RankerLike) -> LoadedRanker:
    """The ranker; one that is given by its folder or hub id is loaded now."""
    if isinstance(ranker, LoadedRanker):
        return ranker
    if not isinstance(ranker, str | PathLike):
        raise BadInput(
            f"The ranker is of type {type(ranker).__name__}. Give what `load` gives, or a ranker's folder or hub id."
        )
    return load(ranker)
