"""Probes on frozen states, with controls, that ask which of N docs is the relevant one.

Every probe scores a query's candidates and is right where the relevant doc has the highest score. Tied highest scores
share the credit, so that states without information give chance, 1/N, and not 1.

**Sound.** `dot` and `cosine` have no parameters: they do with a layer what retrieval would do. `bilinear` is q A p with
A of low rank; `mlp` is an upper bound. They read a query and one doc at a time, so one probe, trained on all candidates
(`probe_fits`), serves every N.

**Controls** are fitted in the same way. `docs_alone` reads no query; `shuffled_queries` replaces each query by another;
with `random_labels` a hash of doc ids picks the right doc, which a probe can find only by memorising docs.

**As published**, study A's: `published_probes`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import normalize

PENALTIES = (1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0)
"""Factors of half the variance of a score over unrelated standardised texts, so that they suit any width."""
START = 0.5
"""The standard deviation of the scores of a bilinear probe at its start."""
HIDDEN = 32
POWER_STEPS = 4


class States(NamedTuple):
    """One layer's representations of distinct texts."""

    queries: Tensor
    """(queries, width)."""
    docs: Tensor
    """(docs, width)."""


class Candidates(NamedTuple):
    """Examples of a query and its docs, as places in `States`; the first doc is the relevant one."""

    queries: Tensor
    """(examples,), int64."""
    docs: Tensor
    """(examples, N), int64."""

    def among(self, n: int) -> "Candidates":
        """The same examples with the relevant doc and the first n - 1 others."""
        return Candidates(self.queries, self.docs[:, :n])

    def at(self, places: Tensor) -> "Candidates":
        """The examples at some places."""
        return Candidates(self.queries[places], self.docs[places])


class Shape(NamedTuple):
    """The sizes that determine the number of a probe's parameters."""

    width: int
    rank: int


@dataclass(frozen=True)
class Probe:
    """A scorer of (query, doc) with parameters; `problems` are several probes at once, a row of parameters each."""

    n_parameters: Callable[[Shape], int]
    start: Callable[[States, Candidates, Shape, torch.Generator], Tensor]
    """(parameters,)."""
    scores: Callable[[Tensor, States, Sequence[Candidates], Shape], Tensor]
    """Parameters (problems, parameters) and each one's examples to (problems, examples, N)."""
    norm: Callable[[Tensor, Shape], Tensor]
    """The penalised norm: (problems,)."""
    penalties: tuple[float, ...] = PENALTIES
    """The penalties to choose from."""
    is_followed: bool = True
    """Whether the fit at each penalty starts from the last minimum; if not, all penalties are fitted from the start."""


# -- scores without parameters --------------------------------------------------------------------


def dot(states: States, candidates: Candidates) -> Tensor:
    """The dot products of a query with its docs: (examples, N)."""
    docs = states.docs[candidates.docs]
    queries = states.queries[candidates.queries][:, None]
    return (docs * queries).sum(-1)  # row by row, so that ties stay ties


def cosine(states: States, candidates: Candidates) -> Tensor:
    """The cosines of a query with its docs: (examples, N)."""
    return dot(States(*(normalize(side, dim=-1) for side in states)), candidates)


SIMILARITIES = {"dot": dot, "cosine": cosine}


def credit(scores: Tensor) -> Tensor:
    """1 where the first candidate has the highest score alone, 1/k where k - 1 others have the same score, else 0.

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
    """The rows of each problem's own table at its places: (problems, *shape of the places, width).

    projected: (problems, texts, width). This uses `index_select` on the concatenated tables, because its gradient is
    one `index_add`, while the gradient of indexing sorts.
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
    """The squared Frobenius norm of A, computed without A."""
    of_query, of_doc = _low_rank_parts(parameters, shape)
    return (of_query.mT @ of_query * (of_doc.mT @ of_doc)).sum((1, 2))


def _bilinear_start(
    states: States, candidates: Candidates, shape: Shape, rng: torch.Generator
) -> Tensor:
    """The directions along which the loss falls fastest at A = 0.

    Subspace iteration finds them in the gradient: the cross-covariance of queries and relevant docs minus that of
    queries and all candidates.
    """
    docs = states.docs[candidates.docs]
    beyond = docs[:, 0] - docs.mean(1)
    gradient = states.queries[candidates.queries].T @ beyond / len(beyond)
    drawn = torch.randn(shape.width, shape.rank, generator=rng, dtype=torch.float64).to(gradient)
    of_doc = torch.linalg.qr(drawn)[0]
    for _ in range(POWER_STEPS):
        of_doc = torch.linalg.qr(gradient.T @ (gradient @ of_doc))[0]
    of_query = gradient @ of_doc
    size = of_query.norm()  # the norm of U V^T, because V is orthonormal
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
    """The bilinear probe's start for the product's projections, and small random values for the rest."""
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
OPTIONAL = ("mlp",)
"""The probes that are fitted, with their control, where somebody names them."""
