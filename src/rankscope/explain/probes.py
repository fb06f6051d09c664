"""Probes on frozen states: which of N docs is the relevant one? With controls.

Every probe scores a query's candidates and is right where the relevant doc's score is the highest; tied
highest scores share the credit, so that states which tell nothing give chance, 1/N, and not 1.

**Sound.** `dot` and `cosine` have no parameters: what retrieval itself would do with a layer. `bilinear`
is q A p with A of low rank; `mlp` is an upper bound. They see a query and a doc at a time, so one probe,
trained on all candidates (`probe_fits`), serves every N.

**Controls**, by the same fit: `docs_alone` sees no query; with `shuffled_queries` a query is another's;
with `random_labels` the doc to be found is one that a hash of its id picks, which only memory of docs can find.

**As published**, study A's: `published_probes`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import normalize

PENALTIES = (1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0)
"""Times half the variance that a score would have over unrelated standardised texts: of any width alike."""
START = 0.5
"""The deviation that scores have where a bilinear probe begins."""
HIDDEN = 32
POWER_STEPS = 4


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
    flat = torch.stack([of_problem + n * n_texts for n, of_problem in enumerate(places)])
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
