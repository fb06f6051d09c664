"""The command that shows results on a local page."""

from pathlib import Path
from typing import Annotated

import typer

from rankscope.cli import printing
from rankscope.cli.program import command
from rankscope.options import TABLE


@command()
def view(
    results: Annotated[
        Path, typer.Argument(help="The folder of results: of one study or of several.")
    ] = Path("results"),
    port: Annotated[
        int, typer.Option("--port", min=0, max=65535, help="Port; 0 takes a free one.")
    ] = 0,
    browser: Annotated[
        bool, typer.Option("--browser/--no-browser", help="Open the address in a browser.")
    ] = True,
) -> None:
    """Show all results of a folder on a local page: rankers, two rankings side by side, a query of your own."""
    from rankscope.viewer import server

    settings = server.ViewSettings(results, port, browser)
    printing.show(TABLE, None, server.serve(settings, tell=printing.say))
