"""The data of the charts of changes: cells and points from the stored changes of two rankers."""

from typing import Any, NamedTuple

from rankscope.analyses.changes.stored import StoredChanges
from rankscope.analyses.changes.words import CKA, NEIGHBOURS, SIDES, layer_name


class CurvePoint(NamedTuple):
    """CKA or shared neighbours at one layer, with its interval."""

    side: str
    layer: int
    what: str
    chance: float
    value: float
    low: float
    high: float


def map_cells(changes: StoredChanges) -> list[dict[str, Any]]:
    """The change map: a cell for each module, by its part and layer."""
    return [
        {
            "part": f"{module.tower} {module.part.removeprefix('embeddings.')}".strip(),
            "layer": layer_name(module.layer, changes.depth),
            "displacement": module.displacement,
            "effective rank": module.effective_rank,
            "of": module.highest_rank,
        }
        for module in changes.modules
        if module.displacement is not None
    ]


def curves(changes: StoredChanges) -> list[CurvePoint]:
    """CKA and shared neighbours by layer and side, with the level of chance, where the states vary."""
    return [
        CurvePoint(SIDES[row.side], row.layer, what, chance, *estimate)
        for row in changes.states
        for what, chance, estimate in (
            (CKA, 0.0, row.cka),
            (NEIGHBOURS, row.chance, row.neighbours),
        )
        if estimate is not None
    ]


def drawn_curves(changes: StoredChanges) -> list[str]:
    """The names of the curves: CKA and shared neighbours, where any layer's states vary."""
    return list(dict.fromkeys(point.what for point in curves(changes)))
