"""Runs compared: a family of comparisons with verdicts and notes, of run files."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypedDict, Unpack

from rankscope.core.errors import BadInput, choose
from rankscope.core.fields import given_whole, given_word, shown
from rankscope.core.judged.comparisons import JudgedComparison, Place, Verdict
from rankscope.core.judged.margins import Margin, as_margin
from rankscope.core.judged.plain import as_plain
from rankscope.core.progress import SILENT, Progress
from rankscope.evaluate import tie_verdicts
from rankscope.evaluate.arrays import Values
from rankscope.evaluate.as_published import STUDY_B_WARNING, paired_t
from rankscope.evaluate.evaluation import EvaluatedRun, Evaluation, computed_names, measure
from rankscope.evaluate.measure_names import by_name
from rankscope.evaluate.measures import span
from rankscope.evaluate.pairs.comparison import Comparison, MeasuredPair, compared
from rankscope.evaluate.pairs.resampling import Resampling
from rankscope.evaluate.pairs.verdicts import (
    FamilyCorrection,
    Judged,
    judged,
    pairs,
    recorded,
    verdicts_of,
)
from rankscope.evaluate.runs import Runs
from rankscope.evaluate.seeds.descent import Descent
from rankscope.evaluate.seeds.variance import VarianceSplit, variance_split
from rankscope.evaluate.tie_verdicts import ValuesOf

HEADLINE = ("nDCG@10",)
"""The measures that are compared by default: every further measure makes the family larger."""


NAMED_SYSTEMS = 6
"""How many systems a note names."""


@dataclass(frozen=True)
class JudgedPair:
    """One comparison of a family, with its verdict."""

    measure: str
    system: str
    baseline: str
    judged: Judged

    def record(self, place: Place | None = None) -> JudgedComparison:
        """The record that is stored and shown."""
        return JudgedComparison(
            place, self.measure, self.system, self.baseline, recorded(self.judged)
        )

    def plain(self) -> dict[str, Any]:
        """All statistics as plain values, for JSON and tables."""
        return as_plain(self.record())


@dataclass(frozen=True)
class Compared:
    """An evaluation and its family of comparisons."""

    evaluation: Evaluation
    rows: tuple[JudgedPair, ...]
    significance_level: float
    correction: str
    family_size: int
    baselines: tuple[str, ...]
    """The systems that others were compared with; every system where all pairs were compared."""
    seeds: Mapping[str, Mapping[str, VarianceSplit]]
    """System and measure to the split of the variance, for systems with several training seeds."""
    notes: tuple[str, ...]
    tests: str = "sound"
    """sound or as_published."""

    def frame(self) -> Any:
        """The comparisons as a pandas DataFrame, a row each."""
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
    """The letter of a place: a to z, then aa, ab and so on."""
    text = ""
    place += 1
    while place:
        place, rest = divmod(place - 1, 26)
        text = chr(ord("a") + rest) + text
    return text


class ComparisonTerms(TypedDict, total=False):
    """How runs are compared; every term is optional."""

    correction: str
    """holm (default), benjamini_hochberg, bonferroni or none."""
    significance_level: float
    """The level of the whole family; default 0.05."""
    family_size: int
    """How many comparisons were declared beforehand, if more than are made here."""
    groups: Mapping[str, str]
    """query_id to a group of queries that may depend on each other."""
    lineages: Sequence[Sequence[str]]
    """Lists of an ancestor and the systems whose k-th runs were tuned from its k-th run, in one stage: they are
    paired by seed. A chain C, C-D, C-D-E is two lists: [C, C-D] and [C-D, C-D-E]."""
    tests: str
    """sound (default), or as_published: study B's uncorrected tests, with a warning."""
    resamples: int
    """Resamples of the bootstrap and the randomisation test; default 9,999. 0 turns both off."""
    seed: int
    """The random seed of the resamples; default 0."""
    progress: Progress
    """Who watches, as a long comparison takes minutes; nobody, by default."""


def compare(
    runs: Runs,
    qrels: Any,
    measures: str | Sequence[str] = HEADLINE,
    *,
    baseline: str | Sequence[str] | None = None,
    margin: Mapping[str, str | float | Margin] | None = None,
    relevance_level: int | None = None,
    drop_own_docs: bool = False,
    processes: int = 1,
    **terms: Unpack[ComparisonTerms],
) -> Compared:
    """Every run against the baseline (or several; without one, all pairs), with verdicts.

    runs, qrels, measures, relevance_level, drop_own_docs, processes: as for `measure`. margin: measure to the difference below
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
        progress=terms.get("progress", SILENT),
    )
    asked = computed_names(measures, relevance_level)
    return compare_evaluated(found, baseline=baseline, margin=margin, asked=asked, **terms)


def compare_evaluated(
    found: Evaluation,
    *,
    baseline: str | Sequence[str] | None = None,
    margin: Mapping[str, str | float | Margin] | None = None,
    asked: Mapping[str, str] | None = None,
    **terms: Unpack[ComparisonTerms],
) -> Compared:
    """`compare` for runs that are measured already. asked: measures without a relevance level to those with it."""
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
    descent = Descent.of(terms.get("lineages", ()), systems)
    family = [
        (measure, system, base)
        for measure in found.measures
        for system, base in pairs(list(systems), baselines)
    ]
    correction = "none" if as_published else terms.get("correction", "holm")

    how = FamilyCorrection(
        significance_level=level, correction=correction, family_size=terms.get("family_size")
    )

    def comparisons(
        of_systems: ValuesOf, of_baselines: ValuesOf, *, is_for_verdicts: bool = False
    ) -> list[Comparison]:
        made = compared(
            _measured_pairs(
                family, (of_systems, of_baselines), {} if as_published else margins, descent
            ),
            significance_level=level,
            groups=terms.get("groups"),
            resampling=None if is_for_verdicts else _resampling(terms),
            is_for_verdicts=is_for_verdicts,
            progress=SILENT if is_for_verdicts else terms.get("progress", SILENT),
        )
        return [paired_t(each, significance_level=level) for each in made] if as_published else made

    def verdicts_at(of_systems: ValuesOf, of_baselines: ValuesOf) -> list[Verdict]:
        return verdicts_of(comparisons(of_systems, of_baselines, is_for_verdicts=True), how)

    verdicts = judged(comparisons(values, values), **how)
    return Compared(
        evaluation=found,
        rows=tuple(JudgedPair(*names, each) for names, each in zip(family, verdicts, strict=True)),
        significance_level=level,
        correction=correction,
        family_size=how["family_size"] or len(family),
        baselines=tuple(baselines),
        seeds=_variance_splits(found, values),
        notes=(
            *_comparison_notes(systems, margins if as_published else {}, as_published),
            *map(_lineage_note, terms.get("lineages", ())),
            *tie_verdicts.notes(found, family, [each.verdict for each in verdicts], verdicts_at),
        ),
        tests=terms.get("tests", "sound"),
    )


def _measured_pairs(
    family: Sequence[tuple[str, str, str]],
    values: tuple[ValuesOf, ValuesOf],
    margins: Mapping[str, Margin],
    descent: Descent,
) -> list[MeasuredPair]:
    """The pairs of a family of (measure, system, baseline); values: those of systems, and those of baselines."""
    of_systems, of_baselines = values
    return [
        MeasuredPair(
            of_systems[system, measure],
            of_baselines[baseline, measure],
            margins.get(measure),
            pool=measure,
            kinship=descent.kinship(system, baseline),
            lineages=(descent.first(system), descent.first(baseline)),
            span=span(measure),
        )
        for measure, system, baseline in family
    ]


def _variance_splits(
    evaluation: Evaluation, values: Mapping[tuple[str, str], Sequence[Values]]
) -> dict[str, dict[str, VarianceSplit]]:
    """System and measure to the split of the variance, for systems with several training seeds."""
    return {
        name: {measure: variance_split(values[name, measure]) for measure in evaluation.measures}
        for name, runs in evaluation.systems().items()
        if len(runs) > 1
    }


def _lineage_note(lineage: Sequence[str]) -> str:
    return (
        f"{', '.join(lineage)}: of one lineage, so paired by seed where they are compared, each one's k-th run "
        "with the others', and counted as one beside others"
    )


def _check(terms: ComparisonTerms) -> None:
    """Raise UnknownChoice for a name that is not in `ComparisonTerms`, which Python would let pass; BadInput for a bad value."""
    known = dict.fromkeys(ComparisonTerms.__annotations__)
    for name in terms:
        choose(known, name, what="term of a comparison")
    level, resamples = terms.get("significance_level", 0.05), terms.get("resamples", 0)
    if isinstance(level, bool) or not isinstance(level, int | float):
        raise BadInput(f"The significance level is {shown(level)}. Give a number between 0 and 1.")
    for name in ("correction", "tests"):
        given_word(terms.get(name), name)
    for name in ("resamples", "seed", "family_size"):
        if terms.get(name) is not None:
            given_whole(terms[name], name.replace("_", " "))  # type: ignore[literal-required]
    if not 0 < level < 1 or resamples < 0:
        raise BadInput(
            f"A significance level lies between 0 and 1 and resamples are 0 or more; found {level:g} and "
            f"{resamples}."
        )


def _resampling(terms: ComparisonTerms) -> Resampling | None:
    n = terms.get("resamples", Resampling.n)
    return Resampling(n, terms.get("seed", 0)) if n else None


def _margins(
    margins: Mapping[str, str | float | Margin], measures: Sequence[str], asked: Mapping[str, str]
) -> dict[str, Margin]:
    computed = dict(asked) | {name: name for name in measures}
    return {
        choose(computed, name, what="measure in `margin`"): as_margin(written)
        for name, written in by_name(margins, what="margins").items()
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
    copies = [name for name, runs in systems.items() if _are_copies(runs)]
    if copies:
        yield f"{_listed(copies)}: runs with the same values for every query count as one run"


def _are_copies(runs: Sequence[EvaluatedRun]) -> bool:
    """Whether several runs measure the same for every query."""
    return len(runs) > 1 and all(run.measured.values == runs[0].measured.values for run in runs)


OF_THESE_RUNS = (
    "verdicts are of these runs, not of the methods: with another training seed the order may be another "
    "(docs/verdicts.md says how often)"
)
"""The caveat on verdicts about methods that were trained once."""


def one_run_each(systems: Sequence[str]) -> str:
    """The systems that have one run each, in words."""
    return f"{_listed(systems)}: one run each"


def two_seeds_each(systems: Sequence[str]) -> str:
    """The systems that have two seeds each, in words, and what two seeds cannot show."""
    return (
        f"{_listed(systems)}: two seeds a system, so nothing tells whether one system's seeds spread more than the "
        "others'; docs/verdicts.md says what that costs"
    )


def _listed(systems: Sequence[str]) -> str:
    """The names; where there are many, the first few and a count."""
    more = len(systems) - NAMED_SYSTEMS
    return ", ".join(systems[:NAMED_SYSTEMS]) + (f" and {more} more" if more > 0 else "")
