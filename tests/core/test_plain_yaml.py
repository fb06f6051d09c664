import os
import socket
from pathlib import Path
from typing import Any

import pytest

from rankscope.core import plain_yaml
from rankscope.core.errors import BadInput

LAUGHS = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 9)
)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("{a: 1, b: 1.5, c: 1e-5, d: 1.0e-5, e: fast}", {"a": 1, "b": 1.5, "c": "1e-5", "d": 1e-5, "e": "fast"}),
        ("[yes, Off, ~, null, '5', !!str 7, +3, -0x1f, 1_000, _1]", [True, False, None, None, "5", "7", 3, -31, 1000, "_1"]),
        ("[2026-02-31, 12:30:00]", ["2026-02-31", "12:30:00"]),
        ("a: &a {x: 1, y: 2}\nb: {<<: *a, y: 3}", {"a": {"x": 1, "y": 2}, "b": {"x": 1, "y": 3}}),
        ("[&a {x: 1}, &b {x: 2, z: 1}, {<<: [*a, *b]}]", [{"x": 1}, {"x": 2, "z": 1}, {"x": 1, "z": 1}]),
        ("%YAML 1.2\n---\na: |\n  two\n  lines\n", {"a": "two\nlines\n"}),
        ("", None),
        ("# nothing", None),
    ],
)  # fmt: skip
def test_plain_values(text: str, value: Any) -> None:
    assert plain_yaml.read(text, "s.yaml") == value


def test_what_an_alias_stands_for_is_a_copy() -> None:
    found = plain_yaml.read("a: &a {x: [1]}\nb: *a", "s.yaml")
    found["b"]["x"].append(2)
    assert found["a"] == {"x": [1]}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (LAUGHS, r"line 5: the file stands for more than 20,000 values, with what its aliases"),
        ("a: [" + "1," * 30_000 + "]", "more than 20,000 values"),
        ("a: 1\nb: &b [*b]", r"line 2: `\*b` stands inside what it stands for"),
        ("a: &b {c: {d: *b}}", r"line 1: `\*b` stands inside what it stands for"),
        ("a: *b", r"line 1: no anchor `&b` stands before `\*b`"),
        ("a: " + "[" * 800 + "]" * 800, "line 1: more than 40 tables and lists"),
        ("a: " + "[" * 400_000, "more than 40 tables and lists"),
        ("".join(" " * n + "a:\n" for n in range(900)), "line 41: more than 40"),
        ("- " * 5000 + "a", "more than 40"),
        (f"a: &a {'[' * 25}{']' * 25}\nb: {'[' * 25}*a{']' * 25}", r"line 2: with `\*a` more than 40"),
        ("seed: " + "9" * 6000, "line 1: a number of 6,000 characters"),
        ("seed: 010", "begins with a 0"),
        ("a: 1\nb: 2\na: 3", r"line 3: 'a' stands in this table twice \(first on line 1\)"),
        ("a: &a {}\nb:\n  <<: *a\n  <<: *a", r"line 4: .* twice .*Write `<<: \[\*a, \*b\]`"),
        ("b: {<<: 3}", "`<<` takes over a table"),
        ("a:\n\tb: 1", "line 2: the line is indented by a tab"),
        ("a: 1\nb: !!python/object/apply:os.system [ls]", "line 2: the tag .* is not read"),
        ("a: !!binary aGk=", "the tag .* is not read"),
        ("a: !mine {}", "the tag .* is not read"),
        ("%TAG !a! b\n" * 50_000 + "a: 1", "line 1: `%` begins a directive"),
        ("a: 1\n---\nb: 1", "line 2: a second document"),
        ('a: "x\\0y"', r"the text holds the character U\+0000"),
        ('a: "\\e[31m"', r"the text holds the character U\+001B"),
        ("a: 1\nb: \0", r"line 2: the character U\+0000"),
        ('a: "\\ud83d"', "line 1: not YAML"),
        ('a: "\\UFFFFFFFF"', "line 1: not YAML"),
        ("2019: 1", "line 1: the name `2019` is no text to YAML. Put it into quotes"),
        ("on: 1", "the name `on` is no text to YAML"),
        ("? [a]\n: 1", "a list or table stands where a name is needed"),
        ("{'': 1, ~: 2}", "a name is needed before the colon"),
        ("a: " + "x" * 20_000, "a text of 20,000 characters"),
        ("a: [1\n", "line 2: not YAML"),
        ("a: b: c", "line 1: not YAML"),
    ],
)  # fmt: skip
def test_what_is_not_read_is_told_with_its_line(text: str, message: str) -> None:
    with pytest.raises(BadInput, match=message) as caught:
        plain_yaml.read(text, "s.yaml")
    assert str(caught.value).startswith("s.yaml")
    assert len(str(caught.value)) < 250


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_encodings_that_say_what_they_are(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "s.yaml").write_text("a: Zürich 東京", encoding)
    assert plain_yaml.read_file(tmp_path / "s.yaml") == {"a": "Zürich 東京"}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("a: 1\nb: Zürich".encode("latin-1"), "line 2: the byte 0xfc is not UTF-8"),
        ("a: 1".encode("utf-16-le"), r"line 1: the character U\+0000"),
        (b"\x7fELF\x02\x01\x01\x00", r"the character U\+007F"),
        (b"a: " + b"x" * 1_000_001, "larger than 1,000,000 bytes"),
    ],
)
def test_a_file_that_is_no_text(tmp_path: Path, data: bytes, message: str) -> None:
    (tmp_path / "s.yaml").write_bytes(data)
    with pytest.raises(BadInput, match=message):
        plain_yaml.read_file(tmp_path / "s.yaml")


def test_what_is_no_file_is_not_opened(tmp_path: Path) -> None:
    """A pipe without a writer would never answer."""
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "socket"))
        for path, what in {
            tmp_path: "a folder",
            tmp_path / "pipe": "a pipe",
            tmp_path / "socket": "a socket",
            Path("/dev/zero"): "a device",
        }.items():
            with pytest.raises(BadInput, match=f"cannot be read, for it is {what}"):
                plain_yaml.read_file(path)
    with pytest.raises(BadInput, match="File name too long"):
        plain_yaml.read_file(tmp_path / ("x" * 300))
