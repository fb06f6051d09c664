"""The forgetting matrix: rankers x collections, each against what it is held against, with verdicts.

Made of what an evaluation measured; nothing is scored again. The family is all cells.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from rankscope.evaluate.comparison import Pair, Values, compared
from rankscope.evaluate.evaluation import as_margin, plain
from rankscope.evaluate.verdicts import judged

Evaluated = Mapping[str, Any]
"""As the step of evaluation stores it."""


def forgotten(
    evaluation: Evaluated,
    per_query: Mapping[tuple[str, str], Values],
    against: Mapping[str, str],
    tuned: Sequence[str],
    taught: Mapping[str, Sequence[str]],
    *,
    measure: str,
) -> dict[str, Any]:
    """A cell for every system that is held against another, on every collection both are measured on.

    per_query: a run's path and a measure to its values. `tuned`: the systems that were tuned from what they
    are held against; only those can forget. `taught`: on which collections' docs the line of a baseline has
    learnt queries. The references are the means of those that are held against nothing themselves.
    """
    rows = {
        (row["collection"], row["first_stage"], row["system"]): row for row in evaluation["results"]
    }
    margin = evaluation["margin"].get(measure)
    places, pairs = [], []
    for (collection, first_stage, system), row in rows.items():
        baseline = against.get(system)
        other = rows.get((collection, first_stage, baseline or ""))
        if baseline is None or other is None:
            continue
        mine, theirs = (
            [per_query[run["run"], measure] for run in of.get("runs", [of])] for of in (row, other)
        )
        pairs.append(Pair(mine, theirs, None if margin is None else as_margin(margin)))
        places.append(
            {
                "system": system,
                "baseline": baseline,
                "collection": collection,
                "first_stage": first_stage,
                "is_ancestor": system in tuned,
                "is_taught": collection in taught.get(baseline, ()),
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
            if (system, collection, first_stage) in held and system not in against
        ],
        "cells": [place | plain(cell) for place, cell in zip(places, found, strict=True)],
    }
