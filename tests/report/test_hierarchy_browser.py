"""The report of a hierarchy in headless Chromium: nothing fails, nothing is fetched, it fits and can be read."""

from __future__ import annotations

import numpy as np
import pytest

from wavelens.hierarchy import ClassHierarchy, composition_stability, layer_flow
from wavelens.report import write_hierarchy_report

pytest.importorskip("fcntl", reason="Chromium is driven over a pipe, as on POSIX systems only")

from chromium import find_chromium

pytestmark = pytest.mark.skipif(find_chromium() is None, reason="no Chromium or Chrome is installed")

names = ("</script><script>alert(1)</script>", '"><img src=x onerror=alert(2)>', "$x$ & y", "w" * 200)
FIGURE = "document.querySelector('#graph svg.drawn')"


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    rng = np.random.default_rng(0)
    classes = (*names, *(f"class {i}" for i in range(26)))
    labels = np.repeat(np.array(classes), 5)
    values = 1 + np.repeat(rng.normal(size=(30, 20)), 5, axis=0) + 0.1 * rng.normal(size=(150, 20))
    options = {"order": 4, "n_resamples": 2}
    return write_hierarchy_report(
        tmp_path_factory.mktemp("hierarchy"),
        ClassHierarchy(order=4).fit(values, labels),
        stability=composition_stability(values, labels, **options),
        flow=layer_flow({"first": np.abs(values), "second": values}, labels, **options),
        layer="second",
        command="wavelens hierarchy " + "a-long-name-" * 30,
    )


def test_names_stay_text(page):
    assert page.run("document.querySelectorAll('img').length") == 0
    cells = page.run("[...document.querySelectorAll('#places tbody th')].map((cell) => cell.textContent)")
    assert set(names[:3]) <= set(cells)
    # Of the long one the ends are shown; what points at it is told more.
    titles = page.run(
        "[...document.querySelectorAll('#places tbody th bdi[title]')].map((each) => each.title)"
    )
    assert titles == [names[3]]
    assert len(cells) == 30


def test_contents_lead_to_every_section(page):
    links = page.run("[...document.querySelectorAll('nav > ol > li > a')].map((a) => a.hash)")
    sections = page.run("[...document.querySelectorAll('main > section')].map((each) => '#' + each.id)")
    assert links == ["#overview", *sections]


def test_long_tables_open_on_a_click(page):
    shown = "document.querySelector('#places table').checkVisibility({contentVisibilityAuto: true})"
    assert not page.run(shown)
    page.click("#places summary")
    page.wait(shown)


@pytest.mark.parametrize("width", [360, 700, 1000, 1600])
def test_nothing_sticks_out_of_the_window(page, width):
    page.resize(width, 800)
    page.run("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
    assert page.run("document.documentElement.scrollWidth") <= width
    outside = (
        "[...document.querySelectorAll('main p, main h2, main h3, figcaption, caption span')]"
        ".filter((each) => each.getBoundingClientRect().right > innerWidth + 1).length"
    )
    assert page.run(outside) == 0


def test_the_graph_is_drawn_for_dark_pages_too(page):
    colors = (
        f"(() => {{ const color = (property) => new Set([...{FIGURE}.querySelectorAll('path, text, use')]"
        ".map((each) => getComputedStyle(each)[property])); return [...color('fill')]; })()"
    )
    light = set(page.run(colors))
    page.media(scheme="dark")
    dark = set(page.run(colors))
    panel = "rgb(238, 243, 249)"
    assert panel in light
    assert panel not in dark
    assert "rgb(255, 255, 255)" not in dark


def test_paper_shows_what_is_folded(page):
    page.media(scheme="dark", kind="print")
    assert page.run("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert page.run("document.querySelector('nav').getBoundingClientRect().height") == 0
