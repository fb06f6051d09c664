"""The pages' addresses: which page is asked for, and with which fields."""

from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, final, get_args
from urllib.parse import parse_qs

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from rankscope.core.errors import BadInput, RankscopeError
from rankscope.viewer.found import FoundStep, FoundStudy, found
from rankscope.viewer.guarded import REPORT, Guarded
from rankscope.viewer.pages import page
from rankscope.viewer.rankings import FoundQuery, Sort, TwoRuns

if TYPE_CHECKING:
    from rankscope.viewer.asked import Rankers

N_QUERIES = 200
"""Queries that are listed; of more, the first ones are, and the page says so."""
MOST_BYTES = 4_000_000
"""Of what is typed into a form."""
Fields = Mapping[str, str]
Content = tuple[str, dict[str, Any]]
"""A template's name, and what it shows."""


def application(folder: Path, *, token: str, port: int) -> Guarded:
    """The application over a folder of results."""
    view = View(folder)
    pages: dict[str, Callable[[Fields], Content]] = {
        "": view.studies,
        "ranker": view.ranker,
        "rankings": view.rankings,
        "typed": view.typed,
        "words": view.words,
    }
    base = f"/{token}/"
    routes = [Route(f"{base}report", _report(view, base))]
    for path, show in pages.items():
        methods = ["GET", "POST"] if path in {"typed", "words"} else ["GET"]
        routes.append(Route(f"{base}{path}", _shown(show, base), methods=methods))
    return Guarded(Starlette(routes=routes, max_body_size=MOST_BYTES), token=token, port=port)


def _shown(show: Callable[[Fields], Content], base: str) -> Callable[[Request], Any]:
    """The endpoint of a page; what is wrong with a question is shown in its place, in one sentence."""

    async def endpoint(request: Request) -> Response:
        fields = dict(request.query_params)
        if request.method == "POST":
            body = (await request.body()).decode("utf-8", "replace")
            fields |= {name: values[-1] for name, values in parse_qs(body).items()}
        try:
            name, content = await run_in_threadpool(show, fields)
        except RankscopeError as error:
            return _refused(error, request, base)
        nonce = request.scope["state"]["nonce"]
        return HTMLResponse(page(name, base=base, nonce=nonce, **content))

    return endpoint


def _refused(error: RankscopeError, request: Request, base: str) -> HTMLResponse:
    nonce = request.scope["state"]["nonce"]
    return HTMLResponse(page("wrong", base=base, nonce=nonce, sentence=str(error)), 400)


def _report(view: "View", base: str) -> Callable[[Request], Any]:
    async def endpoint(request: Request) -> Response:
        try:
            text = await run_in_threadpool(view.report, dict(request.query_params))
        except RankscopeError as error:
            return _refused(error, request, base)
        return HTMLResponse(text, headers={"content-security-policy": REPORT})

    return endpoint


@final
class View:
    """What each page shows of a folder of results, read anew at every question."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @cached_property
    def _rankers(self) -> "Rankers":
        """The rankers that are asked; torch is loaded at the first question."""
        from rankscope.viewer.asked import Rankers

        return Rankers()

    def studies(self, _: Fields) -> Content:
        """All studies with their rankers and runs."""
        return "studies", {"folder": self._folder, "studies": list(found(self._folder).values())}

    def study(self, fields: Fields) -> FoundStudy:
        """The study that is asked for."""
        studies = found(self._folder)
        name = fields.get("study", "")
        if name not in studies:
            raise BadInput(f"There is no study {name!r} in {self._folder}.")
        return studies[name]

    def report(self, fields: Fields) -> bytes:
        """The page of a study's report, as it stands."""
        study = self.study(fields)
        file = study.store.root / "report.html"
        if not file.is_file():
            raise BadInput(f"The study {study.name} has no report yet. `rankscope run` writes it.")
        return file.read_bytes()

    def ranker(self, fields: Fields) -> Content:
        """One ranker: lineage, training, what guards saw, and what was found inside it."""
        from rankscope.viewer.insides import insides  # it loads torch

        study = self.study(fields)
        step = study.ranker(fields.get("a", ""))
        return "ranker", {
            "study": study,
            "step": step,
            "lineage": study.lineage(step),
            "insides": list(insides(study, step)),
        }

    def rankings(self, fields: Fields) -> Content:
        """Two runs: queries by words or difference, and both rankings of one."""
        study = self.study(fields)
        both = TwoRuns(study, study.run(fields.get("a", "")), study.run(fields.get("b", "")))
        sort: Sort = "query" if fields.get("sort") == "query" else get_args(Sort)[0]
        queries = both.queries(fields.get("find", ""), sort)
        chosen = _chosen(queries, fields.get("query"))
        return "rankings", {
            "study": study,
            "both": both,
            "find": fields.get("find", ""),
            "sort": sort,
            "queries": queries[:N_QUERIES],
            "n_queries": len(queries),
            "query": chosen,
            "rankings": None if chosen is None else both.rankings(chosen.query_id),
            "rankers": [_ranker_of(study, step) for step in (both.a, both.b)],
        }

    def typed(self, fields: Fields) -> Content:
        """A form for a query and docs, and the scores of what was typed."""
        study = self.study(fields)
        rankers = _rankers_of(study, fields)
        lines = enumerate(fields.get("docs", "").replace("\r\n", "\n").split("\n"), start=1)
        docs = {number: line for number, line in lines if line.strip()}
        asked = "query" in fields
        rows = (
            self._rankers.asked([(study, step) for step in rankers], fields["query"], docs)
            if asked and rankers
            else []
        )
        return "typed", {
            "study": study,
            "rankers": rankers,
            "query": fields.get("query", ""),
            "docs": fields.get("docs", ""),
            "rows": rows,
        }

    def words(self, fields: Fields) -> Content:
        """What each word of a query and a doc adds to the score, for one or two rankers.

        Both are typed texts, or those of a run's ids: a form would give the line ends of a stored text as others.
        """
        study = self.study(fields)
        rankers = _rankers_of(study, fields)
        if not rankers:
            raise BadInput("No ranker is named. Choose one from the list of a study's rankers.")
        if fields.get("run"):
            run = study.run(fields["run"])
            query, doc = TwoRuns(study, run, run).texts(
                fields.get("query_id", ""), fields.get("doc_id", "")
            )
        else:
            query, doc = fields.get("query", ""), fields.get("doc", "")
        falls = [self._rankers.words(study, step, query, doc) for step in rankers]
        return "words", {
            "study": study,
            "query": query,
            "told": [
                (step, each, max((abs(w.fall or 0) for w in (*each.query, *each.doc)), default=0))
                for step, each in zip(rankers, falls, strict=True)
            ],
        }


def _chosen(queries: list[FoundQuery], query_id: str | None) -> FoundQuery | None:
    """The query that is shown: the one asked for, else the first."""
    by_id = {query.query_id: query for query in queries}
    return by_id.get(query_id or "") or next(iter(queries), None)


def _rankers_of(study: FoundStudy, fields: Fields) -> list[FoundStep]:
    """The rankers that are asked: one, or two beside each other."""
    return [study.ranker(fields[side]) for side in "ab" if fields.get(side)]


def _ranker_of(study: FoundStudy, run: FoundStep) -> FoundStep | None:
    """The ranker that made a run; None for a first stage without one."""
    return study.steps.get(run.inputs.get("ranker", ""))
