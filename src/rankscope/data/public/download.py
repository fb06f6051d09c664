"""Download a file: it goes on where it stopped, is checked, and is there whole or not at all.

What has come lies in `.partial-NAME` until all is there; the server's mark of that version of the file (ETag, or the
time of its last change) lies beside it, so that two versions are never put together.
"""

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from rankscope.core.errors import BadInput
from rankscope.core.input_files import sha256_of
from rankscope.core.progress import Progress
from rankscope.data.public.table import PublicFile
from rankscope.store.durable import PARTIAL, synced

SECONDS = 60
"""Without a byte for so long, a connection counts as broken."""
PIECE = 1 << 20
KB = 1000
PARTIAL_CONTENT, RANGE_REFUSED = 206, 416
BROKEN = (HTTPException, ConnectionError, TimeoutError)
"""What a connection that breaks raises."""


def downloaded(
    file: PublicFile, folder: Path, *, mirror: str | None, progress: Progress
) -> tuple[Path, dict[str, str]]:
    """The file in the folder, fetched if it is not there, and its sums. Raises BadInput for what is not the file meant."""
    path, aside = folder / file.name, folder / f"{PARTIAL}{file.name}"
    if path.is_file():
        return path, _checked(file, path)
    _fetch(_mirrored(file.url, mirror), file, aside, progress)
    sums = _checked(file, aside)
    synced(aside)
    aside.replace(path)
    _mark_of(aside).unlink(missing_ok=True)
    return path, sums


def _mirrored(url: str, mirror: str | None) -> str:
    """The address of the file on a mirror, which has each file under its host and path."""
    if mirror is None:
        return url
    if not mirror.startswith(("http://", "https://")):
        raise BadInput(f"{mirror}: this is no address of a mirror. Give one that begins with http.")
    return f"{mirror.rstrip('/')}/{url.partition('://')[2]}"


def _mark_of(aside: Path) -> Path:
    return aside.with_name(f"{aside.name}.mark")


def _fetch(url: str, file: PublicFile, aside: Path, progress: Progress) -> None:
    """Fetch what is missing of a file."""
    begun = aside.stat().st_size if aside.is_file() else 0
    if begun and begun == file.size:
        return
    mark = _mark_of(aside).read_text("utf-8") if begun and _mark_of(aside).is_file() else ""
    if begun and not mark:  # nothing says that the server still has that version
        begun = 0
    headers = {"User-Agent": "rankscope", "Accept-Encoding": "identity"}
    if begun:
        headers |= {"Range": f"bytes={begun}-", "If-Range": mark}
    with _answer(url, headers) as answer:
        if answer.status == RANGE_REFUSED:  # more is here than there: begin again
            aside.unlink()
            _fetch(url, file, aside, progress)
            return
        begun = begun if answer.status == PARTIAL_CONTENT else 0
        total = begun + _length(answer)
        _require_file(url, file, answer, total if answer.headers["Content-Length"] else None)
        new_mark = answer.headers["ETag"] or answer.headers["Last-Modified"] or ""
        if not begun:
            aside.unlink(missing_ok=True)
            _mark_of(aside).write_text("" if new_mark.startswith("W/") else new_mark, "utf-8")
        _receive(url, answer, aside, progress, (file.name, begun, total))


@contextmanager
def _answer(url: str, headers: Mapping[str, str]) -> Iterator[HTTPResponse]:
    """The server's answer; BadInput where there is none, or an error."""
    try:
        answer = urlopen(Request(url, headers=dict(headers)), timeout=SECONDS)  # noqa: S310
    except HTTPError as error:
        if error.code != RANGE_REFUSED:
            raise BadInput(
                f"{url}: the server answers {error.code} ({error.reason}). Try again later, or another "
                "server with --mirror."
            ) from error
        answer = error  # urllib raises what other answers are returned as
    except (URLError, *BROKEN) as error:
        reason = error.reason if isinstance(error, URLError) else error
        raise BadInput(
            f"{url}: it cannot be reached ({reason}). Check the network, or give a mirror with --mirror."
        ) from error
    with answer:
        yield answer


def _length(answer: HTTPResponse) -> int:
    return int(answer.headers["Content-Length"] or 0)


def _require_file(url: str, file: PublicFile, answer: HTTPResponse, size: int | None) -> None:
    """Refuse, before anything is read, what is not the file: a web page, or a file of another size."""
    if answer.headers.get_content_type() == "text/html":
        raise BadInput(
            f"{url}: the server answers with a web page, not with the file. It may ask for a log-in: fetch it by hand."
        )
    if file.size is not None and size is not None and size != file.size:
        raise BadInput(
            f"{url}: it has {size:,} bytes there, not {file.size:,} as {file.stated_by} states. It is another file: "
            "report it, or give a mirror with --mirror."
        )


def _receive(
    url: str, answer: HTTPResponse, aside: Path, progress: Progress, what: tuple[str, int, int]
) -> None:
    """Append what comes; BadInput where it ends too early, and what came is kept."""
    name, done, total = what
    try:
        with (
            aside.open("ab") as out,
            progress.task(name, total // KB, "kB", done=done // KB) as task,
        ):
            while piece := answer.read(PIECE):
                out.write(piece)
                task.advance((done + len(piece)) // KB - done // KB)
                done += len(piece)
    except BROKEN as error:
        raise _broken(url, aside, total) from error
    if total and done < total:
        raise _broken(url, aside, total)


def _broken(url: str, aside: Path, total: int) -> BadInput:
    return BadInput(
        f"{url}: the connection broke after {aside.stat().st_size:,} of {total:,} bytes. The same command goes on "
        "from there."
    )


# -- sums -------------------------------------------------------------------------------------------


def _git(path: Path) -> str:
    """The name that git gives a file of these bytes."""
    head = b"blob %d\0" % path.stat().st_size
    return _summed(path, hashlib.sha1(head, usedforsecurity=False))


def _md5(path: Path) -> str:
    return _summed(path, hashlib.md5(usedforsecurity=False))


def _summed(path: Path, sum_: "hashlib._Hash") -> str:
    """The sum of a file's bytes after what it has taken already."""
    with path.open("rb") as file:
        while piece := file.read(PIECE):
            sum_.update(piece)
    return sum_.hexdigest()


SUMS = {"sha256": sha256_of, "md5": _md5, "git": _git}
"""What computes a sum, by the name of its algorithm."""


def _checked(file: PublicFile, path: Path) -> dict[str, str]:
    """The sums of a downloaded file; a file that has others than stated is removed, and BadInput says so."""
    found = {"sha256": sha256_of(path)}
    for algorithm, stated in file.sums.items():
        found[algorithm] = SUMS[algorithm](path)
        if found[algorithm] != stated:
            path.unlink()
            _mark_of(path).unlink(missing_ok=True)
            raise BadInput(
                f"{file.url}: what came has the {algorithm} sum {found[algorithm]}, not {stated} as {file.stated_by} "
                "states, so it was removed. Try again, or another server with --mirror."
            )
    return found
