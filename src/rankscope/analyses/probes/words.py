"""What probes found in the layers of rankers: rows, curves and words, from what was stored of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rankscope.report.wording.verdicts import UNCORRECTED, VERDICTS

COLUMNS = (
    "ranker", "probe", "layer", "n", "accuracy", "low", "high", "chance", "baseline", "difference",
    "difference_low", "difference_high", "intervals", "corrected_p", "verdict", "smallest_detectable", "published_p",
)  # fmt: skip

Found = Mapping[str, Any]
"""As the study stores it."""


@dataclass(frozen=True)
class Curves:
    """One ranker's layers among n docs, every probe and control a curve."""

    ranker: str
    n: int
    points: Sequence[Mapping[str, Any]]
    """probe, layer, accuracy, low, high; kind: probe or control."""
    first_stage: float
    """The accuracy of the run that the negatives come from."""


def ns(found: Found) -> list[int]:
    """The numbers of docs among which the relevant one was to be found."""
    return sorted({row["n"] for row in found["rows"]})


def curves(found: Found, n: int) -> list[Curves]:
    """The curves of every ranker."""
    rows = [row for row in _points(found) if row["n"] == n]
    plain = first_stage(found, n)
    return [
        Curves(
            ranker,
            n,
            [
                {name: row[name] for name in ("probe", "kind", "layer", "accuracy", "low", "high")}
                for row in rows
                if row["ranker"] == ranker
            ],
            plain,
        )
        for ranker in found["rankers"]
    ]


def compared_curves(found: Found, n: int) -> list[Mapping[str, Any]]:
    """Every ranker's curve of the probe that reads matches, with its control, in one picture."""
    names = {name for row in found["reads_matches"] for name in (row["probe"], row["control"])}
    return [row for row in _points(found) if row["n"] == n and row["probe"] in names]


def first_stage(found: Found, n: int) -> float:
    """The accuracy of the run that the negatives come from, or of BM25 over a file's docs."""
    (value,) = (
        row["accuracy"] for row in _points(found) if (row["kind"], row["n"]) == ("first stage", n)
    )
    return float(value)


def published_curves(found: Found, n: int) -> list[Mapping[str, Any]]:
    """What a paper reports of the same rankers among n docs."""
    return [row for row in found.get("published", ()) if row["n"] == n]


def _points(found: Found) -> list[Mapping[str, Any]]:
    """Each accuracy once, though it may be compared with several baselines."""
    at = ("ranker", "probe", "layer", "n")
    return list({tuple(row[name] for name in at): row for row in found["rows"]}.values())


def layer_table(found: Found, n: int) -> tuple[list[str], list[list[str]]]:
    """Columns and rows: an accuracy for each layer, a row for each ranker's probe or control.

    A mark says how the layer compares with the first baseline's: better, worse or equivalent.
    """
    rows = [row for row in found["rows"] if row["n"] == n]
    n_layers = 1 + max(row["layer"] for row in rows)
    baseline = next(iter(found["baselines"]), None)
    cells: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        line = cells.setdefault((row["ranker"], row["probe"]), [""] * n_layers)
        mark = (
            VERDICTS[row["verdict"]].symbol if row.get("baseline") == baseline and baseline else ""
        )
        if mark or not line[row["layer"]]:
            shown = mark if mark != VERDICTS["cannot tell"].symbol else ""
            line[row["layer"]] = f"{row['accuracy']:.3f} {shown}".rstrip()
    columns = ["ranker", "probe", *(f"layer {layer}" for layer in range(n_layers))]
    return columns, [[*name, *line] for name, line in cells.items()]


def full_rows(found: Found) -> tuple[list[str], list[list[str]]]:
    """Columns and rows of everything, for a file."""
    return list(COLUMNS), [
        ["" if row.get(name) is None else str(row[name]) for name in COLUMNS]
        for row in ({**row, "intervals": UNCORRECTED} for row in found["rows"])
    ]


def in_words(found: Found) -> list[str]:
    """What may be concluded, a sentence each."""
    n = max(ns(found))
    (name,) = {row["probe"] for row in found["reads_matches"]}
    said = []
    for ranker in found["rankers"]:
        share = found["readable_from"][ranker]
        said.append(
            f"{ranker}: at the last layer the {name} probe is not shown to do better with the true query than with "
            "another's."
            if share is None
            else f"{ranker}: from {share:.0%} of its depth on, every layer tells a query's doc from {n - 1} hard "
            "negatives better than the same probe with another's query."
        )
    said += [_against(found, ranker, baseline, name, n) for ranker, baseline in _pairs(found)]
    return [
        *said,
        "A probe shows what can be read from a layer, not what the ranker uses. Where the docs alone are told from "
        "others, relevant docs look different whatever the query; that part is no knowledge of relevance.",
        "Negatives that a first stage ranks high make its own accuracy here lower than among other docs.",
    ]


def _pairs(found: Found) -> list[tuple[str, str]]:
    return list(
        dict.fromkeys(
            (row["ranker"], row["baseline"]) for row in found["rows"] if row.get("baseline")
        )
    )


def _against(found: Found, ranker: str, baseline: str, name: str, n: int) -> str:
    """How a ranker's layers compare with a baseline's, and what could have been seen."""
    rows = [
        row
        for row in found["rows"]
        if (row["ranker"], row.get("baseline"), row["probe"], row["n"])
        == (ranker, baseline, name, n)
    ]
    layers = {
        verdict: [str(row["layer"]) for row in rows if row["verdict"] == verdict]
        for verdict in VERDICTS
    }
    told = "; ".join(
        f"{VERDICTS[verdict].word} at {'layer' if len(at) == 1 else 'layers'} {', '.join(at)}"
        for verdict, at in layers.items()
        if at
    )
    seen = [row["smallest_detectable"] for row in rows if row["smallest_detectable"] is not None]
    power = (
        f" A difference of {max(seen):.3f} would have been seen four times in five." if seen else ""
    )
    return f"{ranker} against {baseline}, {name} probe among {n} docs: {told}.{power}"
