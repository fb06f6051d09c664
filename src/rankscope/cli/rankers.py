"""Commands that write rankers."""

from pathlib import Path
from typing import Annotated

import typer

from rankscope.cli import printing
from rankscope.cli.program import command
from rankscope.options import TABLE, Revision


@command()
def export(
    model: Annotated[str, typer.Argument(help="A ranker: folder or hub id.")],
    folder: Annotated[Path, typer.Argument(help="The new folder to write.")],
    onnx: Annotated[
        bool,
        typer.Option(
            "--onnx",
            help='Also write its forward pass for sentence-transformers\' backend="onnx".',
        ),
    ] = False,
    revision: Revision = None,
) -> None:
    """Write a copy of a ranker that transformers and sentence-transformers load."""
    from rankscope.verbs import export

    settings = export.ExportSettings(model, folder, onnx=onnx, revision=revision)
    printing.show(TABLE, None, export.export(settings, tell=printing.print_note))
