"""Commands that write rankers."""

from pathlib import Path
from typing import Annotated

import typer

from rankscope.cli import printing
from rankscope.cli.arguments import typed
from rankscope.cli.program import command
from rankscope.options import TABLE, Revision

Licence = Annotated[
    str | None,
    typer.Option(
        "--license", help="Licence for the model card, by the hub's name for it: apache-2.0."
    ),
]
BaseModel = Annotated[
    str | None,
    typer.Option(
        "--base-model", help="Hub id of the base model, for the card; the study's, if left out."
    ),
]


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
    licence: Licence = None,
    base_model: BaseModel = None,
    revision: Revision = None,
) -> None:
    """Write a copy of a ranker, with its model card, that transformers and sentence-transformers load."""
    from rankscope.verbs.handover import export

    settings = export.ExportSettings(
        model,
        folder,
        onnx=onnx,
        revision=revision,
        licence=licence,
        base_model=base_model,
        command=typed(),
    )
    printing.show(TABLE, None, export.export(settings, tell=printing.print_note))


@command()
def push(
    model: Annotated[str, typer.Argument(help="A ranker's folder.")],
    repo: Annotated[str, typer.Argument(help="The repository on the hub: NAME or OWNER/NAME.")],
    private: Annotated[
        bool, typer.Option("--private", help="Make a new repository private.")
    ] = False,
    licence: Licence = None,
    base_model: BaseModel = None,
) -> None:
    """Write a copy of a ranker, with its model card, to the hub; the token is huggingface_hub's."""
    from rankscope.verbs.handover import push

    settings = push.PushSettings(
        model, repo, private=private, licence=licence, base_model=base_model, command=typed()
    )
    printing.show(TABLE, None, push.push(settings, tell=printing.print_note))
