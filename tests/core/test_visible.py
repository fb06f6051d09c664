import pytest

from rankscope.core.visible import brief, visible, visible_lines


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
