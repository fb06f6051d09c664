"""BM25 over a collection."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from rankscope.pipeline.spec.fields import Count, Positive, Share, Spec, known_language
from rankscope.retrieve.analyzer import ENGLISH


class BM25Spec(Spec):
    """Lexical first stage (Robertson & Zaragoza 2009), with the default values of Anserini."""

    kind: Literal["bm25"]
    k1: Positive = Field(0.9, description="Saturation of term frequency.")
    b: Share = Field(0.4, description="Normalisation by doc length.")
    language: Annotated[str, AfterValidator(known_language)] = Field(
        ENGLISH,
        description="Of docs and queries. english: stop words, possessives and Porter's stemmer; one that "
        "PyStemmer has a stemmer for, such as hindi: that stemmer and no stop words (Mr. TyDi's BM25 has an "
        "analyzer for each language, too: Zhang et al. 2021); none: words in lower case.",
    )
    depth: Count = Field(1000, description="Docs kept for each query.")
