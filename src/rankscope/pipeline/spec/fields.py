"""The base of every part of a study file: closed, frozen models, and checks of names."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any, Literal, TypeVar

from pydantic import (
    AfterValidator,
    AllowInfNan,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    ValidationError,
)
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from rankscope.core.errors import BadInput, UnknownChoice, choose
from rankscope.core.visible import brief
from rankscope.evaluate.measure_names import name_of, names_of
from rankscope.evaluate.measures import computable
from rankscope.retrieve.analyzer import LANGUAGES
from rankscope.train.guards import GUARDS, Level
from rankscope.train.needs import ELSEWHERE, NEEDS


def _no_truth(value: Any) -> Any:
    """The number itself; a boolean is refused, as YAML's yes, no, on and off would be 1 and 0."""
    if isinstance(value, bool):
        raise ValueError(f"{str(value).lower()} is not a number")
    return value


MOST = 1_000_000_000
"""The largest number of anything that is counted."""
Whole = Annotated[int, BeforeValidator(_no_truth), Field(ge=0, le=MOST)]
Count = Annotated[int, BeforeValidator(_no_truth), Field(ge=1, le=MOST)]
Seed = Annotated[int, BeforeValidator(_no_truth), Field(ge=0, le=2**63 - 1)]
Tokens = Annotated[int, BeforeValidator(_no_truth), Field(ge=1, le=1_000_000)]
Number = Annotated[float, BeforeValidator(_no_truth), AllowInfNan(False)]
Positive = Annotated[Number, Field(gt=0)]
NonNegative = Annotated[Number, Field(ge=0)]
Share = Annotated[Number, Field(ge=0, le=1)]
NAME_PATTERN = "^[A-Za-z0-9][A-Za-z0-9_-]*"
Name = Annotated[str, Field(pattern=f"{NAME_PATTERN}$", max_length=100)]
VALUE_IN_NAME = r"[A-Za-z0-9_.+@()=%-]+"
"""The characters of a value in the name of a sweep's member."""
RankerName = Annotated[
    str,
    Field(pattern=rf"{NAME_PATTERN}(\.[A-Za-z0-9_.-]+={VALUE_IN_NAME})*$", max_length=150),
]
"""A name, or that of a sweep's member such as C-D.learning_rate=1e-06; it must fit into a file's name."""
Stored = Literal["float32", "float16"]
STORED = "Type of the docs' embeddings on the disk. float16 takes half the room and rounds them (Johnson et al. 2021)."
FREE: dict[str, Any] = {"changes_results": False}
"""Marks a field that changes no result."""


def read_by(*kinds: str) -> dict[str, Any]:
    """Marks a field that only steps of these kinds read: it is no part of other steps' identity."""
    return {"read_by": kinds}


BY_PLAN = read_by()
"""Marks a field that only the plan reads: its value names an input or a file, or is given to steps in full."""


def _above_nothing(share: str) -> str:
    """A share of a mean that two rankers can differ by."""
    if not 0 < float(share.rstrip("% ")) < math.inf:
        raise ValueError(f"{brief(share)} is not a share above 0")
    return share


Percentage = Annotated[
    str, Field(pattern=r"^[0-9]+(\.[0-9]+)?\s*%$", max_length=50), AfterValidator(_above_nothing)
]
Margin = Annotated[
    Annotated[Positive, Tag("number")] | Annotated[Percentage, Tag("share")],
    Discriminator(lambda value: "share" if "%" in str(value) else "number"),
]
"""A difference: absolute, or as a share of the baseline's mean."""

LOSS_NAMES = tuple(NEEDS)

CORRECTION_NAMES = ("holm", "benjamini_hochberg", "bonferroni", "none")
"""The names of `evaluate.pairs.correction.CORRECTIONS`, which needs scipy; a test holds them together."""


@contextmanager
def as_value_error() -> Iterator[None]:
    """Inside the block, an unknown choice becomes a ValueError, to which pydantic adds the place."""
    try:
        yield
    except UnknownChoice as error:
        raise ValueError(str(error)) from error


def known_measure(name: str) -> str:
    """The name by which ir_measures knows it."""
    with as_value_error():
        known = name_of(name)
        computable(known)
    return known


def known_loss(name: str) -> str:
    """The name, if there is such a loss."""
    with as_value_error():
        choose(NEEDS, name, what="loss", elsewhere=ELSEWHERE)
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


S = TypeVar("S", bound=Spec)


def spec_of(kind: type[S], /, **values: Any) -> S:
    """A spec from a command's options; BadInput where one of them is not valid."""
    try:
        return kind(**values)
    except ValidationError as error:
        raise BadInput(" ".join(map(_sentence, error.errors()))) from error


def _sentence(mistake: ErrorDetails) -> str:
    place = ".".join(map(str, mistake["loc"]))
    said = mistake["msg"].removeprefix("Value error, ")
    return f"{place}: {said}, and {mistake['input']!r} was given." if place else f"{said}."


Measure = Annotated[str, AfterValidator(known_measure)]


def _listed_measures(value: Any) -> Any:
    """The measures of a text, or of a list of texts, that name several: `map, ndcg_cut_10`."""
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list | tuple):
        return value
    with as_value_error():
        return [
            name for text in texts for name in (names_of(text) if isinstance(text, str) else [text])
        ]


Measures = Annotated[tuple[Measure, ...], BeforeValidator(_listed_measures)]


def _each_once(value: Any) -> Any:
    """The margins, if no measure has two under two of its names."""
    seen: dict[str, str] = {}
    for written in filter(
        lambda key: isinstance(key, str), value if isinstance(value, dict) else ()
    ):
        with as_value_error():
            first = seen.setdefault(name_of(written), written)
        if first != written:
            raise ValueError(f"{first} and {written} are one measure; keep one")
    return value


Margins = Annotated[dict[Measure, Margin], BeforeValidator(_each_once)]
"""Measure to the difference below which two rankers are equivalent."""

GuardLevel = Annotated[Level, BeforeValidator(lambda value: "off" if value is False else value)]
"""YAML reads a bare `off` as false."""
