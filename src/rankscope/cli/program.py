"""The program that all commands belong to."""

from collections import Counter
from typing import Annotated, Any, final

import typer
from typer.core import TyperCommand

from rankscope.core.errors import BadInput

app = typer.Typer(
    name="rankscope",
    help="Fine-tune neural rankers in stages, and measure what each stage is worth.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
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
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Say which.")
    ] = False,
) -> None:
    pass


@final
class EachOnce(TyperCommand):
    """A command whose options are given once, but for those that add up: else the last one would count, unsaid."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """As any command's. Raises BadInput for an option that stands twice."""
        _, _, given = self.make_parser(ctx).parse_args(args=list(args))
        for option, n in Counter(given).items():
            if n > 1 and option.param_type_name == "option" and _has_one_value(option):
                name = "/".join([*option.opts, *option.secondary_opts])
                raise BadInput(f"{name} is given {n} times, and one is meant. Give it once.")
        return super().parse_args(ctx, args)


def _has_one_value(option: Any) -> bool:
    """Whether a second one would take the place of the first: `--json --json` says the same twice."""
    return not option.multiple and (not option.is_flag or bool(option.secondary_opts))
