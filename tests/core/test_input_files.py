"""Packed files are told by their first bytes, whatever they are called; what is no text is named."""

import bz2
import gzip
import io
import lzma
import os
import sys
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from rankscope.core import input_files
from rankscope.core.errors import BadInput
from rankscope.core.formats import read_qrels, read_run
from rankscope.core.lines import read_lines
from rankscope.data.collections import LocalFiles

RUN = b"q1 Q0 d1 1 2.0 t\nq1 Q0 d2 2 1.0 t\n"
WAYS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "gzip, in two parts": lambda data: gzip.compress(data[:20]) + gzip.compress(data[20:]),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", ["packed", "a.run", "a.run.gz", "a.json", "a.xz"])
def test_what_is_packed_is_read_under_any_name(tmp_path: Path, way: str, name: str) -> None:
    (tmp_path / "plain.run").write_bytes(RUN)
    (tmp_path / name).write_bytes(WAYS[way](RUN))
    assert read_run(tmp_path / name) == read_run(tmp_path / "plain.run")


@pytest.mark.parametrize("way", WAYS)
def test_every_door_unpacks(tmp_path: Path, way: str) -> None:
    """Qrels, JSON lines and TSV; the study's records read their files through these."""
    files = {
        "docs": b'{"_id": "d1", "text": "a"}\n', "queries": b"q1\twhat\n", "qrels": b"q1\t0\td1\t2\n",
    }  # fmt: skip
    for name, data in files.items():
        (tmp_path / name).write_bytes(WAYS[way](data))
    source = LocalFiles(*(tmp_path / name for name in files))
    assert [doc.text for doc in source.docs()] == ["a"]
    assert [query.text for query in source.queries()] == ["what"]
    assert source.qrels() == read_qrels(tmp_path / "qrels")


def zipped(data: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a.run", data)
    return file.getvalue()


def tarred(data: bytes, mode: str) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode=mode) as archive:  # type: ignore[call-overload]
        entry = tarfile.TarInfo("a.run")
        entry.size = len(data)
        archive.addfile(entry, io.BytesIO(data))
    return file.getvalue()


FOREIGN: dict[str, tuple[bytes, str]] = {
    "zip": (zipped(RUN), r"it is a zip archive .*Unpack it"),
    "tar": (tarred(RUN, "w"), r"it is a tar archive\. Unpack it"),
    "tar.gz": (tarred(RUN, "w:gz"), r"it is a tar archive, packed by gzip\. Unpack it"),
    "tar.xz": (tarred(RUN, "w:xz"), r"it is a tar archive, packed by xz\. Unpack it"),
    "twice": (gzip.compress(bz2.compress(RUN)), r"packed twice, by gzip and within by bzip2\. Unpack it once"),
    "7z": (b"7z\xbc\xaf\x27\x1c" + bytes(9), r"it is a 7z archive"),
    "compress": (b"\x1f\x9d\x90" + bytes(9), r"packed by compress\. Unpack it: gzip -d"),
    "lz4": (b"\x04\x22\x4d\x18" + bytes(9), r"packed by lz4\. Unpack it: lz4 -d"),
    "pickle": (b"\x80\x04\x95" + bytes(9), r"a pickle, which is never read"),
    "NumPy": (b"\x93NUMPY\x01\x00", r"an array of NumPy"),
    "PDF": (b"%PDF-1.7\n", r"it is a PDF"),
    "web page": (b"\n<!DOCTYPE html>\n<html>", r"a web page, as a download gives .*Fetch the file itself"),
    "Git LFS": (b"version https://git-lfs.github.com/spec/v1\n", r"a pointer of Git LFS.*git lfs pull"),
    "SQLite": (b"SQLite format 3\0", r"an SQLite database"),
    "UTF-16": ("q1 Q0 d1 1 2 t\n".encode("utf-16"), r"it is UTF-16\. Convert it to UTF-8"),
    "zlib": (zlib.compress(RUN), r"packed by zlib\. Pack it by gzip instead"),
    "lz4 of old": (b"\x02\x21\x4c\x18" + bytes(9), r"packed by lz4\. Unpack it: lz4 -d"),
    "bytes of any kind": (b"\x8b\x07\x80abc\x03", r"it is no text: it begins with the bytes 8b 07 80 61\. Give it"),
    "the same, packed": (gzip.compress(b"\x8b\x07\x80abc\x03"), r"it is no text, packed by gzip: it begins with"),
    "half": (gzip.compress(RUN * 99)[:60], r"damaged or cut short .*Fetch it again, or unpack it"),
    "half of xz": (lzma.compress(RUN)[:50], r"damaged or cut short"),
    "flipped": (bz2.compress(RUN)[:20] + b"\xff\xff" + bz2.compress(RUN)[22:], r"cannot be read|damaged"),
    "plain, called .gz": (RUN, r"Not a gzipped file, though its name ends in \.gz"),
}  # fmt: skip


@pytest.mark.parametrize("what", FOREIGN)
def test_what_is_no_text_is_named_with_a_remedy(tmp_path: Path, what: str) -> None:
    data, message = FOREIGN[what]
    path = tmp_path / ("a.run.gz" if what.endswith(".gz") else "a.run")
    path.write_bytes(data)
    for read in (read_run, read_qrels, lambda path: list(read_lines(path))):
        with pytest.raises(BadInput, match=message) as caught:
            read(path)
        assert str(caught.value).startswith(str(path))


@pytest.mark.parametrize("pack", [bz2.compress, lzma.compress, gzip.compress])
def test_what_is_packed_in_several_streams_is_told_by_all_of_them(
    tmp_path: Path, pack: Callable[[bytes], bytes]
) -> None:
    """A first stream of one byte hid that a tar archive was packed."""
    archive = tarred(RUN, "w")
    path = tmp_path / "a.run"
    path.write_bytes(pack(archive[:1]) + pack(archive[1:]))
    with pytest.raises(BadInput, match="it is a tar archive, packed by"):
        read_run(path)


def test_columns_are_counted_in_text_alone(tmp_path: Path) -> None:
    """Before: "expected 6 columns, found 1", of a line in which there are none. A character cut by the head is no fault."""
    path = tmp_path / "a.run"
    for data, said in ((b"caf\xe9 1\n", "not readable as UTF-8 text"), (bytes(100), "holds a NUL")):
        path.write_bytes(data)
        for read in (read_run, read_qrels):
            with pytest.raises(BadInput, match=f"line 1: .*{said}"):
                read(path)
    path.write_bytes(b"q1 Q0 \x1f" + "é".encode() * 600 + b" 1 2.0 t\n")
    assert len(read_run(path).rankings["q1"]) == 1


@pytest.mark.skipif(sys.version_info >= (3, 14), reason="from 3.14 on it is read")
def test_zstd_is_named_where_python_has_none(tmp_path: Path) -> None:
    (tmp_path / "a.run.zst").write_bytes(b"\x28\xb5\x2f\xfd" + bytes(9))
    with pytest.raises(BadInput, match=r"packed by zstd, which Python before 3\.14 .*zstd -d"):
        read_run(tmp_path / "a.run.zst")


def test_reading_stops_where_no_text_packs_so_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """3 MB that unpack to 3 GB, in small: 10 MB of one byte in 10 kB, with 1 MB always read."""
    monkeypatch.setattr(input_files, "ALWAYS_READ", 1_000_000)
    bomb = gzip.compress(b"\n" * 10_000_000)
    (tmp_path / "a.run").write_bytes(bomb)
    for read in (read_run, lambda path: list(read_lines(path))):
        with pytest.raises(
            BadInput, match=r"unpacks to more than 1 MB, 100 times .*unpack it \(gzip -d\)"
        ):
            read(tmp_path / "a.run")
    (tmp_path / "a.run").write_bytes(gzip.compress(RUN))
    assert len(read_run(tmp_path / "a.run").rankings["q1"]) == 2


def test_a_pipe_is_refused_as_it_cannot_be_read_twice(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(BadInput, match="a pipe or a device"):
        read_run(tmp_path / "pipe")


def test_a_path_that_no_file_can_have_is_one_sentence() -> None:
    for path in ("a\0b", "a" * 5000):
        with pytest.raises(BadInput):
            read_run(path)


@pytest.mark.parametrize("way", ["bzip2", "xz"])
@pytest.mark.parametrize("rest", ["damaged", "cut", "foreign"])
def test_a_damaged_part_behind_a_whole_one_is_not_left_out(
    tmp_path: Path, way: str, rest: str
) -> None:
    """Python leaves out what follows the first stream if it is none: a run lost its second half, without a word."""
    first, second = (WAYS[way](line + b"\n") for line in RUN.split(b"\n")[:2])
    follows = {"damaged": b"?" + second[1:], "cut": second[:9], "foreign": b"garbage behind it"}
    (tmp_path / "whole").write_bytes(first + second)
    assert len(read_run(tmp_path / "whole").rankings["q1"]) == 2
    (tmp_path / "spoilt").write_bytes(first + follows[rest])
    with pytest.raises(BadInput, match="spoilt: it is damaged or cut short"):
        read_run(tmp_path / "spoilt")
    (tmp_path / "padded").write_bytes(first + second + bytes(8))
    assert read_run(tmp_path / "padded").rankings == read_run(tmp_path / "whole").rankings
