"""The results of attribution: shares by layer, concentration, and overlap between rankers."""

from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor

from rankscope.analyses.attribution.attributed import AttributedSide, integration_of, threshold_of
from rankscope.analyses.attribution.plan import NeuronsParams
from rankscope.analyses.attribution.spec import AttributionSpec
from rankscope.analyses.attribution.stored import (
    AblationCurves,
    ActiveOverlap,
    ConcentrationDifference,
    JaccardIndex,
    LowExample,
    MeanOverExamples,
    NeuronPart,
    PairedSite,
    SideNumbers,
    SiteNumbers,
    SitePart,
    StoredAttribution,
)
from rankscope.core.judged.margins import Margin
from rankscope.core.records import Choice
from rankscope.evaluate.pairs.comparison import MeasuredPair, compared
from rankscope.evaluate.pairs.verdicts import Judged, judged
from rankscope.explain import ablation, neurons
from rankscope.explain.attributing import Attributions
from rankscope.explain.intervals import mean_interval

Sides = Mapping[str, AttributedSide]
"""A ranker's sides by name."""
BINS = 10
"""The number of bins of a site's neurons, in their order, as the paper draws them."""
EXAMPLES_SHOWN, NEURONS_SHOWN = 20, 5
PUBLISHED_WARNINGS = (
    "As published (study A): the target is the norm of a representation, which says nothing about relevance; behind a "
    "LayerNorm with equal weights the norm is constant, and the attributions are rounding noise.",
    "As published: sums of absolute values of single weights do not add up to any change of the target, and grow with "
    "the inputs of a matrix: layers, kinds of matrices and models cannot be compared by them.",
    "As published: which neurons are active depends on the largest value of each example, and the number of neurons active at least "
    "once grows with the number of examples. Read the concentration beside it.",
    "Not as published: padding is no part of a mean and never the last token (the released code reads it, so that its "
    "numbers depend on the batch), and texts are cut where the ranker cuts them, not at 256 tokens.",
)
CONCENTRATION_VERDICTS = {"better": "more concentrated", "worse": "less concentrated"}
"""Verdict to its name here, since a higher coefficient is neither better nor worse."""


def concluded(
    by_ranker: Mapping[str, Sides],
    choices: Sequence[Choice],
    params: NeuronsParams,
    *,
    notes: Sequence[str] = (),
) -> StoredAttribution:
    """All results: each side of each ranker, and its concentration and active neurons compared with the baselines'."""
    spec, baselines = params.spec, params.baselines
    warnings = [*(PUBLISHED_WARNINGS if spec.is_published else ()), *notes]
    integration = integration_of(spec)
    return StoredAttribution(
        method=spec.method,
        path=integration.path,
        nodes=len(integration.rule.nodes),
        n_examples=len(choices),
        baselines=tuple(baselines),
        rankers={
            name: {
                side: _side_numbers(side_values, choices, params)
                for side, side_values in sides.items()
            }
            for name, sides in by_ranker.items()
        },
        comparisons=tuple(_comparisons(by_ranker, choices, params)),
        overlaps=tuple(_overlaps(by_ranker, params)),
        notes=(*warnings, *_not_compared(by_ranker, baselines)),
    )


def _side_numbers(
    side: AttributedSide, choices: Sequence[Choice], params: NeuronsParams
) -> SideNumbers:
    attributions, seed = side.attributions, params.seed
    threshold = threshold_of(params.spec, attributions)
    is_active = neurons.active(attributions.values, threshold)
    sizes = torch.stack([values.abs().double().sum(1) for values in attributions.values], 1)
    shares = sizes / sizes.sum(1, keepdim=True).clamp(min=torch.finfo(sizes.dtype).tiny)
    gaps = attributions.gap_shares
    return SideNumbers(
        target=_mean(attributions.targets, seed),
        threshold=threshold,
        share_of_noise=attributions.share_of_noise,
        is_degenerate=attributions.is_degenerate,
        whole=_concentration(torch.cat(attributions.values, 1), seed),
        sites=tuple(
            SiteNumbers(
                layer=layer,
                name=name,
                n_neurons=values.shape[1],
                share=_mean(shares[:, n], seed),
                change=_mean(attributions.changes[:, n], seed),
                gap=None if gaps is None else _gap(gaps[:, n]),
                active=_mean(active.double().sum(1), seed),
                active_once=int(active.any(0).sum()),
                bins=_bins(active),
                concentration=_concentration(values, seed),
            )
            for n, ((layer, name), values, active) in enumerate(
                zip(attributions.sites, attributions.values, is_active, strict=True)
            )
        ),
        ablation=None if side.curves is None else _curve_numbers(side.curves, seed),
        examples=tuple(_lowest_examples(attributions, choices, params.spec)),
    )


def _mean(values: Tensor, seed: int) -> MeanOverExamples:
    return MeanOverExamples(*mean_interval(values, seed=seed))


def _concentration(values: Tensor, seed: int) -> dict[str, MeanOverExamples]:
    return {
        name: _mean(coefficient(values), seed)
        for name, coefficient in neurons.CONCENTRATIONS.items()
    }


def _gap(shares: Tensor) -> dict[str, float] | None:
    """The completeness gap as a share of the values' sizes, over examples without noise; None where all are noise."""
    known = shares[~shares.isnan()].double()
    if not len(known):
        return None
    return {"median": float(known.quantile(0.5)), "largest": float(known.max())}


def _bins(active: Tensor) -> tuple[float, ...]:
    """The highest frequency in each of ten bins of neurons, as the paper draws them."""
    shares = neurons.frequencies(active)
    parts = torch.tensor_split(shares, min(BINS, len(shares)))
    return tuple(float(part.max()) for part in parts)


def _curve_numbers(curves: ablation.Curves, seed: int) -> AblationCurves:
    """Means over examples, and the advantage of top neurons over random ones at every count."""
    shown = ("deleted", "deleted_random", "inserted", "inserted_random")
    return AblationCurves(
        counts=curves.counts,
        whole=float(curves.whole.mean()),
        none=float(curves.none.mean()),
        **{name: tuple(getattr(curves, name).mean(0).tolist()) for name in shown},
        advantage=tuple(
            MeanOverExamples(*curves.advantage(count, seed=seed)) for count in curves.counts
        ),
    )


def _lowest_examples(
    attributions: Attributions, choices: Sequence[Choice], spec: AttributionSpec
) -> Iterator[LowExample]:
    """The examples of the lowest targets, and the sites and neurons their targets come from."""
    n_read = 1 if spec.is_published else None  # of a query's docs, the relevant one first
    for place in attributions.targets.argsort(stable=True)[:EXAMPLES_SHOWN].tolist():
        site_values = [
            (*site, values[place])
            for site, values in zip(attributions.sites, attributions.values, strict=True)
        ]
        top = [
            (float(values[n]), layer, name, int(n))
            for layer, name, values in site_values
            for n in values.abs().topk(min(NEURONS_SHOWN, len(values))).indices
        ]
        top.sort(key=lambda row: -abs(row[0]))
        yield LowExample(
            query_id=choices[place].query_id,
            doc_ids=tuple(choices[place].doc_ids[:n_read]),
            target=float(attributions.targets[place]),
            parts=tuple(
                SitePart(layer, name, float(values.sum())) for layer, name, values in site_values
            ),
            neurons=tuple(
                NeuronPart(layer, name, n, value) for value, layer, name, n in top[:NEURONS_SHOWN]
            ),
        )


# -- two rankers ----------------------------------------------------------------------------------


def _pairs(
    by_ranker: Mapping[str, Sides], baselines: Sequence[str]
) -> Iterator[tuple[str, str, str, Attributions, Attributions | None]]:
    """Every ranker's side with the baseline's side of that name; None where the baseline has no such side."""
    for name, sides in by_ranker.items():
        for baseline in baselines:
            if name != baseline:
                for side, own in sides.items():
                    other = by_ranker[baseline].get(side)
                    yield (
                        name,
                        baseline,
                        side,
                        own.attributions,
                        other.attributions if other else None,
                    )


def _alike(
    by_ranker: Mapping[str, Sides], baselines: Sequence[str]
) -> Iterator[tuple[str, str, str, Attributions, Attributions]]:
    """The pairs that have the same sites of the same sizes, and whose attributions are no noise."""
    for name, baseline, side, own, other in _pairs(by_ranker, baselines):
        is_noise = own.is_degenerate or (other and other.is_degenerate)
        if other and not is_noise and _shape(own) == _shape(other):
            yield name, baseline, side, own, other


def _shape(attributions: Attributions) -> list[tuple[tuple[int, str], int]]:
    return [
        (site, values.shape[1])
        for site, values in zip(attributions.sites, attributions.values, strict=True)
    ]


def _not_compared(by_ranker: Mapping[str, Sides], baselines: Sequence[str]) -> list[str]:
    """Why pairs are left out, a sentence each."""
    reasons = []
    for name, baseline, side, own, other in _pairs(by_ranker, baselines):
        if other is None:
            reasons.append(
                f"{name} and {baseline} are not compared: one reads query and doc together, the other apart."
            )
        elif _shape(own) != _shape(other):
            reasons.append(
                f"{name} and {baseline} ({side}) have different feed-forward blocks, so no layer of one is compared with a "
                "layer of the other."
            )
        elif own.is_degenerate or other.is_degenerate:
            reasons.append(f"{name} and {baseline} ({side}) are not compared: rounding noise.")
    return list(dict.fromkeys(reasons))


def _comparisons(
    by_ranker: Mapping[str, Sides], choices: Sequence[Choice], params: NeuronsParams
) -> Iterator[ConcentrationDifference]:
    """The Gini coefficient of every site compared with the baseline's; a family is one side of two rankers."""
    for name, baseline, side, attributions, baseline_attributions in _alike(
        by_ranker, params.baselines
    ):
        pairs = [
            MeasuredPair(
                [_by_query(choices, neurons.gini(own))],
                [_by_query(choices, neurons.gini(other))],
                margin=Margin(params.spec.margin),
            )
            for own, other in zip(attributions.values, baseline_attributions.values, strict=True)
        ]
        for (layer, site), row in zip(attributions.sites, judged(compared(pairs)), strict=True):
            yield _difference(PairedSite(name, baseline, side, layer, site), row)


def _by_query(choices: Sequence[Choice], values: Tensor) -> dict[str, float]:
    ids = (choice.query_id for choice in choices)
    return dict(zip(ids, values.tolist(), strict=True))


def _difference(site: PairedSite, row: Judged) -> ConcentrationDifference:
    return ConcentrationDifference(
        site,
        measure="gini",
        before=row.comparison.baseline_mean,
        after=row.comparison.system_mean,
        difference=row.comparison.difference,
        low=row.comparison.interval[0],
        high=row.comparison.interval[1],
        corrected_p=row.corrected_p,
        verdict=CONCENTRATION_VERDICTS.get(str(row.verdict), str(row.verdict)),
    )


def _overlaps(by_ranker: Mapping[str, Sides], params: NeuronsParams) -> Iterator[ActiveOverlap]:
    """The overlap of the active neurons of two rankers, site by site."""
    for name, baseline, side, *both in _alike(by_ranker, params.baselines):
        active = [
            neurons.active(attributions.values, threshold_of(params.spec, attributions))
            for attributions in both
        ]
        for (layer, site), first, second in zip(both[0].sites, *active, strict=True):
            overlap = neurons.overlap(first, second, seed=params.seed)
            yield ActiveOverlap(
                PairedSite(name, baseline, side, layer, site),
                n_first=overlap.n_first,
                n_second=overlap.n_second,
                n_both=overlap.n_both,
                by_chance=overlap.by_chance,
                jaccard=JaccardIndex(*(overlap.jaccard or (None, None, None))),
            )
