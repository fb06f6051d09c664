"""The stored changes between two rankers as rows, tables and sentences."""

import math
from collections.abc import Iterator, Mapping, Sequence
from statistics import median
from typing import Any

from rankscope.core.judged.comparisons import JudgedDifference
from rankscope.core.judged.plain import from_plain
from rankscope.report.wording import cautions
from rankscope.report.wording.numbers import between, p_text, signed
from rankscope.report.wording.verdicts import UNCORRECTED

StoredChanges = Mapping[str, Any]
"""The changes of one pair of rankers, as the study stores them."""

SAME = 1e-6
"""A state that moved by a smaller share of its length moved by rounding only."""
COLUMNS = (
    "before", "after", "collection", "what", "side", "layer", "part", "value", "low", "high", "intervals",
    "chance", "corrected_p", "verdict", "fragility", "n",
)  # fmt: skip
STATES = {"shift": "shift of states", "cka": "CKA", "neighbours": "shared neighbours"}
RANKINGS = {
    "overlap": "RBO",
    "tau": "Kendall's tau",
    "correlation": "Pearson's r of scores",
    "same_first": "same doc first",
}
NOTHING_VARIES = "\u2013"
SIDES = {"query": "queries", "document": "docs", "pair": "pairs of query and doc"}
HEADINGS = {"query": "queries", "document": "docs", "pair": "pairs"}


def layer_name(layer: int, depth: int) -> str:
    """The name of a layer: embeddings below the first block, head behind the last."""
    return {0: "embeddings", depth + 1: "head"}.get(layer, f"layer {layer}")


def sides(changes: StoredChanges) -> list[str]:
    """The kinds of texts whose states are compared: queries and docs, or pairs."""
    return list(dict.fromkeys(row["side"] for row in changes["states"]))


def towers(changes: StoredChanges) -> list[str]:
    """Query and document where a side has modules of its own, or one tower without a name."""
    return ["query", "document"] if any(row["tower"] for row in changes["layers"]) else [""]


# -- tables ---------------------------------------------------------------------------------------


def layer_table(changes: StoredChanges) -> tuple[list[str], list[list[str]]]:
    """Columns and rows, a layer a row: how far weights and states moved, and how far texts keep their neighbours."""
    tower_names, side_names = towers(changes), sides(changes)
    columns = ["layer"]
    for tower in tower_names:
        suffix = f" ({tower})" if tower else ""
        columns += [f"weights{suffix}", f"effective rank{suffix}"]
    for side in side_names:
        columns += [f"{HEADINGS[side]}: {what}" for what in ("shift", "CKA", "neighbours")]
    layers = sorted({row["layer"] for row in (*changes["layers"], *changes["states"])})
    rows = []
    for layer in layers:
        cells = [layer_name(layer, changes["depth"])]
        for tower in tower_names:
            cells += _weight_cells(changes, tower, layer)
        for side in side_names:
            cells += _state_cells(changes, side, layer)
        rows.append(cells)
    return columns, rows


def _weight_cells(changes: StoredChanges, tower: str, layer: int) -> list[str]:
    """Displacement and effective rank of a layer; modules that both sides share count for each."""
    modules = [
        row for row in changes["modules"] if row["layer"] == layer and row["tower"] in (tower, "")
    ]
    if not modules:
        return ["", ""]
    moved, size = (math.hypot(*(row[name] for row in modules)) for name in ("moved", "size"))
    share = 0.0 if moved == 0 else moved / size if size else None
    ranks = [row["effective_rank"] for row in modules if row["effective_rank"] is not None]
    return [_share(share), f"{median(ranks):.1f}" if ranks else ""]


def _state_cells(changes: StoredChanges, side: str, layer: int) -> list[str]:
    row = next((r for r in changes["states"] if (r["side"], r["layer"]) == (side, layer)), None)
    if row is None:
        return ["", "", ""]
    return [_share(row["shift"]), *(_number(row[name]) for name in ("cka", "neighbours"))]


def _number(value: float | None) -> str:
    return NOTHING_VARIES if value is None else f"{value:.3f}"


def _share(value: float | None) -> str:
    """A displacement; small ones keep their digits in scientific notation."""
    if value is None:
        return NOTHING_VARIES
    return "0" if value == 0 else f"{value:.4f}" if value >= 1e-3 else f"{value:.1e}"


def full_rows(all_changes: Sequence[StoredChanges]) -> tuple[list[str], list[list[str]]]:
    """Columns and rows of all numbers for a file, one number a row."""
    rows = [row for changes in all_changes for row in _long_rows(changes)]
    return list(COLUMNS), [
        ["" if row.get(name) is None else str(row[name]) for name in COLUMNS] for row in rows
    ]


def _long_rows(changes: StoredChanges) -> Iterator[dict[str, Any]]:
    pair = {name: changes[name] for name in ("before", "after", "collection")}
    for row in changes["modules"]:
        where = {
            "side": row["tower"],
            "layer": row["layer"],
            "part": row["part"],
            "n": row["n_weights"],
        }
        yield pair | where | {"what": "displacement", "value": row["displacement"]}
        if row["effective_rank"] is not None:
            yield pair | where | {"what": "effective rank", "value": row["effective_rank"]}
            yield pair | where | {"what": "highest rank", "value": row["highest_rank"]}
    for row in changes["layers"]:
        where = {"side": row["tower"], "layer": row["layer"], "part": "all"}
        yield pair | where | {"what": "displacement", "value": row["displacement"]}
    for row in changes["states"]:
        for name, what in STATES.items():
            where = {"side": row["side"], "layer": row["layer"], "n": row["n_texts"], "what": what}
            chance = {"chance": row["chance"]} if name == "neighbours" else {}
            yield pair | where | chance | interval_of(row, name)
    rankings = changes["rankings"]
    for name, what in RANKINGS.items():
        chance = {"chance": rankings["chance"]} if name == "overlap" else {}
        yield (
            pair | {"what": what, "n": rankings["n_queries"]} | chance | interval_of(rankings, name)
        )
    for row in _control_rows(changes, changes["heads"]) if changes.get("heads") else ():
        yield pair | row


def _control_rows(changes: StoredChanges, control: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    size = {"n": control["n_queries"]}
    for name, mean in control["means"].items():
        yield size | {"what": f"{control['measure']}, {name}", "value": mean}
    for name, what in HEAD_COMPARISONS.items():
        judged = _judged(control, name)
        low, high = (end if math.isfinite(end) else None for end in judged.interval)
        yield {
            "what": f"{control['measure']}: {what.format(**changes)}",
            "verdict": judged.verdict.value,
            "fragility": judged.fragility,
            "corrected_p": judged.corrected_p,
            "n": judged.n_queries,
            "value": judged.difference,
            "low": low,
            "high": high,
            "intervals": UNCORRECTED,
        }


def _judged(control: Mapping[str, Any], name: str) -> JudgedDifference:
    """One comparison of the control with refitted heads."""
    return from_plain(JudgedDifference, control["comparisons"][name], where=f"heads: {name}")


def interval_of(row: Mapping[str, Any], name: str) -> dict[str, Any]:
    """A number with its interval."""
    return {"value": row[name], "low": row[f"{name}_low"], "high": row[f"{name}_high"]}


# -- modules --------------------------------------------------------------------------------------


def module_table(changes: StoredChanges) -> tuple[list[str], list[list[str]]]:
    """Columns and rows: the displacement of each module, parts down and layers across."""
    layers = sorted({row["layer"] for row in changes["modules"]})
    cells: dict[str, dict[int, str]] = {}
    for row in changes["modules"]:
        part = f"{row['tower']} {row['part']}".strip()
        cells.setdefault(part, {})[row["layer"]] = _share(row["displacement"])
    columns = ["module", *(layer_name(layer, changes["depth"]) for layer in layers)]
    return columns, [
        [part, *(by_layer.get(layer, "") for layer in layers)] for part, by_layer in cells.items()
    ]


# -- words ----------------------------------------------------------------------------------------


CAVEAT = (
    "Weights show how far a ranker moved, states how it represents texts, rankings what a user sees. None of them shows "
    "whether it became better: the evaluation's verdicts do. Two trainings with different seeds differ too; only "
    "beside such a pair can one see how much of a change is due to the data."
)


def sentences(changes: StoredChanges) -> list[str]:
    """The conclusions, a sentence each; show `CAVEAT` with them."""
    return [
        *_weight_sentences(changes),
        *(_state_sentence(changes, side) for side in sides(changes)),
        *_ranking_sentences(changes),
        *(_head_sentences(changes, changes["heads"]) if changes.get("heads") else ()),
    ]


def _weight_sentences(changes: StoredChanges) -> Iterator[str]:
    before, after = changes["before"], changes["after"]
    moved = [row for row in changes["modules"] if row["moved"] > 0]
    if not moved:
        yield f"{after} has the weights of {before}: none differs, in any layer."
        return
    unmoved = [row for row in changes["layers"] if row["displacement"] == 0]
    layers = [row for row in changes["layers"] if row["displacement"] != 0]
    whole = changes["displacement"]
    size_part = (
        "" if whole is None else f", all weights together by {_percent(whole)} of their size"
    )
    yield f"{after} against {before}: {len(moved)} of {len(changes['modules'])} modules moved{size_part}."
    if unmoved:
        yield f"Weights moved in {_layer_list(layers, changes)} only."
    shown = [row for row in layers if row["displacement"] is not None]
    if len(shown) > 1:
        most, least = (by(shown, key=lambda row: row["displacement"]) for by in (max, min))
        yield (
            f"They moved most in {_layer_list([most], changes)} ({_percent(most['displacement'])}) and least in "
            f"{_layer_list([least], changes)} ({_percent(least['displacement'])})."
        )
    shares = [
        row["effective_rank"] / row["highest_rank"]
        for row in moved
        if row["effective_rank"] and row["highest_rank"] > 1  # one row has one direction only
    ]
    if shares:
        yield (
            f"The update of a matrix goes in {median(shares):.0%} of the directions there are (median of effective "
            f"ranks; {min(shares):.0%} to {max(shares):.0%})."
        )


def _percent(share: float) -> str:
    """A share in per cent with three digits, however small it is."""
    return f"{share:.0%}" if share >= 10 else f"{100 * share:.3g}%"


def _layer_list(layers: Sequence[Mapping[str, Any]], changes: StoredChanges) -> str:
    names = [
        f"{_layer_in_sentence(row['layer'], changes)}{' of the ' + row['tower'] + ' tower' if row['tower'] else ''}"
        for row in layers
    ]
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _layer_in_sentence(layer: int, changes: StoredChanges) -> str:
    """The name of a layer within a sentence."""
    name = layer_name(layer, changes["depth"])
    return name if name.startswith("layer") else f"the {name}"


def _state_sentence(changes: StoredChanges, side: str) -> str:
    rows = [row for row in changes["states"] if row["side"] == side]
    moved = [row for row in rows if row["shift"] > SAME]
    what = SIDES[side]
    if not moved:
        return f"The states of {what} are the same in every layer."
    first, last = moved[0], rows[-1]
    start = f"The states of {what} differ from {_layer_in_sentence(first['layer'], changes)} on"
    if last["cka"] is None or last["neighbours"] is None:
        return (
            f"{start}; at the last layer those of a ranker do not vary, or lie equally far apart."
        )
    least = min((row for row in rows if row["cka"] is not None), key=lambda row: float(row["cka"]))
    is_lower = f"{least['cka']:.3f}" != f"{last['cka']:.3f}"
    where = (
        f" CKA is lowest at {_layer_in_sentence(least['layer'], changes)}, {least['cka']:.3f}."
        if is_lower
        else ""
    )
    return (
        f"{start}. At the last, CKA is {_with_interval(last, 'cka')}, and of a {'pair' if side == 'pair' else 'text'}'s {last['k']} nearest{' of other queries' if side == 'pair' else ''} "
        f"{_with_interval(last, 'neighbours')} are the same, where chance gives {last['chance']:.3f}.{where}"
    )


def _with_interval(row: Mapping[str, Any], name: str) -> str:
    value, low, high = (f"{row[key]:.3f}" for key in (name, f"{name}_low", f"{name}_high"))
    return f"{value} ({low} to {high})".replace("-", "\u2212")


def _ranking_sentences(changes: StoredChanges) -> Iterator[str]:
    rows = changes["rankings"]
    yield from _tie_sentences(changes)
    same = f"the same docs, up to {rows['depth']} a query,"
    if rows["overlap"] == 1 and math.isclose(rows["tau"], 1):
        yield f"Both order {same} alike, for all {rows['n_queries']} queries."
        if any(row["moved"] > 0 for row in changes["modules"]):
            yield "So the weights moved, and none of these rankings did."
        return
    yield (
        f"Over {rows['n_queries']} queries they order {same} with a rank-biased overlap of "
        f"{_with_interval(rows, 'overlap')}, where two drawn orders have {rows['chance']:.3f}, and a Kendall's tau of "
        f"{_with_interval(rows, 'tau')}; their scores correlate by {_with_interval(rows, 'correlation')}; the same doc is first for {rows['same_first']:.0%}."
    )
    if rows["overlap_low"] <= rows["chance"]:
        yield (
            "So it is not shown that they agree more than by chance, as happens where a head began with random weights, "
            "or where the rankers have no common lineage."
        )
    last = [row for row in changes["states"] if row["layer"] == changes["depth"]]
    if all(row["shift"] <= SAME for row in last):
        yield "Their encoders represent every text alike: the change in the rankings comes from behind them."


def _tie_sentences(changes: StoredChanges) -> Iterator[str]:
    for side, share in changes["rankings"]["tied"].items():
        if share:
            yield (
                f"{changes[side]} scores {_percent(share)} of the docs like another of the same query: their order is "
                "by doc id, not the ranker's."
            )


# -- heads ----------------------------------------------------------------------------------------

HEAD_COMPARISONS = {
    "loss": "{after} against {before}, with their own heads",
    "encoder": "both with refitted heads",
    "head": "{after} with a refitted head against its own",
    "control": "{before} with a refitted head against its own",
}
"""Which runs each comparison of the control is about, in words."""
CONCLUSIONS = {
    "no loss": "No loss above the margin of {margin} was shown, so there is nothing to attribute to encoder or head.",
    "encoder": "The encoder forgot: {after} loses with its own head ({loss}), and still does where heads are "
    "refitted alike on both encoders ({encoder}).",
    "head": "The head drifted: {after} loses with its own head ({loss}); where heads are refitted alike on both "
    "encoders, the difference is {encoder}, no loss above the margin of {margin}, so its encoder still has what the "
    "score needs.",
    "heads too weak": "The control cannot decide whether the encoder forgot or the head drifted: on the encoder of {before}, too, "
    "refitted heads rank worse than its own ({control}). Give them more examples, or queries of the same kind.",
    "cannot tell": "{n_queries} queries do not suffice to decide whether the encoder forgot or the head drifted.",
}


def head_table(changes: StoredChanges) -> tuple[list[str], list[list[str]]]:
    """Columns and rows: the comparisons of the control, with means, interval and verdict."""
    columns = [
        "comparison",
        "mean",
        "against",
        "difference",
        UNCORRECTED,
        "corrected p",
        "verdict",
        "fragility",
    ]
    rows = []
    for name, what in HEAD_COMPARISONS.items():
        judged = _judged(changes["heads"], name)
        numbers = (judged.system_mean, judged.baseline_mean)
        rows.append(
            [
                what.format(**changes),
                *(f"{number:.3f}" for number in numbers),
                signed(judged.difference),
                between(judged.interval),
                p_text(judged.corrected_p),
                judged.verdict.value,
                cautions.figure(judged.fragility),
            ]
        )
    return columns, rows


def _head_sentences(changes: StoredChanges, control: Mapping[str, Any]) -> Iterator[str]:
    """Sentences on which part of a loss lies in the encoder, and which in the head."""
    rows = {name: _judged(control, name) for name in HEAD_COMPARISONS}
    numbers_by_comparison = "; ".join(
        f"{HEAD_COMPARISONS[name].format(**changes)}: {signed(rows[name].difference)} ({rows[name].verdict})"
        for name in ("loss", "encoder", "head")
    )
    yield f"{control['measure']} over {control['n_queries']} queries. {numbers_by_comparison}."
    numbers = {name: signed(judged.difference) for name, judged in rows.items()}
    yield CONCLUSIONS[control["conclusion"]].format_map({**changes, **control, **numbers})
    if control["n_unconverged"]:
        yield (
            f"{control['n_unconverged']} of {2 * control['n_fits']} heads were stopped before they had converged."
        )
