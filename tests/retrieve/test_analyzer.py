"""Words by Unicode's rules, and what each language does with them."""

import random
import string
from pathlib import Path

import pytest
import regex

from rankscope.core.errors import UnknownChoice
from rankscope.core.records import Doc
from rankscope.retrieve import analyzer, bm25
from rankscope.retrieve.analyzer import analyzed, words

WORD_BREAK_TEST = Path("/usr/share/unicode/auxiliary/WordBreakTest.txt")

RANI, RANG = "\u0930\u093e\u0928\u0940", "\u0930\u0902\u0917"  # Hindi: queen, colour
PALACE = f"{RANI} \u092e\u0939\u0932 \u092e\u0947\u0902 \u0930\u0939\u0924\u0940 \u0939\u0948"
BOOK = "\u0915\u093f\u0924\u093e\u092c"
BLUE = f"{RANG} \u0928\u0940\u0932\u093e"


@pytest.mark.parametrize(
    "word",
    [
        pytest.param(RANI, id="Hindi"),
        pytest.param("\u0996\u09ac\u09b0\u09c7\u09b0", id="Bengali"),
        pytest.param("\u0ba4\u0bae\u0bbf\u0bb4\u0bcd", id="Tamil"),
        pytest.param("\u0c24\u0c46\u0c32\u0c41\u0c17\u0c41", id="Telugu"),
        pytest.param("\u0d2e\u0d32\u0d2f\u0d3e\u0d33\u0d02", id="Malayalam"),
        pytest.param("\u0dc3\u0dd2\u0d82\u0dc4\u0dbd", id="Sinhala"),
        pytest.param("\u0643\u0650\u062a\u064e\u0627\u0628\u064c", id="Arabic with vowels"),
        pytest.param("\u05e9\u05c1\u05b8\u05dc\u05d5\u05b9\u05dd", id="Hebrew with points"),
        pytest.param("\u05e6\u05d4\u05f4\u05dc", id="Hebrew abbreviation"),
        pytest.param('\u05e6\u05d4"\u05dc', id="Hebrew abbreviation by a quotation mark"),
        pytest.param("\ud55c\uad6d\uc5b4", id="Hangul"),
        pytest.param("\u30b3\u30fc\u30d2\u30fc", id="Katakana"),
        pytest.param("\u0e20\u0e32\u0e29\u0e32\u0e44\u0e17\u0e22", id="Thai, a run"),
        pytest.param("\u1797\u17b6\u179f\u17b6\u1781\u17d2\u1798\u17c2\u179a", id="Khmer, a run"),
        pytest.param("\u1019\u103c\u1014\u103a\u1019\u102c", id="Burmese, a run"),
        pytest.param("nai\u0308ve", id="a letter and its mark"),
        pytest.param("\u0421\u0410\u041d\u041a\u0422".lower(), id="Cyrillic"),
        pytest.param("10\u202f000", id="a number with a narrow space"),
        pytest.param("l\u2019avion", id="an apostrophe"),
        pytest.param("\U0001f600", id="an emoji"),
        pytest.param("\U0001f44d\U0001f3fd", id="an emoji with a skin"),
        pytest.param("\U0001f1eb\U0001f1ee", id="a flag"),
    ],
)
def test_is_one_word(word: str) -> None:
    assert words(f"a {word}, ({word}) b") == ["a", word, word, "b"]
    assert analyzed(word, "none") == [word]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("\u65e5\u672c\u8a9e", ["\u65e5", "\u672c", "\u8a9e"], id="Han"),
        pytest.param("\U00020000\U0002a6d6", ["\U00020000", "\U0002a6d6"], id="Han beyond the plane"),
        pytest.param("\u3053\u304c", ["\u3053", "\u304c"], id="Hiragana"),
        pytest.param("\u65e5\u30c6\u30b9\u30c8", ["\u65e5", "\u30c6\u30b9\u30c8"], id="Katakana"),
        pytest.param("\u0e44\u0e17\u0e22abc", ["\u0e44\u0e17\u0e22", "abc"], id="Thai and Latin"),
        pytest.param("km\u00b2 H\u2082O\u2082 \u00bd", ["km", "h", "o"], id="superscripts"),
        pytest.param("a\u2122 \u00a9 \u2194 \u2713", ["a"], id="symbols of text"),
        pytest.param("ok\U0001f600\U0001f601", ["ok", "\U0001f600", "\U0001f601"], id="emoji"),
        pytest.param("co\u00adoperate", ["cooperate"], id="a soft hyphen"),
        pytest.param("\u0645\u06cc\u200c\u062e\u0648", ["\u0645\u06cc\u062e\u0648"], id="a non-joiner"),
        pytest.param("\u0915\u094d\u200d\u0937", ["\u0915\u094d\u0937"], id="a joiner"),
        pytest.param("wo\u2060rd \ufeffword", ["word", "word"], id="format characters"),
        pytest.param("\u845b\U000e0100", ["\u845b"], id="a variation selector"),
        pytest.param("\u0130stanbul", ["istanbul"], id="dotted capital I"),
        pytest.param("I\u0307stanbul", ["istanbul"], id="dotted capital I of two"),
        pytest.param("\u2764\ufe0f", ["\u2764"], id="a symbol shown as a picture"),
    ],
)  # fmt: skip
def test_becomes_these_words(text: str, expected: list[str]) -> None:
    assert analyzed(text, "none") == expected


def test_ascii_is_read_by_the_same_rules_whatever_stands_beside_it() -> None:
    """The short form for ASCII finds what the whole one does, joiners, digits and possessives mixed."""
    rng = random.Random(7)
    letters = "abcZ019_" * 4 + ".:',;-\"@ \n\t" * 2 + string.printable + "\x00\x1c"
    for _ in range(3000):
        text = "".join(rng.choices(letters, k=rng.randrange(1, 30)))
        assert analyzer.ASCII_WORD.findall(text) == analyzer.WORD.findall(text), repr(text)
        assert words(f"{text} \u00e9 {text}") == [*words(text), "\u00e9", *words(text)]


def test_a_text_in_pieces_has_the_words_of_the_whole() -> None:
    rng = random.Random(8)
    letters = ["a", "7", " ", "\n", ".", "'", '"', "\u05d0", "\u0308", "\u00ad", "\u200d", "\u202f", "\u65e5",
               "\u30c6", "\u0e17", "\u0e31", "\U0001f600", "\U0001f1eb", "\ufe0f", "_", "\u00b2"]  # fmt: skip
    for _ in range(2000):
        text = "".join(rng.choices(letters, k=rng.randrange(1, 40)))
        assert words(text) == analyzer.WORD.findall(text), ascii(text)


NOT_AS_THE_STANDARD = {
    "0061 200D 1F6D1": "a joiner between a letter and an emoji: Lucene and we part them, WB3c does not",
    "0061 200D 2701": "the same",
}


def test_the_standards_own_cases() -> None:
    """All 1,823 of Unicode's WordBreakTest but two: what is found are the segments with a word in them."""
    if not WORD_BREAK_TEST.is_file():
        pytest.skip(f"no {WORD_BREAK_TEST}: install Debian's unicode-data")
    with_word = regex.compile(
        r"[\p{WB=ALetter}\p{WB=Hebrew_Letter}\p{WB=Numeric}\p{WB=Katakana}\p{WB=ExtendNumLet}\p{Script=Han}"
        r"\p{Script=Hiragana}\p{LB=SA}[\p{Emoji_Presentation}--\p{Regional_Indicator}]]"
        r"|\p{Regional_Indicator}.*\p{Regional_Indicator}",
        regex.V1,
    )
    n_cases, different = 0, []
    for line in WORD_BREAK_TEST.read_text("utf-8").splitlines():
        case = line.partition("#")[0].strip(" \t\u00f7")
        if case:
            parts = [part.replace("\u00d7", " ").split() for part in case.split("\u00f7")]
            segments = ["".join(chr(int(code, 16)) for code in part) for part in parts]
            found = [_seen(word) for word in words("".join(segments))]
            if found != [_seen(each) for each in segments if with_word.search(each)]:
                different.append(" ".join(code for part in parts for code in part))
            n_cases += 1
    assert n_cases > 1700
    assert different == list(NOT_AS_THE_STANDARD)


def _seen(word: str) -> str:
    return str(analyzer.UNSEEN.sub("", word))


def test_a_queen_in_hindi_is_found_first(tmp_path: Path) -> None:
    """Broken at its vowel signs, the query was two letters, and the doc of a blue colour came first."""
    bm25.build([Doc("colour", BLUE), Doc("queen", PALACE)], tmp_path)
    index = bm25.Index.load(tmp_path)
    assert [doc_id for doc_id, _ in index.rank(RANI, 10)] == ["queen"]
    assert not index.notes


def test_docs_whose_words_need_a_dictionary_are_told(tmp_path: Path) -> None:
    thai = "\u0e20\u0e32\u0e29\u0e32\u0e44\u0e17\u0e22"
    bm25.build([Doc("1", f"in {thai}"), Doc("2", "plain"), Doc("3", "na\u00efve")], tmp_path)
    (note,) = bm25.Index.load(tmp_path).notes
    assert note.startswith("1 of 3 docs has words in Thai, Lao, Khmer, Burmese or their kin")


@pytest.mark.parametrize(
    ("language", "text", "expected"),
    [
        ("english", "The queen's Dogs", ["queen", "dog"]),
        ("none", "The queen's Dogs", ["the", "queen's", "dogs"]),
        ("french", "les The chevaux", ["le", "the", "cheval"]),
        ("german", "die H\u00e4user", ["die", "haus"]),
        ("turkish", "I\u015eIK \u0130stanbul", ["\u0131\u015f\u0131k", "istanbul"]),
        ("hindi", f"{BOOK}\u0947\u0902 {BOOK}\u094b\u0902", [BOOK, BOOK]),
    ],
)
def test_a_language_has_its_stemmer_and_english_alone_stop_words(
    language: str, text: str, expected: list[str]
) -> None:
    found = analyzed(text, language)
    assert found == expected
    assert len(found) == len(words(text)) - (language == "english")


def test_an_unknown_language_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnknownChoice, match=r"Unknown language 'hindy'. Did you mean 'hindi'\?"):
        bm25.build([Doc("1", "a")], tmp_path, language="hindy")


def test_an_index_reads_queries_in_its_own_language(tmp_path: Path) -> None:
    bm25.build([Doc("1", "die H\u00e4user"), Doc("2", "der Baum")], tmp_path, language="german")
    assert [doc_id for doc_id, _ in bm25.Index.load(tmp_path).rank("Haus", 10)] == ["1"]
    assert [doc_id for doc_id, _ in bm25.Index.load(tmp_path).rank("die", 10)] == ["1"]
