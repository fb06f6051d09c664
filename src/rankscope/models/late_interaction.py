"""Query and doc read apart, token by token: each query token's best doc token, summed (MaxSim).

ColBERT (Khattab and Zaharia 2020) by sentence-transformers, which reads its own folders, PyLate's
and Stanford's. The models are used as they are: as rankers, teachers and first stages.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, final

from sentence_transformers import MultiVectorEncoder
from torch import Tensor, nn

from rankscope.core.errors import BadInput
from rankscope.models import backbone
from rankscope.models.files import folders
from rankscope.models.inputs import PROMPTS_USED, left_out
from rankscope.models.location import Location, downloaded, kind_of
from rankscope.models.towers import by_sentence_transformers

TEXTS_PER_BATCH = 32
MODULES = frozenset(
    {"Transformer", "Dense", "Normalize", "MultiVectorMask", "HierarchicalTokenPooling"}
)
"""sentence-transformers' modules that a late-interaction model may have; a transformer is the first."""
PROBE = ("who asks what", ["one, two; three.", "a"])


@final
class LateInteraction:
    """A ranker by the best-matching tokens of two texts."""

    joiner = None
    prompts_used = PROMPTS_USED

    def __init__(self, inner: MultiVectorEncoder) -> None:
        self.inner = inner
        self.queries_per_block = 16  # few, because all tokens of a block's docs are held
        self.texts_per_batch: int | None = None

    @classmethod
    def load(cls, location: Location) -> "LateInteraction":
        """A late-interaction model; a bare encoder is refused, since its projection would be random."""
        folder = downloaded(location)
        if kind_of(folder) != "late_interaction":
            raise BadInput(
                f"{folder}: no late-interaction model, so its projection would be left at "
                "random. Give a ColBERT folder of sentence-transformers, PyLate or Stanford."
            )
        listed = folders.modules(folder) or (folders.Module("Transformer", folder),)
        _check_modules(folder, [module.type for module in listed])
        backbone.check_encoder(Location(location.name, listed[0].folder))
        with by_sentence_transformers(folder) as how:
            inner = MultiVectorEncoder(str(folder), **how)
        made = cls(inner)
        with folders.library_answers(folder, "the model cannot embed a text"):
            made.score_all([PROBE])
        return made

    @property
    def model(self) -> nn.Module:
        """Its weights."""
        return self.inner

    @property
    def left_out(self) -> tuple[str, ...]:
        """The names of the folder's prompts that no text gets."""
        return left_out(self.inner.prompts)

    def save(self, folder: Path) -> None:
        """Write the model as sentence-transformers does, without a model card."""
        with backbone.quiet():
            self.inner.save(str(folder), create_model_card=False)

    def embed_queries(self, queries: Sequence[str]) -> list[Tensor]:
        """(tokens, width) for each query, float32."""
        return self._embedded(self.inner.encode_query(list(queries), **self._options()))

    def embed_docs(self, docs: Sequence[str]) -> list[Tensor]:
        """(tokens, width) for each doc, float32."""
        return self._embedded(self.inner.encode_document(list(docs), **self._options()))

    def _options(self) -> dict[str, Any]:
        n_texts = self.texts_per_batch or TEXTS_PER_BATCH
        return {"batch_size": n_texts, "show_progress_bar": False}

    @staticmethod
    def _embedded(embeddings: Any) -> list[Tensor]:
        return [embedding.float() for embedding in embeddings]

    def similarity(self, queries: Sequence[Tensor], docs: Sequence[Tensor]) -> Tensor:
        """(queries, docs): the sum over query tokens of the best dot product with a doc token."""
        return self.inner.similarity(list(queries), list(docs))

    def score_all(self, groups: Sequence[tuple[str, Sequence[str]]]) -> list[list[float]]:
        """The similarities of the docs of several queries; a doc of several queries is embedded once."""
        distinct = list(dict.fromkeys(doc for _, docs in groups for doc in docs))
        if not distinct:
            return [[] for _ in groups]
        embedded = dict(zip(distinct, self.embed_docs(distinct), strict=True))
        queries = self.embed_queries([query for query, _ in groups])
        return [
            self.similarity([query], [embedded[doc] for doc in docs])[0].tolist() if docs else []
            for query, (_, docs) in zip(queries, groups, strict=True)
        ]


def _check_modules(folder: Path, kinds: Sequence[str]) -> None:
    """Refuse modules that would have no effect, such as a pooling where every token keeps its vector."""
    if kinds[0] != "Transformer" or not MODULES.issuperset(kinds):
        raise BadInput(
            f"{folder}: a late-interaction model of the modules {', '.join(kinds)}; supported are a Transformer first, and "
            f"perhaps {', '.join(sorted(MODULES - {'Transformer'}))}. Give such a model."
        )
