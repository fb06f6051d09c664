"""The examples with the lowest targets: the layers and neurons their targets come from, and their place on the page."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote

from rankscope.analyses.attribution.stored import (
    LowExample,
    NeuronPart,
    SitePart,
    StoredAttribution,
)
from rankscope.analyses.attribution.words import SIDES, significant
from rankscope.report.section import Link

WIDTH, GAP, HEIGHT = 8, 2, 34
"""Pixels: the width of a matrix's bar, the gap between two, and the height from the lowest to the highest bar."""


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
class ExampleSide:
    """One side of an example: its target, and the matrices and neurons it comes from."""

    side: str
    target: float
    bars: tuple[Bar, ...]
    zero: float
    """The height at which the bars begin."""
    neurons: tuple[str, ...]
    """The neurons of the largest values, in words."""

    @property
    def width(self) -> int:
        """The width of all bars, in pixels."""
        return len(self.bars) * (WIDTH + GAP)

    @property
    def bars_as_text(self) -> str:
        """The bars in words, for readers who cannot see them."""
        return ", ".join(f"{bar.place} {significant(bar.value)}" for bar in self.bars)

    @property
    def largest(self) -> Bar:
        """The matrix of the largest part."""
        return max(self.bars, key=lambda bar: abs(bar.value))


@dataclass(frozen=True)
class Example:
    """A query with its docs, and where its targets come from."""

    anchor: str
    query_id: str
    text: str
    """The query's text; empty where the page does not know it."""
    doc_ids: tuple[str, ...]
    """The relevant doc first."""
    parts: tuple[ExampleSide, ...]


def anchor(key: str, ranker: str, query_id: str) -> str:
    """The example's name in addresses, unique and of letters that need no escape."""
    escaped = (quote(part, safe="").replace("-", "%2D") for part in (key, ranker, query_id))
    return "-".join(["attribution", *escaped])


def links(
    attributed: Mapping[str, StoredAttribution],
    collection: str,
    rankers: Sequence[str],
    query_id: str,
) -> tuple[Link, ...]:
    """Links to the rankers' examples of a query, where it is among those shown."""
    return tuple(
        Link(ranker, anchor(key, ranker, query_id))
        for key, results in attributed.items()
        if results.collection == collection
        for ranker in dict.fromkeys(rankers)
        if any(row.query_id == query_id for row in _rows(results, ranker))
    )


def _rows(results: StoredAttribution, ranker: str) -> list[LowExample]:
    return [
        row
        for name, _, side_results in results.sides
        if name == ranker
        for row in side_results.examples
    ]


def examples(
    key: str, results: StoredAttribution, texts: Mapping[str, str]
) -> dict[str, list[Example]]:
    """Every ranker's examples, the lowest target first; the sides of one query stand together.

    texts: query_id to text, as far as texts are known.
    """
    by_ranker: dict[str, dict[str, Example]] = {}
    for ranker, side, side_results in results.sides:
        ranker_examples = by_ranker.setdefault(ranker, {})
        ends = _ends(side_results.examples)
        for row in side_results.examples:
            query_id = row.query_id
            earlier = ranker_examples.get(query_id)
            ranker_examples[query_id] = Example(
                anchor(key, ranker, query_id),
                query_id,
                texts.get(query_id, ""),
                row.doc_ids,
                (*(earlier.parts if earlier else ()), _part(side, row, ends)),
            )
    return {
        ranker: sorted(
            by_query.values(), key=lambda example: min(part.target for part in example.parts)
        )
        for ranker, by_query in by_ranker.items()
    }


def _ends(rows: Sequence[LowExample]) -> tuple[float, float]:
    """The lowest and the highest part of any matrix, or zero."""
    values = [0.0, *(value for row in rows for value in _values(row))]
    return min(values), max(values)


def _part(side: str, row: LowExample, ends: tuple[float, float]) -> ExampleSide:
    low, high = ends
    scale = HEIGHT / (high - low) if high > low else 0.0
    zero = high * scale
    return ExampleSide(
        SIDES[side],
        row.target,
        tuple(
            Bar(
                _place(part),
                part.value,
                x=n * (WIDTH + GAP),
                y=round(zero - max(part.value, 0.0) * scale, 2),
                height=round(abs(part.value) * scale, 2),
            )
            for n, part in enumerate(row.parts)
        ),
        round(zero, 2),
        tuple(_neuron(neuron) for neuron in row.neurons),
    )


def _values(row: LowExample) -> list[float]:
    return [part.value for part in row.parts]


def _place(part: SitePart) -> str:
    layer = f"layer {part.layer + 1}"
    return layer if part.name == "neurons" else f"{layer} ({part.name})"


def _neuron(neuron: NeuronPart) -> str:
    matrix = "neuron" if neuron.name == "neurons" else neuron.name
    return f"layer {neuron.layer + 1}, {matrix} {neuron.neuron}: {significant(neuron.value)}"
