"""What commands print: JSON, a text or a file, notes."""

import json
from pathlib import Path
from typing import Any

import typer

from rankscope.core.errors import BadInput


def print_json(value: Any) -> None:
    """On the terminal, indented."""
    typer.echo(json.dumps(value, indent=1, allow_nan=False))


def print_text(text: str, out: Path | None) -> None:
    """On the terminal, or into a file, which is told."""
    if out is None:
        typer.echo(text, nl=not text.endswith("\n"))
        return
    from rankscope.store.files import write_text

    write_text(out, text)
    typer.echo(f"{out}: written.")


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
        typer.echo(f"Note: {note}", err=True)
