"""The Python in README.md and docs/ runs as it is printed, and the links between pages lead somewhere.

The blocks of a page share their names, from top to bottom, as for a reader who types them in. A block that
begins with the comment `# needs WAVELENS_DATA` is left out where the real data is not at hand, one that begins with
`# needs dask` where Dask is not installed.
"""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
NEEDS_DATA = "# needs WAVELENS_DATA"
NEEDS_DASK = "# needs dask"
_block = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_link = re.compile(r"\]\((?!https?:|mailto:)([^)\s]+)\)")


def run_blocks(page: Path, *, with_data: bool) -> None:
    text = page.read_text(encoding="utf-8")
    names: dict[str, Any] = {}
    without_dask = importlib.util.find_spec("dask") is None
    for found in _block.finditer(text):
        if without_dask and found[1].startswith(NEEDS_DASK):
            continue
        if with_data or not found[1].startswith(NEEDS_DATA):
            # Empty lines before the code, so that a traceback names the line of the page.
            code = "\n" * text.count("\n", 0, found.start(1)) + found[1]
            exec(compile(code, str(page), "exec"), names)


def has_blocks(page: Path, *, of_data: bool) -> bool:
    blocks = _block.findall(page.read_text(encoding="utf-8"))
    return any(block.startswith(NEEDS_DATA) is of_data for block in blocks)


def anchors(page: Path) -> set[str]:
    """Names of the headings of a page, as links write them."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    titles = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize(
    "page", [page for page in PAGES if has_blocks(page, of_data=False)], ids=lambda page: page.name
)
def test_python_runs(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run_blocks(page, with_data=False)


@pytest.mark.realdata
@pytest.mark.parametrize(
    "page", [page for page in PAGES if has_blocks(page, of_data=True)], ids=lambda page: page.name
)
def test_python_on_real_data_runs(
    page: Path, real_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    run_blocks(page, with_data=True)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in _link.findall(page.read_text(encoding="utf-8")):
        name, _, anchor = target.partition("#")
        place = (page.parent / name) if name else page
        assert place.exists(), f"{page.name} links to {target}"
        if anchor:
            assert anchor in anchors(place), f"{page.name} links to {target}"
