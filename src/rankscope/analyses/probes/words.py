"""The stored results of probes as rows, curves, tables and sentences."""

from collections.abc import Sequence
from dataclasses import dataclass

from rankscope.analyses.probes.stored import (
    FIRST_STAGE,
    LayerAccuracy,
    LayerDifference,
    PublishedAccuracy,
    StoredProbes,
)
from rankscope.core.judged.comparisons import Verdict
from rankscope.core.judged.plain import as_plain
from rankscope.core.words import counted, of_number
from rankscope.report.wording.verdicts import UNCORRECTED, VERDICTS

COLUMNS = (
    "ranker", "probe", "layer", "n", "accuracy", "low", "high", "chance", "baseline", "difference",
    "difference_low", "difference_high", "intervals", "corrected_p", "verdict", "smallest_detectable", "published_p",
)  # fmt: skip


@dataclass(frozen=True)
class LayerCurves:
    """The curves of one ranker's probes and controls by layer, for choices among n docs."""

    ranker: str
    n: int
    points: Sequence[LayerAccuracy]
    first_stage: float
    """The accuracy of the run that the negatives come from."""


def ns(results: StoredProbes) -> list[int]:
    """The numbers of docs from which the probes chose the relevant one."""
    return sorted({row.n for row in results.rows})


def curves(results: StoredProbes, n: int) -> list[LayerCurves]:
    """The curves of every ranker."""
    points, plain = results.points(n), first_stage(results, n)
    return [
        LayerCurves(ranker, n, [point for point in points if point.ranker == ranker], plain)
        for ranker in results.rankers
    ]


def compared_curves(results: StoredProbes, n: int) -> list[LayerAccuracy]:
    """Every ranker's curve of the probe that reads matches, with its control, in one picture."""
    names = {name for row in results.reads_matches for name in (row.probe, row.control)}
    return [point for point in results.points(n) if point.probe in names]


def first_stage(results: StoredProbes, n: int) -> float:
    """The accuracy of the run that the negatives come from, or that of BM25 over a file's docs."""
    (accuracy,) = (point.accuracy for point in results.points(n) if point.kind == FIRST_STAGE)
    return accuracy


def published_curves(results: StoredProbes, n: int) -> list[PublishedAccuracy]:
    """A paper's points of the same rankers among n docs."""
    return [point for point in results.published or () if point.n == n]


def layer_table(results: StoredProbes, n: int) -> tuple[list[str], list[list[str]]]:
    """Columns and rows: an accuracy for each layer, a row for each ranker's probe or control.

    A mark shows the verdict against the same layer of the first baseline: better, worse or equivalent.
    """
    rows = [row for row in results.rows if row.n == n]
    n_layers = 1 + max(row.layer for row in rows)
    cells: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        layer_cells = cells.setdefault((row.ranker, row.probe), [""] * n_layers)
        is_first = row.against is not None and row.against.baseline in results.baselines[:1]
        if is_first or not layer_cells[row.layer]:
            mark = _mark(row.against) if is_first else ""
            layer_cells[row.layer] = f"{row.accuracy:.3f} {mark}".rstrip()
    columns = ["ranker", "probe", *(f"layer {layer}" for layer in range(n_layers))]
    return columns, [[*name, *layer_cells] for name, layer_cells in cells.items()]


def _mark(difference: LayerDifference | None) -> str:
    """The verdict's symbol; none for "cannot tell"."""
    if difference is None or difference.verdict is Verdict.CANNOT_TELL:
        return ""
    return VERDICTS[difference.verdict].symbol


def full_rows(results: StoredProbes) -> tuple[list[str], list[list[str]]]:
    """Columns and rows of all numbers, for a file."""
    rows = ({**as_plain(row), "intervals": UNCORRECTED} for row in results.rows)
    return list(COLUMNS), [
        ["" if row.get(name) is None else str(row[name]) for name in COLUMNS] for row in rows
    ]


def sentences(results: StoredProbes) -> list[str]:
    """The conclusions, a sentence each."""
    n = max(ns(results))
    (name,) = {row.probe for row in results.reads_matches}
    lines = []
    for ranker in results.rankers:
        share = results.readable_from[ranker]
        lines.append(
            f"{ranker}: at the last layer the {name} probe is not shown to do better with the true query than with "
            "another query."
            if share is None
            else f"{ranker}: from {share:.0%} of its depth on, the probe of every layer separates a query's doc from "
            f"{counted(n - 1, 'hard negative')} better than the same probe does with another query."
        )
    lines += [
        _comparison_sentence(results, ranker, baseline, name, n)
        for ranker, baseline in _pairs(results)
    ]
    return [
        *lines,
        "A probe shows what can be read from a layer, not what the ranker uses. Where a probe of the docs alone finds the "
        "relevant ones, they look different whatever the query; that part of its accuracy is no knowledge of relevance.",
        "The negatives rank high in the first stage, so its own accuracy is lower here than among other docs.",
    ]


def _pairs(results: StoredProbes) -> list[tuple[str, str]]:
    return list(
        dict.fromkeys((row.ranker, row.against.baseline) for row in results.rows if row.against)
    )


def _comparison_sentence(
    results: StoredProbes, ranker: str, baseline: str, name: str, n: int
) -> str:
    """A sentence on how a ranker's layers compare with a baseline's, with the detectable difference."""
    differences = [
        (row.layer, row.against)
        for row in results.rows
        if (row.ranker, row.probe, row.n) == (ranker, name, n)
        and row.against is not None
        and row.against.baseline == baseline
    ]
    layers = {
        verdict: [str(layer) for layer, against in differences if against.verdict == verdict]
        for verdict in VERDICTS
    }
    summary = "; ".join(
        f"{VERDICTS[verdict].word} at {of_number(len(layers_of_verdict), 'layer')} {', '.join(layers_of_verdict)}"
        for verdict, layers_of_verdict in layers.items()
        if layers_of_verdict
    )
    detectable = [
        against.smallest_detectable
        for _, against in differences
        if against.smallest_detectable is not None
    ]
    power = (
        f" A difference of {max(detectable):.3f} was detectable with 80 % power."
        if len(detectable) == len(differences) and max(detectable, default=1) < 1
        else ""
    )
    return f"{ranker} against {baseline}, {name} probe among {n} docs: {summary}.{power}"
