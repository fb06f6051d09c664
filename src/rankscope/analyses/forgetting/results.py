"""The forgetting matrix: rankers x collections, each against what it is held against, with verdicts.

Made of what an evaluation measured; nothing is scored again. The family is all cells.
"""

from collections.abc import Mapping
from typing import Any

from rankscope.analyses.forgetting.plan import ForgettingParams
from rankscope.evaluate.comparison import Pair, Values, compared
from rankscope.evaluate.evaluation import as_margin, plain
from rankscope.evaluate.kinship import Kinship
from rankscope.evaluate.measures import span
from rankscope.evaluate.verdicts import judged

Evaluated = Mapping[str, Any]
"""As the step of evaluation stores it."""


def forgotten(
    evaluation: Evaluated,
    per_query: Mapping[tuple[str, str], Values],
    lines: ForgettingParams,
) -> dict[str, Any]:
    """A cell for every system that is held against another, on every collection both are measured on.

    per_query: a run's path and a measure to its values. The references are the means of those that are held against nothing themselves.
    """
    rows = {
        (row["collection"], row["first_stage"], row["system"]): row for row in evaluation["results"]
    }
    measure = lines.measure
    margin = evaluation["margin"].get(measure)
    places, pairs = [], []
    for (collection, first_stage, system), row in rows.items():
        baseline = lines.against.get(system)
        other = rows.get((collection, first_stage, baseline or ""))
        if baseline is None or other is None:
            continue
        mine, theirs = (
            [per_query[run["run"], measure] for run in of.get("runs", [of])] for of in (row, other)
        )
        pairs.append(
            Pair(
                mine,
                theirs,
                None if margin is None else as_margin(margin),
                pool=f"{collection} from {first_stage}",
                kinship=Kinship(lines.kinship.get(system, Kinship.NONE)),
                lineages=(lines.seed_lineage.get(system, ""), lines.seed_lineage.get(baseline, "")),
                span=span(measure),
            )
        )
        places.append(
            {
                "system": system,
                "baseline": baseline,
                "collection": collection,
                "first_stage": first_stage,
                "is_tuned_from": system in lines.tuned,
                "is_taught": collection in lines.taught.get(baseline, ()),
                "is_taught_last": collection in lines.taught_last.get(baseline, ()),
            }
        )
    held = {(place["baseline"], place["collection"], place["first_stage"]) for place in places}
    level = evaluation["significance_level"]
    found = judged(
        compared(pairs, significance_level=level),
        significance_level=level,
        correction=evaluation["correction"],
    )
    return {
        "measure": measure,
        "margin": margin,
        "significance_level": level,
        "correction": evaluation["correction"],
        "references": [
            {
                "system": system,
                "collection": collection,
                "first_stage": first_stage,
                "mean": row["means"][measure],
            }
            for (collection, first_stage, system), row in rows.items()
            if (system, collection, first_stage) in held and system not in lines.against
        ],
        "cells": [place | plain(cell) for place, cell in zip(places, found, strict=True)],
    }
