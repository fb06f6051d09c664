"""Noise in queries: one edit of one long word, or two neighbours swapped, and nothing else."""

import pytest

from rankscope.core.rng import stream
from rankscope.data.noise import noisy, short_crop

QUERY = "who is the robert gray of the university"


def distance(a: str, b: str) -> int:
    """Edits between two words, a swap of neighbouring letters being one."""
    table = {(i, 0): i for i in range(len(a) + 1)} | {(0, j): j for j in range(len(b) + 1)}
    for i in range(1, len(a) + 1):
        for j in range(1, len(b) + 1):
            table[i, j] = min(
                table[i - 1, j] + 1,
                table[i, j - 1] + 1,
                table[i - 1, j - 1] + (a[i - 1] != b[j - 1]),
            )
            if i > 1 and j > 1 and a[i - 2 : i] == b[j - 2 : j][::-1]:
                table[i, j] = min(table[i, j], table[i - 2, j - 2] + 1)
    return table[len(a), len(b)]


def test_a_typo_is_one_edit_of_one_word_of_four_letters_or_more() -> None:
    seen = set()
    for seed in range(300):
        words, typed = QUERY.split(), noisy(QUERY, ["typos"], stream(seed, "noise")).split()
        assert len(typed) == len(words)
        changed = [(a, b) for a, b in zip(words, typed, strict=True) if a != b]
        assert len(changed) <= 1, "a letter may be replaced by itself"
        for a, b in changed:
            assert len(a) >= 4
            assert distance(a, b) == 1
            seen.add(a)
    assert seen == {"robert", "gray", "university"}


def test_each_of_the_five_typos_happens() -> None:
    forms = {noisy("nest", ["typos"], stream(seed, "noise")) for seed in range(3000)}
    assert {"tesn", "nets"} & forms == {"nets"}, "only neighbours change places"
    assert {"nst", "nesst", "nezt"} <= forms
    typed = [noisy("nest", ["typos"], stream(seed, "noise")) for seed in range(3000)]
    beside, far = (sum(word == form for word in typed) for form in ("nesr", "nesp"))
    assert beside > 3 * far, "a key beside the right one is hit more often than another"


def test_word_order_swaps_two_neighbours() -> None:
    for seed in range(50):
        words, swapped = QUERY.split(), noisy(QUERY, ["word_order"], stream(seed, "noise")).split()
        places = [n for n, (a, b) in enumerate(zip(words, swapped, strict=True)) if a != b]
        assert len(places) == 2
        assert places[1] == places[0] + 1
        assert sorted(words) == sorted(swapped)


@pytest.mark.parametrize(
    ("query", "kind"), [("a b c", "typos"), ("alone", "word_order"), ("", "typos")]
)
def test_without_a_place_for_noise_the_query_stays(query: str, kind: str) -> None:
    assert noisy(query, [kind], stream(1, "noise")) == query  # type: ignore[list-item]


def test_the_same_seed_gives_the_same_noise() -> None:
    noise = [noisy(QUERY, ["typos", "word_order"], stream(7, "noise")) for _ in range(2)]
    assert noise[0] == noise[1]


def test_a_short_crop_is_a_few_words_running_as_a_query_has_them() -> None:
    text = 'The "Robert Gray" (a brig) -- sailed, in 1792, up the Columbia River.'
    words = [
        "the",
        "robert",
        "gray",
        "a",
        "brig",
        "sailed",
        "in",
        "1792",
        "up",
        "the",
        "columbia",
        "river",
    ]
    seen = set()
    for seed in range(200):
        crop = short_crop(text, stream(seed, "crop")).split()
        assert 3 <= len(crop) <= 7
        starts = [n for n in range(len(words)) if words[n : n + len(crop)] == crop]
        assert starts, crop
        seen |= set(crop)
    assert seen == set(words)
    assert short_crop("one", stream(1, "crop")) == "one"
    assert short_crop(" -- ", stream(1, "crop")) == ""
