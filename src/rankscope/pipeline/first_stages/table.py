"""The first stages there are."""

from typing import Annotated

from pydantic import Field

from rankscope.pipeline.first_stages.bm25 import BM25Spec
from rankscope.pipeline.first_stages.dense import DenseSpec
from rankscope.pipeline.first_stages.fuse import FuseSpec
from rankscope.pipeline.first_stages.late import LateSpec
from rankscope.pipeline.first_stages.run_files import RunFilesSpec

FirstStageSpec = Annotated[
    BM25Spec | DenseSpec | LateSpec | FuseSpec | RunFilesSpec, Field(discriminator="kind")
]
