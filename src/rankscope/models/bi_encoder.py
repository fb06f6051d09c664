"""Query and doc read apart: two vectors, one similarity.

Any sentence-transformers folder, used as a ranker, a teacher or a first stage; its prompts,
pooling and similarity are the folder's own.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, final

import torch
from sentence_transformers import SentenceTransformer
from torch import Tensor

from rankscope.core.errors import BadInput
from rankscope.models import backbone
from rankscope.models.location import Location

TEXTS_PER_BATCH = 64


@final
class BiEncoder:
    """A ranker by the similarity of two embeddings."""

    def __init__(self, model: SentenceTransformer) -> None:
        self._model = model

    @classmethod
    def load(cls, location: Location) -> "BiEncoder":
        """A sentence-transformers model; one whose encoder is left partly at random is refused."""
        if location.folder is not None and not (location.folder / "modules.json").is_file():
            raise BadInput(
                f"{location.folder}: no modules.json, so its pooling and similarity are unknown. "
                "Give a folder saved by sentence-transformers."
            )
        if location.folder is not None:
            backbone.check_encoder(
                Location(location.name, location.folder / _encoder(location.folder))
            )
        with backbone.quiet():
            model = SentenceTransformer(
                location.source,
                revision=location.revision,
                trust_remote_code=False,
                model_kwargs={"dtype": torch.float32, "use_safetensors": True},
                device=str(backbone.device()),
            )
        return cls(model)

    def save(self, folder: Path) -> None:
        """Write the model as sentence-transformers does, without a model card."""
        with backbone.quiet():
            self._model.save(str(folder), create_model_card=False)

    def embed_queries(self, queries: Sequence[str]) -> Tensor:
        """(queries, width), float32."""
        return self._encoded(self._model.encode_query(list(queries), **self._how()))

    def embed_docs(self, docs: Sequence[str]) -> Tensor:
        """(docs, width), float32."""
        return self._encoded(self._model.encode_document(list(docs), **self._how()))

    def similarity(self, queries: Tensor, docs: Tensor) -> Tensor:
        """(queries, docs), by the model's own similarity."""
        return self._model.similarity(queries, docs)

    def score(self, query: str, docs: Sequence[str]) -> list[float]:
        """One similarity per doc, in their order."""
        return self.score_all([(query, docs)])[0]

    def score_all(self, asked: Sequence[tuple[str, Sequence[str]]]) -> list[list[float]]:
        """The similarities of the docs of several queries; a doc of several is embedded once."""
        places = {
            doc: n for n, doc in enumerate(dict.fromkeys(d for _, docs in asked for d in docs))
        }
        if not places:
            return [[] for _ in asked]
        queries, docs = (
            self.embed_queries([query for query, _ in asked]),
            self.embed_docs([*places]),
        )
        return [
            self.similarity(query[None], docs[[places[doc] for doc in wanted]])[0].tolist()
            for query, (_, wanted) in zip(queries, asked, strict=True)
        ]

    @staticmethod
    def _how() -> dict[str, Any]:
        return {
            "batch_size": TEXTS_PER_BATCH,
            "convert_to_tensor": True,
            "show_progress_bar": False,
        }

    @staticmethod
    def _encoded(embeddings: object) -> Tensor:
        assert isinstance(embeddings, Tensor)
        return embeddings.to(torch.float32)


def _encoder(folder: Path) -> str:
    """Where in a sentence-transformers folder the encoder is: its first module."""
    return str(json.loads((folder / "modules.json").read_text("utf-8"))[0]["path"])
