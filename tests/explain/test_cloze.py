"""Cloze tests, by a model whose logits stand on paper."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from rankscope.core.errors import BadInput
from rankscope.core.records import Cloze, Fact
from rankscope.explain.knowledge import cloze
from support import tiny

TEMPLATE = "the [X] sits on the [Y]"


def fact(subject: str, named: str, fact_id: str = "f1") -> Fact:
    return Fact(fact_id, "sits", subject, named, templates=(TEMPLATE,))


class Saying(nn.Module):
    """A model that gives, at every mask, the words of `says` probabilities 3/4, 1/4 of what is left, and so on."""

    def __init__(self, tokenizer: Any, *says: str) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))
        self.ids = tokenizer.convert_tokens_to_ids(list(says))
        self.size = len(tokenizer)

    def forward(self, input_ids: Tensor, attention_mask: Tensor, **_: Any) -> Any:
        logits = torch.full((*input_ids.shape, self.size), -math.inf)
        for share, token in zip((0.75, 0.25), self.ids, strict=False):
            logits[..., token] = math.log(share)
        return type("Output", (), {"logits": logits})


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return tiny.tokenizer()


def words(n: int) -> list[str]:
    return list(tiny.WORDS[:n])


def test_the_first_guess_is_right_or_not_and_its_probability_is_the_objects(tokenizer: Any) -> None:
    first, second, third = words(3)
    asked = [Cloze(fact(third, named), TEMPLATE, "seen") for named in (first, second, third)]
    found = cloze.guesses(Saying(tokenizer, first, second), tokenizer, asked)
    assert [guess.cloze for guess in found] == asked
    assert [guess.is_right for guess in found] == [True, False, False]
    assert [guess.probability for guess in found] == pytest.approx([0.75, 0.25, 0.0])
    assert cloze.Accuracy.of(found) == cloze.Accuracy(3, pytest.approx(1 / 3), pytest.approx(1 / 3))


def test_all_tokens_of_an_object_must_be_right(tokenizer: Any) -> None:
    """An object of two tokens has two masks: .75 * .75, and .75 * .25 where one of them is wrong."""
    first, second, third = words(3)
    asked = [Cloze(fact(third, named), TEMPLATE, "seen") for named in (f"{first} {first}", f"{first} {second}")]  # fmt: skip
    found = cloze.guesses(Saying(tokenizer, first, second), tokenizer, asked)
    assert [guess.is_right for guess in found] == [True, False]
    assert [guess.probability for guess in found] == pytest.approx([0.5625, 0.1875])


def test_an_unknown_word_is_never_right(tokenizer: Any) -> None:
    found = cloze.guesses(
        Saying(tokenizer, "[UNK]"), tokenizer, [Cloze(fact("a", "xyzzy"), TEMPLATE, "seen")]
    )
    assert (found[0].is_right, found[0].probability) == (False, 0.0)


def test_the_model_is_left_in_its_mode(tokenizer: Any) -> None:
    model = Saying(tokenizer, *words(1))
    for mode in (True, False):
        model.train(mode)
        cloze.guesses(model, tokenizer, [Cloze(fact("a", words(1)[0]), TEMPLATE, "seen")])
        assert model.training is mode


def test_a_cloze_that_is_cut_is_refused(tokenizer: Any) -> None:
    named, long = words(1)[0], " ".join(words(1) * 100)
    with pytest.raises(BadInput, match="has 0 masks where the model reads it"):
        cloze.guesses(
            Saying(tokenizer, named), tokenizer, [Cloze(fact(long, named), TEMPLATE, "seen")]
        )


def test_accuracy_is_told_apart_by_form_and_template() -> None:
    one, other = fact("a", "b"), fact("c", "d", "f2")
    found = [
        cloze.Guess(Cloze(one, TEMPLATE, "unseen"), True, 0.5),
        cloze.Guess(Cloze(other, TEMPLATE, "seen"), True, 1.0),
        cloze.Guess(Cloze(one, "[Y] [X]", "seen"), False, 0.0),
    ]
    assert cloze.by_form(found) == {
        "seen": cloze.Accuracy(2, 0.5, 0.5), "unseen": cloze.Accuracy(1, 1.0, 0.5),
    }  # fmt: skip
    assert list(cloze.by_form(found)) == ["seen", "unseen"]
    assert cloze.by_template(found)["sits", TEMPLATE, "seen"] == cloze.Accuracy(1, 1.0, 1.0)
    assert len(cloze.by_template(found)) == 3
    never = [cloze.Guess(Cloze(one, TEMPLATE, "never stated"), False, 0.0)]
    assert cloze.unknown([*found, *never * 9]) is None, "what is never stated is not to be known"
