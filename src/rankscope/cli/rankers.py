"""Commands that write rankers."""

from pathlib import Path
from typing import Annotated

import typer

from rankscope.cli import printing
from rankscope.cli.program import command
from rankscope.options import OUTPUT, TABLE, Revision


@command()
def export(
    model: Annotated[str, typer.Argument(help="A cross-encoder or bi-encoder: folder or hub id.")],
    out: Annotated[
        Path, typer.Option("--out", help="The folder to write.", rich_help_panel=OUTPUT)
    ],
    revision: Revision = None,
) -> None:
    """Save a ranker with its forward pass as ONNX, for sentence-transformers' `backend="onnx"`."""
    from rankscope.verbs import export

    settings = export.ExportSettings(model, out, revision=revision)
    printing.show(TABLE, None, export.export(settings, tell=printing.print_note))
