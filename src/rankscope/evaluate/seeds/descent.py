"""Which system was tuned from which, as the user states it for run files."""

from collections.abc import Mapping, Sequence, Sized
from dataclasses import dataclass

from rankscope.core.errors import BadInput, choose
from rankscope.evaluate.seeds.kinship import Kinship


@dataclass(frozen=True)
class Descent:
    """The system that each one was tuned from; none for the first of a lineage."""

    start: Mapping[str, str]

    @classmethod
    def of(cls, lineages: Sequence[Sequence[str]], systems: Mapping[str, Sized]) -> "Descent":
        """Lineages: an ancestor and the systems tuned from it, in one stage. systems: name to its runs.

        Raises BadInput where a name is unknown, where runs cannot be paired by seed, and where a system starts from two
        others or from itself.
        """
        start: dict[str, str] = {}
        for lineage in lineages:
            numbers = {len(choose(systems, name, what="system of a lineage")) for name in lineage}
            if len(set(lineage)) < 2 or len(numbers) > 1 or numbers == {1}:
                raise BadInput(
                    f"The lineage {', '.join(lineage)} cannot be paired by seed. Name at least two systems, each with "
                    "as many runs as the others, more than one, the k-th of all from the same seed."
                )
            ancestor, *tuned = lineage
            for name in tuned:
                if start.setdefault(name, ancestor) != ancestor:
                    raise BadInput(
                        f"{name} is said to be tuned from {start[name]} and from {ancestor}; it has one start. "
                        "A lineage is an ancestor and the systems tuned from it in one stage."
                    )
        descent = cls(start)
        for name in start:
            if name in descent._line(name)[1:]:
                raise BadInput(
                    f"{name} is said to be tuned from itself. Name the first system first."
                )
        return descent

    def _line(self, name: str) -> list[str]:
        """The system, the one it was tuned from, and on; it ends where a circle closes."""
        line = [name]
        while line[-1] in self.start:
            line.append(self.start[line[-1]])
            if line[-1] in line[:-1]:
                break
        return line

    def first(self, name: str) -> str:
        """The name of a system's lineage; "" of none."""
        first = self._line(name)[-1]
        return first if name in self.start or name in self.start.values() else ""

    def kinship(self, a: str, b: str) -> Kinship:
        """How many stages lie between two systems."""
        lines = [self._line(name) for name in (a, b)]
        if lines[0][-1] != lines[1][-1]:
            return Kinship.NONE
        n_stages = len(set(lines[0]) ^ set(lines[1]))
        return {1: Kinship.ONE_STAGE, 2: Kinship.TWO_STAGES}.get(n_stages, Kinship.MORE_STAGES)
