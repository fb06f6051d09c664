"""Anybody's runs against judgements: means, ties, comparisons and verdicts. What studies use, too.

`measure` and `compare` take runs as people have them: a `Run`, the path of a file in any form that
`core.formats` reads, a `{query_id: {doc_id: score}}` table, or a data frame.
"""

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import chain, combinations
from multiprocessing import get_context
from pathlib import Path
from statistics import stdev
from typing import Any, TypedDict, Unpack

from rankscope.core.errors import BadInput, choose
from rankscope.core.fields import as_grade, check_id
from rankscope.core.formats import (
    from_frame,
    from_mapping,
    qrels_from_frame,
    qrels_from_mapping,
    read_qrels,
    read_run_file,
    tag_of,
)
from rankscope.core.judged.comparisons import JudgedComparison, Place
from rankscope.core.judged.margins import Margin, as_margin
from rankscope.core.judged.plain import as_plain
from rankscope.core.records import Qrel, Run, ScoredDoc
from rankscope.core.trec import RunFile, no_garbage_collection, stem
from rankscope.evaluate.as_published import STUDY_B_WARNING, paired_t
from rankscope.evaluate.comparison import Pair, Values, compared
from rankscope.evaluate.kinship import Kinship
from rankscope.evaluate.measures import Measured, Measuring, parse, span, with_relevance_level
from rankscope.evaluate.resampling import Resampling
from rankscope.evaluate.seeds import VarianceSplit, variance_split
from rankscope.evaluate.ties import Ties, ties
from rankscope.evaluate.verdicts import Judged, judged, pairs, recorded

RunLike = Run | Path | str | Mapping[str, Any] | Any
"""A run, a file's path, a table of tables, or a data frame."""

Runs = Mapping[str, RunLike | Sequence[RunLike]] | Sequence[RunLike]
"""Systems by name, a list under a name for several training seeds; or runs called by their tags."""

MEASURES = ("nDCG@10", "RR@10", "AP", "R@100", "Judged@10")
"""What is measured where nothing is asked for."""

HEADLINE = ("nDCG@10",)
"""What is compared where nothing is asked for: every further measure makes the family larger."""

NAMED_SYSTEMS = 6
"""So many are named in a note."""


@dataclass(frozen=True)
class EvaluatedRun:
    """One run and what it measures."""

    system: str
    tag: str
    """The system's name; with several training seeds, the run's own."""
    path: str | None
    measured: Measured
    ties: Ties | None
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Evaluation:
    """Runs over one set of judgements."""

    measures: tuple[str, ...]
    n_queries: int
    runs: tuple[EvaluatedRun, ...]
    notes: tuple[str, ...]
    """What holds for all runs."""

    def systems(self) -> dict[str, list[EvaluatedRun]]:
        """System to its runs, one for each training seed, in the order given."""
        found: dict[str, list[EvaluatedRun]] = {}
        for run in self.runs:
            found.setdefault(run.system, []).append(run)
        return found

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
        """System and measure to the queries' values, once for each seed."""
        return {
            (system, measure): [run.measured.values[measure] for run in runs]
            for system, runs in self.systems().items()
            for measure in self.measures
        }

    def seed_sds(self) -> dict[str, dict[str, float]]:
        """Of systems with several seeds, by measure: the standard deviation of the seeds' means."""
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


@dataclass(frozen=True)
class Row:
    """One comparison of a family, with its verdict."""

    measure: str
    system: str
    baseline: str
    judged: Judged

    def record(self, place: Place | None = None) -> JudgedComparison:
        """What is stored and shown of it."""
        return JudgedComparison(
            place, self.measure, self.system, self.baseline, recorded(self.judged)
        )

    def plain(self) -> dict[str, Any]:
        """All numbers as plain values, for JSON and tables."""
        return as_plain(self.record())


@dataclass(frozen=True)
class Compared:
    """An evaluation and its family of comparisons."""

    evaluation: Evaluation
    rows: tuple[Row, ...]
    significance_level: float
    correction: str
    family_size: int
    baselines: tuple[str, ...]
    """What systems were compared with; all systems where all pairs were."""
    seeds: Mapping[str, Mapping[str, VarianceSplit]]
    """Of systems with several training seeds, by measure."""
    notes: tuple[str, ...]
    tests: str = "sound"
    """Or as_published."""

    def frame(self) -> Any:
        """The comparisons as a pandas DataFrame, one a row."""
        import pandas as pd

        return pd.DataFrame([row.plain() for row in self.rows])

    def letters(self, measure: str) -> dict[str, str]:
        """System to the letters of the systems it is better than; letters go by the order of systems."""
        names = list(self.evaluation.systems())
        beaten: dict[str, list[int]] = {name: [] for name in names}
        for row in self.rows:
            if row.measure == measure and row.judged.verdict in ("better", "worse"):
                won = row.judged.verdict == "better"
                winner, loser = (row.system, row.baseline)[:: 1 if won else -1]
                beaten[winner].append(names.index(loser))
        return {
            name: "".join(letter(at) for at in sorted(places)) for name, places in beaten.items()
        }


def letter(place: int) -> str:
    """A to z, then aa, ab and on."""
    text = ""
    place += 1
    while place:
        place, rest = divmod(place - 1, 26)
        text = chr(ord("a") + rest) + text
    return text


# -- reading what people have ----------------------------------------------------------------------


def read(run: RunLike, tag: str | None = None) -> RunFile:
    """A run with its notes, from whatever it comes as."""
    if isinstance(run, Run):
        source = f"the run {run.tag!r}"
        docs = (
            ScoredDoc(
                check_id(query_id, "query", source), check_id(doc.doc_id, "doc", source), doc.score
            )
            for query_id, ranking in run.rankings.items()
            for doc in ranking
        )
        return RunFile(Run.of(run.tag, docs, source=source), "run")
    if isinstance(run, str | Path):
        return read_run_file(Path(run))
    name = tag or "run"
    if isinstance(run, Mapping):
        return RunFile(from_mapping(run, name, f"the run {name!r}"), "table")
    if not hasattr(run, "columns"):
        raise BadInput(
            f"The run {name!r} is of type {type(run).__name__}. Give a Run, a file's path, a table of tables or a "
            "data frame."
        )
    return RunFile(from_frame(run, name, f"the run {name!r}"), "data frame")


def judgements(qrels: Any) -> list[Qrel]:
    """Judgements from a list of Qrel, a file's path, a table of tables or a data frame."""
    if isinstance(qrels, str | Path):
        return read_qrels(Path(qrels))
    if isinstance(qrels, Mapping):
        return qrels_from_mapping(qrels, "the qrels")
    if hasattr(qrels, "columns"):
        return qrels_from_frame(qrels, "the qrels")
    if not isinstance(qrels, Iterable):
        raise BadInput(
            f"The qrels are of type {type(qrels).__name__}. Give a file's path, a table of tables, a data frame "
            "or a list of Qrel."
        )
    return [
        Qrel(
            check_id(qrel.query_id, "query", "the qrels"),
            check_id(qrel.doc_id, "doc", "the qrels"),
            as_grade(qrel.relevance, f"the qrels: query {qrel.query_id}, doc {qrel.doc_id}"),
        )
        for qrel in qrels
    ]


def without_own_docs(run: Run) -> Run:
    """The run without the docs that have their query's id: where queries are docs of the collection."""
    return Run(
        run.tag,
        {
            query_id: [doc for doc in ranking if doc.doc_id != query_id]
            for query_id, ranking in run.rankings.items()
        },
    )


def evaluated(
    system: str, run: RunLike, measuring: Measuring, *, drop_own_docs: bool = False
) -> EvaluatedRun:
    """One run's measures, its ties, and what a reader of the numbers should know."""
    found = read(run, system)
    whole = without_own_docs(found.run) if drop_own_docs else found.run
    measured = measuring.of(whole)
    if len(measured.missing_queries) == measured.n_queries:
        raise BadInput(
            f"{run if isinstance(run, str | Path) else system}: it ranks none of the "
            f"{measured.n_queries} judged queries. Give the qrels of the same queries."
        )
    of_ties = ties(whole, measuring, measured)
    path = str(run) if isinstance(run, str | Path) else None
    notes = (*found.notes, *_notes(measured, of_ties))
    return EvaluatedRun(system, found.run.tag, path, measured, of_ties, notes)


def _notes(measured: Measured, of_ties: Ties | None) -> list[str]:
    notes = []
    for queries, what in (
        (measured.missing_queries, "judged queries have no ranking and count 0"),
        (measured.unjudged_queries, "ranked queries are not judged and do not count"),
    ):
        if queries:
            notes.append(f"{len(queries)} {what} (first: {queries[0]})")
    if of_ties is not None:
        measure = next(iter(of_ties.worst))
        notes.append(
            f"{100 * of_ties.share:.3g} % of neighbours are tied, in {of_ties.n_queries} queries: {measure} "
            f"is {of_ties.worst[measure]:.4f} to {of_ties.best[measure]:.4f} by their order, "
            f"{of_ties.expected[measure]:.4f} expected"
        )
    return notes


def named(runs: Runs) -> dict[str, list[RunLike]]:
    """System to its runs, one for each training seed.

    Runs without names of their own are called by their tags; where two tags are the same, by their
    files. A list under a name is one system, trained with several seeds.
    """
    if isinstance(runs, str | Path | Run) or hasattr(runs, "columns"):
        raise BadInput("One run stands alone. Give a list of runs, or a table of names and runs.")
    if isinstance(runs, Mapping):
        for name, of in runs.items():
            if isinstance(of, list | tuple) and not of:
                raise BadInput(f"The system {name!r} has no run. Give it one, or leave it out.")
        return {
            name: list(of) if isinstance(of, list | tuple) else [of] for name, of in runs.items()
        }
    tags = [tag_of(Path(run)) if isinstance(run, str | Path) else read(run).run.tag for run in runs]
    names = [
        stem(Path(run)) if isinstance(run, str | Path) and tags.count(tag) > 1 else tag
        for run, tag in zip(runs, tags, strict=True)
    ]
    again = sorted({name for name in names if names.count(name) > 1})
    if again:
        raise BadInput(
            f"Two runs are called {again[0]!r}. Name them: as a table of names and runs, or NAME=FILE on "
            "the command line."
        )
    return {name: [run] for name, run in zip(names, runs, strict=True)}


def measure(
    runs: Runs,
    qrels: Any,
    measures: Sequence[str] = MEASURES,
    *,
    relevance_level: int | None = None,
    drop_own_docs: bool = False,
    processes: int = 1,
) -> Evaluation:
    """Every run's measures.

    runs: `{name: run}`, a list of runs called by their tags, or `{name: [run, ...]}` where a system was
    trained with several seeds. qrels: a file's path, `{query_id: {doc_id: grade}}`, a data frame or Qrels.
    relevance_level: the lowest grade that counts as relevant in binary measures whose names do not say
    (1). drop_own_docs: leave out docs that have their query's id, as ArguAna and Quora ask. processes: runs
    measured at once; above 1, a script must begin under `if __name__ == "__main__":`. Raises BadInput
    with the place for what cannot be read, UnknownChoice for an unknown measure.
    """
    if not measures:
        raise BadInput("Nothing is measured. Give at least one measure, such as nDCG@10.")
    if relevance_level is not None and relevance_level < 1:
        raise BadInput(
            f"The relevance level {relevance_level} is below 1, where grade 0 counts. Give 1 or more."
        )
    computed = tuple(dict.fromkeys(_computed(measures, relevance_level).values()))
    measuring = Measuring(judgements(qrels), computed)
    jobs = [(system, run) for system, of_system in named(runs).items() for run in of_system]
    work = partial(_evaluated, measuring=measuring, drop_own_docs=drop_own_docs)
    if processes > 1:
        with ProcessPoolExecutor(processes, mp_context=get_context("forkserver")) as pool:
            found = list(pool.map(work, jobs))
    else:
        found = [work(job) for job in jobs]
    return Evaluation(
        computed,
        n_queries=len(measuring.query_ids),
        runs=tuple(_told_apart(found)),
        notes=(
            *_level_notes(measures, computed, measuring, relevance_level),
            *measuring.notes(),
            *(
                ["docs that have their query's id were left out of the rankings"]
                if drop_own_docs
                else []
            ),
        ),
    )


def _computed(measures: Sequence[str], level: int | None) -> dict[str, str]:
    """What is asked for to what is computed: the first of several names (RR@10, MRR@10) of one measure."""
    first: dict[Any, str] = {}
    with_level = {name: with_relevance_level(name, level or 1) for name in measures}
    return {name: first.setdefault(parse(found), found) for name, found in with_level.items()}


def _evaluated(job: tuple[str, RunLike], measuring: Measuring, drop_own_docs: bool) -> EvaluatedRun:
    with no_garbage_collection():
        return evaluated(*job, measuring, drop_own_docs=drop_own_docs)


def _told_apart(runs: list[EvaluatedRun]) -> Iterable[EvaluatedRun]:
    """A system's one run carries the system's name; several keep their number."""
    counts: dict[str, int] = {}
    for run in runs:
        counts[run.system] = counts.get(run.system, 0) + 1
        several = sum(other.system == run.system for other in runs) > 1
        tag = f"{run.system}#{counts[run.system]}" if several else run.system
        yield EvaluatedRun(run.system, tag, run.path, run.measured, run.ties, run.notes)


def _level_notes(
    asked: Sequence[str], computed: Sequence[str], measuring: Measuring, level: int | None
) -> Iterable[str]:
    changed = [name for name in computed if name not in asked]
    if changed:
        yield f"grades below {level} are not relevant: {', '.join(changed)}"
    elif level is None:
        highest = max(chain.from_iterable(docs.values() for docs in measuring.relevance.values()))
        binary = [name for name in computed if with_relevance_level(name, 2) != name]
        if highest > 1 and binary:
            yield (
                f"grades go up to {highest}, and {', '.join(binary)} count every grade from 1 as relevant; "
                "TREC's passage tracks count from 2 (relevance level 2)"
            )


# -- comparing -------------------------------------------------------------------------------------


class Terms(TypedDict, total=False):
    """How runs are compared; all may be left out."""

    correction: str
    """holm (default), benjamini_hochberg, bonferroni or none."""
    significance_level: float
    """Of the whole family; 0.05."""
    family_size: int
    """How many comparisons were declared before the runs, if more than are made here."""
    groups: Mapping[str, str]
    """query_id to a group of queries that may depend on each other."""
    lineages: Sequence[Sequence[str]]
    """Lists of an ancestor and the systems whose k-th runs were tuned from its k-th run, in one stage: they are
    paired by seed."""
    tests: str
    """sound (default), or as_published: study B's uncorrected tests, with a warning."""
    resamples: int
    """Of bootstrap and randomisation test; 9,999. 0 leaves both out."""
    seed: int
    """Of the resamples; 0."""


def compare(
    runs: Runs,
    qrels: Any,
    measures: Sequence[str] = HEADLINE,
    *,
    baseline: str | Sequence[str] | None = None,
    margin: Mapping[str, str | float | Margin] | None = None,
    relevance_level: int | None = None,
    drop_own_docs: bool = False,
    processes: int = 1,
    **terms: Unpack[Terms],
) -> Compared:
    """Every run against the baseline (or several; without one, all pairs), with verdicts.

    runs, qrels, relevance_level, drop_own_docs, processes: as for `measure`. margin: measure to the difference below
    which two systems are equivalent, absolute (0.02) or a share of the baseline's mean ("5%"). The family
    is every pair and measure.
    """
    found = measure(
        runs,
        qrels,
        measures,
        relevance_level=relevance_level,
        drop_own_docs=drop_own_docs,
        processes=processes,
    )
    asked = _computed(measures, relevance_level)
    return compare_evaluated(found, baseline=baseline, margin=margin, asked=asked, **terms)


def compare_evaluated(
    found: Evaluation,
    *,
    baseline: str | Sequence[str] | None = None,
    margin: Mapping[str, str | float | Margin] | None = None,
    asked: Mapping[str, str] | None = None,
    **terms: Unpack[Terms],
) -> Compared:
    """`compare`, of what `measure` gave. `asked` leads from names without a relevance level to those with it."""
    _check(terms)
    systems = found.systems()
    baselines = [baseline] if isinstance(baseline, str) else list(baseline or systems)
    for name in baselines:
        choose(systems, name, what="baseline")
    if len(systems) < 2:
        raise BadInput("One system alone cannot be compared. Give at least two runs.")
    margins = _margins(margin or {}, found.measures, asked or {})
    as_published = choose(
        {"sound": False, "as_published": True}, terms.get("tests", "sound"), what="kind of tests"
    )
    level = terms.get("significance_level", 0.05)
    values = found.values()
    kin = _kinships(terms.get("lineages", ()), systems)
    of_lineage = _joined(terms.get("lineages", ()))
    family = [
        (measure, system, base)
        for measure in found.measures
        for system, base in pairs(list(systems), baselines)
    ]
    compared_ = compared(
        [
            Pair(
                values[a, m],
                values[b, m],
                None if as_published else margins.get(m),
                pool=m,
                kinship=kin.get(frozenset((a, b)), Kinship.NONE),
                lineages=(of_lineage.get(a, ""), of_lineage.get(b, "")),
                span=span(m),
            )
            for m, a, b in family
        ],
        significance_level=level,
        groups=terms.get("groups"),
        resampling=_resampling(terms),
    )
    if as_published:
        compared_ = [paired_t(each, significance_level=level) for each in compared_]
    correction = "none" if as_published else terms.get("correction", "holm")
    family_size = terms.get("family_size")
    verdicts = judged(
        compared_, significance_level=level, correction=correction, family_size=family_size
    )
    return Compared(
        evaluation=found,
        rows=tuple(Row(*names, each) for names, each in zip(family, verdicts, strict=True)),
        significance_level=level,
        correction=correction,
        family_size=family_size or len(family),
        baselines=tuple(baselines),
        seeds={
            name: {measure: variance_split(values[name, measure]) for measure in found.measures}
            for name, runs in systems.items()
            if len(runs) > 1
        },
        notes=(
            *_comparison_notes(systems, margins if as_published else {}, as_published),
            *(
                f"{', '.join(lineage)}: of one lineage, so paired by seed where they are compared, each one's k-th run "
                "with the others', and counted as one beside others"
                for lineage in terms.get("lineages", ())
            ),
        ),
        tests=terms.get("tests", "sound"),
    )


def _kinships(
    lineages: Sequence[Sequence[str]], systems: Mapping[str, Sequence[EvaluatedRun]]
) -> dict[frozenset[str], Kinship]:
    """Which two systems are paired by seed; BadInput where their runs cannot be."""
    found: dict[frozenset[str], Kinship] = {}
    for lineage in lineages:
        numbers = {len(choose(systems, name, what="system of a lineage")) for name in lineage}
        if len(set(lineage)) < 2 or len(numbers) > 1 or numbers == {1}:
            raise BadInput(
                f"The lineage {', '.join(lineage)} cannot be paired by seed. Name at least two systems, each with "
                "as many runs as the others, more than one, the k-th of all from the same seed."
            )
        ancestor, *tuned = lineage
        found |= {frozenset(pair): Kinship.TWO_STAGES for pair in combinations(tuned, 2)}
        found |= {frozenset((ancestor, name)): Kinship.ONE_STAGE for name in tuned}
    return found


def _joined(lineages: Sequence[Sequence[str]]) -> dict[str, str]:
    """System to the name of its lineage; lineages with a system in common are one."""
    found: dict[str, str] = {}
    for lineage in lineages:
        met = {found.get(name, name) for name in lineage}
        found |= {name: lineage[0] for name in [*found, *lineage] if found.get(name, name) in met}
    return found


def _check(terms: Terms) -> None:
    """Refuse what is no term of a comparison, which Python would let pass."""
    known = dict.fromkeys(Terms.__annotations__)
    for name in terms:
        choose(known, name, what="term of a comparison")
    level, resamples = terms.get("significance_level", 0.05), terms.get("resamples", 0)
    if not 0 < level < 1 or resamples < 0:
        raise BadInput(
            f"A significance level lies between 0 and 1 and resamples are 0 or more; found {level:g} and "
            f"{resamples}."
        )


def _resampling(terms: Terms) -> Resampling | None:
    n = terms.get("resamples", Resampling.n)
    return Resampling(n, terms.get("seed", 0)) if n else None


def _margins(
    margins: Mapping[str, str | float | Margin], measures: Sequence[str], asked: Mapping[str, str]
) -> dict[str, Margin]:
    computed = dict(asked) | {name: name for name in measures}
    return {
        choose(computed, name, what="measure in `margin`"): as_margin(written)
        for name, written in margins.items()
    }


def _comparison_notes(
    systems: Mapping[str, Sequence[EvaluatedRun]],
    left_out: Mapping[str, Margin],
    as_published: bool,
) -> Iterable[str]:
    if as_published:
        yield STUDY_B_WARNING
    if left_out:
        yield f"study B has no margin: those of {', '.join(left_out)} were left out"
    alone = [name for name, runs in systems.items() if len(runs) == 1]
    if alone:
        yield (
            f"{one_run_each(alone)}; if these are trained rankers, {OF_THESE_RUNS}. Runs of several seeds go under "
            "one name"
        )
    two = [name for name, runs in systems.items() if len(runs) == 2]
    if two:
        yield two_seeds_each(two)


OF_THESE_RUNS = (
    "verdicts are of these runs, not of the methods: with another training seed the order may be another "
    "(docs/verdicts.md says how often)"
)
"""What verdicts are worth where a method was trained once."""


def one_run_each(systems: Sequence[str]) -> str:
    """Which systems have one run."""
    return f"{_listed(systems)}: one run each"


def two_seeds_each(systems: Sequence[str]) -> str:
    """Which systems have two seeds, and what cannot be known of them."""
    return (
        f"{_listed(systems)}: two seeds a system, so nothing tells whether one system's seeds spread more than the "
        "others'; docs/verdicts.md says what that costs"
    )


def _listed(systems: Sequence[str]) -> str:
    """Names; of many, the first."""
    more = len(systems) - NAMED_SYSTEMS
    return ", ".join(systems[:NAMED_SYSTEMS]) + (f" and {more} more" if more > 0 else "")
