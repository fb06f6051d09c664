"""YAML to plain values: bounded before anything is expanded, and strict where readers of YAML guess.

It reads tables whose names are text, lists, text, numbers, true and false, nothing; anchors, aliases and `<<`. An alias
gives a copy each time it is used, and the copy counts.

It refuses, with the line: a name that stands twice, tags, several documents, control characters, a number with a
leading 0, and whatever is larger or deeper than the bounds below. Dates and times of day are text: no file of ours
means a date, and 2026-02-31 is none.
"""

import re
import stat
from collections.abc import Callable, Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any, NamedTuple, final

import yaml

from rankscope.core.errors import BadInput
from rankscope.core.input_files import what_it_is
from rankscope.core.visible import brief, visible

N_BYTES = 1_000_000
N_VALUES = 20_000
"""Values in a file; the copies that aliases give count too."""
DEPTH = 40
N_CHARACTERS = 10_000
N_DIGITS = 25
ENCODINGS = {
    b"\xff\xfe\x00\x00": "utf-32",
    b"\x00\x00\xfe\xff": "utf-32",
    b"\xff\xfe": "utf-16",
    b"\xfe\xff": "utf-16",
}
"""By the byte order mark; without one a file is UTF-8."""
CONTROL = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
DIRECTIVE = re.compile("^%(?!YAML[ \t])", re.MULTILINE)
MERGE = "<<"
NOTHING = {"", "~", "null", "Null", "NULL"}
TRUTH = {
    spelt: word in {"yes", "true", "on"}
    for word in ("yes", "no", "true", "false", "on", "off")
    for spelt in (word, word.capitalize(), word.upper())
}
"""As YAML 1.1 has it."""
NUMBERS: tuple[tuple[re.Pattern[str], Callable[[str], int | float]], ...] = (
    (re.compile("[-+]?(0|[1-9][0-9]*)"), int),
    (re.compile("[-+]?(0x[0-9a-fA-F]+|0b[01]+)"), lambda text: int(text, 0)),
    (re.compile(r"[-+]?([0-9]+\.[0-9]*|\.[0-9]+)([eE][-+][0-9]+)?"), float),
    (re.compile(r"[-+]?\.(inf|Inf|INF)"), lambda text: float(text.replace(".", ""))),
    (re.compile(r"\.(nan|NaN|NAN)"), lambda _: float("nan")),
)
LEADING_ZERO = re.compile("[-+]?0[0-9]+")
PARSER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def read_file(path: Path) -> Any:
    """The values in a file; BadInput with the place of a mistake."""
    return read(text_of(path), str(path))


def read(text: str, called: str, *, has_lines: bool = True) -> Any:
    """The values in a text. Messages begin with `called`, and name the line if `has_lines`."""
    return _YamlReading(text, called, has_lines=has_lines).whole()


def text_of(path: Path) -> str:
    """The text of a file of YAML; BadInput where it is no file of text, FileNotFoundError where there is none."""
    try:
        kind = path.stat().st_mode
        if not stat.S_ISREG(kind):
            raise BadInput(
                f"{path}: cannot be read, for it is {what_it_is(kind)}. Give a file of text."
            )
        with path.open("rb") as file:
            data = file.read(N_BYTES + 1)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise BadInput(
            f"{path}: cannot be read ({error.strerror}). Give a file of text."
        ) from error
    if len(data) > N_BYTES:
        raise BadInput(
            f"{path}: larger than {N_BYTES:,} bytes, which no such file needs. Give the right file."
        )
    return _decoded(data, path)


def _decoded(data: bytes, path: Path) -> str:
    encoding = next((name for mark, name in ENCODINGS.items() if data.startswith(mark)), "utf-8")
    try:
        return data.decode(encoding).removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise BadInput(
            f"{path}, line {line}: the byte 0x{data[error.start]:02x} is not {encoding.upper()}. Save the file in UTF-8."
        ) from error


class _Built(NamedTuple):
    """A value, how many values it is made of, and how deep they lie."""

    value: Any
    n_values: int = 1
    depth: int = 1


@final
class _YamlReading:
    """Reads one text event by event; values are counted before they are built."""

    def __init__(self, text: str, called: str, *, has_lines: bool) -> None:
        self.text, self.called, self.has_lines = text, called, has_lines
        self.anchors: dict[str, _Built | None] = {}
        self.n_values = 0
        self.events: Iterator[Any] = iter(())

    def whole(self) -> Any:
        """The one document of the text."""
        for pattern, wrong in ((CONTROL, self._control), (DIRECTIVE, self._directive)):
            if match := pattern.search(self.text):
                raise wrong(match)
        self.events = self._events()
        value: Any = None
        n_documents = 0
        for event in self.events:
            if isinstance(event, yaml.DocumentStartEvent):
                n_documents += 1
                if n_documents > 1:
                    raise self.wrong(event, "a second document begins here. Keep one to a file")
            elif not isinstance(event, yaml.StreamStartEvent | yaml.StreamEndEvent):
                value = (
                    value if isinstance(event, yaml.DocumentEndEvent) else self.built(event, 1)[0]
                )
        return value

    def _events(self) -> Iterator[Any]:
        try:
            yield from yaml.parse(self.text, Loader=PARSER)
        except yaml.YAMLError as error:
            raise self._no_yaml(error) from error
        except (
            ValueError,
            OverflowError,
        ) as error:  # an escape that is no character, to the parser in Python
            raise self.wrong(None, f"not YAML ({error}). Mend it") from error

    def wrong(self, event: Any, sentence: str) -> BadInput:
        """A mistake with its place."""
        line = None if event is None else event.start_mark.line + 1
        return self._at(line, sentence)

    def _at(self, line: int | None, sentence: str) -> BadInput:
        place = f", line {line}" if self.has_lines and line is not None else ""
        return BadInput(f"{self.called}{place}: {sentence}.")

    def _line(self, position: int) -> int:
        return self.text.count("\n", 0, position) + 1

    def _control(self, match: re.Match[str]) -> BadInput:
        code = f"U+{ord(match[0]):04X}"
        return self._at(
            self._line(match.start()),
            f"the character {code} stands here, which no text has. Take it out, or save the file as text in UTF-8",
        )

    def _directive(self, match: re.Match[str]) -> BadInput:
        return self._at(
            self._line(match.start()), "`%` begins a directive, which is not read. Drop it"
        )

    def _no_yaml(self, error: yaml.YAMLError) -> BadInput:
        mark = getattr(error, "problem_mark", None)
        line = None if mark is None else mark.line + 1
        lines = self.text.split("\n")
        written = lines[line - 1] if line is not None and line <= len(lines) else ""
        if written.lstrip(" ").startswith("\t"):
            return self._at(line, "the line is indented by a tab. Indent it by spaces")
        reason = visible(getattr(error, "problem", None) or "it cannot be read")
        return self._at(
            line, f"not YAML ({reason}). Mend {'that line' if self.has_lines else 'it'}"
        )

    # -- values --

    def built(self, event: Any, level: int) -> _Built:
        """The value that begins with an event; an anchor it has can be used from then on."""
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event, level)
        self._count(event, 1)
        if level > DEPTH:
            raise self.wrong(
                event, f"more than {DEPTH} tables and lists lie in one another here. Flatten them"
            )
        anchor = event.anchor
        if anchor is not None:
            self.anchors[anchor] = None
        if isinstance(event, yaml.ScalarEvent):
            value = _Built(self._scalar(event))
        elif event.tag not in (None, "!", "tag:yaml.org,2002:map", "tag:yaml.org,2002:seq"):
            raise self._tagged(event)
        elif isinstance(event, yaml.SequenceStartEvent):
            value = self._list(level)
        else:
            value = self._table(level)
        if anchor is not None:
            self.anchors[anchor] = value
        return value

    def _count(self, event: Any, n: int) -> None:
        self.n_values += n
        if self.n_values > N_VALUES:
            raise self.wrong(
                event,
                f"the file stands for more than {N_VALUES:,} values, with what its aliases stand for. Write less",
            )

    def _alias(self, event: Any, level: int) -> _Built:
        name = visible(event.anchor)
        if event.anchor not in self.anchors:
            raise self.wrong(event, f"no anchor `&{name}` stands before `*{name}`. Mend the name")
        anchored = self.anchors[event.anchor]
        if anchored is None:
            raise self.wrong(event, f"`*{name}` stands inside what it stands for. Take it out")
        self._count(event, anchored.n_values)
        if level + anchored.depth - 1 > DEPTH:
            raise self.wrong(
                event,
                f"with `*{name}` more than {DEPTH} tables and lists lie in one another. Flatten them",
            )
        return anchored._replace(value=deepcopy(anchored.value))

    def _list(self, level: int) -> _Built:
        items = []
        for event in self.events:
            if isinstance(event, yaml.SequenceEndEvent):
                break
            items.append(self.built(event, level + 1))
        return _around([item.value for item in items], items)

    def _table(self, level: int) -> _Built:
        merged: dict[str, Any] = {}
        own: dict[str, Any] = {}
        lines: dict[str, int] = {}
        parts = []
        for event in self.events:
            if isinstance(event, yaml.MappingEndEvent):
                break
            name = self._name(event)
            if name in lines:
                again = "Write `<<: [*a, *b]`" if name == MERGE else "Keep one"
                raise self.wrong(
                    event,
                    f"{brief(name)} stands in this table twice (first on line {lines[name]}). {again}",
                )
            lines[name] = event.start_mark.line + 1
            part = self.built(next(self.events), level + 1)
            parts.append(part)
            if name == MERGE and not getattr(event, "style", None):
                merged = self._merged(event, part.value)
            else:
                own[name] = part.value
        return _around({**merged, **own}, parts)

    def _merged(self, event: Any, value: Any) -> dict[str, Any]:
        tables = value if isinstance(value, list) else [value]
        if not all(isinstance(table, dict) for table in tables):
            raise self.wrong(
                event, "`<<` takes over a table, and something else stands here. Give a table"
            )
        merged: dict[str, Any] = {}
        for table in reversed(tables):  # the first goes before the others
            merged |= table
        return merged

    def _name(self, event: Any) -> str:
        if isinstance(event, yaml.AliasEvent):
            value = self._alias(event, 1).value
        elif isinstance(event, yaml.ScalarEvent):
            value = self.built(event, 1).value
        else:
            raise self.wrong(event, "a list or table stands where a name is needed. Give a text")
        if value is None:
            raise self.wrong(event, "a name is needed before the colon. Give one")
        if not isinstance(value, str):
            written = visible(getattr(event, "value", None) or f"*{event.anchor}")
            raise self.wrong(event, f"the name `{written}` is no text to YAML. Put it into quotes")
        return value

    def _scalar(self, event: Any) -> Any:
        text: str = event.value
        if event.tag is not None and event.tag not in ("!", "tag:yaml.org,2002:str"):
            raise self._tagged(event)
        if len(text) > N_CHARACTERS:
            raise self.wrong(
                event,
                f"a text of {len(text):,} characters, where {N_CHARACTERS:,} are the most. Shorten it",
            )
        if event.style or event.tag is not None:
            if match := CONTROL.search(text):
                raise self.wrong(
                    event,
                    f"the text holds the character U+{ord(match[0]):04X}, which no text has. Take it out",
                )
            return text
        return self._plain(event, text)

    def _plain(self, event: Any, text: str) -> Any:
        if text in NOTHING:
            return None
        if text in TRUTH:
            return TRUTH[text]
        digits = text.replace("_", "") if text[0] in "+-.0123456789" else text
        if LEADING_ZERO.fullmatch(digits):
            raise self.wrong(
                event,
                f"{brief(text)} begins with a 0, which some readers take for a number in base 8. "
                "Drop the 0, or put it into quotes if it is text",
            )
        for pattern, number in NUMBERS:
            if pattern.fullmatch(digits):
                if len(digits) > N_DIGITS:
                    raise self.wrong(
                        event,
                        f"a number of {len(digits):,} characters, where {N_DIGITS} are the most. Shorten it, or put it into quotes if it is text",
                    )
                return number(digits)
        return text

    def _tagged(self, event: Any) -> BadInput:
        return self.wrong(
            event, f"the tag {brief(event.tag)} is not read. Write the value without it"
        )


def _around(value: Any, parts: list[_Built]) -> _Built:
    n_values = 1 + sum(part.n_values for part in parts)
    return _Built(value, n_values, 1 + max((part.depth for part in parts), default=0))
