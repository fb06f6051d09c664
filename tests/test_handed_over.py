"""What people have before they have run anything: README's links, the package's metadata, completion in a shell."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from support.command import Command

ROOT = Path(__file__).resolve().parents[1]
LINK = re.compile(r"\]\(([^)\s#]+)")
PROGRAM = Path(sys.executable).with_name("rankscope")


def test_every_link_of_readme_leads_to_a_file_or_away() -> None:
    links = LINK.findall((ROOT / "README.md").read_text("utf-8"))
    assert len(links) > 10
    for link in links:
        assert link.startswith("https://") or (ROOT / link).is_file(), link


def test_readme_says_how_torch_comes_without_cuda() -> None:
    assert "PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu" in (
        ROOT / "README.md"
    ).read_text("utf-8")


def test_the_package_names_the_pythons_it_is_for() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    named = [each.rpartition(" ")[2] for each in project["classifiers"] if "Python :: 3." in each]
    assert named == ["3.11", "3.12", "3.13"]
    assert project["requires-python"] == f">={named[0]}"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_shown_for_a_shell(shell: str) -> None:
    """By the name of the program in the script, in which it is called again for what may follow."""
    shown = subprocess.run(
        [PROGRAM],
        env={**os.environ, "_RANKSCOPE_COMPLETE": f"source_{shell}"},
        check=True,
        capture_output=True,
        text=True,
    )
    assert "_RANKSCOPE_COMPLETE=complete_" in shown.stdout
    assert shown.stderr == ""


def test_show_completion_is_an_option(rankscope: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = subprocess.run(
        ["bash", "-c", f"{PROGRAM} --show-completion && true"],
        check=True,
        capture_output=True,
        text=True,
    )
    assert "complete -o default -F _rankscope_completion rankscope" in asked.stdout


def test_a_shell_is_told_what_may_follow() -> None:
    def completed(words: str) -> list[str]:
        variables = {
            "_RANKSCOPE_COMPLETE": "complete_bash",
            "COMP_WORDS": words,
            "COMP_CWORD": str(len(words.split()) - 1),
        }
        done = subprocess.run(
            [PROGRAM], env={**os.environ, **variables}, check=False, capture_output=True, text=True
        )
        return done.stdout.split()

    assert completed("rankscope comp") == ["compare"]
    assert "--baseline" in completed("rankscope compare --b")


@pytest.mark.parametrize("missing", ["torch", "transformers"])
def test_a_command_that_needs_a_missing_package_says_so_in_a_sentence(
    tmp_path: Path, missing: str
) -> None:
    script = (
        f"import sys; sys.modules[{missing!r}] = None\n"
        "from rankscope.cli import main\n"
        "sys.argv = ['rankscope', 'rerank', '.', '--collection', '.', '--run', 'x', '--out', 'y']\n"
        "main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, check=False, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert done.stderr == (
        f"rankscope: this needs the package {missing}, which is not installed. Install it: pip install {missing}.\n"
    )


def test_a_notebook_needs_no_torch_for_runs_and_bm25(tmp_path: Path) -> None:
    script = (
        "import sys\n"
        "class Absent:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name.partition('.')[0] in {'torch', 'transformers', 'sentence_transformers', 'peft', 'accelerate'}:\n"
        "            raise ModuleNotFoundError(name, name=name)\n"
        "sys.meta_path.insert(0, Absent())\n"
        "import rankscope as rs\n"
        "from rankscope.data import world\n"
        "from pathlib import Path\n"
        "world.write(world.world(3, n_people=14), Path('data'), test_share=0.5, seed=3)\n"
        "c = rs.collection('data')\n"
        "run = rs.search('bm25', c, depth=5)\n"
        "rs.load('bm25', c).rank('who taught whom', ['one taught another', 'a tax form'])\n"
        "print(len(rs.compare({'a': run, 'b': run.top(2)}, c, ['nDCG@10']).frame()))\n"
        "print(rs.measure({'a': run}, c).frame().shape)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, check=False, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split() == ["1", "(1,", "5)"]
