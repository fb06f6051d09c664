"""The pages of the documentation's site: gathered, with links that follow their new places."""

import re
from pathlib import Path

import gather_site

import rankscope as rs


def test_links_lead_to_pages_and_every_public_name_is_on_the_page_of_the_api(
    tmp_path: Path,
) -> None:
    report = tmp_path / "report.html"
    report.write_text("<p>a report</p>", "utf-8")
    out = tmp_path / "site"
    gather_site.gather(out, report)
    home = (out / "index.md").read_text("utf-8")
    assert "](guide.md)" in home
    assert "](docs/" not in home
    assert "](../index.md" not in (out / "guide.md").read_text("utf-8")
    pages = [page for page in out.rglob("*.md") if page.name != "changelog.md"]
    for page in pages:
        for target in re.findall(r"\]\(([^)#\s]+\.md)(?:#[^)]*)?\)", page.read_text("utf-8")):
            assert "://" in target or (page.parent / target).is_file(), f"{page.name}: {target}"
    for notebook in (gather_site.ROOT / "docs" / "notebooks").glob("*.ipynb"):
        page = (out / "notebooks" / f"{notebook.stem}.md").read_text("utf-8")
        assert page.startswith("# ")
        assert "```python\nimport rankscope as rs" in page
        assert f"](notebooks/{notebook.stem}.md)" in (out / "python.md").read_text("utf-8")
    api = (out / "api.md").read_text("utf-8")
    assert all(f".{name}\n" in api + "\n" for name in rs.__all__)
    assert (out / "demo.html").read_bytes() == report.read_bytes()
    gather_site.gather(out, tmp_path / "absent.html")
    assert "It was not there" in (out / "report.md").read_text("utf-8")
