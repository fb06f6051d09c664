"""The table of analyses, a row each. It says where they are and imports none, for `--help` reads it."""

from pkgutil import resolve_name
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from rankscope.analyses.analysis import Analysis


class AnalysisEntry(NamedTuple):
    """One analysis, by where its parts are."""

    analysis: str
    """module:name of its `Analysis`, which a study needs."""
    command: str | None = None
    """module:function of the command that asks it without a study file: options in, a `rankscope.options.Shown` out."""
    listed: int = 99
    """The place of the command in `rankscope --help`, among those of analyses."""


ANALYSES = (
    AnalysisEntry(
        "rankscope.analyses.probes.plan:ANALYSIS",
        command="rankscope.analyses.probes.command:probe",
        listed=1,
    ),
    AnalysisEntry(
        "rankscope.analyses.attribution.plan:ANALYSIS",
        command="rankscope.analyses.attribution.command:attribute",
        listed=3,
    ),
    AnalysisEntry(
        "rankscope.analyses.changes.plan:ANALYSIS",
        command="rankscope.analyses.changes.command:diff",
        listed=2,
    ),
    AnalysisEntry("rankscope.analyses.forgetting.plan:ANALYSIS"),
)
"""In the order in which a study plans and reports them."""


def imported() -> "tuple[Analysis, ...]":
    """Every analysis, whole: its fields, what must hold, its plan. A study needs them, `--help` does not."""
    return tuple(resolve_name(row.analysis) for row in ANALYSES)
