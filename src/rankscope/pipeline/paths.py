"""Paths of a study file: variables filled in, relative to its folder, or in a public collection that was fetched."""

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from rankscope.core.errors import BadInput, BadStudy
from rankscope.core.input_files import resolved
from rankscope.data.public import places
from rankscope.pipeline.spec.pipeline import Pipeline

VARIABLE = re.compile(r"\$\{(\w+)(?::-([^}]*))?\}")


S_co = TypeVar("S_co", bound=Pipeline, covariant=True)


@dataclass(frozen=True)
class LoadedStudy(Generic[S_co]):
    """A study, the folder its relative paths start from, the file it was read from, and the changes to what it says."""

    study: S_co
    folder: Path
    file: Path
    text: str
    """The file's text, as its user wrote it."""
    overrides: tuple[str, ...]
    """What was typed over it, each `a.b=value`, in order."""

    def path(self, written: str) -> Path:
        """A path of the study file: variables filled in, relative to its folder, or in a fetched collection."""
        filled_in = expanded(written)
        try:
            if places.named_in(filled_in) is not None:
                return places.path_of(filled_in)
            return resolved(filled_in, self.folder)
        except BadInput as error:
            raise BadStudy(str(error)) from error


def expanded(written: str) -> str:
    """${NAME} and ${NAME:-default}, filled in from the environment."""

    def value(match: re.Match[str]) -> str:
        name, default = match.group(1), match.group(2)
        text = os.environ.get(name, default)
        if text is None:
            raise BadStudy(
                f"{written}: the variable {name} is not set. Set it, or write the value in its place."
            )
        return text

    return VARIABLE.sub(value, written)
