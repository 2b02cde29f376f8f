"""Pages in headless Chromium. A module says which page: its fixture `path`."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    from chromium import Chromium, find_chromium

    with Chromium(find_chromium(), tmp_path_factory.mktemp("profile")) as page:
        yield page


@pytest.fixture
def page(browser, path):
    browser.errors.clear()
    browser.requests.clear()
    browser.resize(1200, 900)
    browser.media()
    browser.open(path)
    yield browser
    assert browser.errors == []
    # Nothing is fetched but the page itself.
    assert {url.split("#")[0] for url in browser.requests} == {path.resolve().as_uri()}
