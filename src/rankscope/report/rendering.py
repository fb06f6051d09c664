"""Templates filled in as markup, in which users' texts are escaped."""

from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from rankscope.core.visible import visible
from rankscope.core.words import counted
from rankscope.report import pooled
from rankscope.report.wording import cautions, numbers
from rankscope.report.wording.verdicts import VERDICTS


def rendered(template: str, **values: Any) -> Markup:
    """A template of the package, filled in; users' texts are escaped."""
    return Markup(environment().get_template(template).render(**values))  # noqa: S704 - autoescaped


def harmless(value: Any) -> Any:
    """Users' names and texts, safe on a page: control characters that could reorder other text are made visible."""
    is_text = isinstance(value, str) and not isinstance(value, Markup)
    return visible(value, keep="\n\t\r") if is_text else value


@cache
def environment() -> Environment:
    """The environment of all templates, which are named by their path in the package."""
    made = Environment(
        loader=PackageLoader("rankscope", ""),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=harmless,
    )
    made.filters |= {
        "counted": counted,
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
