"""The table of first stages, and the params of a search step."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import Field

from rankscope.pipeline.first_stages.bm25 import BM25Spec
from rankscope.pipeline.first_stages.dense import DenseSpec
from rankscope.pipeline.first_stages.first_stage import RUN
from rankscope.pipeline.first_stages.fuse import FuseSpec
from rankscope.pipeline.first_stages.late import LateSpec
from rankscope.pipeline.first_stages.run_files import RunFilesSpec
from rankscope.pipeline.step import Kind

SearchStageSpec = BM25Spec | DenseSpec | LateSpec | RunFilesSpec
"""Those whose run is not made of others' runs."""
FirstStageSpec = Annotated[SearchStageSpec | FuseSpec, Field(discriminator="kind")]


@dataclass(frozen=True)
class SearchParams:
    """A first stage that searches a collection."""

    spec: SearchStageSpec
    run: Path | None = None
    """The user's run file, for `run_files`."""
    drop_own_docs: bool = False
    """Whether docs that have their query's id are left out, as the collection's convention has it."""


SEARCH = Kind("search", 3, RUN, SearchParams)
"""The step of every first stage that is no fusion."""
