"""Templates to markup, in which texts of others stay text."""

from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from rankscope.core.visible import visible
from rankscope.report import pooled
from rankscope.report.wording import cautions, numbers
from rankscope.report.wording.verdicts import VERDICTS


def rendered(template: str, **values: Any) -> Markup:
    """A template of the package, filled in; texts of others are escaped."""
    return Markup(environment().get_template(template).render(**values))  # noqa: S704 - autoescaped


def harmless(value: Any) -> Any:
    """Names and texts of users as they may stand on a page: nothing in them turns the rest around."""
    is_text = isinstance(value, str) and not isinstance(value, Markup)
    return visible(value, keep="\n\t\r") if is_text else value


@cache
def environment() -> Environment:
    """Of all templates, which are named from the package's folder on."""
    made = Environment(
        loader=PackageLoader("rankscope", ""),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=harmless,
    )
    made.filters |= {
        "signed": numbers.signed,
        "p": numbers.p_text,
        "has_numbers": numbers.has_numbers,
        "fragility": cautions.figure,
        "mark": lambda verdict: VERDICTS[verdict],
        "ends_over_tests": pooled.ends,
        "tau": pooled.tau,
        "i_squared": pooled.i_squared,
        "places": pooled.places,
    }
    return made
