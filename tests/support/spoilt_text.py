"""What spoils a file of text: its structure (what it is) or its values (what it says). Seeded."""

import bz2
import gzip
import io
import lzma
import re
import tarfile
import zipfile
from collections.abc import Callable
from random import Random

Spoiling = Callable[[Random, bytes], bytes | None]
"""None where a file has nothing to be spoilt in this way."""

TYPES = [
    b"null", b"NaN", b"[]", b"{}", b"true", b"7.5", b"7", b'"\\ud83d"', b"1e999", b'["liver", "pain"]',
    b'{"en": "lung"}', b'"a b"', b'""', b'"\\u0000"', b"-0", b'"2"', b"2.0", b"9" * 5000,
]  # fmt: skip
HEADS = [
    b"\xef\xbb\xbf", b"# head\n", b"query_id\titer\tdoc_id\trelevance\n", b"id\ttext\n", b"query-id\tcorpus-id\tscore\n",
    b"[", b"{", b"\x00", b"\n \n", b"query_id,doc_id,score\n", b"<html><body>log in</body></html>\n", b"---\n", b"%YAML 1.1\n",
]  # fmt: skip
FOREIGN = [
    b"\x89PNG\r\n\x1a\n" + bytes(40), b"%PDF-1.4\n", b"<!DOCTYPE html><html></html>", b"\x80\x04\x95\x0b\0\0\0.",
    b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", b"PAR1" + bytes(20), b"\x28\xb5\x2f\xfd" + bytes(9),
    b"SQLite format 3\0", bytes(range(256)), b"\xff\xfe\x41\0", b"null", b"[]", b"{}", b"7", b'"text"', b"[" * 5000,
]  # fmt: skip
NUMBERS = [
    b"20.0000001", b"20", b"1e39", b"-1e39", b"1e-46", b"2.0", b"0.5", b"-1", b"nan", b"inf", b"1_0", b"1e5", b"+3", b"0x1",
    b"16777217", b"1000001", b"3,5", b"true", b".5", b"1.", b"9" * 400,
]  # fmt: skip
IDS = [b"d9", b"q9", b"d1", b"q1", b"\xc3\xa9", b"d1 ", b"x y", b"", b"#q", b"\xed\xa0\xbd", b"D1"]


def _zipped(data: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("inside", data)
    return file.getvalue()


def _tarred(data: bytes) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as archive:
        entry = tarfile.TarInfo("inside")
        entry.size = len(data)
        archive.addfile(entry, io.BytesIO(data))
    return file.getvalue()


def _twice(data: bytes) -> bytes:
    return gzip.compress(gzip.compress(data, mtime=0), mtime=0)


PACKED = [gzip.compress, bz2.compress, lzma.compress]
ARCHIVED = [
    _zipped,
    _tarred,
    _twice,
    lambda data: gzip.compress(data)[:-9],
    lambda data: lzma.compress(data)[:50],
]


def _in_another_encoding(rng: Random, data: bytes) -> bytes | None:
    try:
        return data.decode().encode(rng.choice(["utf-16", "utf-16-le", "utf-32"]))
    except UnicodeDecodeError:
        return None


def _of_a_line(change: Callable[[Random, list[bytes]], bytes]) -> Spoiling:
    def spoilt(rng: Random, data: bytes) -> bytes:
        lines = data.split(b"\n")
        at = rng.randrange(len(lines))
        lines[at] = change(rng, re.split(rb"[ \t,]", lines[at]))
        return b"\n".join(lines)

    return spoilt


def _column_dropped(rng: Random, columns: list[bytes]) -> bytes:
    del columns[rng.randrange(len(columns))]
    return b"\t".join(columns)


def _column_split(rng: Random, columns: list[bytes]) -> bytes:
    at = rng.randrange(len(columns))
    return b"\t".join([*columns[:at], b"annex " + columns[at], *columns[at + 1 :]])


def _one_of(pattern: bytes, words: list[bytes]) -> Spoiling:
    """One match of the pattern becomes one of the words."""

    def spoilt(rng: Random, data: bytes) -> bytes | None:
        found = [*re.finditer(pattern, data)]
        if not found:
            return None
        chosen = rng.choice(found)
        return data[: chosen.start()] + rng.choice(words) + data[chosen.end() :]

    return spoilt


type_changed = _one_of(rb'"(?:[^"\\]|\\.)*"(?!\s*:)|(?<=[:\s\[])-?\d[\d.e-]*', TYPES)
byte_changed = _one_of(
    rb"(?s).", [bytes([byte]) for byte in (0, 10, 34, 44, 58, 92, 123, 128, 255)]
)
STRUCTURE: list[Spoiling] = [
    lambda rng, data: data[: rng.randint(0, len(data))],
    lambda rng, data: rng.choice([b"", b"\n\n", b" "]),
    lambda rng, data: rng.choice(HEADS) + data,
    lambda rng, data: rng.choice(FOREIGN) + rng.choice([b"", data]),
    lambda rng, data: rng.choice(PACKED)(data),
    lambda rng, data: rng.choice(ARCHIVED)(data),
    _in_another_encoding,
    lambda rng, data: data.replace(b"\n", rng.choice([b"\r\n", b"\r", b"", b"\n\n", b"\x0b"])),
    lambda rng, data: data.replace(*rng.choice([(b"\t", b" "), (b" ", b"\t"), (b"\t", b","), (b" ", b"\xc2\xa0")])),
    _of_a_line(_column_dropped),
    _of_a_line(_column_split),
    type_changed,
    type_changed,
    byte_changed,
    lambda rng, data: data + rng.choice([data, b"{}", b"\x1a", b"\x00", b"# end"]),
]  # fmt: skip


def _lines_shuffled(rng: Random, data: bytes) -> bytes:
    head, *lines = data.splitlines(keepends=True)
    rng.shuffle(lines)
    return head + b"".join(lines)


number_changed = _one_of(
    rb"(?<=[\s:\[,])-?\d[\d.e-]*(?=[\s,\]}])|(?<=[=])-?\d[\d.]*(?=[\s,\]}])", NUMBERS
)
VALUES: list[Spoiling] = [
    number_changed,
    number_changed,
    _one_of(rb"\d", NUMBERS),
    _one_of(rb"\b[qd]\d+\b", IDS),
    _lines_shuffled,
]


def spoilt(rng: Random, data: bytes) -> tuple[str, bytes]:
    """The class, structure or value, and the spoilt file."""
    kind, ways = rng.choice([("structure", STRUCTURE), ("value", VALUES)])
    while True:
        found = rng.choice(ways)(rng, data)
        if found is not None and found != data:
            return kind, found
