"""Probes on frozen states: which of N docs is the relevant one? With controls.

Every probe scores a query's candidates and is right where the relevant doc's score is the highest; tied
highest scores share the credit, so that states which tell nothing give chance, 1/N, and not 1.

**Sound.** `dot` and `cosine` have no parameters: what retrieval itself would do with a layer. `bilinear`
is q A p with A of low rank; `mlp` is an upper bound. They see a query and a doc at a time, so one probe,
trained on all candidates, serves every N. Features are standardised; the loss is the cross-entropy of the
relevant doc among its candidates (a conditional logit: with two candidates and full rank it is logistic
regression on q x (p1 - p2), and a test holds it to scikit-learn's); it is minimised to convergence, for
ever smaller penalties, for as long as the loss of validation queries falls.

**Controls**, by the same fit: `docs_alone` sees no query; with `shuffled_queries` a query is another's;
with `random_labels` the doc to be found is one that a hash of its id picks, which only memory of docs can find.

**As published** (Yao et al. 2025, section 4; papers.md A.2): one linear layer over [q; p1; ...; pN] with N
outputs, Adam. It is additive in query and docs, so it cannot see whether they match (A.8-2), and stops long
before it has converged (A.8-3).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, linear, normalize

from rankscope.explain.lbfgs import minimised

PENALTIES = (1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0)
"""Times half the variance that a score would have over unrelated standardised texts: of any width alike."""
START = 0.5
"""The deviation that scores have where a bilinear probe begins."""
HIDDEN = 32
POWER_STEPS = 4
BLOCK = 512
"""Examples of one product, of the published probe."""
SCORES_AT_ONCE = 1 << 26
"""Numbers held for the gathered features of one evaluation."""


class States(NamedTuple):
    """One layer's representations of distinct texts."""

    queries: Tensor
    """(queries, width)."""
    docs: Tensor
    """(docs, width)."""


class Candidates(NamedTuple):
    """Examples: a query and its docs, as places in `States`; the first doc is the relevant one."""

    queries: Tensor
    """(examples,), int64."""
    docs: Tensor
    """(examples, N), int64."""

    def among(self, n: int) -> "Candidates":
        """The same examples with the relevant doc and the first n - 1 others."""
        return Candidates(self.queries, self.docs[:, :n])

    def at(self, places: Tensor) -> "Candidates":
        """Some of the examples."""
        return Candidates(self.queries[places], self.docs[places])


class Shape(NamedTuple):
    """What the number of a probe's parameters depends on."""

    width: int
    rank: int


@dataclass(frozen=True)
class Fit:
    """A probe as trained: one set of parameters for each set of examples."""

    shape: Shape
    parameters: Tensor
    """(sets, parameters), at the chosen penalty."""
    penalties: tuple[float, ...]
    """The chosen penalty of each set."""
    validation_loss: Tensor
    """(sets,)."""
    has_converged: Tensor
    """(sets,), bool, at the chosen penalty."""


@dataclass(frozen=True)
class Probe:
    """A scorer of (query, doc) with parameters; `problems` are several at once, a row of parameters each."""

    n_parameters: Callable[[Shape], int]
    start: Callable[[States, Candidates, Shape, torch.Generator], Tensor]
    """(parameters,)."""
    scores: Callable[[Tensor, States, Sequence[Candidates], Shape], Tensor]
    """Parameters (problems, parameters) and each one's examples to (problems, examples, N)."""
    norm: Callable[[Tensor, Shape], Tensor]
    """What is penalised: (problems,)."""
    penalties: tuple[float, ...] = PENALTIES
    """Those to choose from."""
    is_followed: bool = True
    """Whether the minimum at one penalty leads to that at the next; else all are tried, each from the start."""


# -- scores without parameters --------------------------------------------------------------------


def dot(states: States, candidates: Candidates) -> Tensor:
    """The dot products of a query with its docs: (examples, N)."""
    docs = states.docs[candidates.docs]
    queries = states.queries[candidates.queries][:, None]
    return (docs * queries).sum(-1)  # a row each: ties stay ties


def cosine(states: States, candidates: Candidates) -> Tensor:
    """The cosines of a query with its docs: (examples, N)."""
    return dot(States(*(normalize(side, dim=-1) for side in states)), candidates)


SIMILARITIES = {"dot": dot, "cosine": cosine}


def credit(scores: Tensor) -> Tensor:
    """1 where the first of the candidates has the highest score, 1/k where it shares it with k - 1 others.

    scores: (..., N); the result (...,), float64.
    """
    highest = scores == scores.amax(-1, keepdim=True)
    return highest[..., 0].double() / highest.sum(-1)


# -- scores with parameters -----------------------------------------------------------------------


def _low_rank_parts(parameters: Tensor, shape: Shape) -> tuple[Tensor, Tensor]:
    """U and V of A = U V^T: (problems, width, rank) each."""
    of_query, of_doc = parameters.view(len(parameters), 2, shape.width, shape.rank).unbind(1)
    return of_query, of_doc


def _gathered(projected: Tensor, places: Sequence[Tensor]) -> Tensor:
    """The rows that each problem asks for of its own table: (problems, *places' shape, width).

    projected: (problems, texts, width). By `index_select` on all tables laid end to end: its gradient
    is one `index_add`, where that of indexing sorts.
    """
    n_problems, n_texts, width = projected.shape
    flat = torch.stack([each + n * n_texts for n, each in enumerate(places)])
    rows = projected.reshape(-1, width).index_select(0, flat.flatten())
    return rows.view(n_problems, *places[0].shape, width)


def _projected(texts: Tensor, matrices: Tensor) -> Tensor:
    """Texts (n, width) times matrices (problems, width, k): (problems, n, k), by one product."""
    n_problems, width, k = matrices.shape
    together = texts @ matrices.transpose(0, 1).reshape(width, n_problems * k)
    return together.view(len(texts), n_problems, k).transpose(0, 1)


def _bilinear_scores(
    parameters: Tensor, states: States, candidates: Sequence[Candidates], shape: Shape
) -> Tensor:
    of_query, of_doc = _low_rank_parts(parameters, shape)
    queries = _gathered(_projected(states.queries, of_query), [c.queries for c in candidates])
    docs = _gathered(_projected(states.docs, of_doc), [c.docs for c in candidates])
    return (docs * queries[..., None, :]).sum(-1)


def _bilinear_norm(parameters: Tensor, shape: Shape) -> Tensor:
    """The squared Frobenius norm of A, without making A."""
    of_query, of_doc = _low_rank_parts(parameters, shape)
    return (of_query.mT @ of_query * (of_doc.mT @ of_doc)).sum((1, 2))


def _bilinear_start(
    states: States, candidates: Candidates, shape: Shape, rng: torch.Generator
) -> Tensor:
    """The directions along which the loss falls fastest at A = 0: what the relevant doc has beyond the mean.

    They are found by subspace iteration on that gradient, whose square matrix is the cross-covariance of
    queries and relevant docs less that of queries and candidates.
    """
    docs = states.docs[candidates.docs]
    beyond = docs[:, 0] - docs.mean(1)
    gradient = states.queries[candidates.queries].T @ beyond / len(beyond)
    drawn = torch.randn(shape.width, shape.rank, generator=rng, dtype=torch.float64).to(gradient)
    of_doc = torch.linalg.qr(drawn)[0]
    for _ in range(POWER_STEPS):
        of_doc = torch.linalg.qr(gradient.T @ (gradient @ of_doc))[0]
    of_query = gradient @ of_doc
    size = of_query.norm()  # that of U V^T, V being orthonormal
    scale = (START / size.clamp(min=1e-12)) ** 0.5
    return torch.stack([of_query * scale, of_doc * scale]).flatten()


def _docs_alone_scores(
    parameters: Tensor, states: States, candidates: Sequence[Candidates], shape: Shape
) -> Tensor:
    del shape
    return _gathered(
        _projected(states.docs, parameters[:, :, None]), [c.docs for c in candidates]
    ).squeeze(-1)


def _mlp_parts(parameters: Tensor, shape: Shape) -> list[Tensor]:
    """U, V, query -> hidden, doc -> hidden, product -> hidden, bias, hidden -> score."""
    width, rank = shape
    sizes = [(width, rank)] * 2 + [(width, HIDDEN)] * 2 + [(rank, HIDDEN), (1, HIDDEN), (HIDDEN, 1)]
    parts = torch.split(parameters, [a * b for a, b in sizes], dim=1)
    return [part.view(-1, *size) for part, size in zip(parts, sizes, strict=True)]


def _mlp_scores(
    parameters: Tensor, states: States, candidates: Sequence[Candidates], shape: Shape
) -> Tensor:
    u, v, of_query, of_doc, of_product, bias, out = _mlp_parts(parameters, shape)
    wanted, offered = [c.queries for c in candidates], [c.docs for c in candidates]
    queries = _gathered(_projected(states.queries, torch.cat([u, of_query], 2)), wanted)
    docs = _gathered(_projected(states.docs, torch.cat([v, of_doc], 2)), offered)
    product = queries[:, :, None, : shape.rank] * docs[..., : shape.rank]
    hidden = queries[:, :, None, shape.rank :] + docs[..., shape.rank :] + bias[:, :, None]
    mixed = (product.flatten(1, 2) @ of_product).view(hidden.shape)
    hidden = torch.tanh(hidden + mixed)
    return (hidden * out.mT[:, :, None]).sum(-1)


def _mlp_start(
    states: States, candidates: Candidates, shape: Shape, rng: torch.Generator
) -> Tensor:
    """The product's projections as in the bilinear probe; the rest drawn, so that scores begin small."""
    width, rank = shape
    n = MLP.n_parameters(shape) - 2 * width * rank
    rest = torch.randn(n, generator=rng, dtype=torch.float64).to(states.queries) * HIDDEN**-0.5
    return torch.cat([_bilinear_start(states, candidates, shape, rng), rest])


def _squared_norm(parameters: Tensor, shape: Shape) -> Tensor:
    del shape
    return (parameters**2).sum(1)


BILINEAR = Probe(
    n_parameters=lambda shape: 2 * shape.width * shape.rank,
    start=_bilinear_start,
    scores=_bilinear_scores,
    norm=_bilinear_norm,
)
DOCS_ALONE = Probe(
    n_parameters=lambda shape: shape.width,
    start=lambda states, _, shape, __: states.docs.new_zeros(shape.width),
    scores=_docs_alone_scores,
    norm=_squared_norm,
)
MLP = Probe(
    n_parameters=lambda s: 2 * s.width * s.rank + HIDDEN * (2 * s.width + s.rank + 2),
    start=_mlp_start,
    scores=_mlp_scores,
    norm=_squared_norm,
    penalties=(1e-3, 1e-2, 1e-1),
    is_followed=False,
)
PROBES = {"bilinear": BILINEAR, "mlp": MLP, "docs_alone": DOCS_ALONE}


# -- the sound fit --------------------------------------------------------------------------------


def standardised(states: States, candidates: Sequence[Candidates]) -> States:
    """Each side less its mean and over its deviation.

    Means and deviations are of the texts in the examples given, the training ones; a number that does
    not vary among them becomes 0.
    """
    places = (
        torch.unique(torch.cat([c.queries for c in candidates])),
        torch.unique(torch.cat([c.docs.flatten() for c in candidates])),
    )
    return States(*(_standardised(side, of) for side, of in zip(states, places, strict=True)))


def _standardised(texts: Tensor, of: Tensor) -> Tensor:
    seen = texts[of].double()
    mean, deviation = seen.mean(0), seen.std(0, unbiased=False)
    varies = deviation > 1e-5 * seen.square().mean().sqrt()
    scale = torch.where(varies, 1 / deviation.where(varies, torch.ones_like(deviation)), 0)
    return ((texts - mean) * scale).to(texts.dtype)


@dataclass(frozen=True)
class Fitting:
    """How a probe is fitted."""

    rank: int = 32
    """Of the bilinear form, and of the product that the MLP sees."""
    penalties: tuple[float, ...] = ()
    """Those to choose from; none: the probe's own."""
    tolerance: float = 1e-4
    """In nats: see `lbfgs.minimised`."""
    max_iterations: int = 500


def fitted(
    probe: Probe,
    states: States,
    train: Sequence[Candidates],
    validation: Sequence[Candidates],
    *,
    seeds: Sequence[int],
    how: Fitting,
) -> Fit:
    """The probe fitted to each set of examples, with the penalty that is best for its validation loss.

    states: standardised. A set starts where its seed says. The sets are fitted together, each as if it were
    alone: first with the largest penalty, then with smaller ones, each from where the last ended, until the
    validation loss of the set no longer falls (of a probe whose minima lead to one another). The loss is the
    mean cross-entropy plus penalty / 2 times the probe's norm. A rank above the width is the width.
    """
    most = max(each.docs.numel() for each in train)
    at_once = max(1, SCORES_AT_ONCE // (most * (how.rank + HIDDEN)))
    groups = [slice(n, n + at_once) for n in range(0, len(train), at_once)]
    fits = [
        _fitted(probe, states, train[some], validation[some], seeds=seeds[some], how=how)
        for some in groups
    ]
    return Fit(
        fits[0].shape,
        torch.cat([fit.parameters for fit in fits]),
        tuple(penalty for fit in fits for penalty in fit.penalties),
        torch.cat([fit.validation_loss for fit in fits]),
        torch.cat([fit.has_converged for fit in fits]),
    )


def _fitted(
    probe: Probe,
    states: States,
    train: Sequence[Candidates],
    validation: Sequence[Candidates],
    *,
    seeds: Sequence[int],
    how: Fitting,
) -> Fit:
    width = states.queries.shape[1]
    shape = Shape(width, min(how.rank, width))
    start = torch.stack(
        [
            probe.start(states, each, shape, torch.Generator().manual_seed(seed))
            for each, seed in zip(train, seeds, strict=True)
        ]
    )
    best = torch.full((len(train),), torch.inf, dtype=states.docs.dtype)
    parameters, kept, penalties = start.clone(), start.clone(), [0.0] * len(train)
    has_converged = torch.zeros(len(train), dtype=torch.bool)
    left = list(range(len(train)))
    for penalty in sorted(how.penalties or probe.penalties, reverse=True):
        learnt = _of_one_size([train[place] for place in left])
        watched = _of_one_size([validation[place] for place in left])

        def losses(at: Tensor, learnt: _OfOneSize = learnt, penalty: float = penalty) -> Tensor:
            scores = probe.scores(at, states, learnt.examples, shape)
            return _cross_entropy(scores, learnt) + penalty / 2 * probe.norm(at, shape)

        begun = parameters if probe.is_followed else start
        minimum = minimised(
            losses, begun[left], tolerance=how.tolerance, max_iterations=how.max_iterations
        )
        parameters[left] = minimum.parameters
        with torch.no_grad():
            scores = probe.scores(minimum.parameters, states, watched.examples, shape)
            unseen = _cross_entropy(scores, watched)
        falls = [row for row, place in enumerate(left) if unseen[row] < best[place]]
        better = [left[row] for row in falls]
        best[better], kept[better] = unseen[falls], minimum.parameters[falls]
        has_converged[better] = minimum.has_converged[falls]
        for place in better:
            penalties[place] = penalty
        left = better if probe.is_followed else left
        if not left:
            break
    return Fit(shape, kept, tuple(penalties), best, has_converged)


class _OfOneSize(NamedTuple):
    """Sets of examples, the shorter ones filled up with examples that do not count."""

    examples: list[Candidates]
    counts: Tensor
    """(sets, examples), bool."""


def _of_one_size(sets: Sequence[Candidates]) -> _OfOneSize:
    size = max(len(each.queries) for each in sets)
    filled = [torch.arange(size).clamp(max=len(each.queries) - 1) for each in sets]
    counts = torch.stack([torch.arange(size) < len(each.queries) for each in sets])
    return _OfOneSize([each.at(places) for each, places in zip(sets, filled, strict=True)], counts)


def _cross_entropy(scores: Tensor, of: _OfOneSize) -> Tensor:
    """The mean loss of the first candidate, a problem each: (problems, examples, N) to (problems,)."""
    losses = (scores.logsumexp(-1) - scores[..., 0]) * of.counts
    return losses.sum(-1) / of.counts.sum(-1)


def credits_of(
    probe: Probe, fit: Fit, states: States, test: Sequence[Candidates], *, ns: Sequence[int]
) -> Tensor:
    """Of every set's probe on its own test examples, among the first n docs: (sets, ns, examples).

    The sets' test examples must be as many.
    """
    with torch.no_grad():
        found = [
            probe.scores(parameters[None], states, [examples], fit.shape)[0]
            for parameters, examples in zip(fit.parameters, test, strict=True)
        ]
    return torch.stack([torch.stack([credit(each[:, :n]) for n in ns]) for each in found])


# -- as published ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Published:
    """Study A's training (its Table 1 and released code)."""

    learning_rate: float = 1e-4
    batch_size: int = 32_768
    epochs: int = 30


PUBLISHED = Published()


class PublishedFit(NamedTuple):
    """Linear probes of one layer, a seed each, at their best epoch by validation accuracy (the first of several)."""

    weights: Tensor
    """(seeds, N, (N + 1) x width)."""
    biases: Tensor
    """(seeds, N)."""


class InColumns(NamedTuple):
    """Examples whose docs stand in the order that the published probe sees."""

    examples: Candidates
    correct: Tensor
    """(examples,): the column of the relevant doc."""

    def at(self, places: Tensor) -> "InColumns":
        """Some of the examples."""
        return InColumns(self.examples.at(places), self.correct[places])


def in_columns(examples: Candidates, rng: torch.Generator) -> InColumns:
    """Every example's docs in a drawn order."""
    order = torch.rand(examples.docs.shape, generator=rng).argsort(1)
    mixed = Candidates(examples.queries, examples.docs.gather(1, order))
    return InColumns(mixed, (order == 0).int().argmax(1))


def published(
    states: States,
    train: InColumns,
    validation: InColumns,
    *,
    seeds: Sequence[int],
    recipe: Published = PUBLISHED,
) -> PublishedFit:
    """One layer's probes for all seeds, trained together.

    A probe's first weights and the order of its batches come from its seed alone, as `torch.nn.Linear` and
    `torch.randperm` draw them.
    """
    n_examples, n = train.examples.docs.shape
    width = states.docs.shape[1]
    rngs = [torch.Generator().manual_seed(seed) for seed in seeds]
    first = [_linear((n + 1) * width, n, rng) for rng in rngs]
    weights = torch.stack([weight for weight, _ in first]).requires_grad_(True)
    biases = torch.stack([bias for _, bias in first]).requires_grad_(True)
    adam = torch.optim.Adam([weights, biases], lr=recipe.learning_rate)
    is_whole = n_examples <= recipe.batch_size  # then the order of the one batch does not matter
    inputs = _in_blocks(states, train.examples) if is_whole else None
    unseen = _in_blocks(states, validation.examples)
    best = torch.full((len(seeds),), -1.0, dtype=torch.float64)
    kept = (weights.detach().clone(), biases.detach().clone())
    for _ in range(recipe.epochs):
        orders = torch.stack([torch.randperm(n_examples, generator=rng) for rng in rngs])
        for places in torch.split(orders, recipe.batch_size, 1):
            if inputs is None:
                outputs = torch.stack(
                    [
                        linear(_joined(states, train.examples.at(mine)), weight, bias)
                        for mine, weight, bias in zip(places, weights, biases, strict=True)
                    ]
                )
                wanted = train.correct[places]
            else:
                outputs = _outputs(inputs, weights, biases)[:, :n_examples]
                wanted = train.correct.expand(len(seeds), -1)
            mean_losses = cross_entropy(outputs.mT, wanted, reduction="none").mean(1)
            adam.zero_grad(set_to_none=True)
            mean_losses.sum().backward()  # type: ignore[no-untyped-call]
            adam.step()
        with torch.no_grad():
            found = _outputs(unseen, weights, biases)[:, : len(validation.correct)].argmax(-1)
        accuracies = (found == validation.correct).double().mean(1)
        is_better = accuracies > best
        best = torch.where(is_better, accuracies, best)
        for now, then in zip((weights, biases), kept, strict=True):
            then[is_better] = now.detach()[is_better]
    return PublishedFit(*kept)


def published_credits(fit: PublishedFit, states: States, test: InColumns) -> Tensor:
    """1 where a probe's highest output is the relevant doc's column: (seeds, examples), float64."""
    outputs = _outputs(_in_blocks(states, test.examples), fit.weights, fit.biases)
    return (outputs[:, : len(test.correct)].argmax(-1) == test.correct).double()


def _linear(n_inputs: int, n_outputs: int, rng: torch.Generator) -> tuple[Tensor, Tensor]:
    """The first weights of `torch.nn.Linear`: uniform within 1 / sqrt(inputs)."""
    bound = n_inputs**-0.5
    weight = torch.empty(n_outputs, n_inputs).uniform_(-bound, bound, generator=rng)
    return weight, torch.empty(n_outputs).uniform_(-bound, bound, generator=rng)


def _outputs(inputs: Tensor, weights: Tensor, biases: Tensor) -> Tensor:
    """Of all seeds' probes on the same inputs: (seeds, examples, N), with those that fill the last block.

    inputs: as `_in_blocks` has them. The gradient of a product with so few columns is summed over blocks: as
    one long product it takes twice as long.
    """
    n_seeds, n = biases.shape
    found = torch.bmm(weights.flatten(0, 1).expand(len(inputs), -1, -1), inputs.mT)
    by_seed = found.view(-1, n_seeds, n, BLOCK).permute(1, 0, 3, 2)
    return by_seed.flatten(1, 2) + biases[:, None]


def _in_blocks(states: States, examples: Candidates) -> Tensor:
    """`_joined` examples: (blocks, BLOCK, (N + 1) x width); the last is filled up with the first example."""
    n_examples = len(examples.queries)
    filled = torch.zeros(-(-n_examples // BLOCK) * BLOCK, dtype=torch.int64)
    filled[:n_examples] = torch.arange(n_examples)
    joined = _joined(states, examples.at(filled))
    return joined.view(-1, BLOCK, joined.shape[1])


def _joined(states: States, examples: Candidates) -> Tensor:
    """[q; p1; ...; pN]: (examples, (N + 1) x width)."""
    queries, docs = states.queries[examples.queries], states.docs[examples.docs]
    return torch.cat([queries, docs.flatten(1)], 1)
