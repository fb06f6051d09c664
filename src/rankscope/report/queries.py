"""Query by query: differences, the biggest wins and losses, and queries that re-ranking cannot help.

Values are paired by query_id. Ties are broken by query_id, so that the same results choose the same queries.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from rankscope.core.judged.comparisons import Place
from rankscope.core.judged.evaluation import EvaluationRecord
from rankscope.report.section import Link
from rankscope.report.stored import StoredDoc, StoredResults, main_baselines
from rankscope.report.wording.numbers import clipped, n_seeds

MAX_PAIRS = 12
"""How many pairs of systems are shown query by query; each adds up to some 100 kB to the page."""

MAX_DRAWN = 300
"""How many queries of a pair are drawn; of more, evenly spaced ones are, with the extremes among them."""

N_CASES = 3
"""How many wins, and how many losses, are shown for each pair."""

N_DOCS = 5
"""How many docs of each ranking are shown side by side."""

N_MOVES = 4
"""For how many docs of a case the page says from which rank to which they moved."""

DEPTH = 1000
"""How deep rankings are read, to find a doc's other rank and whether any relevant doc was ranked."""

MAX_READ = 500
"""With more queries than this, the rankings are not read to find queries out of reach."""


@dataclass(frozen=True)
class SystemPair:
    """A system and a baseline in one place, with the runs they were measured on."""

    place: Place
    system: str
    baseline: str
    system_run: str
    baseline_run: str
    first_stage_run: str | None
    system_seeds: tuple[str, ...] = ()
    """The names of the seeds' runs, where there are several: values are their means, rankings are the first one's."""
    baseline_seeds: tuple[str, ...] = ()

    @property
    def means(self) -> str:
        """Which values are means over seeds, in words; empty where none are."""
        sides = ((self.system, self.system_seeds), (self.baseline, self.baseline_seeds))
        if self.system_seeds and len(self.system_seeds) == len(self.baseline_seeds):
            return f"means of {n_seeds(len(self.system_seeds))}"
        return ", ".join(f"{name}: mean of {n_seeds(len(seeds))}" for name, seeds in sides if seeds)

    @property
    def rankings(self) -> tuple[str, str]:
        """The runs whose rankings are shown, of system and baseline."""
        return (*self.system_seeds, self.system)[0], (*self.baseline_seeds, self.baseline)[0]


@dataclass(frozen=True)
class QueryDifference:
    """System minus baseline for one query."""

    query_id: str
    text: str
    difference: float
    system_value: float
    baseline_value: float


@dataclass(frozen=True)
class Differences:
    """Every query of a pair, the biggest win first."""

    pair: SystemPair
    measure: str
    rows: tuple[QueryDifference, ...]

    @property
    def n_better(self) -> int:
        """Queries on which the system is above the baseline."""
        return sum(row.difference > 0 for row in self.rows)

    @property
    def n_worse(self) -> int:
        """Queries on which the system is below the baseline."""
        return sum(row.difference < 0 for row in self.rows)

    @property
    def drawn(self) -> tuple[tuple[int, QueryDifference], ...]:
        """The queries that are drawn and listed, each with its place among all queries, from 1."""
        last = len(self.rows) - 1
        if last < MAX_DRAWN:
            return tuple(enumerate(self.rows, start=1))
        places = (round(step * last / (MAX_DRAWN - 1)) for step in range(MAX_DRAWN))
        return tuple((place + 1, self.rows[place]) for place in places)


@dataclass(frozen=True)
class RankedDoc:
    """A doc at the top of a ranking, its judged grade, and its rank in the other ranking."""

    rank: int
    doc_id: str
    text: str
    relevance: int | None
    other_rank: int | None


@dataclass(frozen=True)
class Move:
    """A judged doc whose rank differs between two rankings; a rank is None where a ranking lacks the doc."""

    doc_id: str
    relevance: int
    system_rank: int | None
    baseline_rank: int | None


@dataclass(frozen=True)
class Case:
    """One query with both rankings side by side."""

    query: QueryDifference
    system: tuple[RankedDoc, ...]
    baseline: tuple[RankedDoc, ...]
    moves: tuple[Move, ...]
    """The judged docs of both tops that moved, the most relevant first, then the furthest."""
    out_of_reach: bool
    """Whether the first stage ranked no relevant doc at all."""
    first_relevant_rank: int | None
    """The rank of the first stage's first relevant doc; None, too, where no first stage is known."""
    links: tuple[tuple[str, tuple[Link, ...]], ...] = ()
    """Links to sections that show more of the query, each with the words before it."""


@dataclass(frozen=True)
class Cases:
    """The biggest wins and losses of a pair."""

    differences: Differences
    wins: tuple[Case, ...]
    losses: tuple[Case, ...]


@dataclass(frozen=True)
class Reach:
    """For how many queries the first stage ranked a relevant doc."""

    place: Place
    n_queries: int
    out_of_reach: tuple[str, ...]
    depth: int
    """The largest number of docs that the first stage ranked for one of these queries."""


def pairs(evaluation: EvaluationRecord) -> list[SystemPair]:
    """Every system with its main baselines (`main_baselines`), where they were compared."""
    compared = {(row.place, row.system, row.baseline) for row in evaluation.comparisons}
    result_of = {(result.place, result.system): result for result in evaluation.results}
    system_pairs = []
    for (place, system), result in result_of.items():
        offered = result_of.get((place, place.first_stage))
        for baseline in main_baselines(system, place, evaluation):
            if (place, system, baseline) in compared:
                other = result_of[place, baseline]
                system_pairs.append(
                    SystemPair(
                        place,
                        system,
                        baseline,
                        result.run,
                        other.run,
                        None if offered is None else offered.run,
                        tuple(seed.name for seed in result.runs),
                        tuple(seed.name for seed in other.runs),
                    )
                )
    return system_pairs


def differences(pair: SystemPair, results: StoredResults) -> Differences:
    """The differences on the first measure, sorted from the biggest win to the biggest loss."""
    measure = results.evaluation.headline
    system = results.per_query[pair.system_run][measure]
    baseline = results.per_query[pair.baseline_run][measure]
    texts = results.queries.get(pair.place.collection, {})
    rows = [
        QueryDifference(
            query_id,
            texts.get(query_id, ""),
            system[query_id] - baseline[query_id],
            system[query_id],
            baseline[query_id],
        )
        for query_id in system.keys() & baseline.keys()
    ]
    rows.sort(key=lambda row: (-row.difference, row.query_id))
    return Differences(pair, measure, tuple(rows))


def cases(differences: Differences, results: StoredResults) -> Cases:
    """The biggest wins and losses; a query without a difference is neither."""
    losses = sorted(
        (row for row in differences.rows if row.difference < 0),
        key=lambda row: (row.difference, row.query_id),
    )
    wins = [row for row in differences.rows if row.difference > 0]
    return Cases(
        differences,
        wins=tuple(_case(row, differences.pair, results) for row in wins[:N_CASES]),
        losses=tuple(_case(row, differences.pair, results) for row in losses[:N_CASES]),
    )


def _case(query: QueryDifference, pair: SystemPair, results: StoredResults) -> Case:
    system = results.rankings(pair.system_run, query.query_id, DEPTH)
    baseline = results.rankings(pair.baseline_run, query.query_id, DEPTH)
    offered = (
        None
        if pair.first_stage_run is None
        else results.rankings(pair.first_stage_run, query.query_id, DEPTH)
    )
    first = _first_relevant_rank(offered or (), _relevance_level(pair.place, results))
    return Case(
        query,
        system=_top(system, baseline),
        baseline=_top(baseline, system),
        moves=_moves(system, baseline),
        out_of_reach=offered is not None and first is None,
        first_relevant_rank=first,
        links=_links(query, pair, results),
    )


def _links(
    query: QueryDifference, pair: SystemPair, results: StoredResults
) -> tuple[tuple[str, tuple[Link, ...]], ...]:
    by_section = (
        (section.more, section.links(pair.place.collection, pair.rankings, query.query_id))
        for section in results.sections
    )
    return tuple((more, tuple(links)) for more, links in by_section if links)


def _moves(system: Sequence[StoredDoc], baseline: Sequence[StoredDoc]) -> tuple[Move, ...]:
    """The judged docs that moved; a doc that one side did not rank counts as just below that side's last."""
    system_ranks = {doc.doc_id: doc.rank for doc in system}
    baseline_ranks = {doc.doc_id: doc.rank for doc in baseline}
    judged = {
        doc.doc_id: doc.relevance
        for doc in [*system[:N_DOCS], *baseline[:N_DOCS]]
        if doc.relevance is not None
    }

    def distance(move: Move) -> int:
        to = move.system_rank or len(system) + 1
        return abs(to - (move.baseline_rank or len(baseline) + 1))

    moves = [
        Move(doc_id, relevance, system_ranks.get(doc_id), baseline_ranks.get(doc_id))
        for doc_id, relevance in judged.items()
    ]
    moves = [move for move in moves if move.system_rank != move.baseline_rank]
    moves.sort(key=lambda move: (-move.relevance, -distance(move), move.doc_id))
    return tuple(moves[:N_MOVES])


def _top(ranking: Sequence[StoredDoc], other: Sequence[StoredDoc]) -> tuple[RankedDoc, ...]:
    ranks = {doc.doc_id: doc.rank for doc in other}
    return tuple(
        RankedDoc(
            rank=doc.rank,
            doc_id=doc.doc_id,
            text=clipped(doc.text, 240),
            relevance=doc.relevance,
            other_rank=ranks.get(doc.doc_id),
        )
        for doc in ranking[:N_DOCS]
    )


def _relevance_level(place: Place, results: StoredResults) -> int:
    """The lowest grade that the place's collection counts as relevant."""
    return results.evaluation.relevance_levels.get(place.collection, 1)


def _first_relevant_rank(ranking: Sequence[StoredDoc], level: int) -> int | None:
    return next((doc.rank for doc in ranking if (doc.relevance or 0) >= level), None)


def reaches(results: StoredResults) -> list[Reach]:
    """For each place, the queries that no re-ranking of its first stage can help."""
    all_reaches = (
        _reach(result.place, result.run, results)
        for result in results.evaluation.results
        if result.system == result.place.first_stage
    )
    return [reach for reach in all_reaches if reach is not None]


def _reach(place: Place, run: str, results: StoredResults) -> Reach | None:
    query_ids = sorted(results.per_query[run][results.evaluation.headline])
    if len(query_ids) > MAX_READ:
        return None
    offered = {query_id: results.rankings(run, query_id, DEPTH) for query_id in query_ids}
    return Reach(
        place,
        n_queries=len(query_ids),
        out_of_reach=tuple(
            query_id
            for query_id, docs in offered.items()
            if _first_relevant_rank(docs, _relevance_level(place, results)) is None
        ),
        depth=max((len(docs) for docs in offered.values()), default=0),
    )
