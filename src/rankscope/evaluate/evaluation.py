"""Runs measured against relevance judgements: means and ties.

`measure` takes runs in several forms: a `Run`, the path of a file in any form that
`core.formats` reads, a `{query_id: {doc_id: score}}` table, or a data frame.
"""

import sys
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import chain
from multiprocessing import get_context
from pathlib import Path
from statistics import stdev
from types import ModuleType
from typing import Any

from rankscope.core.errors import BadInput
from rankscope.core.progress import SILENT, Advance, Progress, untold
from rankscope.core.records import no_garbage_collection
from rankscope.core.words import counted, of_number
from rankscope.evaluate.arrays import Values
from rankscope.evaluate.measure_names import names_of
from rankscope.evaluate.measures import parse, with_relevance_level
from rankscope.evaluate.measuring import Measured, Measuring
from rankscope.evaluate.runs import RunLike, Runs, judgements, named, read, without_own_docs
from rankscope.evaluate.ties import Ties, ties

MEASURES = ("nDCG@10", "RR@10", "AP", "R@100", "Judged@10")
"""The measures that are computed by default."""


@dataclass(frozen=True)
class EvaluatedRun:
    """One run and its measures."""

    system: str
    tag: str
    """The system's name; where a system has several training seeds, the run's own name."""
    path: str | None
    measured: Measured
    ties: Ties | None
    notes: tuple[str, ...]

    @property
    def notes_beside_verdicts(self) -> tuple[str, ...]:
        """The notes without that on ties, which matter there only where a verdict could be another (`tie_verdicts`)."""
        of_ties = self.ties and self.ties.note()
        return tuple(note for note in self.notes if note != of_ties)


@dataclass(frozen=True)
class Evaluation:
    """Runs measured against one set of judgements."""

    measures: tuple[str, ...]
    n_queries: int
    runs: tuple[EvaluatedRun, ...]
    notes: tuple[str, ...]
    """Notes that hold for all runs."""

    def systems(self) -> dict[str, list[EvaluatedRun]]:
        """System to its runs, one for each training seed, in the order given."""
        by_system: dict[str, list[EvaluatedRun]] = {}
        for run in self.runs:
            by_system.setdefault(run.system, []).append(run)
        return by_system

    def means(self) -> dict[str, dict[str, float]]:
        """System and measure to the mean over judged queries (and over seeds)."""
        return {
            system: {
                measure: sum(run.measured.means()[measure] for run in runs) / len(runs)
                for measure in self.measures
            }
            for system, runs in self.systems().items()
        }

    def values(self) -> dict[tuple[str, str], list[Values]]:
        """System and measure to the values per query, one mapping for each seed."""
        return {
            (system, measure): [run.measured.values[measure] for run in runs]
            for system, runs in self.systems().items()
            for measure in self.measures
        }

    def seed_sds(self) -> dict[str, dict[str, float]]:
        """System and measure to the standard deviation of the seeds' means, for systems with several seeds."""
        return {
            system: {
                measure: stdev(run.measured.means()[measure] for run in runs)
                for measure in self.measures
            }
            for system, runs in self.systems().items()
            if len(runs) > 1
        }

    def frame(self) -> Any:
        """The means as a pandas DataFrame: systems down, measures across."""
        import pandas as pd

        return pd.DataFrame.from_dict(self.means(), orient="index", columns=list(self.measures))


# -- measuring runs --------------------------------------------------------------------------------


def evaluated(
    system: str,
    run: RunLike,
    measuring: Measuring,
    *,
    drop_own_docs: bool = False,
    told: Advance = untold,
) -> EvaluatedRun:
    """One run with its measures, its ties, and notes for readers of the numbers; `told` of queries done."""
    run_file = read(run, system)
    whole = without_own_docs(run_file.run) if drop_own_docs else run_file.run
    measured = measuring.of(whole, told)
    if len(measured.missing_queries) == measured.n_queries:
        raise BadInput(
            f"{run if isinstance(run, str | Path) else system}: it "
            f"{of_number(measured.n_queries, 'does not rank the one judged query', f'ranks none of the {measured.n_queries} judged queries')}. "
            "Give the qrels of the same queries."
        )
    of_ties = ties(whole, measuring, measured)
    path = str(run) if isinstance(run, str | Path) else None
    notes = (*run_file.notes, *_notes(measured, of_ties))
    return EvaluatedRun(system, run_file.run.tag, path, measured, of_ties, notes)


def _notes(measured: Measured, of_ties: Ties | None) -> list[str]:
    notes = []
    for queries, one, several in (
        (
            measured.missing_queries,
            "judged query has no ranking and counts 0",
            "judged queries have no ranking and count 0",
        ),
        (
            measured.unjudged_queries,
            "ranked query is not judged and does not count",
            "ranked queries are not judged and do not count",
        ),
    ):
        if queries:
            notes.append(f"{counted(len(queries), one, several)} (first: {queries[0]})")
    said = of_ties and of_ties.note()
    return [*notes, *([said] if said else [])]


def measure(
    runs: Runs,
    qrels: Any,
    measures: str | Sequence[str] = MEASURES,
    *,
    relevance_level: int | None = None,
    drop_own_docs: bool = False,
    processes: int = 1,
    progress: Progress = SILENT,
) -> Evaluation:
    """The measures of every run.

    runs: `{name: run}`, a list of runs named by their tags, or `{name: [run, ...]}` where a system was
    trained with several seeds. qrels: a file's path, `{query_id: {doc_id: grade}}`, a data frame or Qrels.
    measures: as ir_measures, trec_eval or MTEB name them (`nDCG@10`, `ndcg_cut_10`, `ndcg_at_10`, `mrr@10`); a text may list several.
    relevance_level: the lowest grade that counts as relevant in binary measures whose names do not give one
    (default 1). drop_own_docs: leave out docs whose id is that of the query, as ArguAna and Quora require.
    processes: how many runs are measured in parallel; they import nothing of the user's script. Raises BadInput with
    the place for what cannot be read, UnknownChoice for an unknown measure.
    """
    names = names_of(measures)
    if not names:
        raise BadInput("Nothing is measured. Give at least one measure, such as nDCG@10.")
    if relevance_level is not None and relevance_level < 1:
        raise BadInput(
            f"The relevance level {relevance_level} is below 1, so grade 0 would count as relevant. Give 1 or more."
        )
    computed = tuple(dict.fromkeys(computed_names(names, relevance_level).values()))
    measuring = Measuring(judgements(qrels), computed)
    jobs = [(system, run) for system, of_system in named(runs).items() for run in of_system]
    work = partial(_evaluated, measuring=measuring, drop_own_docs=drop_own_docs)
    n_queries = len(measuring.query_ids)
    evaluated_runs = []
    with progress.task("measure", len(jobs) * n_queries, "queries") as task:
        if processes > 1:
            with ProcessPoolExecutor(processes, mp_context=get_context("forkserver")) as pool:
                with _script_left_alone():
                    measured_runs = pool.map(work, jobs)
                for run in measured_runs:
                    task.advance(n_queries)
                    evaluated_runs.append(run)
        else:
            evaluated_runs = [work(job, told=task.advance) for job in jobs]
    return Evaluation(
        computed,
        n_queries=n_queries,
        runs=tuple(_with_tags(evaluated_runs)),
        notes=(
            *_level_notes(names, computed, measuring, relevance_level),
            *measuring.notes(),
            *(
                ["docs that have their query's id were left out of the rankings"]
                if drop_own_docs
                else []
            ),
        ),
    )


@contextmanager
def _script_left_alone() -> Iterator[None]:
    """Processes that are started inside the block do not import the user's script, of which they need nothing.

    One without `if __name__ == "__main__":` would run again in each of them, and end there.
    """
    script = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = script


def computed_names(measures: str | Sequence[str], level: int | None) -> dict[str, str]:
    """ir_measures' name to the name that is computed: of several of one measure (P@1, P(rel=1)@1), the first."""
    first: dict[Any, str] = {}
    with_level = {name: with_relevance_level(name, level or 1) for name in names_of(measures)}
    return {
        name: first.setdefault(parse(level_name), level_name)
        for name, level_name in with_level.items()
    }


def _evaluated(
    job: tuple[str, RunLike], measuring: Measuring, drop_own_docs: bool, told: Advance = untold
) -> EvaluatedRun:
    with no_garbage_collection():
        return evaluated(*job, measuring, drop_own_docs=drop_own_docs, told=told)


def _with_tags(runs: list[EvaluatedRun]) -> Iterable[EvaluatedRun]:
    """Runs tagged with the system's name; where a system has several runs, with their number, too."""
    counts: dict[str, int] = {}
    for run in runs:
        counts[run.system] = counts.get(run.system, 0) + 1
        several = sum(other.system == run.system for other in runs) > 1
        tag = f"{run.system}#{counts[run.system]}" if several else run.system
        yield EvaluatedRun(run.system, tag, run.path, run.measured, run.ties, run.notes)


def _level_notes(
    names: Sequence[str], computed: Sequence[str], measuring: Measuring, level: int | None
) -> Iterable[str]:
    changed = [name for name in computed if name not in names]
    if changed:
        yield f"grades below {level} are not relevant: {', '.join(changed)}"
    elif level is None:
        highest = max(chain.from_iterable(docs.values() for docs in measuring.relevance.values()))
        binary = [name for name in computed if with_relevance_level(name, 2) != name]
        if highest > 1 and binary:
            yield (
                f"grades go up to {highest}, and {', '.join(binary)} {'count' if len(binary) > 1 else 'counts'} every "
                "grade from 1 as relevant; "
                "TREC's passage tracks count from 2 (relevance level 2)"
            )
