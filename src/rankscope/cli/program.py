"""The program that all commands belong to, and how a function becomes one of its commands."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import MISSING, Field, fields, is_dataclass
from functools import wraps
from inspect import Parameter, Signature, signature
from typing import Annotated, Any, final, get_type_hints

import typer
from typer.core import TyperCommand, TyperGroup

from rankscope.core.errors import BadInput


@final
class Program(TyperGroup):
    """The program, which says in whole sentences what its commands do."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the commands and what each does."""
        _write_commands(self, ctx, formatter)


def _write_commands(group: TyperGroup, ctx: Any, formatter: Any) -> None:
    """Write the commands of a group with their first sentences, on several lines where click would cut them."""
    commands = [(name, group.get_command(ctx, name)) for name in group.list_commands(ctx)]
    whole = [
        (name, made.get_short_help_str(limit=1000))
        for name, made in commands
        if made is not None and not made.hidden
    ]
    with formatter.section("Commands"):
        formatter.write_dl(whole)


app = typer.Typer(
    name="rankscope",
    cls=Program,
    help="Fine-tune neural rankers in stages, and measure what each stage is worth.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=True,
    rich_markup_mode=None,
)


def _version(wanted: bool) -> None:
    if wanted:
        from rankscope import __version__

        typer.echo(f"rankscope {__version__}")
        raise typer.Exit


@app.callback()
def _all_commands(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


# -- commands --------------------------------------------------------------------------------------

BODIES: dict[str, Callable[..., None]] = {}
"""Command name, with that of its group, to the function as it is written."""
GROUPS: dict[str, typer.Typer] = {}
"""Groups of commands by name."""


def group(name: str, help: str) -> None:  # noqa: A002 -- as typer calls it
    """Begin a group of commands: `rankscope NAME COMMAND`."""
    GROUPS[name] = typer.Typer(help=help, no_args_is_help=True, rich_markup_mode=None)
    app.add_typer(GROUPS[name], name=name, cls=CommandGroup)


def command(
    name: str | None = None, *, of: str | None = None
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Make a function a command, under its own name unless another is given; `of` a group, where one is named.

    A parameter annotated with a dataclass is a group of options: each of its fields is an option of the
    command, and the function gets them as one value.
    """

    def registered(body: Callable[..., None]) -> Callable[..., None]:
        called = name or body.__name__
        BODIES[called if of is None else f"{of} {called}"] = body
        (app if of is None else GROUPS[of]).command(called, cls=Command)(_with_groups(body))
        return body

    return registered


def groups_of(body: Callable[..., None]) -> dict[str, type[Any]]:
    """The parameters of a command that are groups of options, and their dataclasses."""
    hints = get_type_hints(body).items()
    return {name: hint for name, hint in hints if isinstance(hint, type) and is_dataclass(hint)}


def _with_groups(body: Callable[..., None]) -> Callable[..., None]:
    """The function as typer reads it, with the fields of its groups as parameters."""
    groups = groups_of(body)
    parameters = list(_parameters(body, groups))

    @wraps(body)
    def flat(**values: Any) -> None:
        for name, group in groups.items():
            values[name] = group(**{field.name: values.pop(field.name) for field in fields(group)})
        body(**values)

    flat.__signature__ = Signature(parameters)  # type: ignore[attr-defined]
    flat.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return flat


def _parameters(body: Callable[..., None], groups: dict[str, type[Any]]) -> Iterator[Parameter]:
    """The parameters of a function, each group's fields in its place."""
    hints = get_type_hints(body, include_extras=True)
    for name, parameter in signature(body).parameters.items():
        if name not in groups:
            yield Parameter(
                name, Parameter.KEYWORD_ONLY, default=parameter.default, annotation=hints[name]
            )
            continue
        hints_of_group = get_type_hints(groups[name], include_extras=True)
        for field in fields(groups[name]):
            yield Parameter(
                field.name,
                Parameter.KEYWORD_ONLY,
                default=_default(field),
                annotation=hints_of_group[field.name],
            )


def _default(field: Field[Any]) -> Any:
    return Parameter.empty if field.default is MISSING else field.default


@final
class Command(TyperCommand):
    """A command that lists its options under headings, and refuses a repeated option that has one value."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse as typer does. Raises BadInput for a repeated option of which only the last would count."""
        _, _, options = self.make_parser(ctx).parse_args(args=list(args))
        for option, n in Counter(options).items():
            if n > 1 and option.param_type_name == "option" and _has_one_value(option):
                name = "/".join([*option.opts, *option.secondary_opts])
                raise BadInput(f"{name} is given {n} times, but takes one value. Give it once.")
        return super().parse_args(ctx, args)

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the arguments, then the command's own options, then the others under the headings of their groups."""
        sections: dict[str, list[tuple[str, str]]] = {"Arguments": [], "Options": []}
        for param in self.get_params(ctx):
            if (record := param.get_help_record(ctx)) is not None:
                sections.setdefault(_heading(param), []).append(record)
        for heading, records in sections.items():
            if records:
                with formatter.section(heading):
                    formatter.write_dl(records)


@final
class CommandGroup(TyperGroup):
    """A group that says which commands it has, where the word after its name is none of them."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the commands and what each does."""
        _write_commands(self, ctx, formatter)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Find the command as click does. Raises BadInput for a word that is none."""
        if args and not args[0].startswith("-") and args[0] not in self.commands:
            *others, last = self.commands
            raise BadInput(
                f"rankscope {self.name} {args[0]}: say what to do: {', '.join(others)} or {last}, as in "
                f"rankscope {self.name} {next(iter(self.commands))} {args[0]}"
            )
        return super().resolve_command(ctx, args)


def _heading(param: Any) -> str:
    if param.param_type_name == "argument":
        return "Arguments"
    return getattr(param, "rich_help_panel", None) or "Options"


def _has_one_value(option: Any) -> bool:
    """Whether a second one would replace the first; `--json --json` only says the same twice."""
    return not option.multiple and (not option.is_flag or bool(option.secondary_opts))
