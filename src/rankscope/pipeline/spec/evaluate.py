"""The specs of evaluation in a study file: measures, comparisons and claims."""

from collections import Counter
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, ConfigDict, Field, model_validator

from rankscope.core.errors import choose, listed
from rankscope.evaluate.measures import parse
from rankscope.pipeline.spec.fields import (
    CORRECTION_NAMES,
    FREE,
    STORED,
    Count,
    Margins,
    Measure,
    Measures,
    Name,
    NonNegative,
    Number,
    Spec,
    Stored,
    as_value_error,
    known_correction,
)


class RerankSpec(Spec):
    """The runs that are re-ranked for the evaluation."""

    first_stages: tuple[str, ...] = Field(min_length=1, alias="from", description="First stages.")
    depth: Count = Field(100, description="Docs re-ranked for each query.")
    precision: Literal["float32", "bfloat16", "int8"] = Field(
        "float32",
        description="Precision of the rankers' dense layers: int8 on a processor that multiplies 8-bit integers faster, "
        "bfloat16 there or on an accelerator (Jacob et al. 2018). Rankings of teachers and for mining stay float32.",
    )

    model_config = ConfigDict(populate_by_name=True)


class SearchSpec(Spec):
    """Bi-encoders search all docs of the test collections themselves."""

    depth: Count = Field(1000, description="Docs kept for each query.")
    stored: Stored = Field("float32", description=STORED)
    first_stages: tuple[str, ...] = Field(
        (), alias="beside", description="First stages that are compared with them."
    )

    model_config = ConfigDict(populate_by_name=True)


class ClaimSpec(Spec):
    """A published conclusion, to be compared with this study's verdicts."""

    claim: str = Field(description="The conclusion in words.")
    source: str | None = Field(None, description="The publication, and the place in it.")
    systems: tuple[str, ...] = Field(min_length=1, description="Rankers that the claim is about.")
    verdict: Literal["better", "worse", "equivalent"] = Field(
        alias="are", description="The claim: better, worse or equivalent."
    )
    baseline: str = Field(
        alias="than", description="The ranker or first stage they are compared with."
    )
    measure: Measure | None = Field(None, description="The headline measure, if left out.")

    model_config = ConfigDict(populate_by_name=True)


class EvaluateSpec(Spec):
    """Measures, and comparisons of systems."""

    over: tuple[str, ...] = Field(min_length=1, description="Test collections.")
    rerank: RerankSpec | None = Field(None, description="Runs that the rankers re-order.")
    search: SearchSpec | None = Field(
        None, description="Lets the bi-encoders among the rankers search by themselves."
    )
    rankers: tuple[str, ...] | None = Field(None, description="All rankers, if left out.")
    teachers: dict[Name, tuple[str, ...]] = Field(
        default_factory=dict,
        description="LLMs among the teachers (`kind: llm`) that are systems too, and the test collections they are asked about; a "
        "list of them asks about all. They are compared with the rankers that learnt from them.",
    )
    price_per_hour: NonNegative = Field(
        0.0,
        description="Money for an hour of the machine that ranks, in the currency of the teachers' prices; then costs are "
        "compared in money too.",
        json_schema_extra=FREE,
    )
    measures: Measures = Field(
        ("nDCG@10",), min_length=1, description="Names of ir_measures; the first is the headline."
    )
    baseline: tuple[str, ...] = Field(
        (), description="A ranker or first stage, or a list of them; all pairs, if left out."
    )
    margin: Margins = Field(
        default_factory=dict,
        description="Measure -> the difference below which two rankers are equivalent: absolute, or "
        '"5%" of the baseline\'s mean.',
    )
    claims: tuple[ClaimSpec, ...] = Field(
        (), description="Conclusions that the report compares with the verdicts, each in one line."
    )
    significance_level: Number = Field(
        0.05,
        gt=0,
        lt=0.5,
        description="Significance level of the whole family; study A's tables have 0.05.",
    )
    correction: Annotated[str, AfterValidator(known_correction)] = Field(
        "holm",
        description=f"Correction over the family: {', '.join(CORRECTION_NAMES)} (Holm 1979; Benjamini & Hochberg 1995; "
        "study B has none).",
    )
    tests: Literal["sound", "as_published"] = Field(
        "sound",
        description="as_published: study B's paired t-tests without correction, with a warning.",
    )

    @model_validator(mode="after")
    def _something_is_ranked(self) -> Self:
        if self.rerank is None and self.search is None:
            raise ValueError("give `rerank`, `search`, or both")
        return self

    @property
    def first_stages(self) -> tuple[str, ...]:
        """The first stages that are systems of their own."""
        reranked = self.rerank.first_stages if self.rerank else ()
        beside = self.search.first_stages if self.search else ()
        return tuple(dict.fromkeys([*reranked, *beside]))

    def claims_without_margin(self) -> list[str]:
        """A sentence on the claims of equivalence that nothing here could support or contradict, if there are any."""
        stated = self.margin if self.tests == "sound" else {}
        open_ = [
            claim
            for claim in self.claims
            if claim.verdict == "equivalent" and (claim.measure or self.measures[0]) not in stated
        ]
        if not open_:
            return []
        measures = dict.fromkeys(claim.measure or self.measures[0] for claim in open_)
        why = (
            f"`margin` states none for {', '.join(measures)}"
            if self.tests == "sound"
            else "study B's tests (`tests: as_published`) have none"
        )
        quoted = "; ".join(f"“{claim.claim}”" for claim in open_)
        return [
            f"“Equivalent” is a claim about a margin, and {why}: {quoted} can be neither supported nor "
            "contradicted here."
        ]

    @model_validator(mode="before")
    @classmethod
    def _one_baseline_is_a_list_of_one(cls, value: Any) -> Any:
        if isinstance(value, dict) and isinstance(value.get("baseline"), str):
            return {**value, "baseline": [value["baseline"]]}
        return value

    @model_validator(mode="before")
    @classmethod
    def _listed_teachers_are_asked_about_all(cls, value: Any) -> Any:
        names = value.get("teachers") if isinstance(value, dict) else None
        if isinstance(names, list | tuple) and all(isinstance(name, str) for name in names):
            return {**value, "teachers": dict.fromkeys(names, value.get("over", ()))}
        return value

    @model_validator(mode="after")
    def _nothing_twice(self) -> Self:
        for name, values in {
            "over": self.over,
            "rerank.from": self.rerank.first_stages if self.rerank else (),
            "search.beside": self.search.first_stages if self.search else (),
            "measures": [repr(parse(measure)) for measure in self.measures],
            "baseline": self.baseline,
            "rankers": self.rankers or (),
        }.items():
            if len(set(values)) < len(values):
                twice = dict.fromkeys(value for value, n in Counter(values).items() if n > 1)
                raise ValueError(f"`{name}` names one thing twice ({listed(twice)})")
        return self

    @model_validator(mode="after")
    def _margins_belong_to_measures(self) -> Self:
        for place, measures in {
            "margin": self.margin,
            "claims": [claim.measure for claim in self.claims if claim.measure],
        }.items():
            for measure in measures:
                with as_value_error():
                    choose(dict.fromkeys(self.measures), measure, what=f"measure in `{place}`")
        return self
