"""A ranker's layers probed over the same examples, with every probe, control and seed.

The test examples are the same for all rankers, layers and seeds, so that differences between them are paired. A seed
decides which training queries are held out to choose the penalty, where a probe starts, and which query replaces which
in the control with shuffled queries.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from rankscope.core.records import Choice
from rankscope.core.rng import seed_for, stream
from rankscope.explain import probe_fits, probes, published_probes
from rankscope.explain.probes import Candidates, States

VALIDATION_SHARE = 0.1
PUBLISHED_SEED, PUBLISHED_VALIDATION_SHARE = 42, 0.01
CONTROL_OF = {
    "bilinear": "shuffled_queries",
    "linear": "shuffled_queries",
    "as_published": "as_published_shuffled_queries",
}
"""A probe to its control in which every query is replaced by another."""
OPTIONAL_CONTROL_OF = {name: f"{name}_shuffled_queries" for name in probes.OPTIONAL}
"""The same of probes that are fitted where somebody names them; no verdict rests on these."""
CONTROLS = ("docs_alone", "random_labels", *OPTIONAL_CONTROL_OF.values(), *CONTROL_OF.values())
"""The controls that are fitted beside the probes on every layer."""


class Texts(NamedTuple):
    """The distinct texts of choices; their places are the rows of a ranker's states."""

    query_ids: tuple[str, ...]
    doc_ids: tuple[str, ...]

    def candidates(self, choices: Sequence[Choice]) -> Candidates:
        """The choices as places."""
        queries = {query_id: place for place, query_id in enumerate(self.query_ids)}
        docs = {doc_id: place for place, doc_id in enumerate(self.doc_ids)}
        return Candidates(
            torch.tensor([queries[choice.query_id] for choice in choices]),
            torch.tensor([[docs[doc_id] for doc_id in choice.doc_ids] for choice in choices]),
        )


class Pairs(NamedTuple):
    """The distinct pairs of query and doc in choices; their places are the rows of a cross-encoder's states."""

    pairs: tuple[tuple[str, str], ...]

    def candidates(self, choices: Sequence[Choice]) -> Candidates:
        """The choices with places of pairs for docs, and queries numbered in their sorted order."""
        places = {pair: place for place, pair in enumerate(self.pairs)}
        query_ids = sorted({choice.query_id for choice in choices})
        queries = {query_id: place for place, query_id in enumerate(query_ids)}
        return Candidates(
            torch.tensor([queries[choice.query_id] for choice in choices]),
            torch.tensor(
                [[places[choice.query_id, d] for d in choice.doc_ids] for choice in choices]
            ),
        )


def pairs_of(choices: Sequence[Choice]) -> Pairs:
    """The pairs of choices, each once, sorted."""
    pairs = {(choice.query_id, doc_id) for choice in choices for doc_id in choice.doc_ids}
    return Pairs(tuple(sorted(pairs)))


def with_other_queries(choices: Sequence[Choice], seed: int) -> list[Choice]:
    """The choices with every query replaced by the next one in a random order."""
    query_ids = sorted({choice.query_id for choice in choices})
    stream(seed, "other queries").shuffle(query_ids)
    following = dict(zip(query_ids, query_ids[1:] + query_ids[:1], strict=True))
    return [Choice(following[choice.query_id], choice.doc_ids) for choice in choices]


def texts_of(choices: Sequence[Choice]) -> Texts:
    """The queries and docs of choices, each once, sorted."""
    return Texts(
        tuple(sorted({choice.query_id for choice in choices})),
        tuple(sorted({doc_id for choice in choices for doc_id in choice.doc_ids})),
    )


@dataclass(frozen=True)
class Outcome:
    """The outcome of one probe on one layer."""

    probe: str
    """The name of a probe or of a control."""
    credits: Tensor
    """(seeds, ns, test examples), float64: 1 where the probe was right, 1/k where k docs share the highest score."""
    penalties: tuple[float, ...] = ()
    """The chosen penalty of each seed; empty for probes without parameters."""
    n_unconverged: int = 0
    """The number of seeds whose fit did not converge."""


@dataclass(frozen=True)
class Probing:
    """The probes and controls of every layer."""

    similarity: str
    """The probe without parameters: the ranker's own similarity."""
    ns: Sequence[int]
    seeds: Sequence[int]
    rank: int
    also: Sequence[str] = ()
    """Optional probes."""

    def layer(
        self, states: States, train: Candidates, test: Candidates, *, drawn_labels: Tensor
    ) -> list[Outcome]:
        """The outcome of every sound probe and control on one layer.

        `drawn_labels`, (docs,), gives each doc a random number: in the control with random labels, the right doc of a
        choice is the one with the highest number.
        """
        scores = probes.SIMILARITIES[self.similarity](states, test)
        plain = torch.stack([probes.credit(scores[:, :n]) for n in self.ns])
        made = probe_fits.standardised(states, [train])
        parted = [split(train, seed) for seed in self.seeds]
        true = [(*parts, test) for parts in parted]
        shuffled = [
            tuple(_shuffled(part, seed) for part in parts)
            for parts, seed in zip(true, self.seeds, strict=True)
        ]
        relabelled = [tuple(_relabelled(part, drawn_labels) for part in parts) for parts in true]
        fits: dict[str, tuple[str, Sequence[tuple[Candidates, ...]]]] = {
            "bilinear": ("bilinear", true),
            **{name: (name, true) for name in self.also},
            **{OPTIONAL_CONTROL_OF[name]: (name, shuffled) for name in self.also},
            "docs_alone": ("docs_alone", true),
            "shuffled_queries": ("bilinear", shuffled),
        }
        return [
            Outcome(self.similarity, plain[None].expand(len(self.seeds), -1, -1)),
            *(self._fitted(name, probe, made, sets) for name, (probe, sets) in fits.items()),
            self._fitted("random_labels", "bilinear", _with_ones(made), relabelled),
        ]

    def layer_of_pairs(
        self,
        states: Tensor,
        true: tuple[Candidates, Candidates],
        shuffled: tuple[Candidates, Candidates],
        *,
        drawn_labels: Tensor,
    ) -> list[Outcome]:
        """The outcomes of a linear probe and its controls on one layer of a cross-encoder.

        states: (pairs, width), of query and doc read together. `true` and `shuffled` are training and test examples,
        with their own queries and with other ones. `drawn_labels`, (pairs,), are the same for all pairs of a doc.
        """
        trainings = {"linear": true, "shuffled_queries": shuffled, "random_labels": true}
        outcomes = []
        for name, (train, test) in trainings.items():
            n_queries = 1 + max(int(part.queries.max()) for part in (train, test))
            no_queries = states.new_zeros(n_queries, states.shape[1])
            made = probe_fits.standardised(States(no_queries, states), [train])
            sets: list[tuple[Candidates, ...]] = [
                (*split(train, seed), test) for seed in self.seeds
            ]
            if name == "random_labels":
                sets = [tuple(_relabelled(part, drawn_labels) for part in parts) for parts in sets]
            outcomes.append(self._fitted(name, "docs_alone", made, sets))
        return outcomes

    def _fitted(
        self, name: str, probe_name: str, states: States, sets: Sequence[tuple[Candidates, ...]]
    ) -> Outcome:
        probe = probes.PROBES[probe_name]
        train, validation, tests = zip(*sets, strict=True)
        how = probe_fits.Fitting(rank=self.rank)
        fit = probe_fits.fitted(probe, states, train, validation, seeds=self.seeds, how=how)
        per_example = probe_fits.credits_of(probe, fit, states, tests, ns=self.ns)
        return Outcome(name, per_example, fit.penalties, int((~fit.has_converged).sum()))

    def layer_as_published(
        self, states: States, train: Candidates, test: Candidates
    ) -> list[Outcome]:
        """The outcomes of the published probe and of its control with shuffled queries on one layer.

        There is a probe for each n. Docs stand in an order that is drawn once, and 1 % of the examples are held out at
        random, whatever their query. The control is not in the study.
        """
        credits_by_name: dict[str, list[Tensor]] = {
            "as_published": [],
            "as_published_shuffled_queries": [],
        }
        for n in self.ns:
            for name, of_ns in credits_by_name.items():
                parts = [train.among(n), test.among(n)]
                if name != "as_published":
                    parts = [_shuffled(part, PUBLISHED_SEED) for part in parts]
                rng = torch.Generator().manual_seed(PUBLISHED_SEED)
                learnt, tested = (published_probes.in_columns(part, rng) for part in parts)
                order = torch.randperm(len(learnt.correct), generator=rng)
                n_held = max(1, int(len(order) * PUBLISHED_VALIDATION_SHARE))
                fit = published_probes.published(
                    states, learnt.at(order[n_held:]), learnt.at(order[:n_held]), seeds=self.seeds
                )
                of_ns.append(published_probes.published_credits(fit, states, tested))
        return [Outcome(name, torch.stack(of_ns, 1)) for name, of_ns in credits_by_name.items()]


def _with_ones(states: States) -> States:
    """The states with a constant 1 appended, so that a bilinear form has a term for the doc alone, too."""
    return States(*(torch.cat([side, side.new_ones(len(side), 1)], 1) for side in states))


def split(train: Candidates, seed: int) -> tuple[Candidates, Candidates]:
    """Training and validation examples, split by query."""
    order = _drawn_order(train, seed, "validation")
    held = torch.isin(train.queries, order[: max(1, int(len(order) * VALIDATION_SHARE))])
    return train.at((~held).nonzero().flatten()), train.at(held.nonzero().flatten())


def _shuffled(examples: Candidates, seed: int) -> Candidates:
    """The examples with every query replaced by the next one in a random order."""
    order = _drawn_order(examples, seed, "shuffled queries")
    next_one = torch.empty(int(order.max()) + 1, dtype=torch.int64)
    next_one[order] = torch.roll(order, 1)
    return Candidates(next_one[examples.queries], examples.docs)


def _drawn_order(examples: Candidates, seed: int, purpose: str) -> Tensor:
    """The distinct queries of the examples, in a random order that the seed and the purpose determine."""
    queries: Tensor = torch.unique(examples.queries)
    rng = torch.Generator().manual_seed(seed_for(seed, purpose))
    return queries[torch.randperm(len(queries), generator=rng)]


def _relabelled(examples: Candidates, drawn: Tensor) -> Candidates:
    """The examples with the doc of the highest random number in the place of the relevant one, and vice versa."""
    highest = drawn[examples.docs].argmax(1)
    rows = torch.arange(len(highest))
    docs = examples.docs.clone()
    docs[rows, highest], docs[:, 0] = examples.docs[:, 0], examples.docs[rows, highest]
    return Candidates(examples.queries, docs)
