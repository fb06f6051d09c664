"""Runs of the user's own, a file for each collection."""

from typing import Literal

from pydantic import Field

from rankscope.pipeline.spec.fields import Count, Spec


class RunFilesSpec(Spec):
    """A first stage of one's own: one run file for each collection."""

    kind: Literal["run_files"]
    paths: dict[str, str] = Field(description="Collection name -> run file in TREC format.")
    depth: Count = Field(1000, description="Docs kept for each query.")
