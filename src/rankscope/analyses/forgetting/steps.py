"""How the step of the forgetting matrix is carried out."""

import csv
from collections.abc import Mapping

from rankscope.analyses.forgetting.plan import ForgettingParams
from rankscope.analyses.forgetting.results import forgotten
from rankscope.core.judged.comparisons import Verdict
from rankscope.core.judged.evaluation import EVALUATION, EvaluationRecord
from rankscope.core.judged.plain import as_plain
from rankscope.core.tables import plain_cell
from rankscope.evaluate.arrays import Values
from rankscope.pipeline.work import Summary, Work
from rankscope.store.artifacts import read_record, write_json

FORGETTING = "forgetting.json"


def forgetting(work: Work) -> Summary:
    """The matrix of rankers x collections, from the stored evaluation."""
    stored = work.folder("evaluate") / EVALUATION
    matrix = forgotten(
        read_record(EvaluationRecord, stored),
        _per_query(work),
        work.params(ForgettingParams),
    )
    write_json(work.out / FORGETTING, as_plain(matrix))
    verdicts = [cell.judged.verdict for cell in matrix.cells]
    return {"n_cells": len(verdicts), "n_worse": verdicts.count(Verdict.WORSE)}


def _per_query(work: Work) -> Mapping[tuple[str, str], Values]:
    values: dict[tuple[str, str], dict[str, float]] = {}
    with (work.folder("evaluate") / "per_query.csv").open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            run, query_id = plain_cell(row["run"]), plain_cell(row["query_id"])
            values.setdefault((run, row["measure"]), {})[query_id] = float(row["value"])
    return values
