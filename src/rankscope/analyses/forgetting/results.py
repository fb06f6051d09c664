"""The forgetting matrix: rankers x collections, each compared with its baseline, with verdicts.

It is made from the evaluation's values; nothing is scored again. The family is all cells.
"""

from collections.abc import Iterator, Mapping

from rankscope.analyses.forgetting.matrix import Matrix, MatrixCell, ReferenceMean
from rankscope.analyses.forgetting.plan import ForgettingParams
from rankscope.core.judged.evaluation import EvaluationRecord, SystemResult
from rankscope.core.judged.margins import as_margin
from rankscope.evaluate.arrays import Values
from rankscope.evaluate.measures import span
from rankscope.evaluate.pairs.comparison import MeasuredPair, compared
from rankscope.evaluate.pairs.verdicts import Judged, judged, recorded
from rankscope.evaluate.seeds.kinship import Kinship


def forgotten(
    evaluation: EvaluationRecord,
    per_query: Mapping[tuple[str, str], Values],
    lines: ForgettingParams,
) -> Matrix:
    """A cell for every system that has a baseline, on every collection both are measured on.

    per_query: a run's path and a measure to its values. The references are the means of baselines that have no baseline themselves.
    """
    measure = lines.measure
    margin = evaluation.margin.get(measure)
    measured_pairs = list(_results_with_baselines(evaluation, lines))
    pairs = [
        MeasuredPair(
            [per_query[seed.run, measure] for seed in result.seeds],
            [per_query[seed.run, measure] for seed in baseline.seeds],
            None if margin is None else as_margin(margin),
            pool=f"{result.place.collection} from {result.place.first_stage}",
            kinship=Kinship(lines.kinship.get(result.system, Kinship.NONE)),
            lineages=(
                lines.seed_lineage.get(result.system, ""),
                lines.seed_lineage.get(baseline.system, ""),
            ),
            span=span(measure),
        )
        for result, baseline in measured_pairs
    ]
    level = evaluation.significance_level
    verdicts = judged(
        compared(pairs, significance_level=level),
        significance_level=level,
        correction=evaluation.correction,
    )
    needed = {(baseline.system, baseline.place) for _, baseline in measured_pairs}
    return Matrix(
        measure=measure,
        margin=margin,
        significance_level=level,
        correction=evaluation.correction,
        references=tuple(
            ReferenceMean(result.system, result.place, result.means[measure])
            for result in evaluation.results
            if (result.system, result.place) in needed and result.system not in lines.against
        ),
        cells=tuple(
            _cell(result, baseline, lines, verdict)
            for (result, baseline), verdict in zip(measured_pairs, verdicts, strict=True)
        ),
    )


def _results_with_baselines(
    evaluation: EvaluationRecord, lines: ForgettingParams
) -> Iterator[tuple[SystemResult, SystemResult]]:
    """Every system's result with that of its baseline, where both are measured."""
    result_of = {(result.place, result.system): result for result in evaluation.results}
    for result in evaluation.results:
        baseline = result_of.get((result.place, lines.against.get(result.system, "")))
        if baseline is not None:
            yield result, baseline


def _cell(
    result: SystemResult, baseline: SystemResult, lines: ForgettingParams, verdict: Judged
) -> MatrixCell:
    collection = result.place.collection
    return MatrixCell(
        result.system,
        baseline.system,
        result.place,
        is_tuned_from=result.system in lines.tuned,
        is_taught=collection in lines.taught.get(baseline.system, ()),
        is_taught_last=collection in lines.taught_last.get(baseline.system, ()),
        judged=recorded(verdict),
    )
