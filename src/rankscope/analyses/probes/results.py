"""The comparisons of probes: with chance, with the baselines, and with their controls."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor

from rankscope.analyses.probes.examples import ProbeExamples
from rankscope.analyses.probes.plan import ConcludeParams
from rankscope.analyses.probes.stored import (
    FIRST_STAGE,
    LayerAccuracy,
    LayerDifference,
    LayerMatches,
    PublishedAccuracy,
    StoredProbes,
)
from rankscope.core.judged.comparisons import Verdict
from rankscope.core.judged.margins import Margin
from rankscope.core.words import counted, of_number
from rankscope.evaluate.arrays import Values
from rankscope.evaluate.as_published import STUDY_A_WARNING, unpaired_stars
from rankscope.evaluate.pairs.comparison import Comparison, MeasuredPair, compared
from rankscope.evaluate.pairs.verdicts import Judged, judged
from rankscope.explain import probes
from rankscope.explain.probing import CONTROL_OF, CONTROLS, Outcome

PUBLISHED_WARNINGS = (
    "As published (study A): the probe is additive in query and docs, so it cannot see whether they match, and it "
    "stops long before it has converged, the sooner the wider the states. Read it beside its control, in which "
    "every query is another's.",
    STUDY_A_WARNING,
)


class ProbePoint(NamedTuple):
    """One probe on one layer of one ranker, for choices among n docs."""

    ranker: str
    probe: str
    layer: int
    n: int


@dataclass(frozen=True)
class ProbeResults:
    """The accuracies of probes, and their comparisons."""

    above_chance: Mapping[ProbePoint, Comparison]
    """Accuracy against 1/n, with its interval, clustered by query."""
    against: Mapping[tuple[ProbePoint, str], Judged]
    """A probe compared with that of the same layer of a baseline: a verdict corrected over the layers."""
    reads_matches: Mapping[ProbePoint, Judged]
    """A probe compared with the same probe on shuffled queries, corrected over the layers."""
    published_p: Mapping[tuple[ProbePoint, str], float]
    """The p of study A's own test against the same layer of a baseline, for its own probe."""
    baselines: tuple[str, ...]
    n_examples: int
    n_queries: int
    notes: tuple[str, ...]

    def readable_from(self, ranker: str) -> float | None:
        """The first layer, as a share of the depth, from which on every layer reads matches at the largest n.

        None where the last does not.
        """
        n = max(point.n for point in self.reads_matches)
        reads = {
            point.layer: row.verdict is Verdict.BETTER
            for point, row in self.reads_matches.items()
            if (point.ranker, point.n) == (ranker, n)
        }
        depth = max(reads)
        last_silent = max((layer for layer, is_read in reads.items() if not is_read), default=-1)
        return None if last_silent == depth else (last_silent + 1) / max(depth, 1)


# -- probes ---------------------------------------------------------------------------------------


def concluded(
    by_ranker: Mapping[str, Sequence[tuple[int, Outcome]]],
    examples: ProbeExamples,
    params: ConcludeParams,
    *,
    notes: Sequence[str],
) -> ProbeResults:
    """The rankers' outcomes compared, with those of the run that the negatives come from."""
    ids = [str(place) for place in range(len(examples.test))]
    groups = {name: choice.query_id for name, choice in zip(ids, examples.test, strict=True)}
    values: dict[ProbePoint, list[Values]] = {}
    spec, baselines = params.spec, list(dict.fromkeys(params.baselines))
    warnings = [*(PUBLISHED_WARNINGS if spec.is_published else ()), *examples.notes, *notes]
    for name, layers in by_ranker.items():
        for layer, outcome in layers:
            for place, n in enumerate(spec.ns):
                point = ProbePoint(name, outcome.probe, layer, n)
                values[point] = [_by_id(ids, seed[place]) for seed in outcome.credits]
            if outcome.n_unconverged:
                warnings.append(
                    f"{name}, layer {layer}: {outcome.n_unconverged} of {counted(spec.fits, 'fit')} of "
                    f"{outcome.probe} {of_number(outcome.n_unconverged, 'was stopped before it', 'were stopped before they')} had converged."
                )
    scores = torch.tensor(examples.scores)
    for n in spec.ns:
        values[ProbePoint(FIRST_STAGE, FIRST_STAGE, 0, n)] = [
            _by_id(ids, probes.credit(scores[:, :n]))
        ]
    against = _against(values, baselines, groups, spec.margin)
    return ProbeResults(
        above_chance=_above_chance(values, ids, groups),
        against=against,
        reads_matches=_reads_matches(values, groups),
        published_p=_published_p(values, against),
        baselines=tuple(baselines),
        n_examples=len(ids),
        n_queries=len(set(groups.values())),
        notes=(*warnings, *_depth_notes(values, baselines)),
    )


def _by_id(ids: Sequence[str], accuracies: Tensor) -> dict[str, float]:
    return dict(zip(ids, accuracies.tolist(), strict=True))


# -- comparisons ----------------------------------------------------------------------------------


def _above_chance(
    values: Mapping[ProbePoint, list[Values]], ids: Sequence[str], groups: Mapping[str, str]
) -> dict[ProbePoint, Comparison]:
    chance = {n: [dict.fromkeys(ids, 1 / n)] for n in {point.n for point in values}}
    pairs = [
        MeasuredPair(accuracies, chance[point.n], pool=f"{point.probe} {point.n}")
        for point, accuracies in values.items()
    ]
    return dict(zip(values, compared(pairs, groups=groups), strict=True))


def _against(
    values: Mapping[ProbePoint, list[Values]],
    baselines: Sequence[str],
    groups: Mapping[str, str],
    margin: float,
) -> dict[tuple[ProbePoint, str], Judged]:
    """Verdicts against the baselines; a family is one probe of two rankers at one n, a test for each layer."""
    depth = _depths(values)
    families: dict[tuple[str, str, str, int], list[ProbePoint]] = {}
    for point in values:
        for baseline in baselines:
            is_other = point.ranker not in (baseline, FIRST_STAGE)
            if is_other and depth[point.ranker] == depth[baseline]:
                key = (point.ranker, baseline, point.probe, point.n)
                families.setdefault(key, []).append(point)
    verdicts: dict[tuple[ProbePoint, str], Judged] = {}
    for (_, baseline, _, _), points in families.items():
        pairs = [
            MeasuredPair(values[point], values[_twin(point, baseline, values)], Margin(margin))
            for point in points
        ]
        rows = judged(compared(pairs, groups=groups))
        verdicts |= {(point, baseline): row for point, row in zip(points, rows, strict=True)}
    return verdicts


def _twin(point: ProbePoint, baseline: str, values: Mapping[ProbePoint, object]) -> ProbePoint:
    """The baseline's point; the rankers' own similarities, dot or cosine, are compared with each other."""
    named = point._replace(ranker=baseline)
    if named in values:
        return named
    other = next(name for name in probes.SIMILARITIES if name != point.probe)
    return named._replace(probe=other)


def _published_p(
    values: Mapping[ProbePoint, list[Values]], against: Mapping[tuple[ProbePoint, str], object]
) -> dict[tuple[ProbePoint, str], float]:
    """The p-values of study A's test in each of its panels, for the first seed, as study A had one."""
    panels: dict[tuple[str, str, int], list[ProbePoint]] = {}
    for point, baseline in against:
        if point.probe == "as_published":
            panels.setdefault((point.ranker, baseline, point.n), []).append(point)
    p_values: dict[tuple[ProbePoint, str], float] = {}
    for (_, baseline, _), points in panels.items():
        ours, theirs = (
            [[*values[point][0].values()] for point in side]
            for side in (points, [point._replace(ranker=baseline) for point in points])
        )
        for point, star in zip(points, unpaired_stars(ours, theirs), strict=True):
            p_values[point, baseline] = 1.0 if math.isnan(star.corrected_p) else star.corrected_p
    return p_values


def _rankers(values: Mapping[ProbePoint, object]) -> list[str]:
    return list(dict.fromkeys(point.ranker for point in values))


def _depths(values: Mapping[ProbePoint, object]) -> dict[str, int]:
    return {
        ranker: max(point.layer for point in values if point.ranker == ranker)
        for ranker in _rankers(values)
    }


def _depth_notes(values: Mapping[ProbePoint, object], baselines: Sequence[str]) -> list[str]:
    depth = _depths(values)
    return [
        f"{ranker} has {depth[ranker]} layers and {baseline} {depth[baseline]}, so no layer of one is "
        "compared with a layer of the other."
        for baseline in baselines
        for ranker in depth
        if ranker != FIRST_STAGE and depth[ranker] != depth[baseline]
    ]


def _reads_matches(
    values: Mapping[ProbePoint, list[Values]], groups: Mapping[str, str]
) -> dict[ProbePoint, Judged]:
    """Whether a probe reads the match of query and doc: verdicts against its own control."""
    families: dict[tuple[str, int], list[ProbePoint]] = {}
    for point in values:
        if point.probe in CONTROL_OF:
            families.setdefault((point.ranker, point.n), []).append(point)
    verdicts: dict[ProbePoint, Judged] = {}
    for points in families.values():
        pairs = [
            MeasuredPair(values[p], values[p._replace(probe=CONTROL_OF[p.probe])], pool=p.probe)
            for p in points
        ]
        verdicts |= dict(zip(points, judged(compared(pairs, groups=groups)), strict=True))
    return verdicts


# -- as stored ------------------------------------------------------------------------------------


def recorded(
    results: ProbeResults, *, published: Sequence[PublishedAccuracy] | None = None
) -> StoredProbes:
    """The record that is stored and shown: a row for each point, or one for each of its baselines."""
    rankers = [name for name in _rankers(results.above_chance) if name != FIRST_STAGE]
    return StoredProbes(
        n_examples=results.n_examples,
        n_queries=results.n_queries,
        rankers=tuple(rankers),
        baselines=results.baselines,
        rows=tuple(row for point in results.above_chance for row in _rows(results, point)),
        reads_matches=tuple(
            LayerMatches(
                *point,
                control=CONTROL_OF[point.probe],
                difference=row.comparison.difference,
                verdict=row.verdict,
            )
            for point, row in results.reads_matches.items()
        ),
        readable_from={ranker: results.readable_from(ranker) for ranker in rankers},
        notes=results.notes,
        published=None if published is None else tuple(published),
    )


def _kind(point: ProbePoint) -> str:
    if point.ranker == FIRST_STAGE:
        return FIRST_STAGE
    return "control" if point.probe in CONTROLS else "probe"


def _rows(results: ProbeResults, point: ProbePoint) -> Iterator[LayerAccuracy]:
    comparison = results.above_chance[point]
    chance, (low, high) = comparison.baseline_mean, comparison.interval
    alone = LayerAccuracy(
        *point,
        kind=_kind(point),
        accuracy=comparison.system_mean,
        low=chance + low,
        high=chance + high,
        chance=chance,
        against=None,
    )
    differences = [
        _difference(name, row, results.published_p.get((point, name)))
        for (place, name), row in results.against.items()
        if place == point
    ]
    if not differences:
        yield alone
    yield from (replace(alone, against=difference) for difference in differences)


def _difference(baseline: str, row: Judged, published_p: float | None) -> LayerDifference:
    return LayerDifference(
        baseline,
        row.comparison.difference,
        *row.comparison.interval,
        corrected_p=row.corrected_p,
        verdict=row.verdict,
        smallest_detectable=row.smallest_detectable,
        published_p=published_p,
    )
