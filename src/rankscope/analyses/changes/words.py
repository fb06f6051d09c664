"""What moved between two rankers: rows, curves and words, from what was stored of it."""

import math
from collections.abc import Iterator, Mapping, Sequence
from statistics import median
from typing import Any

from rankscope.core.judged.comparisons import JudgedDifference
from rankscope.core.judged.plain import from_plain
from rankscope.report.wording import cautions
from rankscope.report.wording.numbers import between, p_text, signed
from rankscope.report.wording.verdicts import UNCORRECTED

Found = Mapping[str, Any]
"""Of one pair of rankers, as the study stores it."""

SAME = 1e-6
"""A state that moved by less of its size moved by rounding."""
COLUMNS = (
    "before",
    "after",
    "collection",
    "what",
    "side",
    "layer",
    "part",
    "value",
    "low",
    "high",
    "intervals",
    "chance",
    "corrected_p",
    "verdict",
    "fragility",
    "n",
)
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
    """What a layer is called: embeddings below the first block, head behind the last."""
    return {0: "embeddings", depth + 1: "head"}.get(layer, f"layer {layer}")


def sides(found: Found) -> list[str]:
    """Of what the states are: queries and docs, or pairs."""
    return list(dict.fromkeys(row["side"] for row in found["states"]))


def towers(found: Found) -> list[str]:
    """Query and document where anything is a side's own, or one nameless tower."""
    return ["query", "document"] if any(row["tower"] for row in found["layers"]) else [""]


# -- tables ---------------------------------------------------------------------------------------


def layer_table(found: Found) -> tuple[list[str], list[list[str]]]:
    """Columns and rows: a layer a row; how far weights and states moved, and how alike texts still lie."""
    of_towers, of_sides = towers(found), sides(found)
    columns = ["layer"]
    for tower in of_towers:
        named = f" ({tower})" if tower else ""
        columns += [f"weights{named}", f"effective rank{named}"]
    for side in of_sides:
        columns += [f"{HEADINGS[side]}: {what}" for what in ("shift", "CKA", "neighbours")]
    layers = sorted({row["layer"] for row in (*found["layers"], *found["states"])})
    rows = []
    for layer in layers:
        cells = [layer_name(layer, found["depth"])]
        for tower in of_towers:
            cells += _weight_cells(found, tower, layer)
        for side in of_sides:
            cells += _state_cells(found, side, layer)
        rows.append(cells)
    return columns, rows


def _weight_cells(found: Found, tower: str, layer: int) -> list[str]:
    """What no side has for itself belongs to both."""
    mine = [
        row for row in found["modules"] if row["layer"] == layer and row["tower"] in (tower, "")
    ]
    if not mine:
        return ["", ""]
    moved, size = (math.hypot(*(row[name] for row in mine)) for name in ("moved", "size"))
    share = 0.0 if moved == 0 else moved / size if size else None
    ranks = [row["effective_rank"] for row in mine if row["effective_rank"] is not None]
    return [_share(share), f"{median(ranks):.1f}" if ranks else ""]


def _state_cells(found: Found, side: str, layer: int) -> list[str]:
    row = next((r for r in found["states"] if (r["side"], r["layer"]) == (side, layer)), None)
    if row is None:
        return ["", "", ""]
    return [_share(row["shift"]), *(_number(row[name]) for name in ("cka", "neighbours"))]


def _number(value: float | None) -> str:
    return NOTHING_VARIES if value is None else f"{value:.3f}"


def _share(value: float | None) -> str:
    """A displacement; small ones keep their digits."""
    if value is None:
        return NOTHING_VARIES
    return "0" if value == 0 else f"{value:.4f}" if value >= 1e-3 else f"{value:.1e}"


def full_rows(all_found: Sequence[Found]) -> tuple[list[str], list[list[str]]]:
    """Columns and rows of everything, for a file: one number a row."""
    rows = [row for found in all_found for row in _long(found)]
    return list(COLUMNS), [
        ["" if row.get(name) is None else str(row[name]) for name in COLUMNS] for row in rows
    ]


def _long(found: Found) -> Iterator[dict[str, Any]]:
    pair = {name: found[name] for name in ("before", "after", "collection")}
    for row in found["modules"]:
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
    for row in found["layers"]:
        where = {"side": row["tower"], "layer": row["layer"], "part": "all"}
        yield pair | where | {"what": "displacement", "value": row["displacement"]}
    for row in found["states"]:
        for name, what in STATES.items():
            where = {"side": row["side"], "layer": row["layer"], "n": row["n_texts"], "what": what}
            chance = {"chance": row["chance"]} if name == "neighbours" else {}
            yield pair | where | chance | interval_of(row, name)
    rankings = found["rankings"]
    for name, what in RANKINGS.items():
        chance = {"chance": rankings["chance"]} if name == "overlap" else {}
        yield (
            pair | {"what": what, "n": rankings["n_queries"]} | chance | interval_of(rankings, name)
        )
    for row in _of_control(found, found["heads"]) if found.get("heads") else ():
        yield pair | row


def _of_control(found: Found, control: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    of_one = {"n": control["n_queries"]}
    for name, mean in control["means"].items():
        yield of_one | {"what": f"{control['measure']}, {name}", "value": mean}
    for name, what in HEAD_COMPARISONS.items():
        judged = _judged(control, name)
        low, high = (end if math.isfinite(end) else None for end in judged.interval)
        yield {
            "what": f"{control['measure']}: {what.format(**found)}",
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
    """One of the comparisons of heads."""
    return from_plain(JudgedDifference, control["comparisons"][name], where=f"heads: {name}")


def interval_of(row: Mapping[str, Any], name: str) -> dict[str, Any]:
    """A number with its interval."""
    return {"value": row[name], "low": row[f"{name}_low"], "high": row[f"{name}_high"]}


# -- modules --------------------------------------------------------------------------------------


def module_table(found: Found) -> tuple[list[str], list[list[str]]]:
    """Columns and rows: a module's part down, layers across; how far it moved."""
    layers = sorted({row["layer"] for row in found["modules"]})
    cells: dict[str, dict[int, str]] = {}
    for row in found["modules"]:
        part = f"{row['tower']} {row['part']}".strip()
        cells.setdefault(part, {})[row["layer"]] = _share(row["displacement"])
    columns = ["module", *(layer_name(layer, found["depth"]) for layer in layers)]
    return columns, [[part, *(of.get(layer, "") for layer in layers)] for part, of in cells.items()]


# -- words ----------------------------------------------------------------------------------------


CAVEAT = (
    "Weights say how far a ranker moved, states what it makes of texts, rankings what a user sees. None of them says "
    "whether it moved for the better: the evaluation's verdicts do. Two trainings from other seeds differ too; how "
    "much of a change is the data's is seen beside such a pair only."
)


def in_words(found: Found) -> list[str]:
    """What may be concluded, a sentence each; `CAVEAT` belongs to it."""
    return [
        *_of_weights(found),
        *(_of_states(found, side) for side in sides(found)),
        *_of_rankings(found),
        *(_of_heads(found, found["heads"]) if found.get("heads") else ()),
    ]


def _of_weights(found: Found) -> Iterator[str]:
    before, after = found["before"], found["after"]
    moved = [row for row in found["modules"] if row["moved"] > 0]
    if not moved:
        yield f"{after} has the weights of {before}: none differs, in any layer."
        return
    still = [row for row in found["layers"] if row["displacement"] == 0]
    layers = [row for row in found["layers"] if row["displacement"] != 0]
    whole = found["displacement"]
    of_size = "" if whole is None else f", all weights together by {_percent(whole)} of their size"
    yield f"{after} against {before}: {len(moved)} of {len(found['modules'])} modules moved{of_size}."
    if still:
        yield f"Weights moved in {_named(layers, found)} only."
    shown = [row for row in layers if row["displacement"] is not None]
    if len(shown) > 1:
        most, least = (by(shown, key=lambda row: row["displacement"]) for by in (max, min))
        yield (
            f"They moved most in {_named([most], found)} ({_percent(most['displacement'])}) and least in "
            f"{_named([least], found)} ({_percent(least['displacement'])})."
        )
    shares = [
        row["effective_rank"] / row["highest_rank"]
        for row in moved
        if row["effective_rank"] and row["highest_rank"] > 1  # of one row there is one direction
    ]
    if shares:
        yield (
            f"The update of a matrix goes in {median(shares):.0%} of the directions there are (median of effective "
            f"ranks; {min(shares):.0%} to {max(shares):.0%})."
        )


def _percent(share: float) -> str:
    """With three digits, however small."""
    return f"{share:.0%}" if share >= 10 else f"{100 * share:.3g}%"


def _named(layers: Sequence[Mapping[str, Any]], found: Found) -> str:
    names = [
        f"{_told(row['layer'], found)}{' of the ' + row['tower'] + ' tower' if row['tower'] else ''}"
        for row in layers
    ]
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _told(layer: int, found: Found) -> str:
    """What a layer is called in a sentence."""
    name = layer_name(layer, found["depth"])
    return name if name.startswith("layer") else f"the {name}"


def _of_states(found: Found, side: str) -> str:
    rows = [row for row in found["states"] if row["side"] == side]
    moved = [row for row in rows if row["shift"] > SAME]
    what = SIDES[side]
    if not moved:
        return f"The states of {what} are the same in every layer."
    first, last = moved[0], rows[-1]
    told = f"The states of {what} differ from {_told(first['layer'], found)} on"
    if last["cka"] is None or last["neighbours"] is None:
        return f"{told}; at the last layer those of a ranker do not vary, or lie equally far apart."
    least = min((row for row in rows if row["cka"] is not None), key=lambda row: float(row["cka"]))
    is_lower = f"{least['cka']:.3f}" != f"{last['cka']:.3f}"
    where = (
        f" CKA is lowest at {_told(least['layer'], found)}, {least['cka']:.3f}." if is_lower else ""
    )
    return (
        f"{told}. At the last, CKA is {_with_interval(last, 'cka')}, and of a {'pair' if side == 'pair' else 'text'}'s {last['k']} nearest{' of other queries' if side == 'pair' else ''} "
        f"{_with_interval(last, 'neighbours')} are the same, where chance gives {last['chance']:.3f}.{where}"
    )


def _with_interval(row: Mapping[str, Any], name: str) -> str:
    value, low, high = (f"{row[each]:.3f}" for each in (name, f"{name}_low", f"{name}_high"))
    return f"{value} ({low} to {high})".replace("-", "\u2212")


def _of_rankings(found: Found) -> Iterator[str]:
    rows = found["rankings"]
    yield from _of_ties(found)
    same = f"the same docs, up to {rows['depth']} a query,"
    if rows["overlap"] == 1 and math.isclose(rows["tau"], 1):
        yield f"Both order {same} alike, for all {rows['n_queries']} queries."
        if any(row["moved"] > 0 for row in found["modules"]):
            yield "So the weights moved, and none of these rankings did."
        return
    yield (
        f"Over {rows['n_queries']} queries they order {same} with a rank-biased overlap of "
        f"{_with_interval(rows, 'overlap')}, where two drawn orders have {rows['chance']:.3f}, and a Kendall's tau of "
        f"{_with_interval(rows, 'tau')}; their scores correlate by {_with_interval(rows, 'correlation')}; the same doc is first for {rows['same_first']:.0%}."
    )
    if rows["overlap_low"] <= rows["chance"]:
        yield (
            "So they are not shown to order docs more alike than by chance: as where a head began with random weights, "
            "or where they are of no lineage."
        )
    last = [row for row in found["states"] if row["layer"] == found["depth"]]
    if all(row["shift"] <= SAME for row in last):
        yield "Their encoders make the same of every text: what changed in the rankings comes from behind them."


def _of_ties(found: Found) -> Iterator[str]:
    for side, share in found["rankings"]["tied"].items():
        if share:
            yield (
                f"{found[side]} scores {_percent(share)} of the docs like another of the same query: their order is "
                "by doc id, not the ranker's."
            )


# -- heads ----------------------------------------------------------------------------------------

HEAD_COMPARISONS = {
    "loss": "{after} against {before}, with their own heads",
    "encoder": "both with heads fitted anew",
    "head": "{after} with a head fitted anew against its own",
    "control": "{before} with a head fitted anew against its own",
}
"""What each comparison of the control is."""
CONCLUSIONS = {
    "no loss": "No loss above the margin of {margin} was shown, so none is laid to the encoder or to the head.",
    "encoder": "The encoder forgot: {after} is {loss} behind with its own head, and still {encoder} where heads are "
    "fitted alike on both encoders.",
    "head": "The head drifted: with its own head {after} is {loss} behind; where heads are fitted alike on both "
    "encoders the difference is {encoder}, no loss above the margin of {margin}, so its encoder still has what the "
    "score needs.",
    "heads too weak": "Whether the encoder forgot or the head drifted cannot be told: on the encoder of {before}, too, "
    "heads fitted anew rank worse than its own ({control}). Give them more examples, or queries that ask for the same.",
    "cannot tell": "Whether the encoder forgot or the head drifted cannot be told from {n_queries} queries.",
}


def head_table(found: Found) -> tuple[list[str], list[list[str]]]:
    """Columns and rows: the control's comparisons, with means, interval and verdict."""
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
        judged = _judged(found["heads"], name)
        numbers = (judged.system_mean, judged.baseline_mean)
        rows.append(
            [
                what.format(**found),
                *(f"{number:.3f}" for number in numbers),
                signed(judged.difference),
                between(judged.interval),
                p_text(judged.corrected_p),
                judged.verdict.value,
                cautions.figure(judged.fragility),
            ]
        )
    return columns, rows


def _of_heads(found: Found, control: Mapping[str, Any]) -> Iterator[str]:
    """What of a loss lies in the encoder, and what in the head."""
    rows = {name: _judged(control, name) for name in HEAD_COMPARISONS}
    told = "; ".join(
        f"{HEAD_COMPARISONS[name].format(**found)}: {signed(rows[name].difference)} ({rows[name].verdict})"
        for name in ("loss", "encoder", "head")
    )
    yield f"{control['measure']} over {control['n_queries']} queries. {told}."
    numbers = {name: signed(judged.difference) for name, judged in rows.items()}
    yield CONCLUSIONS[control["conclusion"]].format_map({**found, **control, **numbers})
    if control["n_unconverged"]:
        yield (
            f"{control['n_unconverged']} of {2 * control['n_fits']} heads were cut short before they had converged."
        )
