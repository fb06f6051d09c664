"""The notebooks of docs/notebooks, carried out in a folder of their own; they are stored without outputs."""

import json
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "docs" / "notebooks").glob("*.ipynb"))


def test_there_are_two_and_the_docs_name_them() -> None:
    assert [path.stem for path in NOTEBOOKS] == ["first-table", "what-fine-tuning-changed"]
    page = (ROOT / "docs" / "python.md").read_text("utf-8")
    assert all(f"(notebooks/{path.name})" in page for path in NOTEBOOKS)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_is_stored_without_outputs(path: Path) -> None:
    for cell in json.loads(path.read_text("utf-8"))["cells"]:
        if cell["cell_type"] == "code":
            assert (cell["outputs"], cell["execution_count"]) == ([], None)
            compile("".join(cell["source"]), str(path), "exec")


def shown(notebook: Any) -> list[dict[str, Any]]:
    """What each cell showed, by its type."""
    return [
        output["data"]
        for cell in notebook.cells
        if cell.cell_type == "code"
        for output in cell.outputs
        if output.output_type == "execute_result"
    ]


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_runs_from_top_to_bottom(path: Path, tmp_path: Path) -> None:
    import nbformat
    from nbclient import NotebookClient

    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(
        notebook,
        timeout=1200,
        kernel_name="python3",
        resources={"metadata": {"path": str(tmp_path)}},
    )
    client.execute()  # raises where a cell does
    everything = shown(notebook)
    assert any("<table>" in data.get("text/html", "") for data in everything)
    assert any("vega" in data.get("text/html", "") for data in everything), "a chart"
    assert all(len(data.get("text/plain", "").splitlines()) <= 20 for data in everything)
