"""The data of the charts of changes: cells and points from the stored changes of two rankers."""

from typing import Any

from rankscope.analyses.changes.words import SIDES, STATES, StoredChanges, interval_of, layer_name


def map_cells(changes: StoredChanges) -> list[dict[str, Any]]:
    """The change map: a cell for each module, by its part and layer."""
    return [
        {
            "part": f"{row['tower']} {row['part'].removeprefix('embeddings.')}".strip(),
            "layer": layer_name(row["layer"], changes["depth"]),
            "displacement": row["displacement"],
            "effective rank": row["effective_rank"],
            "of": row["highest_rank"],
        }
        for row in changes["modules"]
        if row["displacement"] is not None
    ]


def curves(changes: StoredChanges) -> list[dict[str, Any]]:
    """CKA and shared neighbours by layer and side, with the level of chance, where the states vary."""
    return [
        {
            "side": SIDES[row["side"]],
            "layer": row["layer"],
            "what": STATES[name],
            "chance": row["chance"] if name == "neighbours" else 0.0,
            **interval_of(row, name),
        }
        for row in changes["states"]
        for name in ("cka", "neighbours")
        if row[name] is not None
    ]


def drawn_curves(changes: StoredChanges) -> list[str]:
    """The names of the curves: CKA and shared neighbours, where any layer's states vary."""
    return list(dict.fromkeys(row["what"] for row in curves(changes)))
