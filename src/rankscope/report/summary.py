"""summary.json: the results of a study, for other programs and for the terminal."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from rankscope.core.judged.comparisons import JudgedComparison
from rankscope.core.judged.evaluation import SystemResult
from rankscope.core.judged.over_tests import JudgedOverTests
from rankscope.core.judged.plain import as_plain, as_stored, from_plain
from rankscope.report.claims import Claim, claims
from rankscope.report.stored import StoredResults
from rankscope.report.wording.verdicts import interval


@dataclass(frozen=True)
class Summary:
    """The results of the evaluation; in the file, the results of analyses follow under the keys of their sections."""

    study: str
    seed: int | None
    notes: tuple[str, ...]
    measures: tuple[str, ...]
    results: tuple[SystemResult, ...]
    comparisons: tuple[JudgedComparison, ...]
    pooled: tuple[JudgedOverTests, ...]
    intervals: str
    """The name of the comparisons' intervals."""
    claims: tuple[Claim, ...]


def summary_of(results: StoredResults) -> Summary:
    """The summary of a study's stored results."""
    evaluation = results.evaluation
    return Summary(
        study=results.study,
        seed=results.seed,
        notes=evaluation.notes,
        measures=evaluation.measures,
        results=evaluation.results,
        comparisons=evaluation.comparisons,
        pooled=evaluation.pooled,
        intervals=interval(evaluation).replace("\u00a0", " "),
        claims=tuple(claims(evaluation)),
    )


def as_json(results: StoredResults) -> str:
    """The file's text; rows have their keys in the order of `evaluation.json`."""
    summary = summary_of(results)
    stored = as_plain(summary) | {
        "results": [as_stored(row) for row in summary.results],
        "comparisons": [as_stored(row) for row in summary.comparisons],
        "pooled": [as_stored(row) for row in summary.pooled],
        **{section.key: section.data for section in results.sections},
    }
    return json.dumps(stored, indent=2, ensure_ascii=False) + "\n"


def read(stored: Mapping[str, Any], *, where: str) -> Summary:
    """The summary from a file's values. Raises DamagedArtifact where a key is missing."""
    own = {field.name: stored[field.name] for field in fields(Summary) if field.name in stored}
    return from_plain(Summary, own, where=where)
