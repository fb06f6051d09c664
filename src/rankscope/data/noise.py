"""Noise as users type it, put into queries: one typo in a word, two neighbouring words the wrong way round.

A typo is one of the five of Zhuang & Zuccon (2021): a letter too many, one too few, another letter, two
letters the wrong way round, or the letter beside it on the keyboard.
"""

from collections.abc import Callable, Sequence
from random import Random
from string import ascii_lowercase, punctuation
from typing import Literal

NoiseKind = Literal["typos", "word_order"]
SHORTEST = 4
"""Letters of a word that may get a typo: shorter ones would become other words."""
CROP_WORDS = (3, 7)
"""Fewest and most words of a crop."""
KEYBOARD = ("qwertyuiop", "asdfghjkl", "zxcvbnm")


def noisy(text: str, kinds: Sequence[NoiseKind], rng: Random) -> str:
    """The text with one noise of one of the kinds; as it is where there is no place for it."""
    words = text.split()
    done = NOISES[rng.choice(kinds)](words, rng)
    return " ".join(done) if done != words else text


def short_crop(text: str, rng: Random) -> str:
    """A few words running out of a text, as a query would have them: lower case, no marks around words."""
    words = [word for word in (part.strip(punctuation).lower() for part in text.split()) if word]
    n = min(rng.randint(*CROP_WORDS), len(words))
    start = rng.randint(0, len(words) - n)
    return " ".join(words[start : start + n])


def with_typo(words: list[str], rng: Random) -> list[str]:
    """One typo in one word of at least four letters."""
    places = [n for n, word in enumerate(words) if len(word) >= SHORTEST and word.isalpha()]
    if not places:
        return words
    place = rng.choice(places)
    mistyped = rng.choice(TYPOS)(words[place], rng)
    return [*words[:place], mistyped, *words[place + 1 :]]


def with_swapped_words(words: list[str], rng: Random) -> list[str]:
    """Two neighbouring words the wrong way round."""
    if len(words) < 2:
        return words
    place = rng.randrange(len(words) - 1)
    return [*words[:place], words[place + 1], words[place], *words[place + 2 :]]


def _one_more(word: str, rng: Random) -> str:
    place = rng.randrange(len(word) + 1)
    return word[:place] + rng.choice(ascii_lowercase) + word[place:]


def _one_less(word: str, rng: Random) -> str:
    place = rng.randrange(len(word))
    return word[:place] + word[place + 1 :]


def _another(word: str, rng: Random) -> str:
    place = rng.randrange(len(word))
    return word[:place] + rng.choice(ascii_lowercase) + word[place + 1 :]


def _swapped(word: str, rng: Random) -> str:
    place = rng.randrange(len(word) - 1)
    return word[:place] + word[place + 1] + word[place] + word[place + 2 :]


def _beside(word: str, rng: Random) -> str:
    place = rng.randrange(len(word))
    letter = word[place].lower()
    row = next((row for row in KEYBOARD if letter in row), None)
    if row is None:
        return _another(word, rng)
    at = row.index(letter)
    beside = row[max(0, at - 1) : at] + row[at + 1 : at + 2]
    return word[:place] + rng.choice(beside) + word[place + 1 :]


TYPOS: tuple[Callable[[str, Random], str], ...] = (
    _one_more,
    _one_less,
    _another,
    _swapped,
    _beside,
)
NOISES: dict[NoiseKind, Callable[[list[str], Random], list[str]]] = {
    "typos": with_typo,
    "word_order": with_swapped_words,
}
