"""Progress and tables on a terminal; plain lines where the output is none.

What is shown is a `Text` or was made visible: a user's `bm25[k1=0.9]` is no markup, an escape code is none.
"""

import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bars
from rich.table import Table
from rich.text import Text

from rankscope.core.progress import Progress, Task
from rankscope.core.visible import visible, visible_lines
from rankscope.report.tables.columns import Terms, ascii_p, on_terminal
from rankscope.report.wording import cautions
from rankscope.report.wording.verdicts import (
    AS_PUBLISHED_TESTS,
    CORRECTIONS,
    SOUND_TESTS,
    WITHOUT_MARGIN,
    marked,
)

if TYPE_CHECKING:
    from rankscope.evaluate.comparing import Compared
    from rankscope.evaluate.evaluation import Evaluation
    from rankscope.evaluate.reproduction import PublishedNumber
    from rankscope.report.summary import Summary
    from rankscope.study.doctor import Diagnosis
    from rankscope.verbs.reproduce import Reproduced

SECONDS_BETWEEN_LINES = 10.0
LINES_OF_UNSEEN = 8
"""So many comparisons are told of one by one."""


def progress() -> Progress:
    """What suits standard error: bars on a terminal, lines in a file."""
    console = Console(stderr=True)
    return _OnTerminal(console) if console.is_terminal else _InLines()


class _OnTerminal:
    """Rich bars: done of all, rate, facts such as the loss, time left."""

    def __init__(self, console: Console) -> None:
        self._console = console

    @contextmanager
    def task(self, label: str, total: int, unit: str, *, done: int = 0) -> Iterator[Task]:
        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[facts]}", markup=False),
            TimeRemainingColumn(),
        )
        with Bars(*columns, console=self._console, transient=True) as bars:
            row = bars.add_task(visible(label), total=total, completed=done, facts="")
            yield _Counting(unit, lambda n, facts: bars.update(row, advance=n, facts=facts))

    def note(self, text: str) -> None:
        self._console.print(Text(visible_lines(text)))


class _InLines:
    """A line now and then."""

    @contextmanager
    def task(self, label: str, total: int, unit: str, *, done: int = 0) -> Iterator[Task]:
        last = time.monotonic()

        def show(n: int, facts: str) -> None:
            nonlocal done, last
            done += n
            if time.monotonic() - last >= SECONDS_BETWEEN_LINES:
                last = time.monotonic()
                self.note(f"{visible(label)}: {done}/{total} {unit}, {facts}")

        yield _Counting(unit, show)

    def note(self, text: str) -> None:
        sys.stderr.write(visible_lines(text) + "\n")
        sys.stderr.flush()


class _Counting:
    """Counts units, and words the rate and the facts."""

    def __init__(self, unit: str, show: Any) -> None:
        self._unit, self._show = unit, show
        self._n, self._started = 0, time.monotonic()

    def advance(self, n: int = 1, **facts: float) -> None:
        self._n += n
        rate = self._n / max(time.monotonic() - self._started, 1e-9)
        words = [f"{name} {value:.4f}" for name, value in facts.items()]
        shown = f"{rate:.1f}" if rate >= 1 else f"{rate:.2g}"
        self._show(n, ", ".join([f"{shown} {self._unit}/s", *words]))


def show_table(
    title: str,
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    text: bool = False,
    n_names: int = 0,
) -> None:
    """A table on standard output: drawn on a terminal, tab-separated elsewhere; of numbers or of text.

    Where its first `n_names` columns name its rows, a table too wide for the terminal is drawn as several
    below each other, each with these columns, and no number is cut.
    """
    columns = [visible(column) for column in columns]
    rows = [[visible(cell) for cell in row] for row in rows]
    console = Console()
    if not console.is_terminal:
        for row in (columns, *rows):
            sys.stdout.write("\t".join(row) + "\n")
        return
    widths = _widths(columns, rows) if n_names else [0] * len(columns)
    for chosen in _parts(widths, n_names, console.width):
        table = Table(title=Text(visible(title)), title_justify="left", header_style="bold")
        for at in chosen:
            justify: Literal["left", "right"] = "left" if text or at == 0 else "right"
            table.add_column(Text(columns[at]), justify=justify, min_width=widths[at])
        for row in rows:
            table.add_row(*(Text(row[at]) for at in chosen))
        console.print(table)


def _widths(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> list[int]:
    """Of each column so that no cell and no word of its head is cut."""
    return [
        max(len(text) for text in (*column.split(), *(row[at] for row in rows)))
        for at, column in enumerate(columns)
    ]


def _parts(widths: Sequence[int], n_names: int, width: int) -> list[list[int]]:
    """The columns of each table, so that each fits into the width where one column beside the names can."""
    names = list(range(n_names))
    parts = [names.copy()]
    for at in range(n_names, len(widths)):
        needed = 1 + sum(widths[column] + 3 for column in (*parts[-1], at))  # a rule, two spaces
        if needed > width and len(parts[-1]) > n_names:
            parts.append(names.copy())
        parts[-1].append(at)
    return parts


def diagnosis_rows(found: "Diagnosis") -> tuple[list[str], list[list[str]]]:
    """Columns and rows of what guards saw: what would stop a training first."""
    fired = [*found.fired("stop"), *found.fired("warn")]
    rows = [[seen.ranker, seen.guard, seen.level, str(seen.finding)] for seen in fired]
    return ["ranker", "guard", "level", "what it saw"], rows


def results_rows(summary: "Summary") -> tuple[list[str], list[list[str]]]:
    """Columns and rows of a study's outcome: a row per system, means (± over seeds) and verdicts."""
    has_seeds = any(result.runs for result in summary.results)
    measures = summary.measures
    baselines = list(dict.fromkeys(row.baseline for row in summary.comparisons))
    verdicts = {
        (row.place, row.system, row.baseline): row.judged.verdict
        for row in summary.comparisons
        if row.measure == measures[0]
    }
    rows = []
    for result in summary.results:
        of_baselines = [verdicts.get((result.place, result.system, base)) for base in baselines]
        marks = [marked(verdict) if verdict else "-" for verdict in of_baselines]
        spread = result.seed_sd
        means = [
            f"{result.means[measure]:.4f}" + (f" ± {spread[measure]:.4f}" if spread else "")
            for measure in measures
        ]
        seeds = [str(len(result.seeds))] if has_seeds else []
        where = f"{result.place.collection} / {result.place.first_stage}"
        rows.append([result.system, where, *seeds, *means, *marks])
    heads = [f"against {base}" for base in baselines]
    seeds = ["seeds"] if has_seeds else []
    return ["system", "collection / first stage", *seeds, *measures, *heads], rows


# -- run files -------------------------------------------------------------------------------------


def means_rows(
    found: "Evaluation", *, per_query: bool = False, digits: int | None = 4
) -> tuple[list[str], list[list[str]]]:
    """A row for each run (and query); digits None gives full precision."""

    def shown(value: float) -> str:
        return repr(value) if digits is None else f"{value:.{digits}f}"

    rows = []
    for run in found.runs:
        values, means = run.measured.values, run.measured.means()
        if per_query:
            rows += [
                [
                    run.tag,
                    query_id,
                    *(shown(values[measure][query_id]) for measure in found.measures),
                ]
                for query_id in next(iter(values.values()), {})
            ]
        rows.append(
            [run.tag, *(["all"] if per_query else []), *(shown(means[m]) for m in found.measures)]
        )
    return ["run", *(["query"] if per_query else []), *found.measures], rows


def systems_rows(found: "Compared") -> tuple[list[str], list[list[str]]]:
    """A row for each system: means, and the letters of the systems it is better than."""
    from rankscope.evaluate.comparing import letter

    measured = found.evaluation
    letters = {measure: found.letters(measure) for measure in measured.measures}
    rows = []
    for place, (name, means) in enumerate(measured.means().items()):
        cells = [
            f"{means[measure]:.4f} {letters[measure][name]}".rstrip()
            for measure in measured.measures
        ]
        rows.append([letter(place), name, *cells])
    return ["", "system", *measured.measures], rows


def comparison_rows(found: "Compared") -> tuple[list[str], list[list[str]]]:
    """A row for each comparison."""
    return on_terminal(
        [row.record() for row in found.rows], Terms(found.significance_level, found.correction)
    )


def caption(found: "Compared") -> str:
    """What the tables' numbers are, in words."""
    margins = {str(row.judged.comparison.margin) for row in found.rows} - {"None"}
    corrected = CORRECTIONS[found.correction]
    stated = (
        f"equivalent: TOST against the margin ({', '.join(sorted(margins))}), corrected together with them"
        if margins
        else f"no margin was stated, so nothing can be shown equivalent{WITHOUT_MARGIN}"
    )
    alone = (
        "" if found.correction == "none" else " Intervals are of one comparison alone, uncorrected."
    )
    is_sound = found.tests == "sound"
    needed = " Queries needed: to show one as large as the margin." if margins else ""
    return (
        f"Letters: better than these. {SOUND_TESTS if is_sound else AS_PUBLISHED_TESTS}, {corrected}, "
        f"{found.family_size} {'comparison' if found.family_size == 1 else 'comparisons'}, level {found.significance_level:g}; {stated}.{alone}\n"
        f"{f'{cautions.FRAGILITY} ' if is_sound else ''}Detectable: the true difference shown in 80 % of cases at "
        f"the level left for one comparison.{needed} “Cannot tell” is not “equal”."
    )


def unseen(found: "Compared") -> list[str]:
    """A line for each comparison in which nearly all queries have one difference; of many, the first."""
    told = [
        f"{row.measure}, {row.system} - {row.baseline}: {sentence}".replace("\u00a0", " ")
        for row in found.rows
        if (sentence := cautions.unseen(row.record().judged))
    ]
    if len(told) <= LINES_OF_UNSEEN:
        return told
    more = f"{len(told) - LINES_OF_UNSEEN} more like these: --json has their numbers."
    return [*told[:LINES_OF_UNSEEN], more]


def reproduction_rows(found: "Reproduced") -> tuple[list[str], list[list[str]]]:
    """What agrees with the original and the published means, and how far."""
    rows = []
    if found.order is not None:
        order = found.order
        rows += [
            [
                f"Kendall's tau, top {order.depth}",
                f"{order.kendall_tau:.4f}",
                "1 is the same order",
            ],
            ["Kendall's tau union", f"{order.kendall_tau_union:.4f}", "as repro_eval computes it"],
            ["rank-biased overlap", f"{order.rank_biased_overlap:.4f}", "1 is the same order"],
            ["docs in common", f"{order.overlap:.4f}", f"{order.n_queries} queries"],
        ]
    for name, of in found.values.items():
        means = f"{of.mean:.4f} against {of.original_mean:.4f}, p {ascii_p(of.p_value)}"
        rows.append([f"{name}: root mean square error", f"{of.root_mean_square_error:.4f}", means])
    for name, effect in found.effects.items():
        relative = f"delta relative improvement {effect.delta_relative_improvement:+.4f}"
        rows.append([f"{name}: effect ratio", f"{effect.effect_ratio:.4f}", relative])
    for name, number in found.published.items():
        rows += _published_rows(name, number)
    return ["what", "value", "meaning"], rows


def _published_rows(name: str, number: "PublishedNumber") -> list[list[str]]:
    digits = max(4, len(number.written.partition(".")[2]) + 1)
    ours = f"ours is {number.mean:.{digits}f} on the same queries"
    same = "the same to the published digits" if number.is_same else "not reproduced"
    rounding = f"rounding explains up to {number.half_unit:g}"
    beside = (
        ""
        if number.times_margin is None
        else f"; {number.times_margin:.1f} times the margin {number.margin:g}"
    )
    rows = [
        [f"{name}: published", number.written, f"{same}: {ours}"],
        [f"{name}: difference", f"{number.difference:+.{digits}f}", f"{rounding}{beside}"],
    ]
    if number.seeds is not None:
        means = number.seeds.means
        for of, (low, high), told in (
            (
                f"mean of {len(means)} seeds",
                number.seeds.interval,
                f"95 % interval; the seeds' means go from {min(means):.4f} to {max(means):.4f}",
            ),
            (
                "one more seed",
                number.seeds.one_run_interval,
                "95 % prediction interval, for a published mean of one run",
            ),
        ):
            inside = "inside" if number.is_inside((low, high)) else "outside"
            rows.append(
                [f"{name}: {of}", f"{low:.4f} to {high:.4f}", f"published is {inside}: {told}"]
            )
    return rows


def teacher_rows(found: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """What is worth knowing of a teacher: a row for each number, under the name of its group."""
    rows = []
    for key, value in found.items():
        if not isinstance(value, Mapping):
            rows.append([_plain_name(key), _plain_value(value)])
        elif not value:
            rows.append([_plain_name(key), "none"])
        else:
            rows += [
                [f"{_plain_name(key)}: {_plain_name(str(name))}", _plain_value(each)]
                for name, each in value.items()
            ]
    return ["what", "value"], rows


def _plain_name(key: str) -> str:
    return key.removeprefix("n_").replace("_", " ")


def _plain_value(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4f}"
    if isinstance(value, list | tuple):
        return ", ".join(_plain_value(each) for each in value)
    return "-" if value is None else str(value)
