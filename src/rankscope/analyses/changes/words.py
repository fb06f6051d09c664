"""The stored changes between two rankers as rows, tables and sentences."""

import math
from collections.abc import Iterator, Sequence
from operator import itemgetter
from statistics import median
from typing import Any

from rankscope.analyses.changes.stored import (
    Conclusion,
    HeadsControl,
    LayerDisplacement,
    ModuleDisplacement,
    PairChanges,
    RankingChange,
    StateChange,
    StoredChanges,
)
from rankscope.core.judged.plain import Estimate
from rankscope.core.words import counted, of_number
from rankscope.report.wording import cautions
from rankscope.report.wording.numbers import between, p_text, signed
from rankscope.report.wording.verdicts import UNCORRECTED

SAME = 1e-6
"""A state that moved by a smaller share of its length moved by rounding only."""
COLUMNS = (
    "before", "after", "collection", "what", "side", "layer", "part", "value", "low", "high", "intervals",
    "chance", "corrected_p", "verdict", "fragility", "n",
)  # fmt: skip
SHIFT, CKA, NEIGHBOURS = "shift of states", "CKA", "shared neighbours"
NOTHING_VARIES = "\u2013"
SIDES = {"query": "queries", "document": "docs", "pair": "pairs of query and doc"}
HEADINGS = {"query": "queries", "document": "docs", "pair": "pairs"}


def layer_name(layer: int, depth: int) -> str:
    """The name of a layer: embeddings below the first block, head behind the last."""
    return {0: "embeddings", depth + 1: "head"}.get(layer, f"layer {layer}")


def _names(changes: StoredChanges) -> dict[str, str]:
    return {"before": changes.before, "after": changes.after}


def sides(changes: StoredChanges) -> list[str]:
    """The kinds of texts whose states are compared: queries and docs, or pairs."""
    return list(dict.fromkeys(row.side for row in changes.states))


def towers(changes: StoredChanges) -> list[str]:
    """Query and document where a side has modules of its own, or one tower without a name."""
    return ["query", "document"] if any(row.tower for row in changes.layers) else [""]


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
    layers = {row.layer for row in changes.layers} | {row.layer for row in changes.states}
    rows = []
    for layer in sorted(layers):
        cells = [layer_name(layer, changes.depth)]
        for tower in tower_names:
            cells += _weight_cells(changes, tower, layer)
        for side in side_names:
            cells += _state_cells(changes, side, layer)
        rows.append(cells)
    return columns, rows


def _weight_cells(changes: StoredChanges, tower: str, layer: int) -> list[str]:
    """Displacement and effective rank of a layer; modules that both sides share count for each."""
    modules = [row for row in changes.modules if row.layer == layer and row.tower in (tower, "")]
    if not modules:
        return ["", ""]
    moved = math.hypot(*(row.moved for row in modules))
    size = math.hypot(*(row.size for row in modules))
    share = 0.0 if moved == 0 else moved / size if size else None
    ranks = [row.effective_rank for row in modules if row.effective_rank is not None]
    return [_share(share), f"{median(ranks):.1f}" if ranks else ""]


def _state_cells(changes: StoredChanges, side: str, layer: int) -> list[str]:
    row = next((r for r in changes.states if (r.side, r.layer) == (side, layer)), None)
    if row is None:
        return ["", "", ""]
    return [_share(row.shift.value), _number(row.cka), _number(row.neighbours)]


def _number(estimate: Estimate | None) -> str:
    return NOTHING_VARIES if estimate is None else f"{estimate.value:.3f}"


def _share(value: float | None) -> str:
    """A displacement; small ones keep their digits in scientific notation."""
    if value is None:
        return NOTHING_VARIES
    return "0" if value == 0 else f"{value:.4f}" if value >= 1e-3 else f"{value:.1e}"


def full_rows(pairs: Sequence[PairChanges]) -> tuple[list[str], list[list[str]]]:
    """Columns and rows of all numbers for a file, one number a row."""
    rows = [row for pair in pairs for row in _long_rows(pair)]
    return list(COLUMNS), [
        ["" if row.get(name) is None else str(row[name]) for name in COLUMNS] for row in rows
    ]


def _long_rows(pair: PairChanges) -> Iterator[dict[str, Any]]:
    changes = pair.changes
    common = {**_names(changes), "collection": changes.collection}
    for module in changes.modules:
        yield from (common | row for row in _module_rows(module))
    for layer in changes.layers:
        where = {"side": layer.tower, "layer": layer.layer, "part": "all"}
        yield common | where | {"what": "displacement", "value": layer.displacement}
    for state in changes.states:
        yield from (common | row for row in _state_rows(state))
    yield from (common | row for row in _ranking_rows(changes.rankings))
    if pair.heads:
        yield from (common | row for row in _control_rows(changes, pair.heads))


def _module_rows(module: ModuleDisplacement) -> Iterator[dict[str, Any]]:
    where: dict[str, Any] = {"side": module.tower, "layer": module.layer, "part": module.part}
    where["n"] = module.n_weights
    yield where | {"what": "displacement", "value": module.displacement}
    if module.effective_rank is not None:
        yield where | {"what": "effective rank", "value": module.effective_rank}
        yield where | {"what": "highest rank", "value": module.highest_rank}


def _state_rows(state: StateChange) -> Iterator[dict[str, Any]]:
    where = {"side": state.side, "layer": state.layer, "n": state.n_texts}
    yield where | _row(SHIFT, state.shift)
    yield where | _row(CKA, state.cka)
    yield where | _row(NEIGHBOURS, state.neighbours, state.chance)


def _ranking_rows(rankings: RankingChange) -> Iterator[dict[str, Any]]:
    size = {"n": rankings.n_queries}
    yield size | _row("RBO", rankings.overlap, rankings.chance)
    yield size | _row("Kendall's tau", rankings.tau)
    yield size | _row("Pearson's r of scores", rankings.correlation)
    yield size | _row("same doc first", rankings.same_first)


def _row(what: str, estimate: Estimate | None, chance: float | None = None) -> dict[str, Any]:
    """A row for a number with its interval, and the level of chance where there is one."""
    return {"what": what, "chance": chance, **(estimate._asdict() if estimate else {})}


def _control_rows(changes: StoredChanges, control: HeadsControl) -> Iterator[dict[str, Any]]:
    for name, mean in control.means.items():
        yield {"n": control.n_queries, "what": f"{control.measure}, {name}", "value": mean}
    for name, judged in control.comparisons.by_name.items():
        low, high = (end if math.isfinite(end) else None for end in judged.interval)
        yield {
            "what": f"{control.measure}: {_runs_compared(name, changes)}",
            "verdict": judged.verdict.value,
            "fragility": judged.fragility,
            "corrected_p": judged.corrected_p,
            "n": judged.n_queries,
            "value": judged.difference,
            "low": low,
            "high": high,
            "intervals": UNCORRECTED,
        }


# -- modules --------------------------------------------------------------------------------------


def module_table(changes: StoredChanges) -> tuple[list[str], list[list[str]]]:
    """Columns and rows: the displacement of each module, parts down and layers across."""
    layers = sorted({row.layer for row in changes.modules})
    cells: dict[str, dict[int, str]] = {}
    for row in changes.modules:
        part = f"{row.tower} {row.part}".strip()
        cells.setdefault(part, {})[row.layer] = _share(row.displacement)
    columns = ["module", *(layer_name(layer, changes.depth) for layer in layers)]
    return columns, [
        [part, *(by_layer.get(layer, "") for layer in layers)] for part, by_layer in cells.items()
    ]


# -- words ----------------------------------------------------------------------------------------


CAVEAT = (
    "Weights show how far a ranker moved, states how it represents texts, rankings what a user sees. None of them shows "
    "whether it became better: the evaluation's verdicts do. Two trainings with different seeds differ too; only "
    "beside such a pair can one see how much of a change is due to the data."
)


def sentences(pair: PairChanges) -> list[str]:
    """The conclusions, a sentence each; show `CAVEAT` with them."""
    changes = pair.changes
    return [
        *_weight_sentences(changes),
        *(_state_sentence(changes, side) for side in sides(changes)),
        *_ranking_sentences(changes),
        *(_head_sentences(changes, pair.heads) if pair.heads else ()),
    ]


def _weight_sentences(changes: StoredChanges) -> Iterator[str]:
    before, after = changes.before, changes.after
    moved = [row for row in changes.modules if row.moved > 0]
    if not moved:
        yield f"{after} has the weights of {before}: none differs, in any layer."
        return
    whole = changes.displacement
    share = "" if whole is None else f", all weights together by {_percent(whole)} of their size"
    yield f"{after} against {before}: {len(moved)} of {counted(len(changes.modules), 'module')} moved{share}."
    yield from _layer_sentences(changes)
    yield from _rank_sentences(moved)


def _layer_sentences(changes: StoredChanges) -> Iterator[str]:
    """Sentences on the layers whose weights moved, and on how far the weights of each did."""
    layers = [row for row in changes.layers if row.displacement != 0]
    if len(layers) < len(changes.layers):
        yield f"Weights moved in {_layer_list(layers, changes)} only."
    shares = [(row.displacement, row) for row in layers if row.displacement is not None]
    if len(shares) > 1:
        (most, most_moved), (least, least_moved) = (
            by(shares, key=itemgetter(0)) for by in (max, min)
        )
        yield (
            f"They moved most in {_layer_list([most_moved], changes)} ({_percent(most)}) and least in "
            f"{_layer_list([least_moved], changes)} ({_percent(least)})."
        )


def _rank_sentences(moved: Sequence[ModuleDisplacement]) -> Iterator[str]:
    """A sentence on the effective ranks, where a matrix with more than one direction moved."""
    shares = [
        row.effective_rank / row.highest_rank
        for row in moved
        if row.effective_rank and row.highest_rank and row.highest_rank > 1
    ]
    if shares:
        yield (
            f"The update of a matrix goes in {median(shares):.0%} of the directions there are (median of effective "
            f"ranks; {min(shares):.0%} to {max(shares):.0%})."
        )


def _percent(share: float) -> str:
    """A share in per cent with three digits, however small it is."""
    return f"{share:.0%}" if share >= 10 else f"{100 * share:.3g}%"


def _layer_list(layers: Sequence[LayerDisplacement], changes: StoredChanges) -> str:
    names = [
        f"{_layer_in_sentence(row.layer, changes)}{f' of the {row.tower} tower' if row.tower else ''}"
        for row in layers
    ]
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _layer_in_sentence(layer: int, changes: StoredChanges) -> str:
    """The name of a layer within a sentence."""
    name = layer_name(layer, changes.depth)
    return name if name.startswith("layer") else f"the {name}"


def _state_sentence(changes: StoredChanges, side: str) -> str:
    rows = [row for row in changes.states if row.side == side]
    moved = [row for row in rows if row.shift.value > SAME]
    if not moved:
        return f"The states of {SIDES[side]} are the same in every layer."
    first, last = moved[0], rows[-1]
    start = f"The states of {SIDES[side]} differ from {_layer_in_sentence(first.layer, changes)} on"
    if last.cka is None or last.neighbours is None:
        return (
            f"{start}; at the last layer those of a ranker do not vary, or lie equally far apart."
        )
    least, layer = min((row.cka.value, row.layer) for row in rows if row.cka is not None)
    is_lower = f"{least:.3f}" != f"{last.cka.value:.3f}"
    where = (
        f" CKA is lowest at {_layer_in_sentence(layer, changes)}, {least:.3f}." if is_lower else ""
    )
    text, of_others = ("pair", " of other queries") if side == "pair" else ("text", "")
    return (
        f"{start}. At the last, CKA is {_with_interval(last.cka)}, and of a {text}'s {last.k} nearest{of_others} "
        f"{_with_interval(last.neighbours)} are the same, where chance gives {last.chance:.3f}.{where}"
    )


def _with_interval(estimate: Estimate) -> str:
    value, low, high = (f"{number:.3f}" for number in estimate)
    return f"{value} ({low} to {high})".replace("-", "\u2212")


def _ranking_sentences(changes: StoredChanges) -> Iterator[str]:
    rankings = changes.rankings
    yield from _tie_sentences(changes)
    same = f"the same docs, up to {rankings.depth} a query,"
    if rankings.overlap.value == 1 and math.isclose(rankings.tau.value, 1):
        yield f"Both order {same} alike, for all {counted(rankings.n_queries, 'query', 'queries')}."
        if any(row.moved > 0 for row in changes.modules):
            yield "So the weights moved, and none of these rankings did."
        return
    yield (
        f"Over {counted(rankings.n_queries, 'query', 'queries')} they order {same} with a rank-biased overlap of "
        f"{_with_interval(rankings.overlap)}, where two drawn orders have {rankings.chance:.3f}, and a Kendall's tau of "
        f"{_with_interval(rankings.tau)}; their scores correlate by {_with_interval(rankings.correlation)}; the same "
        f"doc is first for {rankings.same_first.value:.0%}."
    )
    if rankings.overlap.low <= rankings.chance:
        yield (
            "So it is not shown that they agree more than by chance, as happens where a head began with random weights, "
            "or where the rankers have no common lineage."
        )
    if all(row.shift.value <= SAME for row in changes.states if row.layer == changes.depth):
        yield "Their encoders represent every text alike: the change in the rankings comes from behind them."


def _tie_sentences(changes: StoredChanges) -> Iterator[str]:
    for place, share in changes.rankings.tied.items():
        if share:
            yield (
                f"{_names(changes)[place]} scores {_percent(share)} of the docs like another of the same query: their order is "
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
    Conclusion.NO_LOSS: "No loss above the margin of {margin} was shown, so there is nothing to attribute to encoder or head.",
    Conclusion.IN_ENCODER: "The encoder forgot: {after} loses with its own head ({loss}), and still does where heads are "
    "refitted alike on both encoders ({encoder}).",
    Conclusion.IN_HEAD: "The head drifted: {after} loses with its own head ({loss}); where heads are refitted alike on both "
    "encoders, the difference is {encoder}, no loss above the margin of {margin}, so its encoder still has what the "
    "score needs.",
    Conclusion.TOO_WEAK: "The control cannot decide whether the encoder forgot or the head drifted: on the encoder of {before}, too, "
    "refitted heads rank worse than its own ({control}). Give them more examples, or queries of the same kind.",
    Conclusion.CANNOT_TELL: "{n_queries} queries do not suffice to decide whether the encoder forgot or the head drifted.",
}


def _runs_compared(name: str, changes: StoredChanges) -> str:
    return HEAD_COMPARISONS[name].format(**_names(changes))


def head_table(changes: StoredChanges, control: HeadsControl) -> tuple[list[str], list[list[str]]]:
    """Columns and rows: the comparisons of the control, with means, interval and verdict."""
    columns = [
        "comparison", "mean", "against", "difference", UNCORRECTED, "corrected p", "verdict", "fragility",
    ]  # fmt: skip
    rows = []
    for name, judged in control.comparisons.by_name.items():
        numbers = (judged.system_mean, judged.baseline_mean)
        rows.append(
            [
                _runs_compared(name, changes),
                *(f"{number:.3f}" for number in numbers),
                signed(judged.difference),
                between(judged.interval),
                p_text(judged.corrected_p),
                judged.verdict.value,
                cautions.figure(judged.fragility),
            ]
        )
    return columns, rows


def _head_sentences(changes: StoredChanges, control: HeadsControl) -> Iterator[str]:
    """Sentences on which part of a loss lies in the encoder, and which in the head."""
    comparisons = control.comparisons.by_name
    numbers = {name: signed(judged.difference) for name, judged in comparisons.items()}
    numbers_by_comparison = "; ".join(
        f"{_runs_compared(name, changes)}: {numbers[name]} ({comparisons[name].verdict})"
        for name in ("loss", "encoder", "head")
    )
    yield f"{control.measure} over {counted(control.n_queries, 'query', 'queries')}. {numbers_by_comparison}."
    settings = {"margin": control.margin, "n_queries": control.n_queries}
    yield CONCLUSIONS[control.conclusion].format(**_names(changes), **settings, **numbers)
    if control.n_unconverged:
        yield f"{control.n_unconverged} of {2 * control.n_fits} heads {of_number(control.n_unconverged, 'was stopped before it', 'were stopped before they')} had converged."
