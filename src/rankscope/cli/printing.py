"""Printing of results, in one of their forms, on the terminal or into a file, and of their notes."""

import sys
from pathlib import Path

import typer

from rankscope.core.result import Result
from rankscope.core.visible import visible_lines, with_short_words
from rankscope.options import TABLE, WIDE


def show(form: str, out: Path | None, result: Result | None) -> None:
    """Print the result in that form, on the terminal or into a file, and its notes; exit if it has an exit code.

    A result of None is printed by another process.
    """
    if result is None:
        return
    if form in (TABLE, WIDE):
        _show_tables(result, is_wide=form == WIDE)
    else:
        _print_text(result.forms[form](), out)
    for note in () if form == "json" and result.are_notes_in_json else result.notes:
        print_note(note)
    if result.exit_code:
        raise typer.Exit(result.exit_code)


def _show_tables(result: Result, *, is_wide: bool) -> None:
    if result.tables:
        from rankscope.terminal import show_table

        for table in result.tables:
            show_table(table, is_wide=is_wide)
    for line in result.lines:
        say(line)


def _print_text(text: str, out: Path | None) -> None:
    """Print on the terminal, or write a file and say so."""
    if out is None:
        shown = visible_lines(text) if sys.stdout.isatty() else text
        typer.echo(shown, nl=not text.endswith("\n"))
        return
    from rankscope.store.files import write_text

    write_text(out, text)
    say(f"{out}: written.")


def say(words: str, *, err: bool = False) -> None:
    """Print words for a person; names in them may come from users: controls are made visible, long ids shortened."""
    typer.echo(visible_lines(with_short_words(words)), err=err)


def print_note(note: str) -> None:
    """Print a note on standard error."""
    say(f"Note: {note}", err=True)
