"""The forgetting matrix in rows, cells and words: what each stage gained and lost on every collection."""

from collections.abc import Mapping, Sequence
from typing import Any

from rankscope.report.sections import VERDICTS, signed

Found = Mapping[str, Any]
"""As the study stores it."""
COLUMNS = (
    "system", "baseline", "collection", "first_stage", "is_taught", "system_mean", "baseline_mean",
    "difference", "low", "high", "corrected_p", "corrected_equivalence_p", "smallest_detectable",
    "n_queries", "verdict",
)  # fmt: skip

REFERENCE = "mean itself"
"""Of a row that is held against nothing, instead of a verdict."""


def place(cell: Mapping[str, Any], found: Found) -> str:
    """The column a cell stands in; the first stage is named where there are several."""
    if len({each["first_stage"] for each in found["cells"]}) == 1:
        return str(cell["collection"])
    return f"{cell['collection']} from {cell['first_stage']}"


def _row(cell: Mapping[str, Any]) -> str:
    return f"{cell['system']} \u2212 {cell['baseline']}"


def cells(found: Found) -> list[dict[str, Any]]:
    """Every cell as it is drawn: row, column, what it says, and the verdict; first what all begins with."""
    begun = [
        {
            "ranker": row["system"],
            "collection": place(row, found),
            "shown": f"{row['mean']:.3f}",
            "verdict": REFERENCE,
            "mean": row["mean"],
        }
        for row in found["references"]
    ]
    return begun + [
        {
            "ranker": _row(cell),
            "collection": place(cell, found),
            "shown": _shown(cell),
            "verdict": cell["verdict"],
            "difference": cell["difference"],
            "low": cell["interval"][0],
            "high": cell["interval"][1],
            "mean": cell["system_mean"],
            "before": cell["baseline_mean"],
            "corrected p": cell["corrected_p"],
            "taught": "learnt before" if cell["is_taught"] else "not learnt before",
        }
        for cell in found["cells"]
    ]


def _shown(cell: Mapping[str, Any]) -> str:
    return f"{signed(cell['difference'])} {VERDICTS[cell['verdict']].symbol}"


def table(found: Found) -> tuple[list[str], list[list[str]]]:
    """Columns and rows: rankers down, collections across; the difference and the verdict's mark."""
    columns = list(dict.fromkeys(place(cell, found) for cell in found["cells"]))
    shown = {(cell["ranker"], cell["collection"]): cell["shown"] for cell in cells(found)}
    rows = list(dict.fromkeys(row for row, _ in shown))
    return ["ranker", *columns], [
        [row, *(shown.get((row, column), "\u2013") for column in columns)] for row in rows
    ]


def full_rows(found: Found) -> tuple[list[str], list[list[str]]]:
    """Columns and rows of every cell, for a file."""
    rows = [
        {**cell, "low": cell["interval"][0], "high": cell["interval"][1]} for cell in found["cells"]
    ]
    return list(COLUMNS), [
        ["" if row.get(name) is None else str(row[name]) for name in COLUMNS] for row in rows
    ]


def in_words(found: Found) -> list[str]:
    """What may be concluded, a sentence each."""
    by_verdict = {
        verdict: [cell for cell in found["cells"] if cell["verdict"] == verdict]
        for verdict in VERDICTS
    }
    said = [_lost(cell, found) for cell in by_verdict["worse"]]
    if not said:
        said.append(f"No ranker was shown to have lost {found['measure']} on any collection.")
    said += [
        f"{cell['system']} gained on {place(cell, found)} against {cell['baseline']}: {_numbers(cell)}."
        for cell in by_verdict["better"]
    ]
    if by_verdict["equivalent"]:
        told = _listed(by_verdict["equivalent"], found)
        said.append(f"Shown to have kept what was there, within \u00b1{found['margin']}: {told}.")
    if by_verdict["cannot tell"]:
        told = _listed(by_verdict["cannot tell"], found)
        seen = [cell["smallest_detectable"] for cell in by_verdict["cannot tell"]]
        widest = max((each for each in seen if each is not None), default=None)
        power = (
            ""
            if widest is None
            else f" A loss of {widest:.3f} would have been seen four times in five in each of them."
        )
        said.append(f"Cannot tell, which is no proof that nothing was lost: {told}.{power}")
    return said


def _lost(cell: Mapping[str, Any], found: Found) -> str:
    kind = (
        f"the line of {cell['baseline']} had learnt queries over these docs, so this was forgotten"
        if cell["is_taught"]
        else f"the line of {cell['baseline']} had learnt no query over these docs, so what was lost had come over from "
        "elsewhere"
    )
    return f"{cell['system']} lost on {place(cell, found)} against {cell['baseline']}: {_numbers(cell)}; {kind}."


def _numbers(cell: Mapping[str, Any]) -> str:
    low, high = cell["interval"]
    return f"{signed(cell['difference'])} ({signed(low)} to {signed(high)})"


def _listed(of: Sequence[Mapping[str, Any]], found: Found) -> str:
    return ", ".join(f"{cell['system']} on {place(cell, found)}" for cell in of)
