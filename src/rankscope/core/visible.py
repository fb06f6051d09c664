"""Users' texts made safe to show: characters that would steer a terminal or a page are written out, secrets left out.

A tag, a path or a message may hold an escape code, a newline, a character that turns the order of the rest
around, or one that nobody sees. Joiners, soft hyphens and the marks that Arabic and Hebrew need stay.

The secrets of a process, such as a server's key, are kept here, since a traceback is written where nobody knows of a key:
whoever reads one calls `hide`, and whatever writes a text that may hold one calls `redacted`.
"""

import re
import unicodedata
from typing import Any

WRITTEN = {"Cc", "Cs", "Zl", "Zp"}
"""Categories of Unicode that are written out: controls, half characters, separators of lines."""
STEERING = frozenset(
    [
        *map(chr, range(0x202A, 0x202F)),  # embeddings and overrides of direction
        *map(chr, range(0x2066, 0x206A)),  # isolates
        *map(chr, range(0xFFF9, 0xFFFC)),  # interlinear notes
        *map(chr, range(0xE0000, 0xE0080)),  # tags, which nobody sees
        *"\u200b\u2060\ufeff",  # of no width
    ]
)
PLAIN = re.compile(r"[ -~]*")
LONGEST = 60
"""Characters of a value that a message shows."""
LONGEST_NAME, LONGEST_PATH = 255, 700
"""Characters of a name and of a path that a message still shows whole."""
NAME = re.compile(rf"[^\s/'\"]{{{LONGEST_NAME + 1},}}")
PATH = re.compile(rf"\S{{{LONGEST_PATH + 1},}}")
AFTER = ".,:;)"
"""What may stand behind a name in a sentence."""


def visible(text: str, *, keep: str = "") -> str:
    r"""The text on one line, controls as their pictures (␛ for the escape), all else as in `\u202e`."""
    if PLAIN.fullmatch(text):
        return text
    return "".join(character if character in keep else _shown(character) for character in text)


def visible_lines(text: str) -> str:
    """The same for a text that may have newlines and tabs."""
    return visible(text, keep="\n\t")


def shortened(text: str, longest: int) -> str:
    """The text; of a longer one the beginning, and its length."""
    return text if len(text) <= longest else f"{text[:longest]}… ({len(text):,} characters)"


def with_short_words(text: str) -> str:
    """A message whose long names are shortened to their beginning, and its long paths to their beginning and end.

    A name is what stands between white space, slashes and quotes; no file's is longer than 255 bytes.
    """
    if len(text) <= LONGEST_NAME:
        return text
    return PATH.sub(_both_ends, NAME.sub(_beginning, text))


def _beginning(match: re.Match[str]) -> str:
    name, after = _parted(match[0])
    return shortened(name, LONGEST) + after


def _both_ends(match: re.Match[str]) -> str:
    path, after = _parted(match[0])
    return f"{shortened(path, LONGEST)} …{path[-LONGEST:]}{after}"


def _parted(word: str) -> tuple[str, str]:
    """A word, and what of the sentence stands behind it."""
    end = word[-3:]
    after = end[len(end.rstrip(AFTER)) :]
    return word[: len(word) - len(after)], after


def brief(value: Any) -> str:
    """A user's value inside a sentence: shortened, and in quotes if it is text."""
    text = value if isinstance(value, str) else _as_written(value)
    if len(text) > LONGEST:
        text = shortened(text, LONGEST - 20)
    return repr(text) if isinstance(value, str) else visible(text)


def _as_written(value: Any) -> str:
    """As a study file has it: true and not True; a list or table by its kind alone."""
    if isinstance(value, bool):
        return str(value).lower()
    if value is None:
        return "nothing"
    if isinstance(value, dict):
        return "a table"
    return "a list" if isinstance(value, list | tuple) else str(value)


def _shown(character: str) -> str:
    if character not in STEERING and unicodedata.category(character) not in WRITTEN:
        return character
    code = ord(character)
    if code < 0x20:
        return chr(0x2400 + code)
    if code == 0x7F:
        return "␡"
    return character.encode("unicode_escape", "surrogatepass").decode("ascii")


# -- secrets ----------------------------------------------------------------------------------------

HIDDEN = "[hidden]"
SHORTEST = 6
"""Characters; a shorter word (`none`, `EMPTY`, as local servers take them) is no secret: to replace it would spoil others."""

_secrets: set[str] = set()


def hide(secret: str | None) -> None:
    """Keep a secret out of every text from now on, in each form in which it may be written."""
    import base64
    import json
    from urllib.parse import quote, quote_plus, unquote, unquote_plus

    if secret is None or len(secret.strip()) < SHORTEST:
        return
    for plain in {secret, secret.strip(), unquote(secret), unquote_plus(secret)}:
        forms = (plain, quote(plain, safe=""), quote(plain), quote_plus(plain))
        _secrets.update(form for form in (*forms, json.dumps(plain)[1:-1]) if len(form) >= SHORTEST)
        _secrets.add(base64.b64encode(plain.encode(errors="surrogatepass")).decode())


ADDRESS = re.compile(r"\b[a-zA-Z][a-zA-Z0-9+.-]{0,20}://[^\s\"<>]+")
LOGIN = re.compile(r"(?<=://)[^/?#]*(?=@)")
QUERY_VALUE = re.compile(r"(?<=[?&])([^=&#]*=)[^&#'}]+")
NAMED_SECRET = re.compile(
    r"""\b((?:api[_-]?key|(?:access[_-]|auth[_-])?token|password|secret)["']?\s*[:=]\s*["']?|bearer\s+)(?!\[hidden\])[^\s"',}\]]+""",
    re.IGNORECASE,
)
KNOWN_KEY = re.compile(
    r"\b(?:sk-[\w-]{16,}|hf_[A-Za-z0-9]{16,}|gh[a-z]_[A-Za-z0-9]{20,}|AKIA[A-Z0-9]{16})"
)
"""Keys of servers and hubs that are known by how they begin."""


def without_secrets(text: str) -> str:
    """A user's own text for a page that others see: hidden secrets, and what looks like one, are replaced.

    The latter are logins and query values of addresses, what is named an API key, a token, a password or a secret, and
    keys of known forms, whether or not this process was given them.
    """
    text = ADDRESS.sub(_without_login, redacted(text))
    return KNOWN_KEY.sub(HIDDEN, NAMED_SECRET.sub(rf"\g<1>{HIDDEN}", text))


def _without_login(address: re.Match[str]) -> str:
    return QUERY_VALUE.sub(rf"\g<1>{HIDDEN}", LOGIN.sub(HIDDEN, address[0]))


def redacted(text: str) -> str:
    """The text with every hidden secret replaced, the longest first: one may hold another."""
    for form in sorted(_secrets, key=len, reverse=True):
        text = text.replace(form, HIDDEN)
    return text
