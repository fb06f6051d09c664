"""The result of an analysis' command in the forms of files: its numbers and conclusions."""

import json
from collections.abc import Callable, Mapping, Sequence
from io import StringIO
from typing import Any

from rankscope.core.result import Rows


def forms_of(
    results: Mapping[str, Any], sentences: Sequence[str], full: Callable[[], Rows], table: Rows
) -> dict[str, Callable[[], Any]]:
    """Results with conclusions as JSON, every number as CSV and data frame (`full`), the table for readers as LaTeX."""

    def csv() -> str:
        from rankscope.report.tables.as_csv import plain_csv

        return plain_csv(*full())

    def latex() -> str:
        from rankscope.report.tables.as_latex import plain_tex

        return plain_tex(*table)

    def frame() -> Any:
        import pandas as pd

        return pd.read_csv(StringIO(csv()))

    return {
        "json": lambda: json.dumps({**results, "in_words": sentences}, allow_nan=False),
        "csv": csv,
        "latex": latex,
        "frame": frame,
    }
