"""Measure and compare run files."""

from typing import Any

from rankscope.evaluate.comparing import Compared
from rankscope.evaluate.evaluation import EvaluatedRun, Evaluation
from rankscope.report.wording.verdicts import interval_name

# -- as JSON and as a page -------------------------------------------------------------------------


def as_json(found: Evaluation, compared: Compared | None = None) -> dict[str, Any]:
    """Runs with means and per-query values, and comparisons; plain values only."""
    terms = (
        None
        if compared is None
        else {
            "significance_level": compared.significance_level,
            "correction": compared.correction,
            "family_size": compared.family_size,
            "baselines": list(compared.baselines),
            "intervals": interval_name(compared.significance_level, compared.correction).replace(
                "\u00a0", " "
            ),
        }
    )
    return {
        "n_queries": found.n_queries,
        "measures": list(found.measures),
        "terms": terms,
        "notes": [*found.notes, *(compared.notes if compared else ())],
        "runs": [_run_as_json(run) for run in found.runs],
        "comparisons": [row.plain() for row in compared.rows] if compared else [],
        "seeds": {
            system: {measure: dict(vars(split)) for measure, split in of_system.items()}
            for system, of_system in (compared.seeds if compared else {}).items()
        },
    }


def _run_as_json(run: EvaluatedRun) -> dict[str, Any]:
    values = run.measured.values
    query_ids = next(iter(values.values()), {})
    return {
        "tag": run.tag,
        "system": run.system,
        "path": run.path,
        "means": run.measured.means(),
        "missing_queries": list(run.measured.missing_queries),
        "unjudged_queries": list(run.measured.unjudged_queries),
        "ties": None if run.ties is None else dict(vars(run.ties)),
        "notes": list(run.notes),
        "per_query": {
            query_id: {measure: values[measure][query_id] for measure in values}
            for query_id in query_ids
        },
    }


# -- reproduce and convert -------------------------------------------------------------------------
