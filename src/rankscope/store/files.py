"""Single output files: written whole or not at all; a place that cannot be written is refused before any work."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from rankscope.core.errors import NotWritable
from rankscope.core.input_files import what_it_is
from rankscope.store.refusals import ANOTHER_FOLDER, explained, explained_full


def writable(out: Path, remedy: str = ANOTHER_FOLDER) -> None:
    """Refuse a place that cannot be written before any work is done."""
    with explained(out, remedy):
        if out.exists() and not out.is_file() and not out.is_dir():
            raise NotWritable(
                f"{out}: it is {what_it_is(out.stat().st_mode)}, and a file would take its place. Give the path of a file."
            )
        out.parent.mkdir(parents=True, exist_ok=True)
        aside = out.with_name(f".partial-{out.name}")
        aside.unlink(missing_ok=True)  # a link there would be followed
        aside.touch()
        aside.unlink()


@contextmanager
def written_whole(out: Path, remedy: str = ANOTHER_FOLDER) -> Iterator[Path]:
    """A path to write to, which replaces `out` when all is written."""
    aside = out.with_name(f".partial-{out.name}")
    try:
        with explained(out, remedy):
            yield aside
            aside.replace(out)
    finally:
        aside.unlink(missing_ok=True)


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """A folder that goes when the block ends; a full disk, or none where one may be made, is one sentence."""
    try:
        made = TemporaryDirectory(prefix="rankscope-")
    except FileNotFoundError as error:
        raise NotWritable(
            f"No folder for temporary files can be written ({error.strerror}). Free some space, or set TMPDIR to one."
        ) from error
    with made as name, explained_full(Path(name)):
        yield Path(name)


def write_text(out: Path, text: str, remedy: str = ANOTHER_FOLDER) -> None:
    """Write a text whole or not at all; `remedy` is what an error advises where the place cannot be written."""
    writable(out, remedy)
    with written_whole(out, remedy) as aside:
        aside.write_text(text, encoding="utf-8", newline="\n")
