"""Texts of docs as a prompt shows them: white space as single spaces, and cut after so many words or tokens."""

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, final

from rankscope.core.errors import BadInput
from rankscope.core.input_files import sha256_of

if TYPE_CHECKING:
    from tokenizers import Tokenizer

KEPT = 20_000
"""Passages kept in memory: a doc is shown in several windows."""


def tokenizer_file(path: Path) -> Path:
    """The `tokenizer.json` that a path, or the folder at it, names."""
    return path / "tokenizer.json" if path.is_dir() else path


def tokenizer_at(path: Path) -> "Tokenizer":
    """The tokenizer of a `tokenizer.json`, or of a folder that holds one. BadInput where there is none."""
    from tokenizers import Tokenizer

    file = tokenizer_file(path)
    if not file.is_file():
        raise BadInput(
            f"{file}: there is no such file. Give a model's tokenizer.json or its folder."
        )
    try:
        return Tokenizer.from_file(str(file))
    except Exception as error:  # tokenizers raises nothing more specific
        raise BadInput(
            f"{file}: no tokenizer can be read from it ({error}). Give a model's tokenizer.json."
        ) from error


def name_of_tokenizer(path: Path) -> str:
    """What identifies a tokenizer: its bytes."""
    return sha256_of(tokenizer_file(path))[:12]


@final
class Passages:
    """Passages by doc, and how many of those that were shown were cut."""

    def __init__(
        self,
        texts: Callable[[str], str],
        *,
        words: int | None = None,
        tokens: int | None = None,
        tokenizer: "Tokenizer | None" = None,
    ) -> None:
        assert tokens is None or tokenizer is not None
        self._texts, self._words, self._tokens, self._tokenizer = texts, words, tokens, tokenizer
        self._is_cut: dict[str, bool] = {}
        self.text = lru_cache(maxsize=KEPT)(self._text)

    @property
    def n_shown(self) -> int:
        """Docs that were shown."""
        return len(self._is_cut)

    @property
    def n_cut(self) -> int:
        """Docs of which the end was not shown."""
        return sum(self._is_cut.values())

    def _text(self, doc_id: str) -> str:
        words = self._texts(doc_id).split()
        whole = " ".join(words)
        shown = whole
        if self._words is not None:
            shown = " ".join(words[: self._words])
        elif self._tokens is not None and self._tokenizer is not None:
            ends = self._tokenizer.encode(whole, add_special_tokens=False).offsets
            if len(ends) > self._tokens:
                shown = whole[: ends[self._tokens - 1][1]].rstrip()
        self._is_cut[doc_id] = len(shown) < len(whole)
        return shown
