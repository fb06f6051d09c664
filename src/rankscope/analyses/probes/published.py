"""A paper's accuracies by layer, drawn beside a study's own.

A CSV file with a header and the columns `dataset, encoder, model, num_passages, layer, accuracy`: study A's
figures, read off exactly. A curve is called `encoder/model`, as `cls/dpr-question`.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from rankscope.core.errors import choose
from rankscope.core.tables import read_rows

COLUMNS = ("dataset", "encoder", "model", "num_passages", "layer", "accuracy")


class PublishedPoint(NamedTuple):
    """One reported accuracy."""

    curve: str
    n: int
    layer: int
    accuracy: float


def published_points(path: Path, dataset: str) -> list[PublishedPoint]:
    """The points of one dataset; raises BadInput for a file of another kind, and for a dataset it lacks."""
    by_dataset: dict[str, list[PublishedPoint]] = {}
    for name, point in _points(path):
        by_dataset.setdefault(name, []).append(point)
    return choose(by_dataset, dataset, what=f"dataset in {path.name}")


def _points(path: Path) -> Iterator[tuple[str, PublishedPoint]]:
    for row in read_rows(path, COLUMNS):
        dataset, encoder, model = (row.cells[name] for name in COLUMNS[:3])
        n, layer = row.whole("num_passages"), row.whole("layer")
        yield dataset, PublishedPoint(f"{encoder}/{model}", n, layer, row.number("accuracy"))
