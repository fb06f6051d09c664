"""A section of the page, and the drawing that the page passes to it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from markupsafe import Markup


@dataclass(frozen=True)
class Link:
    """A link to a place in a section that shows more of a query."""

    words: str
    anchor: str


class Drawing:
    """The charts and figures of one page, in the order in which sections add them."""

    def __init__(self) -> None:
        self.charts: dict[str, dict[str, Any]] = {}
        self.n_figures = 0

    def chart(self, spec: dict[str, Any]) -> str:
        """Keep the chart and return its id."""
        name = f"chart-{len(self.charts) + 1}"
        self.charts[name] = spec
        return name

    def figure(self) -> int:
        """The number of the next figure."""
        self.n_figures += 1
        return self.n_figures


Body = Callable[[Drawing], Markup]
"""A function that renders the body of a section."""


@dataclass(frozen=True)
class Section:
    """What an analysis adds to the page, to the tables and to summary.json."""

    key: str
    """Its address on the page, and its name in summary.json."""
    title: str
    short: str
    """The short title in the page's contents."""
    body: Body
    tables: Mapping[str, str]
    """File name under tables/ to the file's text."""
    data: Any
    """Plain values for summary.json."""
    more: str = ""
    """The words before links to the section."""
    links: Callable[[str, Sequence[str], str], Sequence[Link]] = field(
        default=lambda collection, systems, query_id: ()  # noqa: ARG005
    )
    """(collection, systems, query_id) to links to places that show more of the query."""
