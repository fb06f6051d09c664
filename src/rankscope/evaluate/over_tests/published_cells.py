"""Published means of systems over several tests, without values per query, pooled like other tests.

No variance within a test is known. So a test's effect is the mean of its first stages' differences, and the
error of the mean over tests comes from the spread of the effects (`pooled`): a t interval over tests with (tests - 1)
degrees of freedom. It can show that systems differ on average over tests like these. It cannot show on which test they
differ, how much of the spread between tests comes from queries, or anything about training seeds: it treats the
published runs as the systems. The error includes rounding, so that means that agree to the published digits are not
shown to be equivalent by their rounding alone.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import NamedTuple

import numpy as np

from rankscope.core.errors import BadInput, choose
from rankscope.core.judged.margins import Margin
from rankscope.core.words import counted
from rankscope.evaluate.over_tests.mean import (
    ContestNames,
    Effect,
    Pooled,
    difference_over_tests,
    over_tests,
)


class PublishedCell(NamedTuple):
    """A published mean; a Decimal was rounded to the digits it has."""

    test: str
    first_stage: str
    system: str
    measure: str
    mean: Decimal


Means = Mapping[tuple[str, str], Decimal]
"""Test and first stage to one system's mean."""


def pooled_published(
    cells: Sequence[PublishedCell],
    *,
    baseline: str,
    margins: Mapping[str, Margin],
    significance_level: float = 0.05,
) -> list[Pooled]:
    """Every other system minus the baseline, on every measure that both have.

    Raises UnknownChoice for an unknown baseline or an unknown measure in `margins`; BadInput where a mean is given
    twice, or where a system and the baseline have fewer than two tests in common.
    """
    by_contest = _by_contest(cells)
    systems = dict.fromkeys(cell.system for cell in cells)
    choose(systems, baseline, what="baseline")
    measures = dict.fromkeys(cell.measure for cell in cells)
    for measure in margins:
        choose(measures, measure, what="measure in `margin`")
    pairs = [
        ContestNames(system, baseline, measure)
        for measure in measures
        for system in systems
        if system != baseline
        and (system, measure) in by_contest
        and (baseline, measure) in by_contest
    ]
    if not pairs:
        raise BadInput(
            f"There is nothing to compare with {baseline!r}. Give means of another system on the same measure."
        )
    return [
        _pooled(
            pair,
            by_contest[pair.system, pair.measure],
            by_contest[baseline, pair.measure],
            margins.get(pair.measure),
            significance_level,
        )
        for pair in pairs
    ]


def _by_contest(cells: Sequence[PublishedCell]) -> dict[tuple[str, str], dict[tuple[str, str], Decimal]]:  # fmt: skip
    by_contest: dict[tuple[str, str], dict[tuple[str, str], Decimal]] = {}
    for cell in cells:
        of_contest = by_contest.setdefault((cell.system, cell.measure), {})
        if (cell.test, cell.first_stage) in of_contest:
            raise BadInput(
                f"{cell.system} has two means of {cell.measure} on {cell.test} from {cell.first_stage}. Keep one."
            )
        of_contest[cell.test, cell.first_stage] = cell.mean
    return by_contest


def _pooled(
    names: ContestNames, system: Means, baseline: Means, margin: Margin | None, level: float
) -> Pooled:
    shared = [place for place in system if place in baseline]
    tests = {name: [place for place in shared if place[0] == name] for name in dict(shared)}
    if len(tests) < 2:
        raise BadInput(
            f"{names.system} and {names.baseline} share "
            f"{counted(len(tests), 'test')} of {names.measure}, and one verdict over tests needs at "
            "least 2. Give means on more tests."
        )
    effects = tuple(
        Effect(
            test,
            n_queries=None,
            difference=float(np.mean([float(system[place] - baseline[place]) for place in places])),
            standard_error=None,
            cells={place[1]: float(system[place] - baseline[place]) for place in places},
        )
        for test, places in tests.items()
    )
    means = np.array([[effect.difference for effect in effects]])
    rounding = [
        sum(_rounding(means[place]) for place in places for means in (system, baseline)) / len(places) ** 2
        for places in tests.values()
    ]  # fmt: skip
    of_baseline = np.array(
        [[np.mean([float(baseline[place]) for place in places]) for places in tests.values()]]
    )
    variances = np.array([rounding])
    plain = lower = upper = over_tests(means, variances)
    if margin is not None and margin.is_relative:
        lower = over_tests(means + margin.value * of_baseline, variances)
        upper = over_tests(means - margin.value * of_baseline, variances)
    stated = (margin, float(of_baseline.mean()))
    return difference_over_tests(names, effects, (plain, lower, upper), stated, level)


def _rounding(mean: Decimal) -> float:
    """The variance of the rounding error, uniform up to half a unit of the last digit."""
    exponent = mean.as_tuple().exponent
    return (10.0 ** int(exponent) / 2) ** 2 / 3
