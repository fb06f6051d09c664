"""Commands as they are built: settings, one call, one printing; no more than a few options of their own."""

import ast
import inspect
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from pkgutil import resolve_name
from textwrap import dedent

import pytest
import typer
from click.formatting import join_options
from typer.testing import CliRunner

from rankscope.analyses.analysis import Analysis
from rankscope.analyses.table import ANALYSES, AnalysisEntry
from rankscope.cli import app, printing
from rankscope.cli.program import BODIES, GROUPS, groups_of
from rankscope.core.result import Result, Table

OPTIONS = 12
"""The most that a command has beside those of its groups."""
STATEMENTS = 4
"""The most in a command's body, imports and docstring aside."""


def own_options(body: Callable[..., None]) -> list[str]:
    """The parameters of a command that are options, and in none of its groups."""
    hints = inspect.get_annotations(body, eval_str=True)
    return [
        name
        for name, hint in hints.items()
        if name not in {*groups_of(body), "return"}
        and isinstance(hint.__metadata__[0], typer.models.OptionInfo)
    ]


def statements(body: Callable[..., None]) -> list[ast.stmt]:
    """What a command does."""
    (function,) = ast.parse(dedent(inspect.getsource(body))).body
    assert isinstance(function, ast.FunctionDef)
    return [each for each in function.body[1:] if not isinstance(each, ast.ImportFrom)]


def test_every_command_is_made_by_the_one_decorator() -> None:
    names = [command.name for command in app.registered_commands]
    for of, group in GROUPS.items():
        names += [f"{of} {command.name}" for command in group.registered_commands]
    assert sorted(map(str, names)) == sorted(BODIES)
    assert [group.name for group in app.registered_groups] == [*GROUPS]
    assert len(BODIES) >= 18


@pytest.mark.parametrize("name", BODIES)
def test_a_command_builds_settings_calls_and_shows(name: str) -> None:
    body = statements(BODIES[name])
    assert len(body) <= STATEMENTS
    assert all(isinstance(each, ast.Assign) for each in body[:-1]), "settings and a call"
    of_analysis = BODIES[name].__module__.startswith("rankscope.analyses.")
    last = "return Shown(output, lambda progress: " if of_analysis else "printing.show("
    assert ast.unparse(body[-1]).startswith(last)


@pytest.mark.parametrize("name", BODIES)
def test_a_command_has_few_options_of_its_own(name: str) -> None:
    assert len(own_options(BODIES[name])) <= OPTIONS, own_options(BODIES[name])


def test_options_are_counted() -> None:
    assert len(own_options(BODIES["attribute"])) > 5
    assert own_options(BODIES["convert"]) == ["out", "tag", "metadata"]


@pytest.mark.parametrize("name", BODIES)
def test_help_lists_every_option_once_under_a_heading(name: str) -> None:
    command = typer.main.get_command(app)
    for word in name.split():
        command = command.commands[word]  # type: ignore[attr-defined]
    shown = CliRunner(env={"COLUMNS": "100", "TERM": "dumb"}).invoke(app, [*name.split(), "--help"]).output  # fmt: skip
    for param in command.params:
        if param.param_type_name == "option":
            names, _ = join_options(param.opts)  # the short one first
            assert sum(line.lstrip().startswith((f"{names} ", f"{names}\n")) for line in shown.splitlines(keepends=True)) == 1, param.opts  # fmt: skip
            heading = param.rich_help_panel or "Options"
            below = shown.partition(f"\n{heading}:\n")[2].partition("\n\n")[0]
            assert f"  {names} " in below


# -- analyses --------------------------------------------------------------------------------------


@pytest.mark.parametrize("row", ANALYSES, ids=lambda row: row.analysis.split(".")[2])
def test_a_row_leads_to_an_analysis_and_its_command_in_one_folder(row: AnalysisEntry) -> None:
    analysis = resolve_name(row.analysis)
    assert isinstance(analysis, Analysis)
    parts = [row.analysis, analysis.section, *([row.command] if row.command else [])]
    assert {part.split(".")[2] for part in parts} == {analysis.field}
    if row.command:
        assert inspect.unwrap(BODIES[row.command.partition(":")[2]]) is resolve_name(row.command)


@pytest.mark.parametrize("words", [["--help"], ["teacher", "--help"]])
def test_what_commands_do_is_said_whole_in_80_columns(words: list[str]) -> None:
    shown = CliRunner().invoke(app, words, terminal_width=80, env={"COLUMNS": "80"}).output
    _, _, commands = shown.partition("Commands:")
    assert len(commands.splitlines()) > 4
    assert "..." not in commands
    assert max(map(len, shown.splitlines())) <= 80


def test_the_commands_are_listed_without_an_import_of_what_they_do() -> None:
    script = (
        "import sys, rankscope.cli;"
        "heavy = {'torch', 'transformers', 'pandas', 'scipy', 'pydantic', 'rankscope.pipeline'} & set(sys.modules);"
        "print(*heavy, *(name for name in sys.modules if name.startswith('rankscope.analyses.')))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    commands = [row.command.partition(":")[0] for row in ANALYSES if row.command]
    folders = [name.rpartition(".")[0] for name in commands]
    assert {*done.stdout.split()} == {"rankscope.analyses.table", *commands, *folders}


# -- printing --------------------------------------------------------------------------------------

RESULT = Result(
    tables=(Table("made", ["run", "AP"], [["a", "0.5"]]),),
    lines=("told",),
    forms={"json": lambda: '{"AP": 0.5}', "csv": lambda: "run,AP\na,0.5\n"},
    notes=("known",),
)


def test_a_result_is_shown_in_the_form_that_is_asked_for(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    printing.show("table", None, RESULT)
    assert capsys.readouterr() == ("run\tAP\na\t0.5\ntold\n", "Note: known\n")
    printing.show("json", None, RESULT)
    assert capsys.readouterr() == ('{"AP": 0.5}\n', "Note: known\n")
    printing.show("csv", tmp_path / "a.csv", RESULT)
    assert capsys.readouterr().out == f"{tmp_path / 'a.csv'}: written.\n"
    assert (tmp_path / "a.csv").read_text() == "run,AP\na,0.5\n"


def test_notes_that_stand_in_json_are_not_printed_beside_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with_notes = replace(RESULT, are_notes_in_json=True)
    printing.show("json", None, with_notes)
    assert capsys.readouterr().err == ""
    printing.show("table", None, with_notes)
    assert capsys.readouterr().err == "Note: known\n"


def test_a_result_may_end_the_program_and_another_process_shows_nothing(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(typer.Exit) as leaving:
        printing.show("table", None, replace(RESULT, exit_code=1))
    assert leaving.value.exit_code == 1
    assert capsys.readouterr().out.endswith("told\n"), "shown before it ends"
    printing.show("json", None, None)
    assert capsys.readouterr() == ("", "")
