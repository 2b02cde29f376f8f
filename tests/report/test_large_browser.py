"""The report of images too many to show, in headless Chromium: what is shown of them works, and says what is not."""

from __future__ import annotations

import numpy as np
import pytest

from wavelens.data import ImageData
from wavelens.patterns import PatternAnalysis, _image_similarity
from wavelens.report import image_table, write_patterns_report
from wavelens.report._shown_images import seen_for_report

pytest.importorskip("fcntl", reason="Chromium is driven over a pipe, as on POSIX systems only")

from chromium import find_chromium

pytestmark = pytest.mark.skipif(find_chromium() is None, reason="no Chromium or Chrome is installed")

OPENED = "document.querySelector('.panel').open"
NEAR = "[...document.querySelectorAll('.panel .near')].map((each) => each.querySelectorAll('button').length)"


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 1200)
    images = rng.integers(0, 255, (1200, 10, 12), dtype=np.uint8)
    for i in (1, 2):
        images[labels == i, i : i + 4, 2:6] //= 3
    folder = tmp_path_factory.mktemp("large")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_image_similarity, "_landmarks", 300)
        analysis = PatternAnalysis(n_coefficients=12, similarity_method="landmarks", progress=False)
        analysis.fit(images, labels, work_dir=folder / "work")
        seen = seen_for_report(analysis, 700)
    places = seen.sampled_from_.places
    data = ImageData(images[places], seen.labels_, ("a", "b", "c"), tuple(map(str, places)), "some")
    table = image_table(seen)
    return write_patterns_report(folder, seen, data, table=table), table, seen


@pytest.mark.parametrize("width", [1200, 400])
def test_it_opens_at_any_width(browser, report, width):
    browser.errors.clear()
    browser.resize(width, 900)
    browser.open(report[0])
    assert browser.run("document.documentElement.scrollWidth") <= width
    text = browser.run("document.body.innerText")
    assert "through 300 landmarks" in text
    assert f"{len(report[2].labels_)} of 1,200 images with the numbers" in text
    assert browser.errors == []


def test_neighbours_are_shown_where_they_were_looked_for(browser, report):
    path, table, seen = report
    browser.errors.clear()
    browser.resize(1200, 900)
    browser.open(path)
    held = (table.near_same >= 0).sum(axis=1)
    odd = int(seen.isolated(seen.classes_[0], 1)[0])
    assert held[odd] == 4
    for place in (odd, int(np.flatnonzero(held == 0)[0])):
        browser.run(
            f"(() => {{ const made = document.createElement('button'); made.dataset.image = {place};"
            "document.body.append(made); made.click(); made.remove(); })()"
        )
        assert browser.run(OPENED)
        assert browser.run(NEAR) == [int(held[place]), int((table.near_other[place] >= 0).sum())]
        none = browser.run("document.querySelectorAll('.panel .near .none').length")
        assert none == (0 if held[place] else 2)
        browser.run("document.querySelector('.panel').close()")
    assert browser.errors == []
