"""What every analysis has: what a study file may ask of it, what must hold, its steps, its section of the page."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from rankscope.pipeline.planner import Planner
from rankscope.pipeline.spec.fields import Spec
from rankscope.pipeline.spec.pipeline import Pipeline
from rankscope.pipeline.spec.references import Reference
from rankscope.pipeline.step import Step


class Question(NamedTuple):
    """What a study asks of one analysis, once."""

    place: str
    """In the study file, as `explain.probes.world`."""
    key: str
    """The last part of the place."""
    spec: Any
    """Of the analysis' own kind."""
    named: tuple[str, ...] | None
    """`explain.rankers`, where it is given."""

    def explained(self, study: Pipeline) -> tuple[str, ...]:
        """The rankers whose insides are looked at where the question names none: all bi-encoders."""
        return self.named or tuple(name for name in study.rankers if study.is_bi_encoder(name))


class Depth(NamedTuple):
    """How deep a question reads a first stage's run."""

    place: str
    first_stage: str
    depth: int


class Analysis(NamedTuple):
    """One analysis, whole: it stands beside its plan, and its row of the table says where."""

    field: str
    """Of `explain`."""
    spec: type[Spec]
    description: str
    """Of the field."""
    references: Callable[[Pipeline, Question], Iterator[Reference]]
    """The names in a question, each of which must lead somewhere."""
    depths: Callable[[Pipeline, Question], Iterator[Depth]]
    check: Callable[[Pipeline, Question], None]
    """BadStudy where something else does not hold."""
    plan: Callable[[Planner, Question], Mapping[str, Step]]
    """The steps that the report reads, by their roles."""
    section: str
    """module:function of its section of the page, imported when a page is made."""
    swept: tuple[str, ...] = ()
    """Fields, dotted, in which the name of a swept ranker stands for all its members."""
    systems: tuple[str, ...] = ()
    """Fields that name one system, as a baseline."""
    has_names: bool = True
    """Whether a study may ask it several times, each under a name."""
