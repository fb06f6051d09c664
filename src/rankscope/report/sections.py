"""Stored results to plain section data: numbers, rows, captions; no HTML.

Nothing is tested or averaged here: every number was stored by an earlier step, and a section only
chooses, orders and words. What is said query by query stands in `queries`,
and what is said of the steps and of training in `steps`.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from math import inf, isfinite
from string import ascii_lowercase
from typing import Any

from rankscope.core.errors import choose
from rankscope.report import cautions
from rankscope.report.section import Section


@dataclass(frozen=True)
class StoredResults:
    """All that a report shows, as the steps of a study left it."""

    study: str
    study_file: str
    seed: int | None
    """None where nothing was drawn by a study."""
    steps: Sequence[Mapping[str, Any]]
    versions: Mapping[str, str]
    evaluation: Mapping[str, Any]
    per_query: Mapping[str, Mapping[str, Mapping[str, float]]]
    """Run path, measure and query_id to value; of several seeds the first's path, and their mean."""
    training: Mapping[str, Sequence[Mapping[str, float]]]
    """Ranker to log rows: those with a loss, and those with a validation value."""
    queries: Mapping[str, Mapping[str, str]]
    """Collection and query_id to text."""
    rankings: Callable[[str, str, int], Sequence[Mapping[str, Any]]]
    """(run path, query_id, depth) to docs, best first; relevance None means not judged."""
    sections: Sequence[Section] = ()
    """What analyses add, in the order of the page."""


@dataclass(frozen=True)
class Mark:
    """How a verdict is shown: never by colour alone."""

    symbol: str
    tex: str
    word: str


VERDICTS: Mapping[str, Mark] = {
    "better": Mark("▲", r"\uparrow", "better"),
    "worse": Mark("▼", r"\downarrow", "worse"),
    "equivalent": Mark("≈", r"\approx", "equivalent"),
    "cannot tell": Mark("?", "?", "cannot tell"),
}

SOUND_TESTS = "Two-sided paired tests (t and Hall's transformation of it, the larger p-value)"
AS_PUBLISHED_TESTS = "Two-sided paired t-tests"
SEEDS_COUNT = (
    "The seeds' spread is part of the error: pooled over all trained systems; between two of one lineage, that of "
    "their differences seed by seed."
)
NO_INTERVAL = "no interval"
WITHOUT_MARGIN = ", and how many queries are needed has no answer: state one"

NUMBER = re.compile(r"[<+\u2212-]?\d")
CORRECTIONS = {
    "holm": "Holm-corrected",
    "benjamini_hochberg": "Benjamini-Hochberg-corrected",
    "bonferroni": "Bonferroni-corrected",
    "none": "not corrected",
}


@dataclass(frozen=True)
class Group:
    """What is compared with one another: the systems over one collection and first stage."""

    collection: str
    first_stage: str


@dataclass(frozen=True)
class Compared:
    """A stored comparison, system minus baseline, with its verdict."""

    group: Group
    measure: str
    system: str
    baseline: str
    n_queries: int
    difference: float
    interval: tuple[float, float]
    """Infinite where the sample gives none."""
    effect_size: float | None
    p_value: float
    corrected_p: float
    margin: float | None
    equivalence_p: float | None
    corrected_equivalence_p: float | None
    smallest_detectable: float | None
    span: float | None
    """The largest difference the measure allows; None without bounds."""
    verdict: str
    effect_interval: tuple[float, float] | None = None
    bootstrap_interval: tuple[float, float] | None = None
    wilcoxon_p: float | None = None
    randomisation_p: float | None = None
    queries_needed: int | None = None
    n_seeds: tuple[int, int] = (1, 1)
    """Training seeds of the system and of the baseline."""
    corrected_beyond_margin_p: float | None = None
    """That the difference is larger than the margin, in the direction observed; None where not tested."""
    fragility: int | None = None
    """How many queries carry the verdict; None where none were counted."""
    carried: str = ""
    """The same in words."""
    unseen: str = ""
    """A sentence on queries outside the sample, where nearly all in it have one difference."""

    @property
    def mark(self) -> Mark:
        """The verdict's symbol and word."""
        return choose(VERDICTS, self.verdict, what="verdict")

    @property
    def ends(self) -> str:
        """Both ends of the interval, as they are written."""
        return between(self.interval)


@dataclass(frozen=True)
class Finding:
    """A verdict as one sentence."""

    mark: Mark
    sentence: str


@dataclass(frozen=True)
class Headline:
    """The findings of one group, and how many came out how."""

    group: Group
    tally: str
    findings: tuple[Finding, ...]


@dataclass(frozen=True)
class SeedMean:
    """One seed's mean, and the run it was measured on."""

    name: str
    mean: float
    run: str


@dataclass(frozen=True)
class MeanCell:
    """A mean, the run it was measured on, and the verdicts against the baselines."""

    mean: float
    is_best: bool
    run: str
    verdicts: tuple[Compared, ...]
    beats: str = ""
    """The letters of the systems it is better than, where all pairs were compared."""
    seeds: tuple[SeedMean, ...] = ()
    """Of several seeds each one's, whose mean the mean is."""
    seed_sd: float | None = None
    """The standard deviation of the seeds' means."""


@dataclass(frozen=True)
class MeansRow:
    """One system; a cell per group and measure, None where it was not measured."""

    system: str
    cells: tuple[MeanCell | None, ...]
    letter: str = ""
    """What the system is called in other systems' cells, where all pairs were compared."""


@dataclass(frozen=True)
class Means:
    """The table of measures: systems down, measures across, grouped."""

    groups: tuple[tuple[Group, str], ...]
    """Each group with its number of queries, in words."""
    measures: tuple[str, ...]
    baselines: tuple[str, ...]
    rows: tuple[MeansRow, ...]
    notes: tuple[str, ...]
    caption: str
    seeds: str = ""
    """Which means are over how many seeds, in words; empty where none is."""


@dataclass(frozen=True)
class Forest:
    """Differences with their intervals, for one measure in one group."""

    group: Group
    measure: str
    margin: float | None
    rows: tuple[Compared, ...]
    interval: str
    """What the intervals are."""


def groups(results: StoredResults) -> list[Group]:
    """Every collection with a first stage, in the order of the results."""
    found = (Group(row["collection"], row["first_stage"]) for row in results.evaluation["results"])
    return list(dict.fromkeys(found))


def place(group: Group, results: StoredResults) -> str:
    """A group in words; the first stage is named where there is more than one."""
    if len({each.first_stage for each in groups(results)}) == 1:
        return group.collection
    return f"{group.collection} from {group.first_stage}"


def comparisons(results: StoredResults) -> list[Compared]:
    """Every stored comparison, in the stored order."""
    return [_compared(row) for row in results.evaluation["comparisons"]]


def _compared(row: Mapping[str, Any]) -> Compared:
    plain = {key: row[key] for key in Compared.__dataclass_fields__ if key in row}
    low, high = row["interval"]
    return Compared(
        **plain
        | {
            "group": Group(row["collection"], row["first_stage"]),
            "interval": (-inf if low is None else low, inf if high is None else high),
            "n_seeds": tuple(row.get("n_seeds", (1, 1))),
            "carried": cautions.carried(row),
            "unseen": cautions.unseen(row),
        }
    )


def main_baselines(system: str, group: Group, results: StoredResults) -> list[str]:
    """What a system is held against first: its first stage, then the last baseline of the study.

    A first stage that is a baseline itself is not turned round to be compared again.
    """
    baselines = list(results.evaluation["baselines"])
    if system == group.first_stage and system in baselines:
        return []
    systems = {row["system"] for row in results.evaluation["results"]}
    chosen = dict.fromkeys([group.first_stage, *baselines[-1:]])
    return [baseline for baseline in chosen if baseline in systems - {system}]


def headlines(results: StoredResults) -> list[Headline]:
    """For each group a sentence per main comparison on the first measure, in the stored order."""
    found = []
    for group in groups(results):
        rows = [row for row in comparisons(results) if _is_main(row, group, results)]
        if rows:
            findings = tuple(Finding(row.mark, _sentence(row, results)) for row in rows)
            found.append(Headline(group, _tally(rows), findings))
    return found


def _is_main(row: Compared, group: Group, results: StoredResults) -> bool:
    return (row.group, row.measure) == (
        group,
        results.evaluation["measures"][0],
    ) and row.baseline in main_baselines(row.system, group, results)


def tally(results: StoredResults) -> str:
    """How many comparisons came out how, all measures together."""
    rows = comparisons(results)
    return f"All {len(rows)} comparisons, every measure and baseline: {_tally(rows)}."


def _tally(rows: Iterable[Compared]) -> str:
    counts = Counter(row.verdict for row in rows)
    return ", ".join(f"{counts[word]} {word}" for word in VERDICTS)


def _sentence(row: Compared, results: StoredResults) -> str:
    n_tests = family_size(results)
    where = place(row.group, results)
    numbers = (
        f"{row.measure} {signed(row.difference)}, {with_ends(interval(results), row.interval)}"
    )
    if row.n_seeds != (1, 1):
        numbers += f", {seeds_against(row)}"
    unseen = f" {row.unseen}" if row.unseen else ""
    if row.verdict == "cannot tell":
        return (
            f"We cannot tell {row.system} from {row.baseline} on {where} ({numbers}).{unseen}"
            f"{_could_have_shown(row, n_tests)}"
        )
    carried = f"; {row.carried}" if row.carried else ""
    if row.verdict == "equivalent":
        margin = "" if row.margin is None else f", margin ±{row.margin:g}"
        return f"{row.system} is equivalent to {row.baseline} on {where} ({numbers}{margin}){carried}.{unseen}"
    return f"{row.system} is {row.verdict} than {row.baseline} on {where} ({numbers}){carried}.{unseen}"


def interval_name(level: float, correction: str) -> str:
    """What an interval that stands beside verdicts is: of one comparison alone, though verdicts are of a family."""
    name = f"{100 * (1 - level):g}\u00a0% interval"
    return name if correction == "none" else f"uncorrected {name}"


UNCORRECTED = interval_name(0.05, "holm").replace("\u00a0", " ")
"""Of intervals beside the verdicts on layers, neurons and heads, in tables."""


def interval(results: StoredResults) -> str:
    """What the intervals of a study's comparisons are."""
    evaluation = results.evaluation
    return interval_name(evaluation["significance_level"], evaluation["correction"])


def seeds_against(row: Compared) -> str:
    """How many seeds stand against how many: 3 seeds against 1."""
    system, baseline = row.n_seeds
    return f"{n_seeds(system)} against {baseline}"


def n_seeds(count: int) -> str:
    """A number of seeds in words."""
    return "1 seed" if count == 1 else f"{count} seeds"


def has_seeds(results: StoredResults) -> bool:
    """Whether any system was measured with several seeds."""
    return any("runs" in row for row in results.evaluation["results"])


def family_size(results: StoredResults) -> int:
    """For how many comparisons p-values are corrected; 1 where they are not."""
    evaluation = results.evaluation
    made = len(evaluation["comparisons"])
    return 1 if evaluation["correction"] == "none" else evaluation.get("family_size", made)


def _could_have_shown(row: Compared, n_tests: int) -> str:
    if row.smallest_detectable is None:
        return ""
    among = "" if n_tests == 1 else f", as one of {n_tests} comparisons,"
    if cautions.is_beyond(row.smallest_detectable, row.span):
        return (
            f" No difference that {row.measure} allows is shown by these {row.n_queries} queries{among} in "
            "80\u00a0% of cases."
        )
    shown = (
        f" The smallest difference these {row.n_queries} queries show{among} in 80\u00a0% of cases is "
        f"{row.smallest_detectable:.3f}"
    )
    if row.queries_needed is None:
        return f"{shown}."
    return f"{shown}; one as large as the margin would need {row.queries_needed:,} queries."


def means(results: StoredResults) -> Means:
    """The table of measures, with every system in the order of the results."""
    found = {
        (Group(row["collection"], row["first_stage"]), row["system"]): row
        for row in results.evaluation["results"]
    }
    columns = [
        (group, measure) for group in groups(results) for measure in results.evaluation["measures"]
    ]
    systems = list(dict.fromkeys(row["system"] for row in results.evaluation["results"]))
    best = {column: _best(column, found) for column in columns}
    verdicts = comparisons(results)
    is_all_pairs = results.evaluation.get("all_pairs", False)
    named = dict(zip(systems, letters(), strict=False)) if is_all_pairs else {}

    def cell(system: str, column: tuple[Group, str]) -> MeanCell | None:
        group, measure = column
        row = found.get((group, system))
        if row is None or measure not in row["means"]:
            return None
        mean = row["means"][measure]
        here = [each for each in verdicts if (each.group, each.measure) == (group, measure)]
        against = tuple(each for each in here if each.system == system) if not named else ()
        beaten = {
            each.baseline if each.verdict == "better" else each.system
            for each in here
            if (each.system if each.verdict == "better" else each.baseline) == system
            and each.verdict in ("better", "worse")
        }
        beats = "".join(of for name, of in named.items() if name in beaten)
        seeds = tuple(
            SeedMean(of["name"], of["means"][measure], of["run"]) for of in row.get("runs", ())
        )
        sd = row.get("seed_sd", {}).get(measure)
        is_best = _shown(mean) == best[column]
        return MeanCell(mean, is_best, row["run"], against, beats, seeds, sd)

    return Means(
        groups=tuple((group, _n_queries(group, found)) for group in groups(results)),
        measures=tuple(results.evaluation["measures"]),
        baselines=tuple(results.evaluation["baselines"]),
        rows=tuple(
            MeansRow(
                system,
                tuple(cell(system, column) for column in columns),
                named.get(system, ""),
            )
            for system in systems
        ),
        notes=tuple(_notes(results)),
        caption=caption(results),
        seeds=_seeds(results),
    )


def _seeds(results: StoredResults) -> str:
    by_count: dict[int, dict[str, None]] = {}
    for row in results.evaluation["results"]:
        if "runs" in row:
            by_count.setdefault(len(row["runs"]), {})[row["system"]] = None
    if not by_count:
        return ""
    of = "; ".join(f"{n_seeds(n)} of {', '.join(systems)}" for n, systems in by_count.items())
    over = n_seeds(next(iter(by_count))) if len(by_count) == 1 else f"seeds ({of})"
    return f"Means with ± are over {over}; ± is the standard deviation of the seeds' means."


Found = Mapping[tuple[Group, str], Mapping[str, Any]]


def _best(column: tuple[Group, str], found: Found) -> float | None:
    """The highest mean as shown: what looks equal on the page is marked equally."""
    group, measure = column
    shown = [
        _shown(row["means"][measure])
        for (of, _), row in found.items()
        if of == group and measure in row["means"]
    ]
    return max(shown, default=None)


def _shown(mean: float) -> float:
    return round(mean, 3)


def _n_queries(group: Group, found: Found) -> str:
    counts = sorted({row["n_queries"] for (of, _), row in found.items() if of == group})
    if len(counts) == 1:
        return _n(counts[0])
    return f"{counts[0]} to {counts[-1]} queries"


def _n(queries: int) -> str:
    return "1 query" if queries == 1 else f"{queries} queries"


def _notes(results: StoredResults) -> Iterable[str]:
    for row in results.evaluation["results"]:
        where = place(Group(row["collection"], row["first_stage"]), results)
        for run in row.get("runs", [row]):
            name, missing = run.get("name", row["system"]), run["missing_queries"]
            if missing:
                named = ", ".join(missing[:5]) + (", …" if len(missing) > 5 else "")
                yield f"{name} on {where}: no ranking for {_n(len(missing))} ({named})."
            if run["tied_share"]:
                share = _share(run["tied_share"])
                yield (
                    f"{name} on {where}: {share} of neighbours in its rankings had equal scores "
                    "before the run was written; the stored run orders them as trec_eval does."
                )


def _share(share: float) -> str:
    return "under 0.1\u00a0%" if share < 0.001 else f"{100 * share:.1f}\u00a0%"


def caption(results: StoredResults) -> str:
    """The test, its correction, level and margin, in words."""
    evaluation = results.evaluation
    if not evaluation["comparisons"]:
        return "Nothing was compared."
    correction = evaluation["correction"]
    corrected = CORRECTIONS.get(correction, f"corrected by {correction}")
    over = corrected
    if correction != "none":
        over = f"{corrected} over all {family_size(results)} comparisons"
    seeds = f" {SEEDS_COUNT}" if has_seeds(results) else ""
    is_sound = evaluation.get("tests") != "as_published"
    return (
        f"{SOUND_TESTS if is_sound else AS_PUBLISHED_TESTS} over queries, {over}, "
        f"level {evaluation['significance_level']:g}.{seeds} {_margins(evaluation)} "
        "“Cannot tell” is not “equal”: neither a difference nor its absence was shown."
    )


def _margins(evaluation: Mapping[str, Any]) -> str:
    margins = evaluation["margin"]
    if evaluation.get("tests") == "as_published":
        return "Study B has no margin, so nothing could be shown equivalent."
    if not margins:
        return f"No margin was stated, so nothing could be shown equivalent{WITHOUT_MARGIN}."
    stated = ", ".join(f"{measure} ±{_margin(margin)}" for measure, margin in margins.items())
    without = [measure for measure in evaluation["measures"] if measure not in margins]
    rest = f" {', '.join(without)}: no margin, so never equivalent." if without else ""
    return (
        "Equivalent: two such one-sided tests, corrected together with the others, show a difference smaller than "
        f"the margin ({stated}).{rest}"
    )


def _margin(margin: float | str) -> str:
    return f"{margin} of the baseline's mean" if isinstance(margin, str) else f"{margin:g}"


def forests(results: StoredResults) -> list[Forest]:
    """The comparisons that have an interval, by measure, the headline measure first, and by group."""
    rows = comparisons(results)
    found = []
    for measure in results.evaluation["measures"]:
        for group in groups(results):
            here = (row for row in rows if (row.measure, row.group) == (measure, group))
            chosen = tuple(row for row in here if all(map(isfinite, row.interval)))
            if chosen:
                margins = {row.margin for row in chosen}
                margin = margins.pop() if len(margins) == 1 else None  # relative ones differ
                found.append(Forest(group, measure, margin, chosen, interval(results)))
    return found


def unseen(results: StoredResults) -> list[str]:
    """A sentence for each comparison in which nearly all queries have one difference."""
    return [
        f"{row.measure} on {place(row.group, results)}, {row.system} \u2212 {row.baseline}: {row.unseen}"
        for row in comparisons(results)
        if row.unseen
    ]


def letters() -> Iterable[str]:
    """Names for systems and baselines in tables: a to z, then aa, ab and on."""
    yield from ascii_lowercase
    yield from ("".join(pair) for pair in product(ascii_lowercase, repeat=2))


def signed(number: float, digits: int = 3) -> str:
    """A difference as it is written: with its sign, and a true minus; no sign for zero."""
    text = f"{number:+.{digits}f}"
    if float(text) == 0:
        return text[1:]
    return text.replace("-", "\u2212")


def between(interval: Sequence[float | None], digits: int = 3) -> str:
    """Both ends of an interval as they are written; where there is none, that."""
    low, high = interval
    if low is None or high is None or not isfinite(high - low):
        return NO_INTERVAL
    return f"{signed(low, digits)} to {signed(high, digits)}"


def with_ends(name: str, interval: Sequence[float | None]) -> str:
    """What an interval is, and its ends; where there is none, that."""
    ends = between(interval)
    return ends if ends == NO_INTERVAL else f"{name} {ends}"


def has_numbers(rows: Sequence[Sequence[str]], column: int) -> bool:
    """Whether any row of a table has a number in a column: such columns end in one line, words begin in one."""
    return any(NUMBER.match(row[column]) for row in rows)


def p_text(p_value: float | None) -> str:
    """A p-value as it is written; a dash where nothing was tested."""
    if p_value is None:
        return "\u2013"
    return "<0.001" if p_value < 0.001 else f"{p_value:.3f}"


def clipped(text: str, length: int) -> str:
    """The text on one line, cut at a word where it is too long."""
    line = " ".join(text.split())
    if len(line) <= length:
        return line
    return line[: length - 1].rsplit(" ", 1)[0] + " …"
