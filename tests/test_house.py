"""The house as it is built: limits that a script counts, and an ARCHITECTURE.md that is right."""

import ast
import re
import tomllib
from pathlib import Path

import house
import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "src" / "rankscope"
ARCHITECTURE = (ROOT / "ARCHITECTURE.md").read_text("utf-8")
CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"][
    "contracts"
]
LAYERS = [["top"], ["left", "right"], ["analyses"], ["data"], ["low"]]
SOUND = {
    "__init__": "",
    "top/__init__": "",
    "top/one": "from made.left import thing\nfrom made.low import base\n" + "x = 1\n" * 30,
    "left/thing": "import made.low.base\n" + "x = 1\n" * 30,
    "right/other": "def f():\n    from made.low.base import x\n" + "x = 1\n" * 30,
    "analyses/probes/plan": "from made.analyses.shared import x\n" + "x = 1\n" * 30,
    "analyses/edits/plan": "from made.analyses.shared import x\n" + "x = 1\n" * 30,
    "analyses/shared": "x = 1\n" * 30,
    "data/docs": "x = 1\n" * 30,
    "low/base": "import json\n" + "x = 1\n" * 30,
}
"""A package that keeps every limit: eight rooms of about an eighth of the lines."""


def made(folder: Path, **changed: str) -> Path:
    """The sound package with some of its files changed or added."""
    package = folder / "made"
    for name, text in {
        **SOUND,
        **{name.replace("__", "/", 1): text for name, text in changed.items()},
    }.items():
        path = package / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    return package


def test_a_sound_house_breaks_no_limit(tmp_path: Path) -> None:
    package = made(tmp_path)
    assert house.broken(package, LAYERS) == []
    assert house.n_floors(house.imports_of(package)) == 3, "top.one, left.thing, low.base"
    assert house.imports_of(package)["top.one"] == {"left.thing", "low.base"}
    shares = house.shares(package)
    assert sum(shares.values()) == pytest.approx(1)
    assert {"analyses/probes", "analyses/edits", "analyses", "low"} < shares.keys()


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"low__base": "import made.low.more\n", "low__more": "import made.low.base\n"}, "a circle of imports: low."),
        ({"low__base": "import made.top.one\n"}, "low.base imports top.one, which is not below it"),
        ({"left__thing": "from made.right import other\n"}, "left.thing imports right.other, which is not below it"),
        ({"low__base": "if x:\n    from made.data.docs import x\n"}, "low.base imports data.docs, which is not below it"),
        ({"attic__box": "x = 1\n"}, "attic is in no layer"),
        ({"low__base": "x = 1\n" * 90}, "low has more than 17% of the lines"),
        ({"analyses__probes/words": "x = 1\n" * 90}, "analyses/probes has more than 17% of the lines"),
        ({f"low__m{n}": "" for n in range(14)}, "low/ has 15 modules; 14 are the most"),
        ({f"data__m{n}": "" for n in range(20)}, "data/ has 21 modules; 20 are the most"),
        ({f"analyses__probes/m{n}": "" for n in range(14)}, "analyses/probes/ has 15 modules; 14 are the most"),
        ({"low__long": '"""Long."""\n' + "\n" * 400}, "low/long.py has 401 lines; its docstring does not say why"),
        (
            {"low__one": "class Row:\n    pass\n", "data__two": "def f():\n    class _Row:\n        pass\n"},
            "the class name Row is defined in data/two.py, low/one.py",
        ),
    ],
)  # fmt: skip
def test_every_limit_is_seen_when_it_is_broken(
    tmp_path: Path, changed: dict[str, str], told: str
) -> None:
    wrong = house.broken(made(tmp_path, **changed), LAYERS)
    assert [line for line in wrong if line.startswith(told)], wrong


def test_what_is_at_a_limit_does_not_break_it(tmp_path: Path) -> None:
    reason = '"""Long.\n\nOne file: its parts are one table.\n"""\n' + "\n" * 500
    files = {f"data__m{n}": "" for n in range(19)} | {f"low__m{n}": "" for n in range(13)}
    files |= {"low__m0": '"""Short."""\n' + "\n" * 399, "low__m1": reason}
    told = house.broken(made(tmp_path, **files), LAYERS)
    assert told == ["low has more than 17% of the lines"]


def test_a_circle_among_rooms_is_none_among_modules(tmp_path: Path) -> None:
    package = made(tmp_path, low__more="from made.left import thing\n")
    imports = house.imports_of(package)
    assert house.circle(imports) == []
    assert {"low", "left"} <= {*house.circle(house.among_rooms(imports))}


@pytest.mark.slow  # `make check` runs scripts/house.py
def test_this_house_keeps_every_limit() -> None:
    assert house.broken(PACKAGE, house.layers_of(ROOT / "pyproject.toml")) == []


# -- what import-linter holds ------------------------------------------------------------------------


def test_no_analysis_is_left_out_of_the_contract_that_holds_them_apart() -> None:
    (apart,) = (contract for contract in CONTRACTS if contract["type"] == "independence")
    assert apart["modules"] == ["rankscope.analyses.*"], "every folder, whatever it is called"
    shared = {line.rpartition(" -> rankscope.analyses.")[2] for line in apart["ignore_imports"]}
    assert shared < {path.stem for path in (PACKAGE / "analyses").glob("*.py")}, "no folder is"


# -- ARCHITECTURE.md ---------------------------------------------------------------------------------


def code_of(text: str) -> list[str]:
    """What stands between single backticks."""
    return re.findall(r"(?<!`)`([^`\n]+)`(?!`)", text)


def places() -> list[str]:
    """Files and folders that ARCHITECTURE.md names outside its drawings."""
    results = {"work/"}
    written = dict.fromkeys(code_of(ARCHITECTURE))
    return [
        each for each in written if re.fullmatch(r"[\w*]+/[\w*/.]*", each) and each not in results
    ]


@pytest.mark.parametrize("place", places())
def test_every_place_that_is_named_exists(place: str) -> None:
    assert [*PACKAGE.glob(place.rstrip("/")), *ROOT.glob(place)], place


def test_the_layers_that_are_drawn_are_those_that_are_held() -> None:
    drawing = ARCHITECTURE.partition("```\n")[2].partition("```")[0]
    drawn = [re.split(r"  +", line)[0].replace("|", " ").split() for line in drawing.splitlines()]
    assert drawn == house.layers_of(ROOT / "pyproject.toml")


def test_every_folder_of_the_package_is_drawn_in_the_tree() -> None:
    tree = ARCHITECTURE.partition("<!-- tree: start -->")[2].partition("<!-- tree: end -->")[0]
    drawn: set[str] = set()
    above = ""
    for indent, name in re.findall(r"^( +)(\w+)/", tree, flags=re.MULTILINE):
        above = name if len(indent) == 2 else above
        drawn.add(name if len(indent) == 2 else f"{above}/{name}")
    folders = [path.parent.relative_to(PACKAGE) for path in PACKAGE.rglob("__init__.py")]
    assert drawn == {each.as_posix() for each in folders} - {"."}


def rows() -> list[list[str]]:
    """The cells of the table that says where a new thing goes."""
    table = ARCHITECTURE.partition("## Where does a new thing go?")[2]
    lines = [line for line in table.splitlines() if line.startswith("| ")][1:]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


@pytest.mark.parametrize("row", rows(), ids=lambda row: row[0])
def test_a_table_that_gets_a_row_stands_in_the_file_that_is_named(row: list[str]) -> None:
    assert len(row) == 3
    for table, file in re.findall(r"`([A-Z_]+)`[^`|]*`([\w/]+\.py)`", row[1]):
        nodes = ast.parse((PACKAGE / file).read_text("utf-8")).body
        names = {getattr(getattr(node, "target", None), "id", None) for node in nodes}
        names |= {target.id for node in nodes if isinstance(node, ast.Assign) for target in node.targets if isinstance(target, ast.Name)}  # fmt: skip
        assert table in names, f"{file} has no {table}"


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text("utf-8").splitlines()) <= 150
