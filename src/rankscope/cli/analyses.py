"""The commands of analyses, out of their table."""

from collections.abc import Callable
from functools import wraps
from pkgutil import resolve_name
from typing import Any

from rankscope.analyses.table import ANALYSES
from rankscope.cli import printing
from rankscope.cli.program import command
from rankscope.options import Shown


def _shown(function: Callable[..., Shown]) -> Callable[..., None]:
    """The function of an analysis' command as those of `cli` are: it works out the result and shows it."""

    @wraps(function)
    def body(**given: Any) -> None:
        from rankscope.terminal import progress

        output, answer = function(**given)
        printing.show(output.form, output.out, answer(progress()))

    return body


for row in sorted(ANALYSES, key=lambda row: row.listed):
    if row.command is not None:
        command()(_shown(resolve_name(row.command)))
