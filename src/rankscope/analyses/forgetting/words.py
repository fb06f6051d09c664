"""The forgetting matrix as rows, cells and sentences: the gains and losses of each stage on every collection."""

from collections.abc import Iterator, Sequence
from typing import Any

from rankscope.analyses.forgetting.matrix import Matrix, MatrixCell, ReferenceMean
from rankscope.core.judged.plain import as_plain
from rankscope.report.wording import cautions
from rankscope.report.wording.numbers import between, signed, with_ends
from rankscope.report.wording.verdicts import VERDICTS, interval_name

COLUMNS = (
    "system", "baseline", "collection", "first_stage", "is_tuned_from", "is_taught", "is_taught_last", "system_mean", "baseline_mean",
    "difference", "low", "high", "intervals", "corrected_p", "corrected_equivalence_p", "smallest_detectable",
    "n_queries", "verdict", "fragility",
)  # fmt: skip

REFERENCE = "mean itself"
"""The label, in place of a verdict, of a system without a baseline."""


def place(cell: MatrixCell | ReferenceMean, matrix: Matrix) -> str:
    """The column of a cell; it names the first stage where there are several."""
    if len({other.place.first_stage for other in matrix.cells}) == 1:
        return cell.place.collection
    return f"{cell.place.collection} from {cell.place.first_stage}"


def interval(matrix: Matrix) -> str:
    """The name of the cells' intervals."""
    return interval_name(matrix.significance_level, matrix.correction)


def _row(cell: MatrixCell) -> str:
    return f"{cell.system} \u2212 {cell.baseline}"


def cells(matrix: Matrix) -> list[dict[str, Any]]:
    """Every cell as it is drawn: row, column, text and verdict; the references come first."""
    references = [
        {
            "ranker": row.system,
            "collection": place(row, matrix),
            "shown": f"{row.mean:.3f}",
            "verdict": REFERENCE,
            "mean": row.mean,
        }
        for row in matrix.references
    ]
    return references + [
        {
            "ranker": _row(cell),
            "collection": place(cell, matrix),
            "shown": _shown(cell),
            "verdict": cell.judged.verdict.value,
            "difference": cell.judged.difference,
            "interval": between(cell.judged.interval),
            "mean": cell.judged.system_mean,
            "before": cell.judged.baseline_mean,
            "corrected p": cell.judged.corrected_p,
            "fragility": cautions.figure(cell.judged.fragility),
            "taught": _taught(cell),
        }
        for cell in matrix.cells
    ]


def _taught(cell: MatrixCell) -> str:
    if not cell.is_tuned_from:
        return "of another line"
    return "learnt before" if cell.is_taught else "not learnt before"


def _shown(cell: MatrixCell) -> str:
    return f"{signed(cell.judged.difference)} {VERDICTS[cell.judged.verdict].symbol}"


def table(matrix: Matrix) -> tuple[list[str], list[list[str]]]:
    """Columns and rows: rankers down, collections across; the difference and the verdict's mark."""
    columns = list(dict.fromkeys(place(cell, matrix) for cell in matrix.cells))
    shown = {(cell["ranker"], cell["collection"]): cell["shown"] for cell in cells(matrix)}
    rows = list(dict.fromkeys(row for row, _ in shown))
    return ["ranker", *columns], [
        [row, *(shown.get((row, column), "\u2013") for column in columns)] for row in rows
    ]


def full_rows(matrix: Matrix) -> tuple[list[str], list[list[str]]]:
    """Columns and rows of every cell, for a file."""
    common = {"intervals": interval(matrix).replace("\u00a0", " ")}
    stored = [as_plain(cell) for cell in matrix.cells]
    rows = [
        {**cell, **common, "low": cell["interval"][0], "high": cell["interval"][1]}
        for cell in stored
    ]
    return list(COLUMNS), [
        ["" if row.get(name) is None else str(row[name]) for name in COLUMNS] for row in rows
    ]


def sentences(matrix: Matrix) -> list[str]:
    """The conclusions, a sentence each; only a system that was tuned from its baseline can lose or gain."""
    tuned = [cell for cell in matrix.cells if cell.is_tuned_from]
    other = [cell for cell in matrix.cells if not cell.is_tuned_from]
    return [*(_stage_sentences(tuned, matrix) if tuned else ()), *_other_sentences(other, matrix)]


def _stage_sentences(cells: Sequence[MatrixCell], matrix: Matrix) -> Iterator[str]:
    lost = _with(cells, "worse")
    yield from (_lost(cell, matrix) for cell in lost)
    if not lost:
        yield f"No stage was shown to have lost {matrix.measure} on any collection."
    for cell in _with(cells, "better"):
        start = f"{cell.system} gained on {place(cell, matrix)} against {cell.baseline}"
        yield f"{start}: {_numbers(cell, matrix)}."
    if equivalent := _with(cells, "equivalent"):
        summary = _listed(equivalent, matrix)
        yield f"Shown to be kept, within \u00b1{matrix.margin}: {summary}."
    if unknown := _with(cells, "cannot tell"):
        summary = _listed(unknown, matrix)
        detectable = [
            smallest
            for cell in unknown
            if (smallest := cell.judged.smallest_detectable) is not None
        ]
        power = (
            f" A loss of {max(detectable):.3f} was detectable with 80 % power in each of them."
            if len(detectable) == len(unknown)
            and not cautions.is_beyond(max(detectable), unknown[0].judged.span)
            else ""
        )
        yield f"Cannot tell, which is no proof that nothing was lost: {summary}.{power}"


def _other_sentences(cells: Sequence[MatrixCell], matrix: Matrix) -> Iterator[str]:
    """Sentences on systems that were not tuned from their baselines: verdicts, but neither loss nor gain."""
    for verdict in ("worse", "better"):
        for cell in _with(cells, verdict):
            start = f"{cell.system} is {verdict} than {cell.baseline}, from which it was not tuned"
            yield f"{start}, on {place(cell, matrix)}: {_numbers(cell, matrix)}."
    for verdict, start_of_list in (
        ("equivalent", f"Shown to be equivalent, within \u00b1{matrix.margin}"),
        ("cannot tell", "Neither shown to differ nor shown to be equivalent"),
    ):
        if listed := _with(cells, verdict):
            pairs = (
                f"{c.system} and {c.baseline} on {place(c, matrix)}{_fragility(c)}" for c in listed
            )
            yield f"{start_of_list}: {', '.join(pairs)}."


def _with(cells: Sequence[MatrixCell], verdict: str) -> list[MatrixCell]:
    return [cell for cell in cells if cell.judged.verdict == verdict]


def _lost(cell: MatrixCell, matrix: Matrix) -> str:
    before = cell.baseline
    start = (
        f"{cell.system} lost on {place(cell, matrix)} against {before}: {_numbers(cell, matrix)}; "
    )
    line = f"in this study the line of {before} had learnt"
    if not cell.is_taught:
        return f"{start}{line} no query over these docs, so what was lost was not learnt from such queries."
    own = _own(cell, matrix)
    if own is None:
        but = f"but whether {before} gained there was not tested"
    elif own.judged.verdict != "better":
        but = f"but that {before} gained there was not shown"
    elif not cell.is_taught_last:
        but = f"but not since {own.baseline}"
    else:
        return f"{start}{line} queries over these docs, and {before} gained there, so this was forgotten."
    return f"{start}{line} queries over these docs, {but}, so this may have been forgotten."


def _own(cell: MatrixCell, matrix: Matrix) -> MatrixCell | None:
    """The cell of a cell's baseline: the baseline compared with the system it was tuned from."""
    wanted = (cell.baseline, cell.place, True)
    return next(
        (own for own in matrix.cells if (own.system, own.place, own.is_tuned_from) == wanted), None
    )


def _numbers(cell: MatrixCell, matrix: Matrix) -> str:
    judged = cell.judged
    carried = f"; {caution}" if (caution := cautions.carried(judged)) else ""
    return f"{signed(judged.difference)} ({with_ends(interval(matrix), judged.interval)}{carried})"


def _listed(cells: Sequence[MatrixCell], matrix: Matrix) -> str:
    return ", ".join(f"{cell.system} on {place(cell, matrix)}{_fragility(cell)}" for cell in cells)


def _fragility(cell: MatrixCell) -> str:
    n = cell.judged.fragility
    return "" if n is None else f" (fragility {cautions.figure(n)})"
