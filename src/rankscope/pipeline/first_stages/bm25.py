"""BM25 over a collection."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from rankscope.pipeline.spec.fields import Count, Positive, Share, Spec, known_language, read_by
from rankscope.retrieve.analyzer import ENGLISH


class BM25Spec(Spec):
    """Lexical first stage."""

    kind: Literal["bm25"]
    k1: Positive = Field(
        0.9, description="Saturation of term frequency.", json_schema_extra=read_by("index")
    )
    b: Share = Field(
        0.4, description="Normalisation by doc length.", json_schema_extra=read_by("index")
    )
    language: Annotated[str, AfterValidator(known_language)] = Field(
        ENGLISH,
        description="Of docs and queries. english: stop words, possessives and Porter's stemmer; one that "
        "PyStemmer has a stemmer for, such as hindi: that stemmer and no stop words; none: words in lower "
        "case.",
        json_schema_extra=read_by("index"),
    )
    depth: Count = Field(
        1000, description="Docs kept for each query.", json_schema_extra=read_by("search")
    )
