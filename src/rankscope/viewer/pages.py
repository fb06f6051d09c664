"""The pages of the view as HTML, from templates that escape every text."""

from functools import cache
from importlib.resources import files
from typing import Any
from urllib.parse import urlencode

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from rankscope.report.wording.numbers import signed


@cache
def _environment() -> Environment:
    made = Environment(
        loader=PackageLoader("rankscope.viewer"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["number"] = number
    made.filters["difference"] = difference
    made.globals["asset"] = asset
    made.globals["address"] = address
    return made


def page(name: str, *, base: str, nonce: str, **content: Any) -> str:
    """The page of a template; `base` is the part of the address up to the token."""
    return _environment().get_template(f"{name}.html.j2").render(base=base, nonce=nonce, **content)


@cache
def asset(name: str) -> Markup:
    """A style sheet or script of ours, as it stands in the page."""
    return Markup((files("rankscope.viewer") / "templates" / name).read_text("utf-8"))  # noqa: S704 - our own file


def address(path: str, **fields: object) -> str:
    """A path with its query; fields that are None or empty are left out."""
    given = {name: value for name, value in fields.items() if value not in {None, ""}}
    return f"{path}?{urlencode(given)}" if given else path


def number(value: float | None) -> str:
    """A score or value with four digits behind the point; nothing for None."""
    return "" if value is None else f"{value:.4f}"


def difference(value: float | None) -> str:
    """A difference with its sign; nothing for None."""
    return "" if value is None else signed(value, 4)
