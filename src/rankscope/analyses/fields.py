"""Types of fields that several analyses have."""

from typing import Annotated, Any, Literal

from pydantic import (
    BeforeValidator,
)


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


Names = Annotated[tuple[str, ...], BeforeValidator(_listed)]
"""Several names; one may be written without a list."""


FileKind = Literal["dpr", "ms_marco_qa", "sampled"]
