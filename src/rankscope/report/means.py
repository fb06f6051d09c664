"""The table of means: a row for each system, a column for each measure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from rankscope.core.judged.comparisons import JudgedComparison, Place, Verdict
from rankscope.core.judged.evaluation import EvaluationRecord, SystemResult
from rankscope.report.stored import place_name
from rankscope.report.wording.numbers import letters, n_queries, n_seeds


@dataclass(frozen=True)
class SeedMean:
    """One seed's mean, and its run."""

    name: str
    mean: float
    run: str


@dataclass(frozen=True)
class MeanCell:
    """A mean, its run, and the comparisons with the baselines."""

    mean: float
    is_best: bool
    run: str
    comparisons: tuple[JudgedComparison, ...]
    beats: str = ""
    """The letters of the systems it is better than, where all pairs were compared."""
    seeds: tuple[SeedMean, ...] = ()
    """The means of the seeds, where there are several; `mean` is their mean."""
    seed_sd: float | None = None
    """The standard deviation of the seeds' means."""


@dataclass(frozen=True)
class MeansRow:
    """One system; a cell per place and measure, None where it was not measured."""

    system: str
    cells: tuple[MeanCell | None, ...]
    letter: str = ""
    """The letter of the system in other systems' cells, where all pairs were compared."""


@dataclass(frozen=True)
class Means:
    """The table of means, its columns grouped by place."""

    places: tuple[tuple[Place, str], ...]
    """Each place with its number of queries, in words."""
    measures: tuple[str, ...]
    baselines: tuple[str, ...]
    rows: tuple[MeansRow, ...]
    notes: tuple[str, ...]
    seeds: str = ""
    """Which means are over how many seeds, in words; empty where none is."""


Column = tuple[Place, str]
"""A place and a measure."""


def means(evaluation: EvaluationRecord) -> Means:
    """The table of means, with every system in the order of the results."""
    systems, places = evaluation.systems, evaluation.places
    columns = [(place, measure) for place in places for measure in evaluation.measures]
    result_of = {(result.place, result.system): result for result in evaluation.results}
    best = {column: _best(column, evaluation.results) for column in columns}
    letter_of = dict(zip(systems, letters(), strict=False)) if evaluation.all_pairs else {}

    def cell(system: str, column: Column) -> MeanCell | None:
        place, measure = column
        result = result_of.get((place, system))
        if result is None or measure not in result.means:
            return None
        here = [
            row for row in evaluation.comparisons if (row.place, row.measure) == (place, measure)
        ]
        return MeanCell(
            result.means[measure],
            is_best=_shown(result.means[measure]) == best[column],
            run=result.run,
            comparisons=() if letter_of else tuple(row for row in here if row.system == system),
            beats=_beats(system, here, letter_of),
            seeds=tuple(SeedMean(seed.name, seed.means[measure], seed.run) for seed in result.runs),
            seed_sd=result.seed_sd.get(measure),
        )

    return Means(
        places=tuple((place, _n_queries(evaluation.at(place))) for place in places),
        measures=evaluation.measures,
        baselines=evaluation.baselines,
        rows=tuple(
            MeansRow(
                system, tuple(cell(system, column) for column in columns), letter_of.get(system, "")
            )
            for system in systems
        ),
        notes=tuple(_notes(evaluation)),
        seeds=_seeds(evaluation),
    )


def _beats(system: str, rows: Iterable[JudgedComparison], letter_of: Mapping[str, str]) -> str:
    """The letters of the systems that a system is better than."""
    beaten = {
        row.baseline if row.system == system else row.system
        for row in rows
        if (row.system, row.judged.verdict) == (system, Verdict.BETTER)
        or (row.baseline, row.judged.verdict) == (system, Verdict.WORSE)
    }
    return "".join(letter for name, letter in letter_of.items() if name in beaten)


def _best(column: Column, results: Sequence[SystemResult]) -> float | None:
    """The highest mean as it is shown, so that means that look equal on the page are marked equally."""
    place, measure = column
    shown = [
        _shown(result.means[measure])
        for result in results
        if result.place == place and measure in result.means
    ]
    return max(shown, default=None)


def _shown(mean: float) -> float:
    return round(mean, 3)


def _n_queries(results: Iterable[SystemResult]) -> str:
    counts = sorted({result.n_queries for result in results})
    return n_queries(counts[0]) if len(counts) == 1 else f"{counts[0]} to {counts[-1]} queries"


def _seeds(evaluation: EvaluationRecord) -> str:
    by_count: dict[int, dict[str, None]] = {}
    for result in evaluation.results:
        if result.runs:
            by_count.setdefault(len(result.runs), {})[result.system] = None
    if not by_count:
        return ""
    counts = "; ".join(f"{n_seeds(n)} of {', '.join(systems)}" for n, systems in by_count.items())
    over = n_seeds(next(iter(by_count))) if len(by_count) == 1 else f"seeds ({counts})"
    return f"Means with ± are over {over}; ± is the standard deviation of the seeds' means."


def _notes(evaluation: EvaluationRecord) -> Iterable[str]:
    for result in evaluation.results:
        where = place_name(result.place, evaluation)
        for seed in result.seeds:
            missing = seed.missing_queries
            if missing:
                named = ", ".join(missing[:5]) + (", …" if len(missing) > 5 else "")
                yield f"{seed.name} on {where}: no ranking for {n_queries(len(missing))} ({named})."
            if seed.tied_share:
                yield (
                    f"{seed.name} on {where}: {_share(seed.tied_share)} of neighbours in its rankings had equal scores "
                    "before the run was written; the stored run orders them as trec_eval does."
                )


def _share(share: float) -> str:
    return "under 0.1\u00a0%" if share < 0.001 else f"{100 * share:.1f}\u00a0%"
