"""Changes between two rankers and a control with refitted heads, made up: as they are stored, and as they are read."""

from typing import Any

from rankscope.analyses.changes.stored import HeadsControl, PairChanges, StoredChanges
from rankscope.core.judged.plain import from_plain
from support.made_up_study import NOTHING


def estimate(name: str, value: float | None, half: float = 0.02) -> dict[str, float | None]:
    low, high = (None, None) if value is None else (value - half, value + half)
    return {name: value, f"{name}_low": low, f"{name}_high": high}


def module(layer: int, part: str, moved: float, *, tower: str = "") -> dict[str, Any]:
    rank = {"effective_rank": 3.0 * (moved > 0), "highest_rank": 32}
    place = {"module": f"{layer}.{part}", "tower": tower, "layer": layer, "part": part}
    return (
        place | rank | {"n_weights": 64, "moved": moved, "size": 10.0, "displacement": moved / 10}
    )


def state(layer: int, shift: float, cka: float | None) -> dict[str, Any]:
    return {
        "side": "query", "layer": layer, "n_texts": 101, "k": 5, "chance": 0.05,
        **estimate("shift", shift), **estimate("cka", cka), **estimate("neighbours", cka and cka - 0.2),
    }  # fmt: skip


def stored(*, moved: tuple[float, float, float] = (0.0, 1.0, 2.0), **more: Any) -> dict[str, Any]:
    """The changes of a pair as `change.json` has them."""
    modules = [module(layer, "dense", by) for layer, by in enumerate(moved)]
    return {
        "before": "C", "after": "C-D", "collection": "dev", "depth": 2, "displacement": 0.1, "modules": modules,
        "layers": [{"tower": "", "layer": n, "displacement": by / 10} for n, by in enumerate(moved)],
        "states": [state(0, 0.0, None), state(1, 0.1, 0.9), state(2, 0.3, 0.8)],
        "rankings": {
            "n_queries": 40, "depth": 20, "persistence": 0.9, "chance": 0.4, **estimate("overlap", 0.7), **estimate("tau", 0.6),
            **estimate("correlation", 0.65), **estimate("same_first", 0.5), "tied": {"before": 0.0, "after": 0.0},
        },
        **more,
    }  # fmt: skip


def found(heads: dict[str, Any] | None = None, **more: Any) -> PairChanges:
    control = from_plain(HeadsControl, heads, where="heads.json") if heads else None
    read = from_plain(StoredChanges, stored(**more), where="change.json")
    return PairChanges(read, control, notes=())


def head(verdict: str, difference: float) -> dict[str, Any]:
    return NOTHING | {
        "n_groups": 40, "n_differing": 40, "effect_size": None, "p_value": 0.005, "equivalence_p": None,
        "corrected_equivalence_p": None, "margin": None, "smallest_detectable": 0.03, "span": 1.0,
        "system_mean": 0.5 + difference, "baseline_mean": 0.5, "difference": difference, "n_queries": 40,
        "interval": [difference - 0.01, difference + 0.01], "corrected_p": 0.01, "verdict": verdict,
    }  # fmt: skip


CONTROL: dict[str, Any] = {
    "measure": "nDCG@10", "margin": "0.02", "n_queries": 40, "conclusion": "encoder", "n_examples": 60, "n_fits": 3,
    "means": dict.fromkeys(("before", "after"), 0.5), "n_unconverged": 0, "penalties": [1.0] * 6, "notes": [],
    "comparisons": dict.fromkeys(("loss", "encoder", "head", "control"), head("worse", -0.1)),
}  # fmt: skip
