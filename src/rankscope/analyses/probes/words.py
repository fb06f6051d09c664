"""The stored results of probes as rows, curves, tables and sentences."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rankscope.report.wording.verdicts import UNCORRECTED, VERDICTS

COLUMNS = (
    "ranker", "probe", "layer", "n", "accuracy", "low", "high", "chance", "baseline", "difference",
    "difference_low", "difference_high", "intervals", "corrected_p", "verdict", "smallest_detectable", "published_p",
)  # fmt: skip

StoredProbes = Mapping[str, Any]
"""The results of probes, as the study stores them."""


@dataclass(frozen=True)
class LayerCurves:
    """The curves of one ranker's probes and controls by layer, for choices among n docs."""

    ranker: str
    n: int
    points: Sequence[Mapping[str, Any]]
    """probe, layer, accuracy, low, high; kind: probe or control."""
    first_stage: float
    """The accuracy of the run that the negatives come from."""


def ns(results: StoredProbes) -> list[int]:
    """The numbers of docs from which the probes chose the relevant one."""
    return sorted({row["n"] for row in results["rows"]})


def curves(results: StoredProbes, n: int) -> list[LayerCurves]:
    """The curves of every ranker."""
    rows = [row for row in _points(results) if row["n"] == n]
    plain = first_stage(results, n)
    return [
        LayerCurves(
            ranker,
            n,
            [
                {name: row[name] for name in ("probe", "kind", "layer", "accuracy", "low", "high")}
                for row in rows
                if row["ranker"] == ranker
            ],
            plain,
        )
        for ranker in results["rankers"]
    ]


def compared_curves(results: StoredProbes, n: int) -> list[Mapping[str, Any]]:
    """Every ranker's curve of the probe that reads matches, with its control, in one picture."""
    names = {name for row in results["reads_matches"] for name in (row["probe"], row["control"])}
    return [row for row in _points(results) if row["n"] == n and row["probe"] in names]


def first_stage(results: StoredProbes, n: int) -> float:
    """The accuracy of the run that the negatives come from, or that of BM25 over a file's docs."""
    (value,) = (
        row["accuracy"] for row in _points(results) if (row["kind"], row["n"]) == ("first stage", n)
    )
    return float(value)


def published_curves(results: StoredProbes, n: int) -> list[Mapping[str, Any]]:
    """A paper's points of the same rankers among n docs."""
    return [row for row in results.get("published", ()) if row["n"] == n]


def _points(results: StoredProbes) -> list[Mapping[str, Any]]:
    """The rows with each accuracy once, though it may be compared with several baselines."""
    key_names = ("ranker", "probe", "layer", "n")
    return list({tuple(row[name] for name in key_names): row for row in results["rows"]}.values())


def layer_table(results: StoredProbes, n: int) -> tuple[list[str], list[list[str]]]:
    """Columns and rows: an accuracy for each layer, a row for each ranker's probe or control.

    A mark shows the verdict against the same layer of the first baseline: better, worse or equivalent.
    """
    rows = [row for row in results["rows"] if row["n"] == n]
    n_layers = 1 + max(row["layer"] for row in rows)
    baseline = next(iter(results["baselines"]), None)
    cells: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        layer_cells = cells.setdefault((row["ranker"], row["probe"]), [""] * n_layers)
        mark = (
            VERDICTS[row["verdict"]].symbol if row.get("baseline") == baseline and baseline else ""
        )
        if mark or not layer_cells[row["layer"]]:
            visible_mark = mark if mark != VERDICTS["cannot tell"].symbol else ""
            layer_cells[row["layer"]] = f"{row['accuracy']:.3f} {visible_mark}".rstrip()
    columns = ["ranker", "probe", *(f"layer {layer}" for layer in range(n_layers))]
    return columns, [[*name, *layer_cells] for name, layer_cells in cells.items()]


def full_rows(results: StoredProbes) -> tuple[list[str], list[list[str]]]:
    """Columns and rows of all numbers, for a file."""
    return list(COLUMNS), [
        ["" if row.get(name) is None else str(row[name]) for name in COLUMNS]
        for row in ({**row, "intervals": UNCORRECTED} for row in results["rows"])
    ]


def sentences(results: StoredProbes) -> list[str]:
    """The conclusions, a sentence each."""
    n = max(ns(results))
    (name,) = {row["probe"] for row in results["reads_matches"]}
    lines = []
    for ranker in results["rankers"]:
        share = results["readable_from"][ranker]
        lines.append(
            f"{ranker}: at the last layer the {name} probe is not shown to do better with the true query than with "
            "another query."
            if share is None
            else f"{ranker}: from {share:.0%} of its depth on, the probe of every layer separates a query's doc from {n - 1} hard "
            "negatives better than the same probe does with another query."
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
        dict.fromkeys(
            (row["ranker"], row["baseline"]) for row in results["rows"] if row.get("baseline")
        )
    )


def _comparison_sentence(
    results: StoredProbes, ranker: str, baseline: str, name: str, n: int
) -> str:
    """A sentence on how a ranker's layers compare with a baseline's, with the detectable difference."""
    rows = [
        row
        for row in results["rows"]
        if (row["ranker"], row.get("baseline"), row["probe"], row["n"])
        == (ranker, baseline, name, n)
    ]
    layers = {
        verdict: [str(row["layer"]) for row in rows if row["verdict"] == verdict]
        for verdict in VERDICTS
    }
    summary = "; ".join(
        f"{VERDICTS[verdict].word} at {'layer' if len(layers_of_verdict) == 1 else 'layers'} {', '.join(layers_of_verdict)}"
        for verdict, layers_of_verdict in layers.items()
        if layers_of_verdict
    )
    detectable = [
        row["smallest_detectable"] for row in rows if row["smallest_detectable"] is not None
    ]
    power = (
        f" A difference of {max(detectable):.3f} was detectable with 80 % power."
        if detectable
        else ""
    )
    return f"{ranker} against {baseline}, {name} probe among {n} docs: {summary}.{power}"
