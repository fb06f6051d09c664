"""Rankers that are asked now: scores of typed docs, and what each word adds to a score."""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from pathlib import Path
from threading import Lock
from typing import NamedTuple, final

from rankscope.core.errors import BadInput
from rankscope.core.words import counted
from rankscope.models.opening import AnyRanker, open_ranker
from rankscope.viewer.found import FoundStep, FoundStudy
from rankscope.viewer.left_out import WordFalls, word_falls

MOST_DOCS = 1_000
"""Docs that are typed at once."""
MOST_RANKERS = 4
"""Rankers that stay in memory; of more, the one that was asked longest ago is dropped."""


class AskedDoc(NamedTuple):
    """A typed doc: its line, and each ranker's score and rank of it."""

    line: int
    text: str
    scores: tuple[float, ...]
    ranks: tuple[int, ...]


@final
class Rankers:
    """The rankers of results, opened at their first question."""

    def __init__(self) -> None:
        self._opened: OrderedDict[Path, AnyRanker] = OrderedDict()
        self._lock = Lock()  # one question at a time: a ranker uses all cores

    def asked(
        self, rankers: Sequence[tuple[FoundStudy, FoundStep]], query: str, docs: Mapping[int, str]
    ) -> list[AskedDoc]:
        """The docs, by their lines, with each ranker's scores and ranks, in the first ranker's order; equal scores as typed.

        Raises BadInput without a query, without docs, and with more than `MOST_DOCS`.
        """
        if not query.strip() or not docs:
            raise BadInput("Nothing was asked. Type a query, and a doc or more, each on a line.")
        if len(docs) > MOST_DOCS:
            raise BadInput(
                f"{counted(len(docs), 'doc')} were typed; {MOST_DOCS} are read at once. Leave some out."
            )
        with self._lock:
            of_each = [
                self._ranker(*each).score_all([(query, [*docs.values()])])[0] for each in rankers
            ]
        ranks = [_ranks(scores) for scores in of_each]
        rows = [
            AskedDoc(
                line,
                text,
                tuple(scores[place] for scores in of_each),
                tuple(each[place] for each in ranks),
            )
            for place, (line, text) in enumerate(docs.items())
        ]
        return sorted(rows, key=lambda row: row.ranks[0])

    def words(self, study: FoundStudy, ranker: FoundStep, query: str, doc: str) -> WordFalls:
        """What each word of a query and a doc adds to the score of a ranker."""
        if not query.strip() or not doc.strip():
            raise BadInput("Nothing was asked. Give a query and a doc.")
        with self._lock:
            return word_falls(self._ranker(study, ranker).score_all, query, doc)

    def _ranker(self, study: FoundStudy, step: FoundStep) -> AnyRanker:
        folder = study.store.open(step.name) / "model"
        if folder not in self._opened:
            while len(self._opened) >= MOST_RANKERS:
                self._opened.popitem(last=False)
            self._opened[folder] = open_ranker(folder)
        self._opened.move_to_end(folder)
        return self._opened[folder]


def _ranks(scores: Sequence[float]) -> list[int]:
    """The rank of each, from 1; equal scores in their order."""
    order = sorted(range(len(scores)), key=lambda place: -scores[place])
    ranks = [0] * len(scores)
    for rank, place in enumerate(order, start=1):
        ranks[place] = rank
    return ranks
