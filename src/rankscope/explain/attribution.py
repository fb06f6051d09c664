"""Integrated gradients for feed-forward neurons, with the completeness gap.

How much does a neuron contribute to an output of a model, the target? One dense matrix W (bias b) of one feed-forward
block is scaled by a, from 0 to 1, and the target's gradient is integrated along this path
(Sundararajan et al. 2017; for neurons' weights Dai et al. 2022):

    attribution of neuron i = sum_j W_ij  integral_0^1 dF/dW_ij (a W, a b) da  (+ the same of b_i)

No weight is changed. Scaling W and b by a scales the output of the matrix, z = W x + b, by a; x does not change,
because it comes from below. So let g(a) = dF/dz at the scaled output a z, and g = integral g(a) da; then

    sum_j of the above = sum over tokens of g_i z_i        one weight's = W_ij sum over tokens of g_i x_j.

All scales a of a text share a batch, and only what follows the scaled matrix is computed: layers below it, and what
comes before it in its own layer (attention), return their recorded outputs. There are two paths:

- `weights`: as above, for every dense matrix of the block; a neuron is a row of a matrix.
- `activations`: the input of the last matrix, one number a neuron, goes from 0 to its value; the bias stays.

On either path the neurons' attributions add up to F(1) - F(0), the change of the target along the path. The numerical
error of this sum is the completeness gap, which is kept for every example and site.

**As published** (Yao et al. 2025, section 5.1, as in their code): the sum over j of the absolute
attribution of each weight, without the bias, by a rule that counts both ends. It has no sign, and
the sum over neurons has no meaning.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from rankscope.core.errors import BadInput
from rankscope.models import anatomy
from rankscope.models.fast.products import by_convolution, product
from rankscope.models.interventions import Call, Forward, as_constants, recorded, replaced

PathKind = Literal["weights", "activations"]
NODES = 8
"""Nodes of the sound rule, which is closer to the integral than the published one with 20 (docs/performance.md)."""
PUBLISHED_NODES = 6
"""Nodes that stand for the published 20: values differ by 2.4e-4 in the median (docs/performance.md)."""
MEMORY = 2_000_000_000
"""The default memory for gradients, in bytes."""
ON_THEIR_WAY = 1.25
"""The memory of a pass as a multiple of what autograd keeps, for the gradients beside it; a benchmark measures it."""
TOKENS_AT_ONCE = {"cpu": 2_048}
"""More tokens do not use the cores better and the caches less well; an accelerator is bounded by memory alone."""


class Rule(NamedTuple):
    """A quadrature rule: the points of the path at which the gradient is taken, and their weights."""

    nodes: tuple[float, ...]
    weights: tuple[float, ...]


def gauss_legendre(n: int = NODES) -> Rule:
    """The Gauss-Legendre rule on [0, 1], which is exact for polynomials of degree 2n - 1."""
    nodes, weights = np.polynomial.legendre.leggauss(n)
    return Rule(tuple(((nodes + 1) / 2).tolist()), tuple((weights / 2).tolist()))


def as_published(n: int = 20) -> Rule:
    """The published rule: n even steps from 1e-6 to 1, all with weight 1/n, the ends too."""
    return Rule(tuple(np.linspace(1e-6, 1.0, n).tolist()), (1 / n,) * n)


def shortened(rule: Rule, n: int = PUBLISHED_NODES) -> Rule:
    """The Gauss rule of another rule's sum: n nodes give the same sum for polynomials of degree 2n - 1.

    Its nodes are the eigenvalues of multiplication by the path's points, restricted to polynomials of degree below n
    that are orthogonal over those points (Golub & Welsch 1969).
    """
    points, weights = np.array(rule.nodes), np.array(rule.weights)
    powers = np.polynomial.legendre.legvander(2 * points - 1, n - 1)
    orthogonal, _ = np.linalg.qr(np.sqrt(weights)[:, None] * powers)
    nodes, vectors = np.linalg.eigh(orthogonal.T @ (points[:, None] * orthogonal))
    return Rule(tuple(nodes.tolist()), tuple((weights.sum() * vectors[0] ** 2).tolist()))


class Site(NamedTuple):
    """One dense matrix of a layer's feed-forward block."""

    layer: int
    """Counted from 0, the lowest."""
    name: str
    """The name in `anatomy.FEED_FORWARDS`; `neurons` for the path of activations."""
    dense: nn.Linear


def sites(layers: Sequence[nn.Module], path: PathKind, *, is_published: bool = False) -> list[Site]:
    """The sites of a path: every dense matrix, or the last one of each layer, whose inputs are the activations.

    As published, LLaMA's `up` is left out.
    """
    blocks = [anatomy.feed_forward(layer) for layer in layers]
    if path == "activations":
        return [Site(n, "neurons", [*dense.values()][-1]) for n, dense in enumerate(blocks)]
    return [
        Site(n, name, dense_layer)
        for n, dense in enumerate(blocks)
        for name, dense_layer in dense.items()
        if not (is_published and name == "up")
    ]


def n_neurons(site: Site, path: PathKind) -> int:
    """How many neurons a site has."""
    return site.dense.in_features if path == "activations" else site.dense.out_features


class Batch(NamedTuple):
    """Texts (or pairs) that a model reads together, and the target that is explained."""

    run: Callable[[int], Tensor]
    """The number of copies of the texts to the model's outputs: (copies x texts, ...), copy after copy."""
    target: Callable[[Tensor], Tensor]
    """Outputs (copies, texts, ...) to the targets of the examples: (copies, examples)."""
    n_texts: int
    """The texts of an example are adjacent, and all examples have equally many."""
    n_tokens: int
    """The tokens of one copy, padding included."""


class Attributed(NamedTuple):
    """The attributions of a batch's examples at one site."""

    site: Site
    values: Tensor
    """(examples, neurons)."""
    change: Tensor
    """(examples,): F(1) - F(0), the change of the target along the path."""
    gap: Tensor | None
    """(examples,): the completeness gap, the sum of the values minus the change; None as published."""


@dataclass(frozen=True)
class Integration:
    """How attributions are computed."""

    path: PathKind = "weights"
    rule: Rule = field(default_factory=gauss_legendre)
    is_published: bool = False
    """Whether values are sums of the absolute attributions of single weights, without biases (path `weights`)."""
    memory: int = MEMORY
    """The bytes that a pass may use for gradients."""

    def sites(self, layers: Sequence[nn.Module]) -> list[Site]:
        """The sites whose neurons are attributed."""
        return sites(layers, self.path, is_published=self.is_published)


class _Room(NamedTuple):
    """The memory that gradients need, and the memory that is free for them."""

    needed: int
    """The bytes for one copy of a batch through the layers that are run."""
    memory: int

    def of_layers(self, share: float) -> "_Room":
        """The same where only this share of the layers is run."""
        return self._replace(needed=int(share * self.needed))

    def tokens(self, n_tokens: int, where: torch.device) -> int:
        """How many tokens one pass reads, where one copy has `n_tokens`: limited by memory and by the cores."""
        fits = self.memory * n_tokens // max(self.needed, 1)
        return min(fits, TOKENS_AT_ONCE.get(where.type, fits))


def attributed(
    model: nn.Module, layers: Sequence[nn.Module], batch: Batch, how: Integration
) -> list[Attributed]:
    """The attributions of a batch at every site, the lowest first.

    `layers` are the layers of the model, which reads the batch in evaluation mode.
    """
    wanted = how.sites(layers)
    with as_constants(model), by_convolution(model), torch.enable_grad():
        parts = [part for layer in layers for part in layer.children()]
        called = dict.fromkeys([*layers, *parts, *(site.dense for site in wanted)])
        with torch.no_grad(), recorded(called) as calls:
            full = reached(batch)[0]
        room = _Room(bytes_needed(model, layers, batch), how.memory - _held(calls))
        return [_at_site(layers, batch, how, site, calls, full, room) for site in wanted]


def reached(batch: Batch, copies: int = 1) -> Tensor:
    """The targets (copies, examples), with the replacements of modules that are active at the call."""
    outputs = batch.run(copies)
    return batch.target(outputs.view(copies, -1, *outputs.shape[1:]))


def _at_site(
    layers: Sequence[nn.Module],
    batch: Batch,
    how: Integration,
    site: Site,
    calls: dict[nn.Module, Call],
    full: Tensor,
    room: _Room,
) -> Attributed:
    call = calls[site.dense]
    whole = call.given if how.path == "activations" else call.gave
    gradient = torch.zeros_like(whole, dtype=torch.promote_types(whole.dtype, torch.float32))
    above = room.of_layers((len(layers) - site.layer) / len(layers))
    for part in _chunks(how, above, batch, whole.device):
        scales = gradient.new_tensor(part.nodes)[:, None, None, None]
        scaled = (scales * whole).to(whole.dtype).flatten(0, 1).requires_grad_(True)
        targets = _targets_given(scaled, layers, batch, how.path, site, calls)
        (slopes,) = torch.autograd.grad(targets.sum(), scaled)
        shares = gradient.new_tensor(part.weights)
        gradient += (shares @ slopes.view(len(shares), -1).to(shares.dtype)).view_as(gradient)
    with torch.no_grad():
        start = _targets_given(torch.zeros_like(whole), layers, batch, how.path, site, calls)[0]
        n_examples = len(full)
        change = full.to(gradient.dtype) - start
        if how.is_published:
            values = _weight_by_weight(gradient, call.given, site.dense.weight, n_examples)
            return Attributed(site, values, change, None)
        values = (gradient * whole).sum(1).view(n_examples, -1, whole.shape[-1]).sum(1)
        return Attributed(site, values, change, values.sum(1) - change)


def _weight_by_weight(gradient: Tensor, given: Tensor, weight: Tensor, n_examples: int) -> Tensor:
    """The sums over j of |W_ij (sum over the example's tokens of g_i x_j)|: (examples, neurons).

    gradient: (texts, tokens, neurons); given: (texts, tokens, inputs). It takes one example at a time, because the
    product is as large as the matrix.
    """
    by_example = (
        states.reshape(n_examples, -1, states.shape[-1])
        for states in (gradient, given.to(gradient.dtype))
    )
    size = weight.abs()
    return torch.stack(
        [(g.T @ x).abs_().mul_(size).sum(1) for g, x in zip(*by_example, strict=True)]
    )


def _targets_given(
    scaled: Tensor,
    layers: Sequence[nn.Module],
    batch: Batch,
    path: PathKind,
    site: Site,
    calls: dict[nn.Module, Call],
) -> Tensor:
    """The targets (copies, examples) with the site's values replaced by `scaled`: (copies x texts, tokens, ...).

    Layers below the site's are not run; they return their recorded outputs.
    """
    copies = len(scaled) // batch.n_texts
    dense = site.dense

    def in_place(_: Tensor) -> Tensor:
        return product(scaled, dense.weight, dense.bias) if path == "activations" else scaled

    below = layers[: site.layer]
    before = _before(site, layers[site.layer], batch.n_texts, calls)
    forwards = {module: _giving(calls[module].gave, copies) for module in (*below, *before)}
    forwards[dense] = in_place
    with replaced(forwards):
        return reached(batch, copies)


def _before(
    site: Site, layer: nn.Module, n_texts: int, calls: Mapping[nn.Module, Call]
) -> list[nn.Module]:
    """The parts of the site's layer that are called once, before the site, and so do not depend on it."""
    order = list(calls)
    earlier = set(order[: order.index(site.dense)])
    return [
        part
        for part in layer.children()
        if part in earlier and calls[part].times == 1 and len(_states(calls[part].gave)) == n_texts
    ]


def _states(gave: Tensor | tuple[Tensor, ...]) -> Tensor:
    return gave if isinstance(gave, Tensor) else gave[0]


def _giving(gave: Tensor | tuple[Tensor, ...], copies: int) -> Forward:
    """A layer's `forward` that returns copies of its recorded output, in the same form."""

    def forward(*_: Any, **__: Any) -> Tensor | tuple[Tensor, ...]:
        states = _states(gave)
        repeated = states.repeat(copies, *[1] * (states.dim() - 1))
        return repeated if isinstance(gave, Tensor) else (repeated, *gave[1:])

    return forward


# -- memory ---------------------------------------------------------------------------------------


def bytes_needed(
    model: nn.Module, layers: Sequence[nn.Module], batch: Batch, *, at_most: int | None = None
) -> int:
    """The bytes for the gradients of one copy of a batch through all layers, measured by running it once.

    What a layer keeps depends on its architecture (three matrices or two, attention weights where they are
    materialised), so it is counted and not computed. Raises BadInput as soon as it is more than `at_most`.
    """
    weights = {_address(tensor) for tensor in (*model.parameters(), *model.buffers())}
    kept: dict[int, int] = {}

    def counted(tensor: Tensor) -> Tensor:
        if _address(tensor) not in weights:
            kept[_address(tensor)] = tensor.untyped_storage().nbytes()
        if at_most is not None and ON_THEIR_WAY * sum(kept.values()) > at_most:
            raise BadInput(
                f"The gradients of {batch.n_tokens} tokens of one example need more than the {at_most / 1e9:.2f} GB "
                "that are allowed. Allow more memory, or cut texts shorter."
            )
        return tensor

    first = next(iter(anatomy.feed_forward(layers[0]).values()))

    def from_here(given: Tensor) -> Tensor:
        return linear(given, first.weight, first.bias).requires_grad_(True)

    counting = torch.autograd.graph.saved_tensors_hooks(counted, lambda tensor: tensor)
    with as_constants(model), torch.enable_grad(), replaced({first: from_here}), counting:
        held = reached(batch)  # while it is alive, no address is reused
    del held
    return int(ON_THEIR_WAY * sum(kept.values()))


def _address(tensor: Tensor) -> int:
    return tensor.untyped_storage().data_ptr()


def tokens_at_once(
    model: nn.Module,
    layers: Sequence[nn.Module],
    batch: Batch,
    how: Integration,
    where: torch.device,
) -> int:
    """How many tokens one pass may read, measured with a batch of the longest example.

    Raises BadInput where not even one copy of it fits into memory.
    """
    needed = bytes_needed(model, layers, batch, at_most=how.memory)
    return _Room(needed, how.memory).tokens(batch.n_tokens, where)


def _chunks(how: Integration, room: _Room, batch: Batch, where: torch.device) -> Iterator[Rule]:
    """Parts of the rule with as many nodes as fit; where fewer layers are run, more nodes fit."""
    at_once = max(1, room.tokens(batch.n_tokens, where) // batch.n_tokens)
    for start in range(0, len(how.rule.nodes), at_once):
        places = slice(start, start + at_once)
        yield Rule(how.rule.nodes[places], how.rule.weights[places])


def _held(calls: Mapping[nn.Module, Call]) -> int:
    """The bytes of the recorded inputs and outputs."""
    tensors = (part for call in calls.values() for part in (call.given, call.gave))
    states = [_states(part) for part in tensors if part is not None]
    return sum({_address(tensor): tensor.untyped_storage().nbytes() for tensor in states}.values())
