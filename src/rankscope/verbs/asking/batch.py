"""Ask an LLM by batches: write a round's requests, read their results, write the next round, until the lists are done."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rankscope.core.errors import AskingStopped
from rankscope.core.result import Result, Table, json_of
from rankscope.core.words import counted
from rankscope.llm.answer_file import AnswerFile, StoredAnswer
from rankscope.llm.costs import Prices
from rankscope.llm.job import Request
from rankscope.llm.server.batches import MOST, id_of, line_of, outcomes, require_apart, waiting
from rankscope.llm.server.client import Completion
from rankscope.llm.settings import AskChoices
from rankscope.store.files import writable, written_whole
from rankscope.verbs.asking.ask import told_of
from rankscope.verbs.asking.prepared import AskedAbout, Prepared, opened, prepared, prepared_again
from rankscope.verbs.teacher import teacher_rows


@dataclass(frozen=True)
class BatchFiles:
    """The file of answers, and the file that the next requests are written to."""

    answers: Path
    requests: Path


def prompts(choices: AskChoices, about: AskedAbout, files: BatchFiles) -> Result:
    """Write the requests of the next round; begin the file of answers, or go on with it."""
    require_apart(files.answers, files.requests)
    writable(files.requests)
    with prepared(choices, about) as made:
        answers = opened(files.answers, made)
        try:
            return _next_round(made, answers, files, {}, made.notes)
        finally:
            answers.close()


def results(path: Path, files: BatchFiles, prices: Prices) -> Result:
    """Read a round's results into the file of answers, and write the requests of the next round."""
    require_apart(files.answers, files.requests)
    writable(files.requests)
    with prepared_again(files.answers) as made:
        answers = opened(files.answers, made)
        try:
            report = _taken(path, made, answers)
        finally:
            answers.close()
        report["so_far"] = _so_far(files.answers, made, prices)
        answers = opened(files.answers, made)  # with what was just taken
        try:
            return _next_round(made, answers, files, report, made.notes)
        finally:
            answers.close()


def _taken(path: Path, made: Prepared, answers: AnswerFile) -> dict[str, Any]:
    """Add the answers among the results to the file; what became of all results."""
    asked = {id_of(request.key): request for request in waiting(made.job, answers.stored)}
    taken, why = 0, Counter[str]()
    others = 0
    for outcome in outcomes(path):
        request = asked.get(outcome.custom_id)
        if request is None:
            others += 1
        elif outcome.completion is None:
            why[outcome.why] += 1
        else:
            del asked[outcome.custom_id]
            answers.add(request.key, _record(made, request, outcome.completion))
            taken += 1
    if not taken and not others and not why:
        raise AskingStopped(f"{path}: no result is in it. Give the results of a batch.")
    report: dict[str, Any] = {"n_answers_taken": taken}
    if others:
        report["n_results_not_waited_for"] = others
    if why:
        report["failed"] = dict(why.most_common(5))
    return report


def _record(made: Prepared, request: Request, answer: Completion) -> dict[str, Any]:
    record = {**request.record(), **answer.record()}
    if answer.tokens_in is None or answer.tokens_out is None:
        record |= {"tokens_in": made.counting.at_most(request.messages), "tokens_out": made.job.asking.max_tokens, "is_estimated": True}  # fmt: skip
    return record


def _so_far(path: Path, made: Prepared, prices: Prices) -> dict[str, Any]:
    report = told_of(path, made, prices)
    return {name: value for name, value in report.items() if not isinstance(value, dict)} | {
        f"malformed: {kind}": n for kind, n in report["malformed"].items()
    }


def _next_round(
    made: Prepared,
    answers: AnswerFile,
    files: BatchFiles,
    report: dict[str, Any],
    notes: tuple[str, ...],
) -> Result:
    n = _written(made, answers.stored, files.requests)
    report = {**report, "n_requests": n}
    if n:
        line = (
            f"{files.requests}: {counted(n, 'request')} to send as a batch; then rankscope teacher answers RESULTS.jsonl --out "
            f"{files.answers} --requests {files.requests}"
        )
    else:
        run = made.head.origin.get("run")
        line = f"{files.answers}: all lists are done. Make a run of them: rankscope teacher read {files.answers} --candidates {run}"  # fmt: skip
    if n > MOST:
        notes = (*notes, f"a batch of OpenAI's has {MOST:,} requests at most: split the file; results are read one after another")  # fmt: skip
    return Result(
        tables=(Table("batch", *teacher_rows(report), n_names=1, texts=("value",)),),
        lines=(line,),
        forms={"json": lambda: json_of(report)},
        notes=notes,
    )


def _written(made: Prepared, stored: dict[Any, StoredAnswer], out: Path) -> int:
    """Write the questions that may be asked now; their number. Nothing is written where there is none."""
    lines = [line_of(request, made.sent) for request in waiting(made.job, stored)]
    if lines:
        with written_whole(out) as aside:
            aside.write_text("".join(lines), encoding="utf-8", newline="\n")
    return len(lines)
