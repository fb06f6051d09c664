"""The page's section on the forgetting matrix."""

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from rankscope.analyses.analysis import Question
from rankscope.analyses.forgetting import charts, words
from rankscope.analyses.forgetting.matrix import Matrix
from rankscope.analyses.forgetting.plan import ROLE
from rankscope.analyses.forgetting.steps import FORGETTING
from rankscope.core.judged.plain import as_stored
from rankscope.pipeline.work import Work
from rankscope.report.rendering import rendered
from rankscope.report.section import Drawing, Section
from rankscope.report.tables.as_csv import plain_csv
from rankscope.report.tables.as_latex import plain_tex
from rankscope.store.artifacts import read_record


def section(work: Work, questions: Sequence[Question], queries: Mapping[str, Any]) -> Section:  # noqa: ARG001
    """The section, from the stored matrix."""
    path = work.folder(ROLE) / FORGETTING
    return shown(read_record(Matrix, path))


def shown(matrix: Matrix) -> Section:
    """The section of one matrix."""
    tables = {
        "forgetting.csv": plain_csv(*words.full_rows(matrix)),
        "forgetting.tex": plain_tex(*words.table(matrix)),
    }

    def body(drawing: Drawing) -> Markup:
        return rendered(
            "analyses/forgetting/section.html.j2",
            found=matrix,
            matrix=drawing.chart(charts.matrix(matrix)),
            table=words.table(matrix),
            words=words.sentences(matrix),
            figure=drawing.figure(),
        )

    return Section(
        "forgetting", "Gained and forgotten", "Forgetting", body, tables, as_stored(matrix)
    )
