"""Measure the house from its code: floors, circles, upward imports, rooms, folders, long files, class names.

Every import counts, wherever it stands; the layers are those that pyproject.toml gives import-linter. A room is
a folder; each folder in analyses/ and pipeline/ counts for itself. Exit code 1 where a limit is broken.
"""

import ast
import sys
import tomllib
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LARGEST_SHARE = 0.17
MODULES, MODULES_IN = 14, {"data": 20, "models": 18, "train": 15}
"""The most modules of a folder (`__init__` not counted), and of the folders that may have more."""
LONGEST, REASON = 400, "One file: "
"""Lines of a file, and how the sentence of its docstring begins that says why it has more."""
SEVERAL_ROOMS = ("analyses", "pipeline")
Imports = Mapping[str, set[str]]
"""Modules, named without the package, and those that each imports."""


def imports_of(package: Path) -> dict[str, set[str]]:
    """What each module imports of its own package; a folder's `__init__` has the folder's name."""
    parts = {
        path: path.relative_to(package).with_suffix("").parts for path in package.rglob("*.py")
    }
    files = {".".join(name).removesuffix(".__init__"): path for path, name in parts.items()}
    return {name: {*_imported(path, package.name, files)} - {name} for name, path in files.items()}


def _imported(path: Path, package: str, modules: Collection[str]) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import | ast.ImportFrom):
            of = f"{node.module}." if isinstance(node, ast.ImportFrom) else ""
            for alias in node.names:
                top, _, inside = f"{of}{alias.name}".partition(".")
                module = inside if inside in modules else inside.rpartition(".")[0]
                if top == package and module in modules:
                    yield module


def layers_of(pyproject: Path) -> list[list[str]]:
    """The rooms of each layer, the highest first."""
    contracts = tomllib.loads(pyproject.read_text("utf-8"))["tool"]["importlinter"]["contracts"]
    layers = next(contract["layers"] for contract in contracts if contract["type"] == "layers")
    return [[room.strip() for room in layer.split("|")] for layer in layers]


def circle(imports: Imports) -> list[str]:
    """Modules of which each imports the next, the last being the first; none where there is no circle."""
    try:
        TopologicalSorter(imports).prepare()
    except CycleError as error:
        return list(reversed(error.args[1]))
    return []


def n_floors(imports: Imports) -> int:
    """How many modules the longest chain of imports has, where there is no circle."""
    height: dict[str, int] = {}
    for name in TopologicalSorter(imports).static_order():
        height[name] = 1 + max((height[below] for below in imports[name]), default=0)
    return max(height.values(), default=0)


def among_rooms(imports: Imports) -> dict[str, set[str]]:
    """The imports between the folders of the package, and the files beside these."""
    rooms: dict[str, set[str]] = {}
    for name, below in imports.items():
        room = name.partition(".")[0]
        rooms.setdefault(room, set()).update({other.partition(".")[0] for other in below} - {room})
    return rooms


def upward(imports: Imports, layers: Sequence[Sequence[str]]) -> list[str]:
    """Imports of a room in the same layer or in one above, and rooms that stand in no layer."""
    floor = {room: at for at, layer in enumerate(layers) for room in layer}
    homeless = sorted(among_rooms(imports).keys() - floor.keys() - {"__init__", "__main__"})
    wrong = [
        f"{name} imports {other}, which is not below it"
        for name, below in imports.items()
        for other in sorted(below)
        for mine, theirs in [(name.partition(".")[0], other.partition(".")[0])]
        if mine != theirs and floor.get(mine, -1) >= floor.get(theirs, len(layers))
    ]
    return [*(f"{room} is in no layer" for room in homeless), *wrong]


def shares(package: Path) -> dict[str, float]:
    """Each room's share of the package's lines, the largest first."""
    lines: Counter[str] = Counter()
    for path in package.rglob("*.py"):
        folders = path.relative_to(package).parts[:-1] or (path.stem,)
        depth = 2 if folders[0] in SEVERAL_ROOMS else 1
        lines["/".join(folders[:depth])] += len(path.read_text("utf-8").splitlines())
    return {room: n / lines.total() for room, n in lines.most_common()}


def crowded(package: Path) -> list[str]:
    """Folders with more modules than they may have."""
    files = (path for path in package.rglob("*.py") if path.stem != "__init__")
    counts = Counter(path.parent.relative_to(package).as_posix() for path in files)
    return [
        f"{folder}/ has {n} modules; {MODULES_IN.get(folder, MODULES)} are the most"
        for folder, n in sorted(counts.items())
        if n > MODULES_IN.get(folder, MODULES)
    ]


def too_long(package: Path) -> Iterator[str]:
    """Files with too many lines whose docstring does not say why."""
    for path in sorted(package.rglob("*.py")):
        text = path.read_text("utf-8")
        n, doc = len(text.splitlines()), ast.get_docstring(ast.parse(text)) or ""
        if n > LONGEST and REASON not in doc:
            yield f"{path.relative_to(package)} has {n} lines; its docstring does not say why"


def repeated(package: Path) -> list[str]:
    """Class names that several modules define; a leading underscore makes no other name."""
    defining: dict[str, list[str]] = {}
    for path in sorted(package.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.ClassDef):
                place = path.relative_to(package).as_posix()
                defining.setdefault(node.name.lstrip("_"), []).append(place)
    return [
        f"the class name {name} is defined in {', '.join(places)}"
        for name, places in sorted(defining.items())
        if len(places) > 1
    ]


def broken(package: Path, layers: Sequence[Sequence[str]]) -> list[str]:
    """Every limit that the package breaks, a sentence each."""
    imports = imports_of(package)
    circles = filter(None, (circle(imports), circle(among_rooms(imports))))
    large = [room for room, share in shares(package).items() if share > LARGEST_SHARE]
    return [
        *(f"a circle of imports: {' -> '.join(names)}" for names in circles),
        *upward(imports, layers),
        *(f"{room} has more than {LARGEST_SHARE:.0%} of the lines" for room in large),
        *crowded(package),
        *too_long(package),
        *repeated(package),
    ]


def main() -> int:
    """Print what was counted, and what breaks a limit."""
    package = ROOT / "src" / "rankscope"
    imports, wrong = imports_of(package), broken(package, layers_of(ROOT / "pyproject.toml"))
    print(f"{len(imports)} modules, floors:", "-" if circle(imports) else n_floors(imports))
    for room, share in shares(package).items():
        print(f"{share:6.1%}  {room}")
    print("\n".join(wrong) or "no limit is broken")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
