"""The terms of a text that BM25 counts.

Words are those of UAX #29 as Lucene's StandardTokenizer has them, by the `regex` package's properties
of Unicode. The scripts are treated as follows:

- letters with their marks (Latin, Cyrillic, Greek, Arabic and Hebrew with vowel signs, Devanagari,
  Bengali, Tamil, Hangul, ...): one word up to the next space or punctuation; so are runs of Katakana;
- Han (beyond the basic plane, too) and Hiragana: each character is a word;
- Thai, Lao, Khmer, Burmese and their kin, whose words only a dictionary can part: a run between spaces
  (or zero-width spaces) is one word, and `needs_dictionary` is true;
- emoji: each sequence that is shown as a picture is a word. Symbols of text (such as the sign of a
  trademark, which Lucene takes for an emoji) and superscripts are none.

A word loses its invisible characters (soft hyphens, joiners, variation selectors), so that it matches however
it was set; Lucene keeps them. Then its language is applied: English is analyzed as by Lucene's EnglishAnalyzer
with the Porter stemmer (possessives stripped, lower case, 33 stop words); the others have lower case and
their Snowball stemmer and no stop words; "none" has lower case alone. Elisions (`l'avion`) stay whole,
and composed and decomposed letters are two.

Not covered: Lucene counts the 255 characters of the longest word in UTF-16.
"""

import re
from collections.abc import Iterator, Sequence
from functools import cache, lru_cache
from itertools import groupby
from typing import Any, NamedTuple

import regex
import Stemmer

from rankscope.core.errors import choose

STOP_WORDS = frozenset(
    [
        "a",
        "an",
        "and",
        "are",
        "as",
        "at",
        "be",
        "but",
        "by",
        "for",
        "if",
        "in",
        "into",
        "is",
        "it",
        "no",
        "not",
        "of",
        "on",
        "or",
        "such",
        "that",
        "the",
        "their",
        "then",
        "there",
        "these",
        "they",
        "this",
        "to",
        "was",
        "will",
        "with",
    ]
)
LONGEST_WORD = 255  # Lucene cuts longer ones into pieces of this length
REMEMBERED = 1 << 16
"""Pieces between spaces that are not ASCII, whose words are cached."""
LONGEST_REMEMBERED = 64

# -- words ---------------------------------------------------------------------------------------

ASCII_WORD = re.compile(
    r"\w+(?:(?:(?<=[A-Za-z])[.:'](?=[A-Za-z])|(?<=\d)[.,;'](?=\d))\w+)*", re.ASCII
)
"""The same words as WORD's where all is ASCII, several times as fast."""
_ATTACHED = r"[\p{WB=Extend}\p{WB=Format}\p{WB=ZWJ}]*+"
_LETTER = rf"(?:[\p{{WB=ALetter}}\p{{WB=Hebrew_Letter}}]{_ATTACHED})"
_HEBREW = r"\p{WB=Hebrew_Letter}"
_DIGIT = rf"(?:\p{{WB=Numeric}}{_ATTACHED})"
_KATAKANA = rf"(?:\p{{WB=Katakana}}{_ATTACHED})"
_CONNECTOR = rf"(?:\p{{WB=ExtendNumLet}}{_ATTACHED})"
_IN_WORDS = rf"(?:[:\p{{WB=MidLetter}}\p{{WB=MidNumLet}}\p{{WB=Single_Quote}}]{_ATTACHED})"
_IN_NUMBERS = rf"(?:[\p{{WB=MidNum}}\p{{WB=MidNumLet}}\p{{WB=Single_Quote}}]{_ATTACHED})"
_AFTER_HEBREW = rf"(?<={_HEBREW}[\p{{WB=Extend}}\p{{WB=Format}}\p{{WB=ZWJ}}]*)"
_QUOTED = rf"(?:(?=\"){_AFTER_HEBREW}\"{_ATTACHED}(?={_HEBREW}))"
_LETTERS = rf"(?:{_LETTER}++(?:(?:{_IN_WORDS}|{_QUOTED}){_LETTER}++)*+)"
_NUMBER = rf"(?:{_DIGIT}++(?:{_IN_NUMBERS}{_DIGIT}++)*+)"
_RUN = rf"(?:(?:{_LETTERS}|{_NUMBER})++|{_KATAKANA}++)"
_GERESH = rf"(?:(?='){_AFTER_HEBREW}'{_ATTACHED})?+"
_MODIFIED = rf"(?:\p{{Emoji_Modifier}}?+{_ATTACHED})"
_PICTURE = rf"(?:[\p{{Emoji_Presentation}}--\p{{Regional_Indicator}}]|[\p{{Emoji}}--[#*0-9]]\uFE0F){_MODIFIED}"
_EMOJI = (
    rf"(?:{_PICTURE}(?:(?<=\u200D[\p{{WB=Extend}}\p{{WB=Format}}]*)[\p{{Extended_Pictographic}}]{_MODIFIED})*+"
    rf"|\p{{Regional_Indicator}}{_ATTACHED}\p{{Regional_Indicator}}{_ATTACHED}|[#*]\uFE0F?\u20E3{_ATTACHED})"
)
WORD = regex.compile(
    rf"{_CONNECTOR}*+{_RUN}(?:{_CONNECTOR}++{_RUN})*+(?:{_CONNECTOR}++|{_GERESH})|{_CONNECTOR}++"
    rf"|(?:\p{{LB=SA}}{_ATTACHED})++|[\p{{Script=Han}}\p{{Script=Hiragana}}]{_ATTACHED}|{_EMOJI}",
    regex.V1,
)
UNSEGMENTED = regex.compile(r"\p{LB=SA}")
UNSEEN = regex.compile(
    r"[\p{Default_Ignorable_Code_Point}--[\U000E0020-\U000E007F]]+", regex.V1
)  # the tags left in tell the flag of Scotland from that of Wales


def needs_dictionary(text: str) -> bool:
    """Whether words stand in the text that only a dictionary could part (Thai, Khmer, Burmese, ...)."""
    return not text.isascii() and UNSEGMENTED.search(text) is not None


def words(text: str) -> list[str]:
    """The words of a text, in order, each as it stands there; the longest in pieces."""
    all_words: list[str] = []
    for piece in _pieces(text):
        all_words += ASCII_WORD.findall(piece) if piece.isascii() else _words_of(piece)
    if all(len(word) <= LONGEST_WORD for word in all_words):
        return all_words
    step = LONGEST_WORD
    return [word[at : at + step] for word in all_words for at in range(0, len(word), step)]


def _pieces(text: str) -> Iterator[str]:
    """The text in pieces, in order: each word between spaces that is not ASCII, and the ASCII text between those.

    No word has a space inside, so each is within a piece.
    """
    if text.isascii():
        yield text
        return
    for is_ascii, pieces in groupby(text.split(" "), str.isascii):
        if is_ascii:
            yield " ".join(pieces)
        else:
            yield from pieces


def _words_of(piece: str) -> Sequence[str]:
    return _remembered(piece) if len(piece) <= LONGEST_REMEMBERED else WORD.findall(piece)


@lru_cache(maxsize=REMEMBERED)
def _remembered(piece: str) -> tuple[str, ...]:
    return tuple(WORD.findall(piece))


# -- terms ---------------------------------------------------------------------------------------


class Language(NamedTuple):
    """The rules by which a word becomes a term: stemmer, stop words, possessives."""

    stemmer: str | None
    """Its name in Snowball; None: words stay as they are."""
    shortest: int = 0
    """Characters of the shortest word that is stemmed."""
    stop_words: frozenset[str] = frozenset()
    possessives: tuple[str, ...] = ()
    """Endings that are stripped off a word."""
    has_dotless_i: bool = False
    """Whether I is the capital of a dotless i."""


ENGLISH, NO_LANGUAGE = "english", "none"
LANGUAGES = {
    ENGLISH: Language(
        "porter", 3, STOP_WORDS, tuple(f"{mark}{s}" for mark in "'\u2019\uff07" for s in "sS")
    ),
    **{
        name: Language(name, has_dotless_i=name == "turkish")
        for name in Stemmer.algorithms()
        if name not in {ENGLISH, "porter", "dutch_porter"}
    },
    NO_LANGUAGE: Language(None),
}
"""English, every other language that PyStemmer has a stemmer for, and none."""


def analyzed(text: str, language: str = ENGLISH) -> list[str]:
    """The terms of a text, in order; UnknownChoice for a language that is not in `LANGUAGES`."""
    return [term for term in terms_of(words(text), language) if term is not None]


def terms_of(all_words: Sequence[str], language: str) -> list[str | None]:
    """The term of each word; None for a word that is not counted, such as a stop word.

    Raises UnknownChoice for a language that is not in `LANGUAGES`.
    """
    chosen = choose(LANGUAGES, language, what="language")
    lowered = [_lowered(word, chosen) for word in all_words]
    stems = lowered if chosen.stemmer is None else _stemmer(chosen.stemmer).stemWords(lowered)
    return [
        None
        if not word or word in chosen.stop_words
        else (stem if len(word) >= chosen.shortest else word)
        for word, stem in zip(lowered, stems, strict=True)
    ]


def _lowered(word: str, language: Language) -> str:
    """A word as it is compared: without invisible characters, a possessive and capitals."""
    if word.endswith(language.possessives):
        word = word[:-2]
    if language.has_dotless_i:
        word = word.replace("I\u0307", "i").replace("I", "\u0131")
    if word.isascii():
        return word.lower()
    seen: str = UNSEEN.sub("", word)
    return seen.lower().replace("i\u0307", "i")  # what the capital of a dotted i becomes


@cache
def _stemmer(name: str) -> Any:
    return Stemmer.Stemmer(name, 0)  # its own cache makes it slower
