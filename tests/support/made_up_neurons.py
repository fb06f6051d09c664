"""What attribution would find in made-up rankers: every number drawn from a fixed seed."""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from rankscope.analyses.attribution.attributed import AttributedSide
from rankscope.analyses.attribution.plan import NeuronsParams
from rankscope.analyses.attribution.results import concluded
from rankscope.analyses.attribution.spec import AttributionSpec
from rankscope.analyses.attribution.stored import StoredAttribution
from rankscope.core.records import Choice
from rankscope.explain.ablation import Curves
from rankscope.explain.attributing import Attributions
from rankscope.pipeline.spec.fields import spec_of

N_NEURONS = 24
COUNTS = (1, 5, 20)


def side(
    seed: int,
    n_examples: int,
    sites: Sequence[tuple[int, str]],
    *,
    n_neurons: int = N_NEURONS,
    is_sound: bool = True,
) -> AttributedSide:
    """A few strong neurons in each layer, more of them further up; the earlier an example, the lower its target."""
    rng = torch.Generator().manual_seed(seed)

    def drawn(*shape: int) -> Tensor:
        return torch.randn(shape, generator=rng)

    values = []
    for layer, _ in sites:
        strong = 1 + 8 * (drawn(n_neurons) > 1.3 - 0.1 * layer).float()
        values.append(0.01 * (layer + 1) * strong * drawn(n_examples, n_neurons))
    if not is_sound:
        values = [each.abs() for each in values]
    targets = torch.linspace(-0.1, 0.4, n_examples)
    changes = torch.stack([each.sum(1) for each in values], 1)
    found = Attributions(
        tuple(sites), tuple(values), targets, changes, 1e-6 * changes if is_sound else None
    )
    if not is_sound:
        return AttributedSide(found, None)
    falls = torch.linspace(0.1, 0.9, len(COUNTS))[None]
    noise = [0.02 * drawn(n_examples, len(COUNTS)) for _ in range(4)]
    whole, none = targets[:, None], torch.full((n_examples, 1), 0.02)
    return AttributedSide(
        found,
        Curves(
            COUNTS,
            targets,
            none[:, 0],
            deleted=whole * (1 - falls) + none * falls + noise[0],
            deleted_random=whole * (1 - falls / 8) + noise[1],
            inserted=none * (1 - falls) + whole * falls + noise[2],
            inserted_random=none + noise[3],
        ),
    )


def found(
    rankers: Sequence[str] = ("plain", "C-D"),
    *,
    n_layers: int = 2,
    n_examples: int = 8,
    names: Sequence[str] = ("neurons",),
    is_sound: bool = True,
    collection: str = "dev",
) -> StoredAttribution:
    """Bi-encoders over the first queries of the made-up study; all are compared with the first."""
    sites = [(layer, name) for layer in range(n_layers) for name in names]
    by_ranker = {
        ranker: {
            name: side(10 * place + number, n_examples, sites, is_sound=is_sound)
            for number, name in enumerate(("query", "document"))
        }
        for place, ranker in enumerate(rankers)
    }
    choices = [Choice(f"q{n:02d}", (f"q{n:02d}-d1", f"q{n:02d}-d3")) for n in range(n_examples)]
    method = "sound" if is_sound else "as_published"
    spec = spec_of(AttributionSpec, over=collection, first_stage="bm25", method=method)
    of = concluded(by_ranker, choices, NeuronsParams(spec, (rankers[0],), seed=42))
    return replace(of, collection=collection)
