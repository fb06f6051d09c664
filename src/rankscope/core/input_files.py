"""Input files: their paths as users write them, their bytes unpacked, and the hash of their bytes.

What a file is, packed or not, is told by its first bytes and never by its name.

gzip, bzip2 and xz are unpacked while they are read, and zstd where Python has it (from 3.14). Other files that are no
text (zip, tar, a PDF, a web page, a pointer of Git LFS, UTF-16 ...) are refused by name, with a remedy.

A few megabytes can unpack to more than a machine holds, so reading stops where a file has unpacked to `MOST_TIMES` its
own size. No text packs so well; a file that does must be given unpacked.
"""

import bz2
import codecs
import errno
import gzip
import hashlib
import importlib
import io
import lzma
import os
import re
import stat
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import IO, Any, BinaryIO, NamedTuple, cast, final

from rankscope.core.errors import BadInput
from rankscope.core.visible import brief

MOST_TIMES = 100
"""A packed file may unpack to so many times its own size (text: 3 to 20 times) ..."""
ALWAYS_READ = 64 * 1024 * 1024
"""... and so many bytes in any case: a short file of one line over and over packs better."""
HEAD = 1024
"""Bytes that tell what a file is."""

ENDINGS = (".gz", ".bz2", ".xz", ".zst")
"""Endings of packed files' names; `stem` and folders in BEIR layout use them, readers never do."""


class _Way(NamedTuple):
    """A way of packing files, and the function that opens them."""

    name: str
    command: str
    """What a user may unpack it with."""
    opened: Callable[[BinaryIO], IO[bytes]]


def _gzip(file: BinaryIO) -> IO[bytes]:
    return cast("IO[bytes]", gzip.GzipFile(fileobj=file))


def _zstd(file: BinaryIO) -> IO[bytes]:
    try:
        zstd: Any = importlib.import_module("compression.zstd")
    except ImportError as error:
        raise _Unreadable(
            "packed by zstd, which Python before 3.14 cannot unpack", "Unpack it: zstd -d."
        ) from error
    return cast("IO[bytes]", zstd.open(file, "rb"))


@final
class _Streams(io.RawIOBase):
    """The streams of a packed file one after another, unpacked; what follows them must be another, or zeros.

    A read ends with a stream, and so may be short: `io.BufferedReader` goes on.

    Python's own readers of bzip2 and xz leave out what is no stream, and with it all that a damaged one held.
    """

    def __init__(self, file: BinaryIO, unpacker: Callable[[], Any]) -> None:
        self._file, self._new = file, unpacker
        self._unpacker: Any = unpacker()
        self._left = b""

    def readable(self) -> bool:
        """True, always: `io.BufferedReader` asks before it reads."""
        return True

    def readinto(self, buffer: Any) -> int:
        """The next bytes. EOFError or LZMAError where a stream is cut short or damaged."""
        while True:
            if self._unpacker.eof:
                left = self._unpacker.unused_data or self._file.read(HEAD)
                while left and not left.strip(b"\0"):
                    left = self._file.read(HEAD)
                if not left:
                    return 0
                self._left, self._unpacker = left.lstrip(b"\0"), self._new()
            if not self._left and self._unpacker.needs_input:
                self._left = self._file.read(1 << 16)
                if not self._left:
                    raise EOFError("it ended within what was packed")
            try:
                data = self._unpacker.decompress(self._left, max_length=len(buffer))
            except OSError as error:  # what bzip2 raises for bytes that it did not write
                raise EOFError(str(error)) from error
            self._left = b""
            if data:
                buffer[: len(data)] = data
                return len(data)


def _bzip2(file: BinaryIO) -> IO[bytes]:
    return io.BufferedReader(_Streams(file, bz2.BZ2Decompressor))


def _xz(file: BinaryIO) -> IO[bytes]:
    unpacker = partial(lzma.LZMADecompressor, format=lzma.FORMAT_XZ)
    return io.BufferedReader(_Streams(file, unpacker))


PACKED: Mapping[re.Pattern[bytes], _Way] = {
    re.compile(rb"\x1f\x8b"): _Way("gzip", "gzip -d", _gzip),
    re.compile(rb"BZh[1-9](1AY&SY|\x17rE8P\x90)"): _Way("bzip2", "bzip2 -d", _bzip2),
    re.compile(rb"\xfd7zXZ\0"): _Way("xz", "xz -d", _xz),
    re.compile(rb"\x28\xb5\x2f\xfd"): _Way("zstd", "zstd -d", _zstd),
}

UNPACK, EXPORT = "Unpack it and give the file inside.", "Write it again as text."
NAMED: Mapping[re.Pattern[bytes], tuple[str, str]] = {
    re.compile(rb"PK(\x03\x04|\x05\x06|\x07\x08)"): ("a zip archive (or a spreadsheet)", UNPACK),
    re.compile(rb"(?s).{257}ustar"): ("a tar archive", UNPACK),
    re.compile(rb"7z\xbc\xaf\x27\x1c"): ("a 7z archive", UNPACK),
    re.compile(rb"Rar!\x1a\x07"): ("a RAR archive", UNPACK),
    re.compile(rb"LZIP\x01"): ("packed by lzip", "Unpack it: lzip -d."),
    re.compile(rb"\x1f[\x9d\xa0]"): ("packed by compress", "Unpack it: gzip -d."),
    re.compile(rb"\x04\x22\x4d\x18|\x02\x21\x4c\x18"): ("packed by lz4", "Unpack it: lz4 -d."),
    re.compile(rb"\x78(\x01|\x9c|\xda(?![\x80-\xbf]))"): (
        "packed by zlib",
        "Pack it by gzip instead.",
    ),
    re.compile(rb"\x89LZO\0"): ("packed by lzop", "Unpack it: lzop -d."),
    re.compile(rb"\xff\x06\0\0sNaPpY"): ("packed by snappy", UNPACK),
    re.compile(rb"\x5d\0\0.\0.{0,2}\xff{2}", re.DOTALL): ("packed by lzma", "Unpack it: xz -d."),
    re.compile(rb"\x80[\x02-\x05]"): ("a pickle, which is never read", EXPORT),
    re.compile(rb"\x93NUMPY"): ("an array of NumPy", EXPORT),
    re.compile(rb"\x89HDF\r\n"): ("an HDF5 file", EXPORT),
    re.compile(rb"SQLite format 3\0"): ("an SQLite database", EXPORT),
    re.compile(rb"ARROW1\0|FEA1"): ("an Arrow file", "Write it again as text or as Parquet."),
    re.compile(rb"ORC\x08?\n|Obj\x01"): ("an ORC or Avro file", EXPORT),
    re.compile(rb"\xd0\xcf\x11\xe0\xa1\xb1"): ("an office document", EXPORT),
    re.compile(rb"%PDF-\d"): ("a PDF", EXPORT),
    re.compile(rb"\x89PNG\r\n|\xff\xd8\xff|GIF8[79]a"): ("a picture", EXPORT),
    re.compile(rb"\x7fELF|MZ\x90\0"): ("a program", EXPORT),
    re.compile(rb"(?i)\s*<(!doctype\s+html|html[\s>])"): (
        "a web page, as a download gives that needs a log-in or was refused",
        "Fetch the file itself.",
    ),
    re.compile(rb"version https://git-lfs"): (
        "a pointer of Git LFS, not the file it stands for",
        "Fetch it: git lfs pull.",
    ),
    re.compile(rb"\xff\xfe\0\0|\0\0\xfe\xff"): ("UTF-32", "Convert it to UTF-8."),
    re.compile(rb"\xff\xfe|\xfe\xff"): ("UTF-16", "Convert it to UTF-8."),
}
"""Files that are no text, whatever their names: first bytes to what it is, and what to do."""

PARQUET_MAGIC = b"PAR1"
CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1f\x7f]")

UNPACKING = (gzip.BadGzipFile, EOFError, zlib.error, lzma.LZMAError)


class _Unreadable(Exception):
    """A file that is no text: what it is, and what to do. It becomes BadInput where the path is known."""

    def __init__(self, what: str, remedy: str) -> None:
        super().__init__(what)
        self.what, self.remedy = what, remedy


@contextmanager
def explained_reading(path: Path) -> Iterator[None]:
    """Inside the block, a file that cannot be read becomes one sentence with a remedy."""
    try:
        yield
    except FileNotFoundError as error:
        raise BadInput(
            f"{path}: there is no such file. Give the path of one that exists."
        ) from error
    except _Unreadable as error:
        raise BadInput(f"{path}: it is {error.what}. {error.remedy}") from error
    except UnicodeDecodeError as error:
        raise BadInput(f"{path}: not readable as UTF-8 text ({error}). Convert it.") from error
    except UNPACKING as error:
        raise BadInput(
            f"{path}: it is damaged or cut short ({error}). Fetch it again, or unpack it."
        ) from error
    except OSError as error:
        raise BadInput(f"{path}: cannot be read ({error.strerror or error}).") from error
    except ValueError as error:  # a NUL in the path
        if "null" not in str(error):
            raise
        raise BadInput(f"{str(path)!r}: no file can be called so ({error}). Rename it.") from error


@contextmanager
def opened(path: Path) -> Iterator[IO[bytes]]:
    """The bytes of a file, unpacked as they are read. Raises BadInput for what is no text and no Parquet.

    A file that is packed in another packing is refused: so is a `.tar.gz`.
    """
    with explained_reading(path):
        if path.exists() and not path.is_file() and not path.is_dir():
            raise BadInput(
                f"{path}: it is a pipe or a device, and is read more than once. Write it to a file first."
            )
        with path.open("rb") as file:
            head = file.read(HEAD)
            file.seek(0)
            way = _way(head)
            if way is None:
                _refuse_foreign(head)
                if path.suffix == ".gz":
                    raise BadInput(
                        f"{path}: Not a gzipped file, though its name ends in .gz. Rename it, or unpack it."
                    )
                yield file
                return
            n_packed = path.stat().st_size
            with way.opened(file) as unpacked:
                _refuse_foreign(unpacked.read(HEAD), packed_by=way.name)
            file.seek(0)
            with way.opened(file) as unpacked:
                yield io.BufferedReader(_Bounded(unpacked, path, n_packed, way.command), 1 << 17)


def head_of(path: Path) -> bytes:
    """The first four bytes that are not white space."""
    with opened(path) as file:
        return file.read(4096).lstrip(codecs.BOM_UTF8 + b" \t\r\n")[:4]


def _is_binary(head: bytes) -> bool:
    """Whether bytes are neither UTF-8 nor text in another encoding: that has no control characters."""
    if head[:4] == PARQUET_MAGIC or not CONTROL.search(head):
        return False
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)  # its last character may be cut off
    except UnicodeDecodeError:
        return True
    return False


def _way(head: bytes) -> _Way | None:
    return next((way for magic, way in PACKED.items() if magic.match(head)), None)


def _refuse_foreign(head: bytes, *, packed_by: str = "") -> None:
    for magic, (what, remedy) in NAMED.items():
        if magic.match(head):
            raise _Unreadable(f"{what}{packed_by and f', packed by {packed_by}'}", remedy)
    again = _way(head) if packed_by else None
    if again is None and _is_binary(head):
        raise _Unreadable(
            f"no text{packed_by and f', packed by {packed_by}'}: it begins with the bytes {head[:4].hex(' ')}",
            "Give it as text in UTF-8; gzip, bzip2 and xz are unpacked.",
        )
    if again is not None:
        raise _Unreadable(
            f"packed twice, by {packed_by} and within by {again.name}", "Unpack it once."
        )


@final
class _Bounded(io.RawIOBase):
    """Unpacked bytes, up to the most that a text of the packed file's size can have."""

    def __init__(self, file: IO[bytes], path: Path, n_packed: int, command: str) -> None:
        self._file, self._path, self._command = file, path, command
        self._most = max(ALWAYS_READ, MOST_TIMES * n_packed)
        self._left = self._most

    def readable(self) -> bool:
        """True, always: `io.BufferedReader` asks before it reads."""
        return True

    def readinto(self, buffer: Any) -> int:
        """The next bytes; BadInput where there are too many."""
        data = self._file.read(len(buffer))
        self._left -= len(data)
        if self._left < 0:
            raise BadInput(
                f"{self._path}: it unpacks to more than {self._most // 1_000_000} MB, {MOST_TIMES} times "
                f"what it takes packed, as no text does. If it is meant, unpack it ({self._command}) and give that file."
            )
        buffer[: len(data)] = data
        return len(data)


@contextmanager
def regular(path: Path, *, flags: int = 0) -> Iterator[io.BufferedReader]:
    """A file as it is, not unpacked, opened with `flags` of `os` as well.

    OSError for a pipe, a socket, a device or a folder: a pipe that nobody writes to would be waited for without end.
    """

    def at_once(name: str, usual: int) -> int:
        return os.open(name, usual | os.O_NONBLOCK | flags)

    with open(path, "rb", opener=at_once) as file:
        kind = os.fstat(file.fileno()).st_mode
        if not stat.S_ISREG(kind):
            raise OSError(errno.EINVAL, f"it is {what_it_is(kind)}, no file", str(path))
        yield file


def regular_text(path: Path) -> str:
    """The text in UTF-8 of a file that rankscope or a library wrote; OSError as `regular` has it."""
    with regular(path) as file:
        return file.read().decode()


def what_it_is(mode: int) -> str:
    """What stands at a path, by its `st_mode`."""
    known = {
        stat.S_IFREG: "a file",
        stat.S_IFDIR: "a folder",
        stat.S_IFIFO: "a pipe",
        stat.S_IFSOCK: "a socket",
    }
    return known.get(stat.S_IFMT(mode), "a device")


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's bytes as they are, read in pieces; BadInput if it cannot be read."""
    with explained_reading(path), regular(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def home_filled_in(written: str) -> Path:
    """The path with the user's home for `~`. Raises BadInput for the home of nobody."""
    try:
        return Path(written).expanduser()
    except RuntimeError as error:
        raise _leads_nowhere(written, error) from error


def resolved(written: str, beside: Path) -> Path:
    """The absolute path, links followed; a relative one starts from `beside`. Raises BadInput for a circle of links."""
    try:
        return (beside / home_filled_in(written)).resolve()
    except (OSError, RuntimeError, ValueError) as error:
        raise _leads_nowhere(written, error) from error


def _leads_nowhere(written: str, error: Exception) -> BadInput:
    return BadInput(f"{brief(written)}: it leads nowhere ({error}). Mend the path.")
