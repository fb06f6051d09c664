"""What every part of a study file is made of: closed, frozen models, and values that must be known."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.fields import FieldInfo

from rankscope.core.errors import UnknownChoice, choose
from rankscope.evaluate.measures import computable
from rankscope.retrieve.analyzer import LANGUAGES
from rankscope.train.guards import GUARDS, Level
from rankscope.train.needs import NEEDS

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$")]
VALUE_IN_NAME = r"[A-Za-z0-9_.+@()=%-]+"
"""What a value may be made of to stand in the name of a sweep's member."""
RankerName = Annotated[
    str,
    Field(
        pattern=rf"^[A-Za-z0-9][A-Za-z0-9_-]*(\.[A-Za-z0-9_.-]+={VALUE_IN_NAME})*$", max_length=150
    ),
]
"""A name, or that of a sweep's member such as C-D.learning_rate=1e-06; it must fit into a file's name."""
Share = Annotated[float, Field(ge=0, le=1)]
FREE: dict[str, Any] = {"changes_results": False}


Percentage = Annotated[str, Field(pattern=r"^\d+(\.\d+)?\s*%$")]

LOSS_NAMES = tuple(NEEDS)

CORRECTION_NAMES = ("holm", "benjamini_hochberg", "bonferroni", "none")
"""The names of `evaluate.correction.CORRECTIONS`, which needs statsmodels; a test holds them together."""


@contextmanager
def as_value_error() -> Iterator[None]:
    """Inside the block, an unknown choice becomes what pydantic gives a place to."""
    try:
        yield
    except UnknownChoice as error:
        raise ValueError(str(error)) from error


def known_measure(name: str) -> str:
    """The name, if ir_measures knows it."""
    with as_value_error():
        computable(name)
    return name


def known_loss(name: str) -> str:
    """The name, if there is such a loss."""
    with as_value_error():
        choose(dict.fromkeys(LOSS_NAMES), name, what="loss")
    return name


def known_language(name: str) -> str:
    """The name, if BM25's analyzer has such a language."""
    with as_value_error():
        choose(LANGUAGES, name, what="language")
    return name


def known_guard(name: str) -> str:
    """The name, if there is such a guard."""
    with as_value_error():
        choose(GUARDS, name, what="guard")
    return name


def known_correction(name: str) -> str:
    """The name, if there is such a correction."""
    with as_value_error():
        choose(dict.fromkeys(CORRECTION_NAMES), name, what="correction")
    return name


def is_free(field: FieldInfo) -> bool:
    """Whether a field cannot change a result."""
    extra = field.json_schema_extra
    return isinstance(extra, dict) and extra.get("changes_results") is False


class Spec(BaseModel):
    """A part of a study file: frozen, and closed to names it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def identity(self, *leave_out: str) -> dict[str, Any]:
        """The fields that can change a result, as plain values: what a fingerprint is made of."""
        free = {name for name, field in type(self).model_fields.items() if is_free(field)}
        return self.model_dump(mode="json", exclude=free | set(leave_out))


Measure = Annotated[str, AfterValidator(known_measure)]

GuardLevel = Annotated[Level, BeforeValidator(lambda value: "off" if value is False else value)]
"""YAML reads a bare `off` as false."""
