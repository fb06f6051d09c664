"""Probes find what was planted and nothing else; the published one is what it is."""

import math
from collections.abc import Sequence
from copy import deepcopy

import pytest
import torch
from sklearn.linear_model import LogisticRegression
from torch import nn

from rankscope.evaluate.pairs.comparison import MeasuredPair, compared
from rankscope.explain import probe_fits, probes, published_probes
from rankscope.explain.probes import Candidates, States

WIDTH, N = 16, 5
TRAIN, VALIDATION, TEST = range(1200), range(1200, 1500), range(1500, 3000)


def drawn(*shape: int, seed: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def planted(what: str, *, n: int = 3000, seed: int = 1) -> tuple[States, Candidates]:
    """A query and five docs an example; the first is told by the query, by itself, or by nothing."""
    queries, docs = drawn(n, WIDTH, seed=seed), drawn(n * N, WIDTH, seed=seed + 1)
    places = torch.arange(n * N).view(n, N)
    turn = torch.linalg.qr(drawn(WIDTH, WIDTH, seed=99))[0]
    if what == "match":
        docs[places[:, 0]] = queries @ turn + 0.3 * docs[places[:, 0]]
    elif what == "size of the match":
        signs = drawn(n, 1, seed=seed + 2).sign()
        docs[places[:, 0]] = signs * (queries @ turn) + 0.3 * docs[places[:, 0]]
    elif what == "artefact":
        docs[places[:, 0], 0] += 2
    return States(queries, docs), Candidates(torch.arange(n), places)


def parts(examples: Candidates, *, learnt: int = len(TRAIN)) -> list[Candidates]:
    """`learnt` training examples, and all to validate and to test on."""
    return [examples.at(torch.tensor(part)) for part in (TRAIN[:learnt], VALIDATION, TEST)]


def accuracies(
    name: str,
    states: States,
    examples: Candidates,
    *,
    ns: Sequence[int],
    learnt: int = len(TRAIN),
) -> list[float]:
    """Of a probe fitted once, among the first n docs for every n."""
    train, validation, test = parts(examples, learnt=learnt)
    made = probe_fits.standardised(states, [train])
    probe = probes.PROBES[name]
    how = probe_fits.Fitting(rank=WIDTH)
    fit = probe_fits.fitted(probe, made, [train], [validation], seeds=[1], how=how)
    assert fit.has_converged.all()
    return probe_fits.credits_of(probe, fit, made, [test], ns=ns).mean((0, 2)).tolist()


def accuracy(name: str, states: States, examples: Candidates) -> float:
    return accuracies(name, states, examples, ns=[N])[0]


def shuffled(examples: Candidates) -> Candidates:
    """Every query another's."""
    return Candidates(examples.queries.roll(1), examples.docs)


def in_columns(examples: Candidates, seed: int) -> published_probes.InColumns:
    return published_probes.in_columns(examples, torch.Generator().manual_seed(seed))


def published_accuracy(
    states: States, examples: Candidates, recipe: published_probes.PublishedRecipe
) -> float:
    train, validation, test = (in_columns(part, n) for n, part in enumerate(parts(examples)))
    fit = published_probes.published(states, train, validation, seeds=[1], recipe=recipe)
    return float(published_probes.published_credits(fit, states, test).mean())


ERROR = 4 * math.sqrt(1 / N * (1 - 1 / N) / len(TEST))
"""Four standard errors of an accuracy that is chance."""
LONG = published_probes.PublishedRecipe(learning_rate=1e-2, batch_size=256, epochs=30)
"""The published probe, given time to learn what it can."""


# -- planted truth --------------------------------------------------------------------------------


def test_a_match_is_seen_by_the_bilinear_probe_and_not_by_the_published_one() -> None:
    states, examples = planted("match")
    assert accuracy("bilinear", states, examples) >= 0.99
    assert published_accuracy(states, examples, LONG) == pytest.approx(1 / N, abs=ERROR)
    assert accuracy("docs_alone", states, examples) == pytest.approx(1 / N, abs=ERROR)
    assert accuracy("bilinear", states, shuffled(examples)) == pytest.approx(1 / N, abs=ERROR)


def test_an_artefact_raises_the_published_probe_and_the_controls_expose_it() -> None:
    states, examples = planted("artefact")
    found = published_accuracy(states, examples, LONG)
    assert found > 0.6
    assert published_accuracy(states, shuffled(examples), LONG) == pytest.approx(found, abs=0.05)
    assert accuracy("docs_alone", states, examples) > 0.7
    assert accuracy("bilinear", states, examples) < 0.3


def test_what_no_bilinear_form_tells_the_mlp_finds() -> None:
    """The relevant doc is the query's image or its opposite: q A p has no mean to go by."""
    states, examples = planted("size of the match")
    bilinear = accuracy("bilinear", states, examples)
    assert bilinear < 0.35
    assert accuracy("mlp", states, examples) > bilinear + 0.2


@pytest.mark.parametrize(
    ("name", "learnt"),
    [
        ("bilinear", len(TRAIN)),
        ("docs_alone", len(TRAIN)),
        pytest.param("mlp", 300, marks=pytest.mark.slow),
    ],
)
def test_where_nothing_is_planted_a_probe_is_at_chance(name: str, learnt: int) -> None:
    """Chance and its error are of the test examples, of which there are as many whatever was learnt from."""
    states, examples = planted("nothing")
    of_all, of_two = accuracies(name, states, examples, ns=[N, 2], learnt=learnt)
    assert of_all == pytest.approx(1 / N, abs=ERROR)
    assert of_two == pytest.approx(1 / 2, abs=1.3 * ERROR)


@pytest.mark.parametrize("similarity", probes.SIMILARITIES.values())
def test_without_parameters_only_likeness_is_seen(similarity: object) -> None:
    states, examples = planted("nothing")
    found = probes.credit(similarity(states, examples)).mean()  # type: ignore[operator]
    assert float(found) == pytest.approx(1 / N, abs=ERROR)
    docs = states.docs.clone()
    docs[examples.docs[:, 0]] += 3 * states.queries[examples.queries]
    found = probes.credit(similarity(States(states.queries, docs), examples)).mean()  # type: ignore[operator]
    assert float(found) > 0.99


def test_states_that_tell_nothing_share_the_credit() -> None:
    """As the first layer's [CLS]: one vector for all texts. Ties must not count as right."""
    states = States(torch.ones(300, 4), torch.ones(1500, 4))
    examples = Candidates(torch.arange(300), torch.arange(1500).view(300, 5))
    assert probes.credit(probes.cosine(states, examples)).tolist() == [1 / N] * 300
    made = probe_fits.standardised(states, [examples])
    for probe in probes.PROBES.values():
        how = probe_fits.Fitting(rank=2)
        fit = probe_fits.fitted(probe, made, [examples], [examples], seeds=[1], how=how)
        found = probe_fits.credits_of(probe, fit, made, [examples], ns=[2, 5])
        assert found[0, 0].tolist() == pytest.approx([1 / 2] * 300)
        assert found[0, 1].tolist() == pytest.approx([1 / 5] * 300)


def test_false_differences_come_at_the_stated_level_in_a_thousand_comparisons() -> None:
    """Two models without signal over the same examples, four of which share a query."""
    n_queries, n_examples = 60, 240
    examples = Candidates(
        torch.arange(n_queries).repeat_interleave(4),
        torch.arange(n_examples * 3).view(n_examples, 3),
    )
    groups = {str(n): str(n // 4) for n in range(n_examples)}
    pairs = []
    for seed in range(1000):
        of_models = [
            probes.credit(
                probes.dot(
                    States(
                        drawn(n_queries, 4, seed=4 * seed + m), drawn(720, 4, seed=4 * seed + m + 2)
                    ),
                    examples,
                )
            )
            for m in (0, 1)
        ]
        values = [{str(n): float(v) for n, v in enumerate(model)} for model in of_models]
        pairs.append(MeasuredPair([values[0]], [values[1]]))
    p_values = [found.p_value for found in compared(pairs, groups=groups)]
    false = sum(p < 0.05 for p in p_values)
    assert 30 <= false <= 72, "50 are expected, with a standard deviation of 7"


# -- against others -------------------------------------------------------------------------------


@pytest.mark.parametrize("penalty", [1e-3, 1e-1])
def test_two_candidates_and_full_rank_are_scikit_learns_logistic_regression(penalty: float) -> None:
    states, examples = planted("match", n=700)
    wide = States(states.queries[:, :5].double(), states.docs[:, :5].double() + 0.5)
    train, test = (examples.among(2).at(torch.arange(*part)) for part in ((0, 500), (500, 700)))
    how = probe_fits.Fitting(rank=5, penalties=(penalty,), tolerance=1e-13, max_iterations=5000)
    fit = probe_fits.fitted(probes.BILINEAR, wide, [train], [test], seeds=[1], how=how)

    def features(part: Candidates) -> torch.Tensor:
        docs = wide.docs[part.docs]
        return (
            wide.queries[part.queries][:, :, None] * (docs[:, 0] - docs[:, 1])[:, None]
        ).flatten(1)

    signs = torch.where(torch.arange(500) % 2 == 0, 1.0, -1.0)
    theirs = LogisticRegression(
        C=1 / (penalty * 500), fit_intercept=False, tol=1e-10, max_iter=5000
    )
    theirs.fit((features(train) * signs[:, None]).numpy(), signs.numpy())
    scores = probes.BILINEAR.scores(fit.parameters, wide, [test], probes.Shape(5, 5))[0]
    ours = (scores[:, 0] - scores[:, 1]).numpy()
    assert ours == pytest.approx(theirs.decision_function(features(test).numpy()), abs=1e-4)


@pytest.mark.parametrize("batch_size", [10_000, 100])
def test_the_published_probe_is_a_plain_training_of_one_linear_layer(batch_size: int) -> None:
    """Two seeds at once, against one probe at a time with `nn.Linear` and `Adam`."""
    states = planted("artefact", n=330)[0]
    examples = planted("artefact", n=330)[1].among(3)
    train = in_columns(examples.at(torch.arange(250)), 1)
    validation = in_columns(examples.at(torch.arange(250, 330)), 2)
    recipe = published_probes.PublishedRecipe(learning_rate=1e-3, batch_size=batch_size, epochs=12)
    fit = published_probes.published(states, train, validation, seeds=[7, 8], recipe=recipe)
    found = published_probes.published_credits(fit, states, validation)
    for place, seed in enumerate((7, 8)):
        layer, right = plain(states, train, validation, seed, recipe)
        torch.testing.assert_close(fit.weights[place], layer["weight"], rtol=0, atol=1e-5)
        torch.testing.assert_close(fit.biases[place], layer["bias"], rtol=0, atol=1e-5)
        assert found[place].tolist() == right


def plain(
    states: States,
    train: published_probes.InColumns,
    validation: published_probes.InColumns,
    seed: int,
    recipe: published_probes.PublishedRecipe,
) -> tuple[dict[str, torch.Tensor], list[float]]:
    """The layer at its best epoch, and the validation examples it is right on."""

    def inputs(examples: Candidates) -> list[torch.Tensor]:
        return [
            torch.cat([states.queries[query], *(states.docs[doc] for doc in docs)])
            for query, docs in zip(examples.queries, examples.docs, strict=True)
        ]

    n = train.examples.docs.shape[1]
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        layer = nn.Linear((n + 1) * WIDTH, n)
        adam = torch.optim.Adam(layer.parameters(), lr=recipe.learning_rate)
        given, unseen = inputs(train.examples), torch.stack(inputs(validation.examples))
        best, right, kept = -1.0, [0.0], deepcopy(layer.state_dict())
        for _ in range(recipe.epochs):
            for batch in torch.randperm(len(given)).split(recipe.batch_size):
                adam.zero_grad()
                loss = nn.functional.cross_entropy(
                    layer(torch.stack([given[place] for place in batch])), train.correct[batch]
                )
                loss.backward()
                adam.step()
            with torch.no_grad():
                correct = (layer(unseen).argmax(1) == validation.correct).double()
            if float(correct.mean()) > best:
                best, right = float(correct.mean()), correct.tolist()
                kept = deepcopy(layer.state_dict())
    return kept, right


# -- small properties -----------------------------------------------------------------------------


def test_tied_highest_scores_share_the_credit() -> None:
    scores = torch.tensor([[2.0, 1.0, 0.0], [2.0, 2.0, 0.0], [1.0, 1.0, 1.0], [0.0, 1.0, 1.0]])
    assert probes.credit(scores).tolist() == pytest.approx([1.0, 1 / 2, 1 / 3, 0.0])


def test_sets_of_examples_are_fitted_together_as_each_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    states, examples = planted("match", n=600)
    sets = [examples.at(torch.arange(a, a + 200)) for a in (0, 200)]
    unseen = [examples.at(torch.arange(400, 500))] * 2
    made = probe_fits.standardised(states, sets)
    asked = {"seeds": [1, 2], "how": probe_fits.Fitting(rank=4)}
    together = probe_fits.fitted(probes.BILINEAR, made, sets, unseen, **asked)
    monkeypatch.setattr(probe_fits, "SCORES_AT_ONCE", 1)
    apart = probe_fits.fitted(probes.BILINEAR, made, sets, unseen, **asked)
    assert together.penalties == apart.penalties
    torch.testing.assert_close(
        together.validation_loss, apart.validation_loss, rtol=1e-3, atol=1e-3
    )


def test_features_are_standardised_by_the_training_texts() -> None:
    states, examples = planted("artefact", n=100)
    train = examples.at(torch.arange(80))
    made = probe_fits.standardised(States(states.queries * 5 + 3, states.docs), [train])
    seen = made.queries[:80]
    torch.testing.assert_close(seen.mean(0), torch.zeros(WIDTH), atol=1e-5, rtol=0)
    torch.testing.assert_close(seen.std(0, unbiased=False), torch.ones(WIDTH), atol=1e-5, rtol=0)


def test_a_rank_above_the_width_is_the_width() -> None:
    states, examples = planted("match", n=200)
    made, how = probe_fits.standardised(states, [examples]), probe_fits.Fitting(rank=1000)
    fit = probe_fits.fitted(probes.BILINEAR, made, [examples], [examples], seeds=[1], how=how)
    assert fit.shape.rank == WIDTH
