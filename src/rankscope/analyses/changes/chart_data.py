"""What the charts of changes draw: cells and points, from what was stored of two rankers."""

from typing import Any

from rankscope.analyses.changes.words import SIDES, STATES, Found, interval_of, layer_name


def map_cells(found: Found) -> list[dict[str, Any]]:
    """The change map: a cell for each module, by its part and layer."""
    return [
        {
            "part": f"{row['tower']} {row['part'].removeprefix('embeddings.')}".strip(),
            "layer": layer_name(row["layer"], found["depth"]),
            "displacement": row["displacement"],
            "effective rank": row["effective_rank"],
            "of": row["highest_rank"],
        }
        for row in found["modules"]
        if row["displacement"] is not None
    ]


def curves(found: Found) -> list[dict[str, Any]]:
    """CKA and shared neighbours by layer and side, with the level that chance gives; what varies only."""
    return [
        {
            "side": SIDES[row["side"]],
            "layer": row["layer"],
            "what": STATES[name],
            "chance": row["chance"] if name == "neighbours" else 0.0,
            **interval_of(row, name),
        }
        for row in found["states"]
        for name in ("cka", "neighbours")
        if row[name] is not None
    ]


def drawn_curves(found: Found) -> list[str]:
    """Of what there are curves: CKA and shared neighbours, where any layer's states vary."""
    return list(dict.fromkeys(row["what"] for row in curves(found)))
