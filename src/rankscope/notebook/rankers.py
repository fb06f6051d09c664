"""Rankers for a notebook: loaded by their folder or hub id, asked for scores and rankings."""

from collections.abc import Iterator, Mapping, Sequence
from os import PathLike, fspath
from typing import NamedTuple, final

from rankscope.core.errors import BadInput
from rankscope.core.visible import visible
from rankscope.models import opening
from rankscope.models.inputs import notes_on
from rankscope.models.late_interaction import LateInteraction
from rankscope.models.location import Location, declared_kind, downloaded, located
from rankscope.models.opening import AnyRanker
from rankscope.models.ranker import TrainableRanker
from rankscope.notebook.answer import MOST_LINES
from rankscope.verbs.models import tag_of


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
            f"{rank:>4}  {score:>9.4f}  {visible(doc_id)}  {visible(text)[:60]}"
            for rank, doc_id, score, text in self._texts[: MOST_LINES - 1]
        ]
        left_out = len(self._texts) - len(lines)
        return "\n".join([*lines, *([f"... {left_out} docs more"] if left_out else [])])


@final
class LoadedRanker:
    """A cross-encoder, bi-encoder or ColBERT with its weights in memory, on the device."""

    def __init__(
        self, name: str, ranker: AnyRanker, location: Location, *, pooling: str | None = None
    ) -> None:
        self.name, self.ranker, self.location = name, ranker, location
        self.pooling = pooling
        """The pooling that the user stated for a bare encoder."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What its folder says and nobody reads, and what it leaves open."""
        return tuple(notes_on(self.ranker))

    @property
    def trainable(self) -> TrainableRanker:
        """The ranker as training and analyses take it; BadInput for a ColBERT, which they cannot read."""
        if isinstance(self.ranker, LateInteraction):
            raise BadInput(
                f"{self.name}: a ColBERT (late interaction), which has a vector a token and no states of whole texts. "
                "Give a bi-encoder or a cross-encoder."
            )
        return self.ranker

    def score(self, pairs: Sequence[tuple[str, str]]) -> list[float]:
        """A score for each (query, doc), in their order; higher is better. A logit or a similarity, never a probability.

        >>> len(ranker.score([("who sits", "the red cat sits"), ("who sits", "the blue dog")]))
        2
        """
        by_query: dict[str, list[int]] = {}
        for place, (query, _) in enumerate(pairs):
            by_query.setdefault(query, []).append(place)
        groups = [
            (query, [pairs[place][1] for place in places]) for query, places in by_query.items()
        ]
        scores = [0.0] * len(pairs)
        for places, group_scores in zip(
            by_query.values(), self.ranker.score_all(groups), strict=True
        ):
            for place, score in zip(places, group_scores, strict=True):
                scores[place] = score
        return scores

    def rank(
        self, query: str, docs: Sequence[str] | Mapping[str, str], *, top: int | None = None
    ) -> RankedTexts:
        """The docs, best first; a list's docs are named by their places, from 0.

        Of equal scores the one with the higher doc id comes first, as in a run.

        >>> [hit.rank for hit in ranker.rank("who sits", ["the red cat sits", "the blue dog"])]
        [1, 2]
        """
        by_id = docs if isinstance(docs, Mapping) else {str(n): doc for n, doc in enumerate(docs)}
        (scores,) = self.ranker.score_all([(query, list(by_id.values()))])
        order = sorted(zip(scores, by_id, strict=True), reverse=True)[:top]
        return RankedTexts(
            [
                RankedText(rank, doc_id, score, by_id[doc_id])
                for rank, (score, doc_id) in enumerate(order, start=1)
            ]
        )

    def __repr__(self) -> str:
        kind = type(self.ranker).__name__
        return f"{kind} {self.name} ({self.location.name})"


def load(
    model: str | PathLike[str],
    *,
    revision: str | None = None,
    pooling: str | None = None,
    name: str | None = None,
) -> LoadedRanker:
    """A ranker from its folder, hub id or package, on the device.

    revision: a hub's commit, tag or branch. pooling: of a bare encoder that states none: cls, mean or last. name: what
    tables call it; its folder's name, if None. Raises BadInput for a folder that is no ranker.

    >>> rs.load("cross-encoder")
    CrossEncoder cross-encoder (cross-encoder)
    """
    location = located(fspath(model), revision=revision)
    folder = downloaded(location)
    if declared_kind(folder) == "late_interaction":
        ranker: AnyRanker = opening.open_late_interaction(location)
    else:
        (ranker,) = opening.opened(
            [f"{name or tag_of(location)}={fspath(model)}"], revision=revision, pooling=pooling
        ).values()
    stated = pooling if declared_kind(folder) is None else None
    return LoadedRanker(name or tag_of(location), ranker, location, pooling=stated)


RankerLike = LoadedRanker | str | PathLike[str]
"""A loaded ranker, or its folder or hub id."""


def loaded(ranker: RankerLike) -> LoadedRanker:
    """The ranker; one that is given by its folder or hub id is loaded now."""
    return ranker if isinstance(ranker, LoadedRanker) else load(ranker)
