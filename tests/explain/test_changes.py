"""What moved between two rankers: numbers by hand, what no change gives, and the one layer that was replaced."""

import math
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from pathlib import Path

import pytest
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Dense, Router
from torch import Tensor

from rankscope.core.errors import BadInput
from rankscope.core.rng import stream
from rankscope.evaluate import reproduction
from rankscope.explain import changes, representations, weights
from rankscope.explain.changes import extrapolated_rank_biased_overlap
from rankscope.explain.weights import ModulePlace, ModuleWeights
from rankscope.models import anatomy
from rankscope.models.bi_encoder import BiEncoder
from rankscope.models.cross_encoder import CrossEncoder
from rankscope.models.ranker import SIDES
from support import tiny

TEXTS = [
    f"the {a} {b} {c}" for a in tiny.WORDS[:3] for b in tiny.WORDS[3:6] for c in ("sits", "runs")
]


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def dense(weight: Tensor, bias: Tensor | None = None) -> Mapping[str, ModuleWeights]:
    weights = {"weight": weight} | ({} if bias is None else {"bias": bias})
    return {"layer.0.dense": ModuleWeights(ModulePlace("", 1, "dense"), weights)}


# -- weights --------------------------------------------------------------------------------------


def test_displacement_and_effective_rank_by_hand() -> None:
    """||before|| is 5. diag(3, 1): shares 3/4 and 1/4, entropy 0.5623, e to it 1.7548."""
    before = torch.tensor([[3.0, 0.0], [0.0, 4.0]])
    (one,) = weights.weight_changes(dense(before), dense(before + torch.tensor([[1.0, 0], [0, 0]])))
    assert (one.displacement, one.effective_rank) == (pytest.approx(0.2), 1.0)
    (two,) = weights.weight_changes(
        dense(before), dense(before + torch.diag(torch.tensor([3.0, 1])))
    )
    assert two.displacement == pytest.approx(math.sqrt(10) / 5)
    assert two.effective_rank == pytest.approx(1.7548, abs=1e-4)
    assert two.highest_rank == 2
    assert weights.effective_rank(torch.eye(7)[:3]) == pytest.approx(3)


def test_a_bias_counts_and_a_module_that_was_all_zero_has_no_share() -> None:
    zero, moved = torch.zeros(2), torch.tensor([3.0, 4.0])
    (change,) = weights.weight_changes(dense(torch.eye(2), zero), dense(torch.eye(2), moved))
    assert change.displacement == pytest.approx(5 / math.sqrt(2))
    assert change.effective_rank == 0.0
    (new,) = weights.weight_changes(dense(torch.zeros(2, 2)), dense(torch.eye(2)))
    assert new.displacement is None
    assert weights.displacement([change, new]) == pytest.approx(math.sqrt(27 / 2))


def test_an_update_of_one_direction_has_rank_one_whatever_its_shape() -> None:
    for shape in ((300, 4), (4, 300), (20, 20)):
        update = drawn(shape[0], 1) @ drawn(1, shape[1], seed=1)
        assert weights.effective_rank(update) == pytest.approx(1, abs=1e-6)
        assert weights.effective_rank(drawn(*shape)) > 0.7 * min(shape)


@pytest.mark.parametrize("architecture", [*tiny.ARCHITECTURES, *tiny.DECODERS])
def test_contract_of_every_architecture(tmp_path: Path, architecture: str) -> None:
    """Every weight has a place, the blocks' those of the blocks, tables of words those before them."""
    ranker = tiny.bi_encoder(tmp_path, architecture)
    found = weights.modules(ranker)
    (encoder,) = anatomy.encoders(ranker.model)
    for number, block in enumerate(anatomy.layers(encoder), start=1):
        mine = {id(weight) for module in found.values() for weight in module.weights.values()
                if module.place.layer == number}  # fmt: skip
        assert mine == {id(weight) for weight in block.parameters()}
    words = encoder.get_input_embeddings().weight
    (at,) = (m.place for m in found.values() if any(w is words for w in m.weights.values()))
    assert at.layer == 0
    held = {id(weight) for module in found.values() for weight in module.weights.values()}
    left = [name for name, weight in encoder.named_parameters() if id(weight) not in held]
    assert all(name.startswith("pooler.") for name in left)


def test_a_scoring_head_and_two_towers_are_told_apart(tmp_path: Path) -> None:
    scorer = weights.modules(tiny.cross_encoder(tmp_path))
    assert scorer["classifier"].place == ModulePlace("", 3, "classifier")
    assert scorer["bert.pooler.dense"].place == ModulePlace("", 3, "pooler.dense")
    parts = {module.place.part for module in scorer.values() if module.place.layer == 2}
    assert "attention.self.query" in parts
    towers = {
        m.place.tower for m in weights.modules(tiny.bi_encoder(tmp_path).separated()).values()
    }
    assert towers == {"query", "document"}


def with_dense(ranker: BiEncoder) -> BiEncoder:
    """Each side's own tower with a dense layer of its own behind it."""
    towers = []
    for side in SIDES:
        weights = torch.randn(32, 32, generator=torch.Generator().manual_seed(3))
        towers.append(
            [*deepcopy(ranker).modules(side), Dense(32, 32, bias=False, init_weight=weights)]
        )
    router = Router.for_query_document(towers[0], towers[1])
    return BiEncoder(SentenceTransformer(modules=[router], similarity_fn_name="dot", device="cpu"))


def test_a_dense_layer_of_one_tower_is_that_towers(tmp_path: Path) -> None:
    before, after = (with_dense(tiny.bi_encoder(tmp_path)) for _ in range(2))
    found = [weights.modules(ranker) for ranker in (before, after)]
    behind = {m.place: m for m in found[1].values() if m.place.layer == 3}
    assert set(behind) == {
        ModulePlace("query", 3, "2.linear"),
        ModulePlace("document", 3, "2.linear"),
    }
    with torch.no_grad():
        behind[ModulePlace("document", 3, "2.linear")].weights["weight"].mul_(2)
    moved = {change.place.tower for change in weights.weight_changes(*found) if change.moved}
    assert moved == {"document"}


@pytest.mark.parametrize("which", ["before", "after"])
def test_weights_that_are_not_finite_are_refused_by_name(which: str) -> None:
    broken = torch.tensor([[1.0, math.nan]])
    sides = {"before": torch.ones(1, 2), "after": torch.ones(1, 2)} | {which: broken}
    with pytest.raises(BadInput, match=f"layer.0.dense.weight of the ranker {which} has values"):
        weights.weight_changes(dense(sides["before"]), dense(sides["after"]))


def test_of_several_matrices_in_a_module_the_largest_ones_rank_counts() -> None:
    small, large = torch.zeros(2, 2), torch.zeros(3, 4)
    made = [
        {"one": ModuleWeights(ModulePlace("", 1, "one"), {"large": large + add, "small": small})}
        for add in (0, torch.eye(3, 4))
    ]
    (change,) = weights.weight_changes(*made)
    assert (change.effective_rank, change.highest_rank) == (pytest.approx(3), 3)


def test_other_architectures_are_refused_in_one_sentence(tmp_path: Path) -> None:
    bert, roberta = (
        weights.modules(tiny.bi_encoder(tmp_path, name)) for name in ("bert", "roberta")
    )
    scorer = weights.modules(tiny.cross_encoder(tmp_path))
    with pytest.raises(BadInput, match="weights are in one of them only"):
        weights.weight_changes(bert, scorer)
    with pytest.raises(
        BadInput, match=r"position_embeddings.weight is 512 x 32 in one and 66 x 32"
    ):
        weights.weight_changes(bert, roberta)


# -- states ---------------------------------------------------------------------------------------


def test_cka_by_hand() -> None:
    """Two splits of four texts that cross: products 4/3 and -2/3 after centring, so -16/3 over 32/3.

    Chance alone would not cross them so evenly, hence the value below 0.
    """
    before, after = (torch.tensor(x)[:, None] for x in ([-1.0, -1, 1, 1], [-1.0, 1, -1, 1]))
    found = changes.cka(before, after)
    assert found is not None
    assert found.value == pytest.approx(-0.5)


def test_cka_is_the_unbiased_estimate_of_song_et_al() -> None:
    """(tr(KL) + 1'K1 1'L1 / (n-1)(n-2) - 2 1'KL1 / (n-2)) / n(n-3), with diagonals of 0 (Song et al. 2012)."""
    a, b = drawn(12, 3), drawn(12, 5, seed=1)
    b[:, :3] += a
    n = len(a)
    of_a, of_b = ((x @ x.T).fill_diagonal_(0) for x in (a, b))

    def hsic(k: Tensor, m: Tensor) -> float:
        whole = (k @ m).trace() + k.sum() * m.sum() / ((n - 1) * (n - 2))
        return float(whole - 2 * (k @ m).sum() / (n - 2)) / (n * (n - 3))

    found = changes.cka(a, b)
    expected = hsic(of_a, of_b) / math.sqrt(hsic(of_a, of_a) * hsic(of_b, of_b))
    assert found is not None
    assert found.value == pytest.approx(expected)


def test_cka_leaves_rotation_and_scale_out_and_does_not_take_width_for_likeness() -> None:
    a = drawn(30, 200)
    rotation = torch.linalg.qr(drawn(200, 200, seed=1))[0]
    same = changes.cka(a, 3 * a @ rotation + 1)
    assert same is not None
    assert same.value == pytest.approx(1)
    other = drawn(30, 200, seed=2)
    unlike = changes.cka(a, other)
    assert unlike is not None
    assert unlike.low < 0 < unlike.high
    mine, theirs = (x @ x.T for x in (a - a.mean(0), other - other.mean(0)))
    assert (
        float((mine * theirs).sum() / (mine.norm() * theirs.norm())) > 0.8
    )  # what the plain form takes for likeness


def test_the_interval_of_cka_holds_the_true_value() -> None:
    """y is x with as much noise: the covariances are I, 2 I and I between, so CKA is 20 / (2 x 20)."""
    n_held, values = 0, []
    for seed in range(60):
        x = drawn(40, 20, seed=seed)
        found = changes.cka(x, x + drawn(40, 20, seed=1000 + seed))
        assert found is not None
        values.append(found.value)
        n_held += found.low <= 0.5 <= found.high
    assert n_held >= 52
    assert sum(values) / len(values) == pytest.approx(0.5, abs=0.02)


def test_texts_of_a_group_that_say_the_same_count_as_one() -> None:
    base, noise = drawn(60, 4), drawn(60, 4, seed=3)
    whole = changes.cka(base, base + noise)
    thrice = changes.cka(base.repeat_interleave(3, 0), (base + noise).repeat_interleave(3, 0),
                         groups=torch.arange(60).repeat_interleave(3))  # fmt: skip
    assert whole is not None
    assert thrice is not None
    assert whole.low < whole.value < whole.high < 1
    assert thrice == pytest.approx(whole)


def test_what_pairs_of_a_query_have_in_common_is_no_likeness_of_two_models() -> None:
    """Two models that have nothing to do with each other, but both see which pairs share a query."""
    groups = torch.arange(30).repeat_interleave(5)
    n_held, values, shares = 0, [], []
    for seed in range(40):
        a, b = (
            drawn(30, 16, seed=of).repeat_interleave(5, 0) + drawn(150, 16, seed=of + 500)
            for of in (seed, seed + 1000)
        )
        found = changes.cka(a, b, groups=groups)
        shared = changes.shared_neighbours(a, b, k=5, groups=groups)
        assert found is not None
        assert shared is not None
        values.append(found.value)
        shares.append(shared.value)
        n_held += found.low <= 0 <= found.high
    assert sum(values) / len(values) == pytest.approx(0, abs=0.02)
    chance = changes.chance_of_neighbours(5, 150, groups)
    assert chance == pytest.approx(5 / 145)
    assert sum(shares) / len(shares) == pytest.approx(chance, abs=0.01)
    assert n_held >= 35
    blind = changes.cka(a, b)
    assert blind is not None
    assert blind.low > 0


def test_shared_neighbours_by_hand_and_by_chance() -> None:
    """Directions in a row: the nearest are 1, 0, 1, 2; where the last two change places, 1, 0, 3, 1."""
    angles = torch.tensor([0.0, 0.1, 0.3, 0.6])
    before = torch.stack([angles.cos(), angles.sin()], 1)
    after = before[[0, 1, 3, 2]]
    found = changes.shared_neighbours(before, after, k=1)
    assert found is not None
    assert found.value == 0.5
    many = changes.shared_neighbours(drawn(400, 50), drawn(400, 50, seed=1), k=20)
    assert many is not None
    assert many.value == pytest.approx(changes.chance_of_neighbours(20, 400), abs=0.01)
    with pytest.raises(BadInput, match="4 neighbours, where 2 is the most that 4 texts allow"):
        changes.shared_neighbours(before, after, k=4)


def test_the_interval_of_shared_neighbours_holds_the_true_value() -> None:
    """Texts are each other's neighbours, so that their shares are not independent."""
    found = []
    for seed in range(60):
        x = drawn(100, 16, seed=seed)
        shared = changes.shared_neighbours(x, x + 0.5 * drawn(100, 16, seed=1000 + seed), k=10)
        assert shared is not None
        found.append(shared)
    true = sum(each.value for each in found) / len(found)
    assert sum(each.low <= true <= each.high for each in found) >= 56


def test_shifts_see_a_rotation_and_states_that_do_not_vary_have_no_likeness() -> None:
    a = torch.tensor([[3.0, 4.0], [1.0, 0.0]])
    assert changes.shifts(a, a.flip(1)).tolist() == pytest.approx([math.sqrt(2) / 5, math.sqrt(2)])
    constant = torch.ones(8, 3)
    assert changes.cka(constant, drawn(8, 3)) is None
    assert changes.shared_neighbours(constant, drawn(8, 3), k=2) is None
    assert changes.cka(torch.eye(8), torch.eye(8)) is None  # all texts lie equally far apart


# -- rankings -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ranking", "other", "expected"),
    [
        ("ab", "ba", 0.5),  # agreement 0, then 1: 1/2 x 0 + 1/4 x 1, and 1/4 of what follows x 1
        ("a", "ba", 0.25),  # agreement 0, then 1/2, and so on as at the end
        ("a", "ab", 1.0),
        ("ab", "cd", 0.0),
        ("", "a", 0.0),
    ],
)
def test_rank_biased_overlap_by_hand(ranking: str, other: str, expected: float) -> None:
    assert extrapolated_rank_biased_overlap(ranking, other, persistence=0.5) == pytest.approx(
        expected
    )
    assert extrapolated_rank_biased_overlap(other, ranking, persistence=0.5) == pytest.approx(
        expected
    )


def test_the_two_definitions_of_rank_biased_overlap_have_a_name_each() -> None:
    """ab and ba: p / (1 + p) to depth 2 of an overlap cut there, p of one that goes on as it was at the end."""
    cut = reproduction.rank_biased_overlap_to_depth("ab", "ba", 2, persistence=0.8)
    assert cut == pytest.approx(0.8 / 1.8)
    assert extrapolated_rank_biased_overlap("ab", "ba", persistence=0.8) == pytest.approx(0.8)
    assert not hasattr(reproduction, "rank_biased_overlap")
    assert not hasattr(changes, "rank_biased_overlap")


def test_the_top_counts_most() -> None:
    docs = [f"d{n}" for n in range(20)]
    top, bottom = [docs[1], docs[0], *docs[2:]], [*docs[:18], docs[19], docs[18]]
    assert (
        extrapolated_rank_biased_overlap(docs, top)
        < extrapolated_rank_biased_overlap(docs, bottom)
        < 1
    )


def test_two_drawn_orders_of_the_same_docs_overlap_by_hand_and_by_drawing() -> None:
    """Of two docs: half of the orders agree (1), half are turned round (1/2, see above): 3/4."""
    assert changes.chance_of_overlap(2, persistence=0.5) == pytest.approx(0.75)
    rng = stream(1, "orders")
    docs = [f"d{n}" for n in range(12)]
    drawn_ones = [extrapolated_rank_biased_overlap(docs, rng.sample(docs, 12)) for _ in range(2000)]
    mean = sum(drawn_ones) / len(drawn_ones)
    assert mean == pytest.approx(changes.chance_of_overlap(12), abs=0.01)


def test_order_and_score_agreement_by_hand() -> None:
    """One pair of three turned round: tau 1/3. Deviations (-3, 0, 3) and (-1, -3, 4): 15 / sqrt(18 x 26)."""
    assert changes.kendall_tau_b([1, 2, 3], [1, 3, 2]) == pytest.approx(1 / 3)
    before, after = [1.0, 4.0, 7.0], [2.0, 0.0, 7.0]
    assert changes.score_agreement(before, after) == pytest.approx(15 / math.sqrt(18 * 26))
    assert changes.score_agreement(before, [3 * x - 5 for x in before]) == pytest.approx(1)


@pytest.mark.parametrize("agreement", [changes.kendall_tau_b, changes.score_agreement])
def test_a_ranker_that_scores_all_docs_alike_agrees_with_itself_only(
    agreement: Callable[[Sequence[float], Sequence[float]], float],
) -> None:
    assert agreement([1, 1, 1], [1, 3, 2]) == agreement([1, 3, 2], [0.1, 0.1, 0.1]) == 0.0
    assert agreement([0.1, 0.1], [0.1, 0.1]) == 1
    with pytest.raises(BadInput, match="at least 2 docs"):
        agreement([1.0], [2.0])


# -- two rankers ----------------------------------------------------------------------------------


def test_what_is_the_same_has_not_changed_anywhere(tmp_path: Path) -> None:
    ranker = tiny.bi_encoder(tmp_path)
    same = weights.weight_changes(weights.modules(ranker), weights.modules(ranker))
    assert {(change.displacement, change.effective_rank) for change in same} == {
        (0.0, 0.0),
        (0.0, None),
    }
    for layer in representations.of_texts(ranker, TEXTS, "document").unbind(1):
        assert changes.shifts(layer, layer).max() == 0
        assert changes.cka(layer, layer) == (1.0, 1.0, 1.0)
        shared = changes.shared_neighbours(layer, layer, k=3)
        assert shared == (1.0, 1.0, 1.0)
    assert extrapolated_rank_biased_overlap(TEXTS, TEXTS) == 1


@pytest.mark.parametrize("kind", ["bi_encoder", "cross_encoder"])
def test_a_replaced_layer_shows_in_its_weights_alone_and_in_the_states_from_it_on(
    tmp_path: Path, kind: str
) -> None:
    before: BiEncoder | CrossEncoder
    made = [getattr(tiny, kind)(tmp_path / name) for name in ("one", "two")]
    before, after = made
    encoder = anatomy.encoders(after.model)[0]
    with torch.no_grad():
        for weight in anatomy.layers(encoder)[1].parameters():
            weight.copy_(torch.randn(weight.shape, generator=torch.Generator().manual_seed(5)))
    found = weights.weight_changes(weights.modules(before), weights.modules(after))
    assert {change.place.layer for change in found if change.moved} == {2}
    assert all(change.moved for change in found if change.place.layer == 2)
    states = [
        representations.of_texts(ranker, TEXTS, "query")
        if isinstance(ranker, BiEncoder)
        else representations.of_texts(ranker, [(text, text) for text in TEXTS], "pair")
        for ranker in made
    ]
    moved = [
        float(changes.shifts(old, new).max())
        for old, new in zip(*(each.unbind(1) for each in states), strict=True)
    ]
    assert moved[:2] == [0.0, 0.0]
    assert moved[2] > 0.1
