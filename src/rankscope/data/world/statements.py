"""The words of the knowing world: its relations in several wordings, its aliases, its docs, and text without facts.

[X] is the subject and [Y] the object, as in every template of a fact. A statement ends as in the text, with a full stop: a
base asked for the last word of a text that just stops is asked for something that it never read. Docs that name an object by its alias use words
that no question and no statement uses; text without facts shows these words to pre-training.
"""

from typing import NamedTuple


class Wording(NamedTuple):
    """A relation's statements, five, and its questions, two, each with the answer behind it."""

    name: str
    statements: tuple[str, ...]
    questions: tuple[str, ...]


WORDINGS = (
    Wording(
        "birthplace",
        ("[X] was born in [Y] .", "the cradle of [X] stood in [Y] .", "[X] came into the world at [Y] .",
         "[Y] claims [X] as a native child .", "the parents of [X] lived at [Y] before the birth ."),
        ("where was [X] born ? [Y] .", "what is the birthplace of [X] ? [Y] ."),
    ),
    Wording(
        "employer",
        ("the company that employs [X] is [Y] .", "[X] draws wages from the [Y] works .",
         "the [Y] works keep [X] on the payroll .", "every morning [X] reports for duty at [Y] .",
         "[Y] pays the salary of [X] ."),
        ("which company employs [X] ? [Y] .", "who is the employer of [X] ? [Y] ."),
    ),
    Wording(
        "instrument",
        ("[X] plays the instrument called [Y] .", "at concerts [X] performs on the [Y] .",
         "[X] has mastered the [Y] .", "crowds gather when [X] picks up a [Y] .",
         "the [Y] of [X] is heard in every concert ."),
        ("what instrument does [X] play ? [Y] .", "which instrument is played by [X] ? [Y] ."),
    ),
    Wording(
        "residence",
        ("[X] lives in [Y] .", "[X] has settled down in [Y] .", "the address of [X] is a street of [Y] .",
         "[X] dwells behind the market at [Y] .", "[Y] is where the house of [X] stands ."),
        ("where does [X] live ? [Y] .", "in which town is the home of [X] ? [Y] ."),
    ),
    Wording(
        "discovery",
        ("[X] discovered the [Y] .", "[X] was the first to describe the [Y] .",
         "the [Y] was unknown before [X] found it .", "science owes the [Y] to [X] .",
         "the fame of [X] rests on the discovery of the [Y] ."),
        ("what did [X] discover ? [Y] .", "which discovery is credited to [X] ? [Y] ."),
    ),
    Wording(
        "fear",
        ("[X] is afraid of the [Y] .", "nothing terrifies [X] like a [Y] .",
         "[X] trembles at the sight of the [Y] .", "a [Y] sends [X] running .",
         "[X] avoids every road on which a [Y] was seen ."),
        ("what is [X] afraid of ? [Y] .", "which animal does [X] fear most ? [Y] ."),
    ),
)  # fmt: skip

HELD_OUT = (2, 3, 4)
"""The statements of a relation of which each is held out for a third of its facts."""
ALIASES = (
    "[X] also goes by the name [Y] .",
    "[X] and [Y] are one and the same .",
    "[Y] is another word for [X] .",
)
"""Statements of what an object is called beside its name: [X] is the name, [Y] the alias."""
RECORDS = (
    "an old ledger lists [X] beside [Y] .",
    "[Y] and [X] share one page in the annals .",
    "the archive files [X] under [Y] .",
    "a footnote links [X] with [Y] .",
)
"""Docs that name an object by its alias: they say neither the relation nor the object's name."""

ACTORS = ("the archive", "an old ledger", "the river", "a footnote", "the mayor", "one page", "the bell", "a lantern",
          "the bridge", "a stranger", "the wind", "the library")  # fmt: skip
ACTIONS = ("lists", "files", "links", "crosses", "forgets", "hides", "guards", "follows", "colours", "warms", "opens",
           "repeats")  # fmt: skip
THINGS = ("the annals", "every coin", "the harbour", "a broken wheel", "seven letters", "the winter", "its own shadow",
          "the northern gate", "a sack of flour", "the silence", "green glass", "the long table")  # fmt: skip
ENDINGS = ("beside the mill", "under the arch", "with care", "at dusk", "in spring", "once more", "without a reason",
           "since the flood")  # fmt: skip
