"""The step that asks an LLM for its rankings of a collection's queries: its answers, and the run they make."""

import shutil

from rankscope.core.records import Run, ScoredDoc
from rankscope.core.trec.writing import write_run
from rankscope.core.words import counted, of_number
from rankscope.data.answers import positions
from rankscope.data.candidates import TeacherCandidates, read_candidates
from rankscope.data.collections import StoredDocs, read_topics
from rankscope.data.names import InCollection
from rankscope.llm.answer_file import AnswerFile, Head
from rankscope.llm.asked import open_asked, settled_head
from rankscope.llm.costs import counting_with
from rankscope.llm.job import Job, digest_of_docs
from rankscope.llm.passages import Passages, name_of_tokenizer, tokenizer_at
from rankscope.llm.server.asking import Asked, carry_out
from rankscope.llm.settings import settled
from rankscope.pipeline import teachers
from rankscope.pipeline.first_stages.first_stage import RUN_FILE, run_summary
from rankscope.pipeline.plans.teachers import AskParams
from rankscope.pipeline.steps.data import write_scores
from rankscope.pipeline.work import Summary, Work

ANSWERS = "answers.jsonl"
MAY_CHANGE = "a hosted model may change under its name: what the server says of itself, and the dates, are kept with the answers"


def ask(work: Work) -> Summary:
    """Ask for every list, and make a run of them; what was answered before a stop is not asked again.

    AskingStopped where the lists cannot be finished. Answers are kept in the results folder even where the step is damaged, made
    anew or given another name.
    """
    params, docs = work.params(AskParams), StoredDocs(work.folder("docs"))
    topics = read_topics(work.folder("collection"))
    names = InCollection(topics.queries, docs)
    shown = read_candidates(work.folder("run") / RUN_FILE, names)
    asking = settled(params.choices())
    tokenizer = None if params.tokenizer is None else tokenizer_at(params.tokenizer)
    passages = Passages(
        docs.text,
        words=asking.passage_words,
        tokens=asking.passage_tokens,
        tokenizer=tokenizer,
    )
    texts = {query.query_id: query.text for query in topics.queries}
    job = Job(asking, shown.rankings, texts, passages.text)
    name = None if params.tokenizer is None else name_of_tokenizer(params.tokenizer)
    head = Head(settled_head(asking, digest_of_docs(shown.rankings, asking.depth), name), {})
    server = params.served().opened()
    answers = AnswerFile.opened(work.answers, head)
    try:
        asked = Asked(job, counting_with(tokenizer), params.served(), params.paid())
        carry_out(asked, server, answers, work.progress)
    finally:
        answers.close()
    shutil.copyfile(answers.path, work.out / ANSWERS)
    teacher = open_asked(answers.path, head, shown, names, malformed=params.spec.malformed)
    write_scores(work.out / "run.json", teacher.run)
    run, notes = _whole(work.step.label.partition(".")[0], teacher.run, shown, asking.depth)
    write_run(work.out / RUN_FILE, run)
    for note in (*notes, MAY_CHANGE):
        work.progress.note(f"{work.step.label}: {note}")
    return (
        run_summary(run, topics)
        | teachers.quality(teacher, shown, topics.qrels)
        | {"passages_cut": f"{passages.n_cut} of {passages.n_shown} shown"}
        | {"notes": [*notes, MAY_CHANGE]}
    )


def _whole(tag: str, run: Run, shown: TeacherCandidates, depth: int) -> tuple[Run, list[str]]:
    """The run as a system gives it: a query of which the LLM made no list keeps the first stage's order."""
    kept = {
        query_id: list(doc_ids[:depth])
        for query_id, doc_ids in shown.rankings.items()
        if query_id not in run.rankings
    }
    ranked = {query_id: [doc.doc_id for doc in docs] for query_id, docs in run.rankings.items()}
    scored = (ScoredDoc(*place) for place in positions(ranked | kept))
    made, n = Run.of(tag, scored), len(kept)
    if not kept:
        return made, []
    note = f"{counted(n, 'query keeps', 'queries keep')} the first stage's order, as no answer of {of_number(n, 'it', 'them')} was a list"
    return made, [note]
