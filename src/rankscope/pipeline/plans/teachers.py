"""Steps of teachers: their rankings of a collection's queries."""

from dataclasses import dataclass
from pathlib import Path

from rankscope.core.errors import BadInput, BadStudy
from rankscope.llm.passages import tokenizer_file
from rankscope.llm.prompts import PROMPTS
from rankscope.llm.server.terms import Paid, Patience, Served, require_prices
from rankscope.llm.settings import AskChoices, as_field, settled
from rankscope.pipeline.paths import expanded
from rankscope.pipeline.plans.planning import StudyPlanning
from rankscope.pipeline.spec.teachers import FileTeacherSpec, LLMTeacherSpec, RankerTeacherSpec
from rankscope.pipeline.step import Kind, Step


@dataclass(frozen=True)
class TeacherParams:
    """A teacher from a file."""

    spec: FileTeacherSpec
    rankings: Path
    candidates: Path | None


@dataclass(frozen=True)
class AskParams:
    """What an LLM is asked; its server, key and prices are no part of it."""

    spec: LLMTeacherSpec
    prompt: str | None = None
    """The published prompt's name; None for the way's own, or one out of a file."""
    template: Path | None = None
    """A prompt of one's own."""
    tokenizer: Path | None = None
    seed: int | None = None
    """None if no order is drawn."""

    def choices(self) -> AskChoices:
        """The same as the choices of a person who asks without a study."""
        spec = self.spec
        return AskChoices(
            model=spec.model,
            way=spec.way,
            prompt=self.prompt if self.template is None else str(self.template),
            window=spec.window,
            step=spec.step,
            passes=spec.passes,
            top=spec.top,
            order=spec.order,
            orders=spec.orders,
            seed=self.seed or 0,
            depth=spec.depth,
            passage_words=spec.passage_words,
            passage_tokens=spec.passage_tokens,
            malformed=spec.malformed,
            temperature=spec.temperature,
            max_tokens=spec.max_tokens,
            fields=spec.fields,
        )

    def paid(self) -> Paid:
        """The prices, and what may be spent."""
        return Paid(self.spec.prices, self.spec.budget)

    def served(self) -> Served:
        """The server, its address filled in from the environment."""
        spec = self.spec
        return Served(
            expanded(spec.endpoint),
            spec.key_env,
            spec.parallel,
            spec.timeout,
            Patience(attempts=spec.retries + 1),
            as_field,
        )


TEACHER = Kind("teacher", 2, "rankscope.pipeline.steps.data:teacher", TeacherParams)
ASK = Kind("ask", 1, "rankscope.pipeline.steps.asking:ask", AskParams)


def teacher_run(planning: StudyPlanning, name: str, collection: str) -> Step:
    """A teacher's rankings: read from its file, made by a ranker, or asked of an LLM."""
    teacher = planning.study.teachers[name]
    if isinstance(teacher, LLMTeacherSpec):
        return _asked(planning, name, teacher, collection)
    if isinstance(teacher, RankerTeacherSpec):
        return planning.rerank(teacher.ranker, collection, teacher.candidates, teacher.depth)
    shown = planning.path(teacher.candidates) if teacher.candidates else None
    params = TeacherParams(teacher, planning.path(teacher.path), shown)
    inputs = {"collection": planning.collection(collection), "docs": planning.docs(collection)}
    return planning.step(TEACHER, f"{name}.{collection}", params, inputs)


def _asked(planning: StudyPlanning, name: str, spec: LLMTeacherSpec, collection: str) -> Step:
    """An LLM's rankings. BadStudy for choices that do not go together."""
    is_published = spec.prompt is None or spec.prompt in PROMPTS
    folder = planning.path(spec.tokenizer) if spec.tokenizer else None
    seed = planning.study.seed if spec.seed is None else spec.seed
    params = AskParams(
        spec,
        prompt=spec.prompt if is_published else None,
        template=None if is_published else planning.path(str(spec.prompt)),
        tokenizer=None if folder is None else tokenizer_file(folder),
        seed=seed if spec.order == "shuffled" else None,
    )
    try:
        settled(params.choices(), as_field)
        require_prices(params.paid(), as_field)
        if spec.passage_tokens is not None and folder is None:
            raise BadInput("`passage_tokens`: give the model's `tokenizer` too.")
    except BadInput as error:
        raise BadStudy(f"teachers.{name}: {error}") from error
    inputs = {
        "collection": planning.collection(collection),
        "docs": planning.docs(collection),
        "run": planning.first_stage_run(spec.first_stage, collection),
    }
    return planning.step(ASK, f"{name}.{collection}", params, inputs)
