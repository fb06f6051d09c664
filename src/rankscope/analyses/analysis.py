"""What every analysis provides: its fields in a study file, its rules, its steps, and its section of the page."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from rankscope.pipeline.planner import Planner
from rankscope.pipeline.spec.fields import Spec
from rankscope.pipeline.spec.pipeline import Pipeline
from rankscope.pipeline.spec.references import Reference
from rankscope.pipeline.step import Step


class Question(NamedTuple):
    """One use of an analysis in a study."""

    place: str
    """Its place in the study file, such as `explain.probes.world`."""
    key: str
    """The last part of the place."""
    spec: Any
    """The analysis' own spec."""
    named: tuple[str, ...] | None
    """The rankers in `explain.rankers`, where it is given."""

    def explained(self, study: Pipeline) -> tuple[str, ...]:
        """The rankers that are analysed where the question names none: `explain.rankers`, or all bi-encoders."""
        return self.named or tuple(name for name in study.rankers if study.is_bi_encoder(name))


class DepthNeed(NamedTuple):
    """How deep a question reads a first stage's run."""

    place: str
    first_stage: str
    depth: int


class Analysis(NamedTuple):
    """One analysis, whole: it stands beside its plan, and its row of the table says where."""

    field: str
    """Its field in `explain`."""
    spec: type[Spec]
    description: str
    """The field's description."""
    references: Callable[[Pipeline, Question], Iterator[Reference]]
    """The names in a question, each of which must exist in the study."""
    depths: Callable[[Pipeline, Question], Iterator[DepthNeed]]
    check: Callable[[Pipeline, Question], None]
    """Raises BadStudy where another rule does not hold."""
    plan: Callable[[Planner, Question], Mapping[str, Step]]
    """The steps that the report reads, by their roles."""
    section: str
    """module:function that makes its section of the page, imported when a page is made."""
    swept: tuple[str, ...] = ()
    """Fields, dotted, in which the name of a swept ranker stands for all its members."""
    systems: tuple[str, ...] = ()
    """Fields that name one system, as a baseline."""
    has_names: bool = True
    """Whether a study may use it several times, each under a name."""
