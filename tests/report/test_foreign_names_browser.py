"""Every kind of page with hostile names in headless Chromium: it works under its policy, and nothing else does."""

from __future__ import annotations

import pytest

pytest.importorskip("fcntl", reason="Chromium is driven over a pipe, as on POSIX systems only")

from chromium import find_chromium
from every_page import KINDS, write_page

pytestmark = pytest.mark.skipif(find_chromium() is None, reason="no Chromium or Chrome is installed")

HOSTILE = (
    "<script>window.acted = 1</script>",
    '"><img src=x onerror="window.acted = 2">',
    "javascript:window.acted=3",
    "\u202egnp.exe שלום",
    "w" * 200,
)


@pytest.fixture(scope="module", params=KINDS)
def path(request, tmp_path_factory):
    return write_page(request.param, tmp_path_factory.mktemp(request.param), HOSTILE)


def test_nothing_acts_and_everything_works(page):
    """The fixture `page` fails for errors, which include what the policy holds back, and for any request."""
    page.run("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
    page.click("#theme")
    assert page.run("document.documentElement.dataset.theme") == "dark"
    page.run("localStorage.clear()")
    for selector, open_panel in ((".walk", False), (".images tbody button", True)):
        if page.run(f"document.querySelector('{selector}') === null"):
            continue
        page.run(f"document.querySelector('{selector}').focus()")
        page.press("Home")
        if open_panel:
            page.press("Enter")
            page.wait("document.querySelector('dialog').open")
            page.press("Escape")
    assert page.run("typeof window.acted") == "undefined"
    assert page.run("document.querySelectorAll('img[src=x], bdi *').length") == 0
    assert page.run("[...document.images].every((image) => image.complete && image.naturalWidth > 0)")
    # Styles that were attributes hold: figures have the colours of the theme.
    if page.run("document.querySelector('svg.drawn text') !== null"):
        fills = page.run(
            "[...document.querySelectorAll('svg.drawn text')].map((t) => getComputedStyle(t).fill)"
        )
        assert "rgb(28, 33, 40)" in fills or "rgb(230, 233, 237)" in fills


def test_names_keep_their_direction_to_themselves(page):
    isolated = page.run(
        "[...document.querySelectorAll('bdi')].filter((each) => each.textContent.includes('שלום'))"
        ".map((each) => getComputedStyle(each).unicodeBidi)"
    )
    assert isolated
    assert set(isolated) == {"isolate"}


@pytest.mark.parametrize("width", [360, 1200])
def test_no_name_sticks_out_of_the_window(page, width):
    page.resize(width, 800)
    page.run("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
    assert page.run("document.documentElement.scrollWidth") <= width


def test_the_policy_holds_back_what_is_not_the_pages_own(browser, path):
    browser.open(path)
    browser.run(
        "document.body.append(Object.assign(document.createElement('script'), {textContent: 'window.acted = 4'}))"
    )
    browser.run("document.body.setAttribute('style', 'outline: 7px solid red')")
    browser.run("document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=\"window.acted = 5\">')")
    browser.run("new Promise((resolve) => setTimeout(resolve, 100))")
    assert browser.run("typeof window.acted") == "undefined"
    assert browser.run("getComputedStyle(document.body).outlineWidth") != "7px"
    assert any("Content Security Policy" in each for each in browser.errors)
    browser.errors.clear()
    browser.requests.clear()
