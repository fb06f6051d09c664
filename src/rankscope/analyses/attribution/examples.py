"""The examples with the lowest targets: from which layers and neurons their targets come, and where the page shows them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from rankscope.analyses.attribution.words import SIDES, Found, sides, significant
from rankscope.report.section import Link

WIDTH, GAP, HEIGHT = 8, 2, 34
"""Pixels of a matrix's bar, between two, and from the lowest to the highest of all."""


@dataclass(frozen=True)
class Bar:
    """A matrix's part of a target, drawn from zero."""

    place: str
    """Its layer, from 1, and its name where a layer has several."""
    value: float
    x: float
    y: float
    height: float


@dataclass(frozen=True)
class Part:
    """One side of an example: its target, and where that comes from."""

    side: str
    target: float
    bars: tuple[Bar, ...]
    zero: float
    """Where the bars begin."""
    neurons: tuple[str, ...]
    """Those of the largest values, in words."""

    @property
    def width(self) -> int:
        """Of all bars."""
        return len(self.bars) * (WIDTH + GAP)

    @property
    def in_words(self) -> str:
        """The bars for those who cannot see them."""
        return ", ".join(f"{bar.place} {significant(bar.value)}" for bar in self.bars)

    @property
    def largest(self) -> Bar:
        """The matrix of the largest part."""
        return max(self.bars, key=lambda bar: abs(bar.value))


@dataclass(frozen=True)
class Example:
    """A query with its two docs, and what was found of it."""

    anchor: str
    query_id: str
    text: str
    """Empty where the page does not know it."""
    doc_ids: tuple[str, ...]
    """The relevant doc first."""
    parts: tuple[Part, ...]


def anchor(key: str, ranker: str, query_id: str) -> str:
    """What the example is called in addresses: only letters that need no escape, and no two alike."""
    escaped = (quote(part, safe="").replace("-", "%2D") for part in (key, ranker, query_id))
    return "-".join(["attribution", *escaped])


def links(
    attributed: Mapping[str, Found], collection: str, rankers: Sequence[str], query_id: str
) -> tuple[Link, ...]:
    """To the rankers' examples of a query, where it is among those shown."""
    return tuple(
        Link(ranker, anchor(key, ranker, query_id))
        for key, found in attributed.items()
        if found.get("collection") == collection
        for ranker in dict.fromkeys(rankers)
        if any(row["query_id"] == query_id for row in _rows(found, ranker))
    )


def _rows(found: Found, ranker: str) -> list[Mapping[str, Any]]:
    return [row for name, _, each in sides(found) if name == ranker for row in each["examples"]]


def examples(key: str, found: Found, texts: Mapping[str, str]) -> dict[str, list[Example]]:
    """Every ranker's, the lowest target first; sides of one query stand together.

    texts: of queries, as far as they are known.
    """
    by_ranker: dict[str, dict[str, Example]] = {}
    for ranker, side, each in sides(found):
        of_ranker = by_ranker.setdefault(ranker, {})
        ends = _ends(each["examples"])
        for row in each["examples"]:
            query_id = row["query_id"]
            before = of_ranker.get(query_id)
            of_ranker[query_id] = Example(
                anchor(key, ranker, query_id),
                query_id,
                texts.get(query_id, ""),
                tuple(row["doc_ids"]),
                (*(before.parts if before else ()), _part(side, row, ends)),
            )
    return {
        ranker: sorted(found.values(), key=lambda each: min(part.target for part in each.parts))
        for ranker, found in by_ranker.items()
    }


def _ends(rows: Sequence[Mapping[str, Any]]) -> tuple[float, float]:
    """The lowest and the highest part of any matrix, zero among them."""
    values = [0.0, *(value for row in rows for value in _values(row))]
    return min(values), max(values)


def _part(side: str, row: Mapping[str, Any], ends: tuple[float, float]) -> Part:
    low, high = ends
    scale = HEIGHT / (high - low) if high > low else 0.0
    zero = high * scale
    return Part(
        SIDES[side],
        row["target"],
        tuple(
            Bar(
                _place(part),
                part["value"],
                x=n * (WIDTH + GAP),
                y=round(zero - max(part["value"], 0.0) * scale, 2),
                height=round(abs(part["value"]) * scale, 2),
            )
            for n, part in enumerate(row["parts"])
        ),
        round(zero, 2),
        tuple(_neuron(each) for each in row["neurons"]),
    )


def _values(row: Mapping[str, Any]) -> list[float]:
    return [part["value"] for part in row["parts"]]


def _place(part: Mapping[str, Any]) -> str:
    layer = f"layer {part['layer'] + 1}"
    return layer if part["name"] == "neurons" else f"{layer} ({part['name']})"


def _neuron(each: Mapping[str, Any]) -> str:
    matrix = "neuron" if each["name"] == "neurons" else each["name"]
    return f"layer {each['layer'] + 1}, {matrix} {each['neuron']}: {significant(each['value'])}"
