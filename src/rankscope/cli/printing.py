"""What commands print: a result in one of its forms, on the terminal or into a file, and notes beside it."""

import sys
from pathlib import Path

import typer

from rankscope.core.result import Result
from rankscope.core.visible import visible_lines
from rankscope.options import TABLE


def show(form: str, out: Path | None, result: Result | None) -> None:
    """The result in that form, on the terminal or in a file, and its notes; ends the program where it says so.

    None is shown by another process.
    """
    if result is None:
        return
    if form == TABLE:
        _show_tables(result)
    else:
        _print_text(result.forms[form](), out)
    for note in () if form == "json" and result.are_notes_in_json else result.notes:
        print_note(note)
    if result.exit_code:
        raise typer.Exit(result.exit_code)


def _show_tables(result: Result) -> None:
    if result.tables:
        from rankscope.terminal import show_table

        for table in result.tables:
            show_table(
                table.title, table.columns, table.rows, text=table.is_text, n_names=table.n_names
            )
    for line in result.lines:
        say(line)


def _print_text(text: str, out: Path | None) -> None:
    """On the terminal, or into a file, which is told."""
    if out is None:
        shown = visible_lines(text) if sys.stdout.isatty() else text
        typer.echo(shown, nl=not text.endswith("\n"))
        return
    from rankscope.store.files import write_text

    write_text(out, text)
    say(f"{out}: written.")


def say(words: str, *, err: bool = False) -> None:
    """Words for a person, names of users among them; nothing in them steers the terminal."""
    typer.echo(visible_lines(words), err=err)


def print_note(note: str) -> None:
    """On standard error, as soon as it is known."""
    say(f"Note: {note}", err=True)
