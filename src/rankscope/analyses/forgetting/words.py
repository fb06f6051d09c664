"""The forgetting matrix in rows, cells and words: what each stage gained and lost on every collection."""

from collections.abc import Iterator, Sequence
from typing import Any

from rankscope.analyses.forgetting.matrix import Cell, Matrix, Reference
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
"""Of a row that is held against nothing, instead of a verdict."""


def place(cell: Cell | Reference, found: Matrix) -> str:
    """The column a cell stands in; the first stage is named where there are several."""
    if len({each.place.first_stage for each in found.cells}) == 1:
        return cell.place.collection
    return f"{cell.place.collection} from {cell.place.first_stage}"


def interval(found: Matrix) -> str:
    """What the cells' intervals are."""
    return interval_name(found.significance_level, found.correction)


def _row(cell: Cell) -> str:
    return f"{cell.system} \u2212 {cell.baseline}"


def cells(found: Matrix) -> list[dict[str, Any]]:
    """Every cell as it is drawn: row, column, what it says, and the verdict; first what all begins with."""
    begun = [
        {
            "ranker": row.system,
            "collection": place(row, found),
            "shown": f"{row.mean:.3f}",
            "verdict": REFERENCE,
            "mean": row.mean,
        }
        for row in found.references
    ]
    return begun + [
        {
            "ranker": _row(cell),
            "collection": place(cell, found),
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
        for cell in found.cells
    ]


def _taught(cell: Cell) -> str:
    if not cell.is_tuned_from:
        return "of another line"
    return "learnt before" if cell.is_taught else "not learnt before"


def _shown(cell: Cell) -> str:
    return f"{signed(cell.judged.difference)} {VERDICTS[cell.judged.verdict].symbol}"


def table(found: Matrix) -> tuple[list[str], list[list[str]]]:
    """Columns and rows: rankers down, collections across; the difference and the verdict's mark."""
    columns = list(dict.fromkeys(place(cell, found) for cell in found.cells))
    shown = {(cell["ranker"], cell["collection"]): cell["shown"] for cell in cells(found)}
    rows = list(dict.fromkeys(row for row, _ in shown))
    return ["ranker", *columns], [
        [row, *(shown.get((row, column), "\u2013") for column in columns)] for row in rows
    ]


def full_rows(found: Matrix) -> tuple[list[str], list[list[str]]]:
    """Columns and rows of every cell, for a file."""
    of_all = {"intervals": interval(found).replace("\u00a0", " ")}
    stored = [as_plain(cell) for cell in found.cells]
    rows = [
        {**cell, **of_all, "low": cell["interval"][0], "high": cell["interval"][1]}
        for cell in stored
    ]
    return list(COLUMNS), [
        ["" if row.get(name) is None else str(row[name]) for name in COLUMNS] for row in rows
    ]


def in_words(found: Matrix) -> list[str]:
    """What may be concluded, a sentence each; only what was tuned from another can lose or gain."""
    tuned = [cell for cell in found.cells if cell.is_tuned_from]
    other = [cell for cell in found.cells if not cell.is_tuned_from]
    return [*(_of_stages(tuned, found) if tuned else ()), *_of_others(other, found)]


def _of_stages(cells: Sequence[Cell], found: Matrix) -> Iterator[str]:
    lost = _with(cells, "worse")
    yield from (_lost(cell, found) for cell in lost)
    if not lost:
        yield f"No stage was shown to have lost {found.measure} on any collection."
    for cell in _with(cells, "better"):
        gained = f"{cell.system} gained on {place(cell, found)} against {cell.baseline}"
        yield f"{gained}: {_numbers(cell, found)}."
    if kept := _with(cells, "equivalent"):
        told = _listed(kept, found)
        yield f"Shown to have kept what was there, within \u00b1{found.margin}: {told}."
    if unknown := _with(cells, "cannot tell"):
        told = _listed(unknown, found)
        seen = [each for cell in unknown if (each := cell.judged.smallest_detectable) is not None]
        power = (
            f" A loss of {max(seen):.3f} would have been seen four times in five in each of them."
            if len(seen) == len(unknown)
            and not cautions.is_beyond(max(seen), unknown[0].judged.span)
            else ""
        )
        yield f"Cannot tell, which is no proof that nothing was lost: {told}.{power}"


def _of_others(cells: Sequence[Cell], found: Matrix) -> Iterator[str]:
    """Of what was not tuned from what it is held against: verdicts, and nothing lost or gained."""
    for verdict in ("worse", "better"):
        for cell in _with(cells, verdict):
            held = f"{cell.system} is {verdict} than {cell.baseline}, from which it was not tuned"
            yield f"{held}, on {place(cell, found)}: {_numbers(cell, found)}."
    for verdict, said in (
        ("equivalent", f"Shown to be equivalent, within \u00b1{found.margin}"),
        ("cannot tell", "Cannot be told apart, nor shown to be equivalent"),
    ):
        if listed := _with(cells, verdict):
            told = (
                f"{c.system} and {c.baseline} on {place(c, found)}{_fragility(c)}" for c in listed
            )
            yield f"{said}: {', '.join(told)}."


def _with(cells: Sequence[Cell], verdict: str) -> list[Cell]:
    return [cell for cell in cells if cell.judged.verdict == verdict]


def _lost(cell: Cell, found: Matrix) -> str:
    before = cell.baseline
    told = f"{cell.system} lost on {place(cell, found)} against {before}: {_numbers(cell, found)}; "
    line = f"in this study the line of {before} had learnt"
    if not cell.is_taught:
        return f"{told}{line} no query over these docs, so what was lost was not learnt from such queries."
    own = _own(cell, found)
    if own is None:
        but = f"but whether {before} gained there was not tested"
    elif own.judged.verdict != "better":
        but = f"but that {before} gained there was not shown"
    elif not cell.is_taught_last:
        but = f"but not since {own.baseline}"
    else:
        return f"{told}{line} queries over these docs, and {before} gained there, so this was forgotten."
    return f"{told}{line} queries over these docs, {but}, so this may have been forgotten."


def _own(cell: Cell, found: Matrix) -> Cell | None:
    """The cell of what a cell is held against: the baseline against what it was tuned from."""
    wanted = (cell.baseline, cell.place, True)
    return next(
        (own for own in found.cells if (own.system, own.place, own.is_tuned_from) == wanted), None
    )


def _numbers(cell: Cell, found: Matrix) -> str:
    judged = cell.judged
    carried = f"; {told}" if (told := cautions.carried(judged)) else ""
    return f"{signed(judged.difference)} ({with_ends(interval(found), judged.interval)}{carried})"


def _listed(of: Sequence[Cell], found: Matrix) -> str:
    return ", ".join(f"{cell.system} on {place(cell, found)}{_fragility(cell)}" for cell in of)


def _fragility(cell: Cell) -> str:
    n = cell.judged.fragility
    return "" if n is None else f" (fragility {cautions.figure(n)})"
