import pytest

from rankscope.core.errors import BadInput, BadStudy
from rankscope.core.visible import (
    brief,
    visible,
    visible_lines,
    with_short_words,
    without_secrets,
)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("bm25[k1=0.9]", "bm25[k1=0.9]"),
        (":smile: [/y]", ":smile: [/y]"),
        ("\x1b[31mred", "␛[31mred"),
        ("a\x00b\x7f", "a␀b␡"),
        ("a\nb\tc\r", "a␊b␉c␍"),
        ("\x9b31m", "\\x9b31m"),
        ("a\u202eb\u2066", "a\\u202eb\\u2066"),
        ("line\u2028end\ufeff\u200b", "line\\u2028end\\ufeff\\u200b"),
        ("half \ud83d", "half \\ud83d"),
        ("\U000e0041", "\\U000e0041"),
        ("naïve 東京 क्‍ष a\u200fb", "naïve 東京 क्‍ष a\u200fb"),
    ],
)
def test_what_steers_is_written_out_and_what_is_read_stays(text: str, shown: str) -> None:
    assert visible(text) == shown
    assert visible(visible(text)) == shown


def test_lines_stay_where_they_are_meant() -> None:
    assert visible_lines("a\nb\x1b") == "a\nb␛"


def test_a_value_is_shown_as_it_was_written_and_not_at_length() -> None:
    assert [brief(value) for value in (True, None, 1.5, "fast", {"a": 1}, [1])] == [
        "true", "nothing", "1.5", "'fast'", "a table", "a list",
    ]  # fmt: skip
    assert brief("x" * 5000).endswith("… (5,000 characters)'")
    assert "\x1b" not in brief("\x1b[31m")


@pytest.mark.timeout(5)
def test_a_message_shortens_long_ids_and_leaves_paths_whole() -> None:
    path = "/" + "/".join(["a" * 200] * 3) + "/qrels.tsv"
    for kept in ("short", path, "word " * 400, "x" * 255):
        assert with_short_words(kept) == kept
    for written in (
        "x" * 5000,
        "[" * 5000,
        "/" * 5000,
        "it's" * 2000,
        "ä" * 300,
        "." * 90_000,
        "a:" * 90_000,
    ):
        message = with_short_words(f"{path}: doc {written!r} is ranked twice. Keep one.")
        assert len(message) < 900
        assert message.startswith(path)
        assert message.endswith(" is ranked twice. Keep one.")
        assert "characters)" in message


def test_of_a_path_that_is_too_long_both_ends_are_shown() -> None:
    shown = with_short_words(f"{'/abc' * 300}/manifest.json: it is missing.")
    assert shown.startswith("/abc/abc")
    assert shown.endswith("/abc/manifest.json: it is missing.")
    assert len(shown) < 200


def test_no_error_of_ours_prints_an_id_of_thousands_of_characters() -> None:
    long = "q" * 5000
    shortened = f"query {'q' * 60}… (5,000 characters), is ranked twice."
    assert str(BadInput(f"query {long}, is ranked twice.")) == shortened
    assert BadStudy(f"query {long}, is ranked twice.", "no").args == (shortened, "no")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("endpoint: https://me:p@ss@host:8000/v1", "endpoint: https://[hidden]@host:8000/v1"),
        ("${S:-https://me:pw@host/v1?api-key=x1&b=2}", "${S:-https://[hidden]@host/v1?api-key=[hidden]&b=[hidden]}"),
        ("# sk-0123456789abcdefABCDEF, hf_0123456789abcdefABCDEF", "# [hidden], [hidden]"),
        ('api_key: "abc", Password = abc', 'api_key: "[hidden]", Password = [hidden]'),
        ("Authorization: Bearer abc.def", "Authorization: Bearer [hidden]"),
    ],
)  # fmt: skip
def test_what_looks_like_a_secret_is_left_out_of_a_page(text: str, shown: str) -> None:
    assert without_secrets(text) == shown
    assert without_secrets(shown) == shown, "once is enough"


@pytest.mark.parametrize(
    "text",
    [
        "key_env: OPENAI_API_KEY", "tokenizer: 'a'\nmax_tokens: 300", "docs: /a@b/c?d=e", "# see https://host/a@b, sk-8",
        "attribution: {tokens: 3}",
    ],
)  # fmt: skip
def test_what_is_no_secret_stays(text: str) -> None:
    assert without_secrets(text) == text


@pytest.mark.timeout(5)
def test_leaving_secrets_out_takes_no_time_that_grows_with_the_square() -> None:
    for text in ("a://" * 100_000, "https://" + "a@" * 200_000, "?a=" * 100_000, "a+" * 200_000):
        without_secrets(text)
