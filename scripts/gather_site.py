"""Gather the pages of the documentation's site into a folder, for mkdocs: `python scripts/gather_site.py site-src`.

The pages are those of the repository; links among them follow their new places. The report of the demo is embedded
where `results/demo/report.html` is there.
"""

import json
import re
import shutil
import sys
from pathlib import Path

import rankscope

ROOT = Path(__file__).resolve().parent.parent
MOVED = {
    "README.md": "index.md",
    "ARCHITECTURE.md": "architecture.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
}
REPORT = ROOT / "results" / "demo" / "report.html"
LINK = re.compile(r"(\]\()([^)#\s]+)(#[^)\s]*)?(\))")


def gather(out: Path, report: Path = REPORT) -> None:
    """Write all pages; a folder that is there is made again."""
    shutil.rmtree(out, ignore_errors=True)
    shutil.copytree(ROOT / "docs", out)
    for name, moved in MOVED.items():
        shutil.copyfile(ROOT / name, out / moved)
    for notebook in out.rglob("*.ipynb"):
        notebook.with_suffix(".md").write_text(_as_page(notebook), "utf-8")
    for page in out.rglob("*.md"):
        page.write_text(_relinked(page.read_text("utf-8"), page, out), "utf-8")
    (out / "api.md").write_text(_api(), "utf-8")
    (out / "report.md").write_text(_report(report, out), "utf-8")


def _relinked(text: str, page: Path, out: Path) -> str:
    """The page's links from its new place; what is no page of the site is told by its name."""
    came_from = {new: old for old, new in MOVED.items()}.get(page.relative_to(out).as_posix())
    folder = ROOT if came_from else (ROOT / "docs" / page.relative_to(out)).parent

    def moved(match: re.Match[str]) -> str:
        before, target, anchor, after = match.groups()
        if "://" in target:
            return match.group(0)
        place = (folder / target).resolve()
        try:
            inside = place.relative_to(ROOT).as_posix()
        except ValueError:
            return match.group(0)
        there = MOVED.get(inside) or (
            inside.removeprefix("docs/") if inside.startswith("docs/") else None
        )
        if there is None:
            return match.group(0)
        there = there.removesuffix(".ipynb") + ".md" if there.endswith(".ipynb") else there
        up = "../" * (len(page.relative_to(out).parts) - 1)
        return f"{before}{up}{there}{anchor or ''}{after}"

    return LINK.sub(moved, text)


def _as_page(notebook: Path) -> str:
    """A notebook's cells as a page: its words, and its code in blocks."""
    cells = json.loads(notebook.read_text("utf-8"))["cells"]
    texts = [("".join(cell["source"]), cell["cell_type"] == "code") for cell in cells]
    return (
        "\n\n".join(f"```python\n{text}\n```" if is_code else text for text, is_code in texts)
        + "\n"
    )


def _api() -> str:
    """A page with every public name, out of their docstrings."""
    homes = {name: getattr(rankscope, name).__module__ for name in rankscope.__all__}
    entries = [f"::: {module}.{name}" for name, module in homes.items()]
    return "# API\n\n`import rankscope as rs` gives these names.\n\n" + "\n\n".join(entries) + "\n"


def _report(report: Path, out: Path) -> str:
    """A page that embeds the demo's report, or says how it is made."""
    head = "# A report\n\nThe page that `make demo` writes.\n\n"
    if not report.is_file():
        return head + "It was not there when this site was built.\n"
    shutil.copyfile(report, out / "demo.html")
    return (
        head
        + '<iframe src="../demo.html" title="The demo\'s report" style="width: 100%; height: 80vh"></iframe>\n'
    )


if __name__ == "__main__":
    gather(Path(sys.argv[1]))
