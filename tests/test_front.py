"""What `import rankscope` gives, and what it costs."""

import subprocess
import sys
from types import ModuleType

import pytest

import rankscope


def test_the_front_is_what_it_says() -> None:
    front = {name: getattr(rankscope, name) for name in rankscope.__all__}
    assert all(value.__name__ == name for name, value in front.items())
    visible = {
        name
        for name in dir(rankscope)
        if not name.startswith("_") and not isinstance(getattr(rankscope, name), ModuleType)
    }
    assert visible == set(front)
    for name, value in front.items():
        assert value is getattr(rankscope, name)
        assert value is getattr(sys.modules[value.__module__], name)
    with pytest.raises(AttributeError, match="no attribute 'compere'"):
        rankscope.compere  # noqa: B018


def test_what_reads_run_files_loads_no_torch() -> None:
    script = (
        "import sys, rankscope.verbs.compare, rankscope.verbs.teacher;"
        "sys.exit(bool({'torch', 'transformers', 'sentence_transformers'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


def test_importing_it_loads_nothing_heavy_and_sets_nothing_up() -> None:
    script = (
        "import logging, sys, rankscope;"
        "sys.exit(bool({'torch', 'transformers', 'scipy', 'numpy'} & set(sys.modules) or logging.root.handlers))"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
