"""Random crops: their lengths, their words, their independence, and the same again by the same seed."""

from rankscope.core.rng import stream
from rankscope.data.crops import Cropping

TEXT = " ".join(f"w{n}" for n in range(200))
WORDS = TEXT.split()


def test_a_crop_is_a_piece_of_the_text_in_its_order_and_between_the_shares_asked_for() -> None:
    cropping, sizes = Cropping(0.05, 0.5, 0.0), set()
    for number in range(500):
        for crop in cropping.pair(TEXT, stream(number, "crops")):
            words = crop.split()
            start = WORDS.index(words[0])
            assert words == WORDS[start : start + len(words)]
            sizes.add(len(words))
    assert (min(sizes), max(sizes)) == (10, 100)


def test_the_two_crops_are_drawn_apart() -> None:
    pairs = [Cropping(0.2, 0.2, 0.0).pair(TEXT, stream(n, "crops")) for n in range(50)]
    assert sum(first == second for first, second in pairs) < 5
    assert pairs[3] == Cropping(0.2, 0.2, 0.0).pair(TEXT, stream(3, "crops"))


def test_so_many_words_are_left_out() -> None:
    crops = [Cropping(1.0, 1.0, 0.1).pair(TEXT, stream(n, "crops"))[0] for n in range(200)]
    kept = sum(len(crop.split()) for crop in crops) / (200 * len(WORDS))
    assert 0.89 < kept < 0.91
    assert all(set(crop.split()) <= set(WORDS) for crop in crops)


def test_of_a_single_word_both_crops_are_that_word() -> None:
    assert Cropping(0.05, 0.5, 0.99).pair("alone", stream(1, "crops")) == ("alone", "alone")
