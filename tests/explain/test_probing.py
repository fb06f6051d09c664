"""A layer with everything that is asked of it: probes, controls, seeds, over the same test examples."""

import pytest
import torch

from rankscope.core.records import Choice
from rankscope.explain.probes import Candidates, States
from rankscope.explain.probing import (
    Outcome,
    Probing,
    pairs_of,
    texts_of,
    with_other_queries,
)

WIDTH = 8
ASKED = Probing("cosine", ns=(2, 4), seeds=(1, 2), rank=8)


def drawn(*shape: int, seed: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def outcomes() -> dict[str, Outcome]:
    """600 queries with two examples each; the relevant doc is near its query; docs recur."""
    queries, docs = drawn(600, WIDTH, seed=1), drawn(900, WIDTH, seed=2)
    docs[:600] = queries + 0.3 * docs[:600]
    others = torch.randint(0, 900, (1200, 3), generator=torch.Generator().manual_seed(3))
    asked = torch.arange(1200) // 2
    others = torch.where(others == asked[:, None], (others + 1) % 900, others)
    examples = Candidates(asked, torch.cat([asked[:, None], others], 1))
    train, test = examples.at(torch.arange(800)), examples.at(torch.arange(800, 1200))
    found = ASKED.layer(States(queries, docs), train, test, drawn_labels=drawn(900, seed=4))
    return {outcome.probe: outcome for outcome in found}


def test_every_probe_and_control_answers_for_every_seed_n_and_example(
    outcomes: dict[str, Outcome],
) -> None:
    assert list(outcomes) == [
        "cosine", "bilinear", "docs_alone", "shuffled_queries", "random_labels",
    ]  # fmt: skip
    for outcome in outcomes.values():
        assert outcome.credits.shape == (2, 2, 400)
        assert outcome.n_unconverged == 0


def test_the_match_is_found_and_no_control_finds_it(outcomes: dict[str, Outcome]) -> None:
    means = {name: outcome.credits.mean((0, 2)).tolist() for name, outcome in outcomes.items()}
    assert min(means["cosine"] + means["bilinear"]) > 0.9
    for control in ("shuffled_queries", "random_labels"):
        assert means[control] == pytest.approx([1 / 2, 1 / 4], abs=0.08)


def test_the_probe_without_parameters_is_the_same_for_every_seed(
    outcomes: dict[str, Outcome],
) -> None:
    first, second = outcomes["cosine"].credits
    assert torch.equal(first, second)
    assert len(outcomes["bilinear"].penalties) == 2


def test_choices_become_places_of_their_texts() -> None:
    choices = [Choice("q2", ("d9", "d1")), Choice("q1", ("d1", "d3"))]
    texts = texts_of(choices)
    assert texts == (("q1", "q2"), ("d1", "d3", "d9"))
    found = texts.candidates(choices)
    assert found.queries.tolist() == [1, 0]
    assert found.docs.tolist() == [[2, 0], [0, 1]]


def test_pairs_have_others_queries_for_a_control_and_the_match_is_told_from_them() -> None:
    """A pair's state says how well query and doc match: the probe finds it, the controls do not."""
    choices = [
        Choice(f"q{n}", (f"d{n}", *(f"d{(n * 7 + k) % 400}" for k in (1, 2, 3))))
        for n in range(400)
    ]
    parts = choices[:300], choices[300:]
    others = [with_other_queries(part, seed=5) for part in parts]
    for part, other in zip(parts, others, strict=True):
        assert [choice.doc_ids for choice in part] == [choice.doc_ids for choice in other]
        assert all(a.query_id != b.query_id for a, b in zip(part, other, strict=True))
        assert {choice.query_id for choice in part} == {choice.query_id for choice in other}
    pairs = pairs_of([*choices, *others[0], *others[1]])
    states = drawn(len(pairs.pairs), WIDTH, seed=6)
    for place, (query_id, doc_id) in enumerate(pairs.pairs):
        states[place, 0] += 6.0 * (query_id[1:] == doc_id[1:])
    labels = torch.tensor([int(doc_id[1:]) * 37 % 401 / 401 for _, doc_id in pairs.pairs])
    true, shuffled = (
        (pairs.candidates(each[0]), pairs.candidates(each[1])) for each in (parts, others)
    )
    found = {
        outcome.probe: outcome.credits.mean((0, 2)).tolist()
        for outcome in ASKED.layer_of_pairs(states, true, shuffled, drawn_labels=labels)
    }
    assert min(found["linear"]) > 0.95
    for control in ("shuffled_queries", "random_labels"):
        assert found[control] == pytest.approx([1 / 2, 1 / 4], abs=0.15)
