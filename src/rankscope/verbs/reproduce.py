"""Compare a run with the one it reproduces, and its means with published numbers."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from rankscope.core.errors import BadInput
from rankscope.core.formats import read_run_file
from rankscope.core.judged.margins import as_margin
from rankscope.core.records import Run
from rankscope.core.result import Result, Table, json_of
from rankscope.evaluate import reproduction
from rankscope.evaluate.arrays import Values
from rankscope.evaluate.evaluation import evaluated
from rankscope.evaluate.measure_names import by_name, names_of
from rankscope.evaluate.measures import with_relevance_level
from rankscope.evaluate.measuring import Measuring
from rankscope.evaluate.runs import without_own_docs
from rankscope.report.tables.columns import ascii_p
from rankscope.verbs.judgements import Judgements


@dataclass(frozen=True)
class Reproduction:
    """The agreement of a run with its original and with published numbers."""

    order: reproduction.OrderAgreement | None
    values: Mapping[str, reproduction.ValueAgreement]
    effects: Mapping[str, reproduction.EffectAgreement]
    published: Mapping[str, reproduction.PublishedNumber]
    notes: tuple[str, ...]
    """Notes on each run for a reader of the numbers."""


@dataclass(frozen=True)
class PublishedMeans:
    """Published means by measure, and the differences that matter."""

    means: Mapping[str, Decimal] = field(default_factory=dict)
    margins: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class ReproduceSettings:
    """The runs, what they are compared with, and on which measures."""

    runs: Sequence[Path]
    measures: Sequence[str]
    original: Path | None
    baselines: tuple[Path, Path] | None
    """The own and the original run of the baseline, for the gain."""
    published: PublishedMeans
    depth: int


def answer(judged: Judgements, settings: ReproduceSettings) -> Result:
    """The agreement of the run with its original and with the published means."""
    reproduced = reproduce(
        settings.runs,
        judged,
        settings.measures,
        original=settings.original,
        baselines=settings.baselines,
        published=settings.published,
        depth=settings.depth,
    )
    return Result(
        tables=(Table("", *reproduction_rows(reproduced)),),
        forms={"json": lambda: json_of(reproduced_as_json(reproduced))},
        notes=reproduced.notes,
    )


def both_or_neither(ours: Path | None, theirs: Path | None) -> tuple[Path, Path] | None:
    """The two runs of the baseline, the own and the original one; raises BadInput for one without the other."""
    if (ours is None) != (theirs is None):
        raise BadInput(
            "A gain needs both runs of the baseline: --baseline and --original-baseline."
        )
    return (ours, theirs) if ours and theirs else None


def reproduce(
    runs: Sequence[Path],
    judgements: Judgements,
    measures: Sequence[str],
    *,
    original: Path | None = None,
    baselines: tuple[Path, Path] | None = None,
    published: PublishedMeans = PublishedMeans(),
    depth: int = 100,
) -> Reproduction:
    """The agreement of a run with another's rankings, values and gain, or with published means on the same queries.

    `baselines` are the own and the original run of the baseline. Several runs are the training seeds of one
    system, and are compared with published means only.
    """
    _check_reproduction(runs, original, baselines, published)
    published_means = by_name(published.means, what="published means")
    margins = by_name(published.margins, what="margins")
    relevance_level = judgements.convention.relevance_level
    notes: list[str] = []
    names = list(
        dict.fromkeys(
            with_relevance_level(name, relevance_level)
            for name in (*names_of(measures), *published_means)
        )
    )
    measuring = Measuring(judgements.qrels, names)

    def read(path: Path) -> tuple[Run, Mapping[str, Values]]:
        whole = read_run_file(path).run
        evaluated_run = evaluated(
            path.name, path, measuring, drop_own_docs=judgements.convention.drop_own_docs
        )
        notes.extend(f"{path}: {note}" for note in evaluated_run.notes)
        return without_own_docs(
            whole
        ) if judgements.convention.drop_own_docs else whole, evaluated_run.measured.values

    (ours, our_values), *others = [read(run) for run in runs]
    theirs, original_values = (None, {}) if original is None else read(original)
    effects = {}
    if baselines:
        base, original_base = (read(path)[1] for path in baselines)
        effects = {
            name: reproduction.effect_agreement(
                our_values[name], base[name], original_values[name], original_base[name]
            )
            for name in names
        }
    return Reproduction(
        order=None if theirs is None else reproduction.order_agreement(ours, theirs, depth=depth),
        values={
            name: reproduction.value_agreement(our_values[name], values)
            for name, values in original_values.items()
        },
        effects=effects,
        published={
            name: reproduction.published_number(
                [values[computed] for values in (our_values, *(values for _, values in others))],
                value,
                margin=as_margin(margins[name]) if name in margins else None,
            )
            for name, value in published_means.items()
            for computed in [with_relevance_level(name, relevance_level)]
        },
        notes=tuple(notes),
    )


def _check_reproduction(
    runs: Sequence[Path],
    original: Path | None,
    baselines: tuple[Path, Path] | None,
    published: PublishedMeans,
) -> None:
    """Raises BadInput where runs, original, baselines and published means do not fit together."""
    if original is None and not published.means:
        raise BadInput(
            "There is nothing to compare with. Give --original RUN or --published MEASURE=VALUE."
        )
    if baselines and original is None:
        raise BadInput("A gain is compared with the original's. Give --original RUN too.")
    if original is not None and len(runs) > 1:
        raise BadInput(
            f"{len(runs)} runs are the training seeds of one system, and an original is compared with one run. "
            "Give one, or leave --original out."
        )
    with_mean = by_name(published.means, what="published means")
    for name in by_name(published.margins, what="margins"):
        if name not in with_mean:
            raise BadInput(
                f"The margin of {name} stands beside no published mean. Give --published {name}=VALUE too."
            )


def reproduced_as_json(reproduced: Reproduction) -> dict[str, Any]:
    """All agreements as plain values."""
    return {
        "order": None if reproduced.order is None else asdict(reproduced.order),
        "values": {name: asdict(agreement) for name, agreement in reproduced.values.items()},
        "effects": {name: asdict(agreement) for name, agreement in reproduced.effects.items()},
        "notes": list(reproduced.notes),
        "published": {
            name: asdict(agreement)
            | {
                "difference": agreement.difference,
                "is_same": agreement.is_same,
                "times_margin": agreement.times_margin,
            }
            for name, agreement in reproduced.published.items()
        },
    }


def reproduction_rows(reproduced: Reproduction) -> tuple[list[str], list[list[str]]]:
    """A row for each number of agreement, with its meaning."""
    rows = []
    if reproduced.order is not None:
        order = reproduced.order
        rows += [
            [
                f"Kendall's tau, top {order.depth}",
                f"{order.kendall_tau:.4f}",
                "1 is the same order",
            ],
            ["Kendall's tau union", f"{order.kendall_tau_union:.4f}", "as repro_eval computes it"],
            ["rank-biased overlap", f"{order.rank_biased_overlap:.4f}", "1 is the same order"],
            ["docs in common", f"{order.overlap:.4f}", f"{order.n_queries} queries"],
        ]
    for name, agreement in reproduced.values.items():
        means = f"{agreement.mean:.4f} against {agreement.original_mean:.4f}, p {ascii_p(agreement.p_value)}"
        rows.append(
            [f"{name}: root mean square error", f"{agreement.root_mean_square_error:.4f}", means]
        )
    for name, effect in reproduced.effects.items():
        relative = f"delta relative improvement {effect.delta_relative_improvement:+.4f}"
        rows.append([f"{name}: effect ratio", f"{effect.effect_ratio:.4f}", relative])
    for name, number in reproduced.published.items():
        rows += _published_rows(name, number)
    return ["what", "value", "meaning"], rows


def _published_rows(name: str, number: reproduction.PublishedNumber) -> list[list[str]]:
    digits = max(4, len(number.written.partition(".")[2]) + 1)
    ours = f"ours is {number.mean:.{digits}f} on the same queries"
    same = "the same to the published digits" if number.is_same else "not reproduced"
    rounding = f"rounding explains up to {number.half_unit:g}"
    beside = (
        ""
        if number.times_margin is None
        else f"; {number.times_margin:.1f} times the margin {number.margin:g}"
    )
    rows = [
        [f"{name}: published", number.written, f"{same}: {ours}"],
        [f"{name}: difference", f"{number.difference:+.{digits}f}", f"{rounding}{beside}"],
    ]
    if number.seeds is not None:
        means = number.seeds.means
        for mean_name, (low, high), meaning in (
            (
                f"mean of {len(means)} seeds",
                number.seeds.interval,
                f"95 % interval; the seeds' means go from {min(means):.4f} to {max(means):.4f}",
            ),
            (
                "one more seed",
                number.seeds.one_run_interval,
                "95 % prediction interval, for a published mean of one run",
            ),
        ):
            inside = "inside" if number.is_inside((low, high)) else "outside"
            rows.append(
                [
                    f"{name}: {mean_name}",
                    f"{low:.4f} to {high:.4f}",
                    f"published is {inside}: {meaning}",
                ]
            )
    return rows
