"""Accuracies by layer that a paper reports, to be drawn beside one's own.

A CSV file with a header and the columns `dataset, encoder, model, num_passages, layer, accuracy`: study A's
figures, read off exactly (papers.md A.6). A curve is called `encoder/model`, as `cls/dpr-question`.
"""

import csv
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from rankscope.core.errors import BadInput, choose

COLUMNS = ("dataset", "encoder", "model", "num_passages", "layer", "accuracy")


class PublishedPoint(NamedTuple):
    """One reported accuracy."""

    curve: str
    n: int
    layer: int
    accuracy: float


def published_points(path: Path, dataset: str) -> list[PublishedPoint]:
    """The points of one dataset; BadInput for another kind of file or a dataset that is not in it."""
    by_dataset: dict[str, list[PublishedPoint]] = {}
    for name, point in _points(path):
        by_dataset.setdefault(name, []).append(point)
    return choose(by_dataset, dataset, what=f"dataset in {path.name}")


def _points(path: Path) -> Iterator[tuple[str, PublishedPoint]]:
    try:
        with path.open(encoding="utf-8", newline="") as file:
            for number, row in enumerate(csv.DictReader(file), start=2):
                yield _point(row, f"{path}, line {number}")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"{path}: not readable ({error}). Give a CSV file.") from error


def _point(row: Mapping[str, str | None], place: str) -> tuple[str, PublishedPoint]:
    try:
        dataset, encoder, model, n, layer, accuracy = (str(row[name]) for name in COLUMNS)
        point = PublishedPoint(f"{encoder}/{model}", int(n), int(layer), float(accuracy))
    except (KeyError, ValueError) as error:
        raise BadInput(f"{place}: {error}. Give a CSV file with {', '.join(COLUMNS)}.") from error
    return dataset, point
