"""How a ranker scores texts where nothing is trained. Loads no torch, so that commands can check it first."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Inference:
    """How a ranker scores: in its own way and on the device there is, where nothing is given."""

    device: str | None = None
    """cpu, cuda, cuda:1, mps, xpu, ..."""
    precision: str = "float32"
    """The number type of its dense layers (`fast.precision.narrowed`)."""
    texts_per_batch: int | None = None
    """Texts, or pairs, of one forward pass."""
    max_length: int | None = None
    """Tokens that are read of query and doc together; or of a doc, by a ranker that reads them apart."""


AS_IT_IS = Inference()
