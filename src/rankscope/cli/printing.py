"""What commands print: JSON, a text or a file, notes."""

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import typer

from rankscope.core.errors import BadInput
from rankscope.core.visible import visible_lines

Rows = tuple[list[str], list[list[str]]]
"""Columns, and what stands in them."""


def say(words: str, *, err: bool = False) -> None:
    """Words for a person, names of users among them; nothing in them steers the terminal."""
    typer.echo(visible_lines(words), err=err)


def print_json(value: Any) -> None:
    """On the terminal, indented."""
    typer.echo(json.dumps(value, indent=1, allow_nan=False))


def print_text(text: str, out: Path | None) -> None:
    """On the terminal, or into a file, which is told."""
    if out is None:
        shown = visible_lines(text) if sys.stdout.isatty() else text
        typer.echo(shown, nl=not text.endswith("\n"))
        return
    from rankscope.store.files import write_text

    write_text(out, text)
    say(f"{out}: written.")


def print_in_form(
    form: str,
    out: Path | None,
    found: Mapping[str, Any],
    told: Sequence[str],
    full: Rows,
    table: Rows,
) -> bool:
    """As JSON with what is told in words, CSV in full, or LaTeX; whether it was one of them."""
    from rankscope.report.tables.as_csv import plain_csv
    from rankscope.report.tables.as_latex import plain_tex

    if form == "json":
        print_text(json.dumps({**found, "in_words": told}, allow_nan=False), out)
    elif form == "csv":
        print_text(plain_csv(*full), out)
    elif form == "latex":
        print_text(plain_tex(*table), out)
    return form != "table"


def form_of(out: Path | None, **asked: bool) -> str:
    """The one form that is asked for; a table, which is for the terminal only, where none is."""
    forms = [name for name, wanted in asked.items() if wanted]
    if len(forms) > 1:
        raise BadInput(f"One form at a time: --{' or --'.join(forms)}, not both.")
    if out is not None and not forms:
        raise BadInput(f"{out}: in which form? Give --{', --'.join(asked)} beside --out.")
    return forms[0] if forms else "table"


def print_notes(notes: list[str]) -> None:
    """Beside what is printed: on standard error."""
    for note in notes:
        print_note(note)


def print_note(note: str) -> None:
    """One of them, as soon as it is known."""
    say(f"Note: {note}", err=True)
