"""Study files in a notebook: read, planned, carried out, and their results."""

from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import final

from rankscope.core.fields import given_path, given_words
from rankscope.core.progress import Tell
from rankscope.notebook.answer import ShownResult
from rankscope.study import command
from rankscope.study.command import StudySettings
from rankscope.terminal import progress


@final
class OpenedStudy:
    """A study file, overrides of its values, and the folder of its results."""

    def __init__(self, settings: StudySettings) -> None:
        self._settings = settings

    @property
    def path(self) -> Path:
        """The study file."""
        return self._settings.file

    def check(self) -> ShownResult:
        """The number of steps; BadStudy or BadInput names every mistake."""
        return ShownResult(command.check(self._settings))

    def plan(self) -> ShownResult:
        """Every step, and whether it is stored; computes nothing."""
        return ShownResult(command.show_plan(self._settings, _told()))

    def doctor(self) -> ShownResult:
        """What would make a training go wrong, without training."""
        return ShownResult(command.doctor(self._settings, progress(), _told()))

    def run(self) -> ShownResult:
        """Carry out what is missing, and give the results; called again it resumes."""
        command.run(self._settings, progress(), _told())
        return self.results

    @property
    def results(self) -> ShownResult:
        """The stored evaluation: means, verdicts and the page; MissingArtifact before the study has been run."""
        return ShownResult(command.results(self._settings, _told()))

    def __repr__(self) -> str:
        return f"Study {self.path}, results in {self._settings.results}"


def read_study(
    path: str | PathLike[str],
    *,
    overrides: Sequence[str] = (),
    results: str | PathLike[str] = "results",
) -> OpenedStudy:
    """A study file; `overrides` are of the form `rankers.C.max_updates=100`. Raises BadStudy with a line for each mistake.

    >>> rs.read_study("study.yaml").check()
    demo: 22 steps, no mistakes.
    """
    settings = StudySettings(
        Path(given_path(path, "study file")),
        given_words(overrides, "overrides"),
        Path(given_path(results, "folder of results")),
    )
    command.check(settings)
    return OpenedStudy(settings)


def _told() -> Tell:
    return progress().note
