"""The report in headless Chromium, with real keys and pointer: nothing fails, and everything on it works."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
import pytest

from wavelens.data import load
from wavelens.patterns import PatternAnalysis
from wavelens.report import image_table, write_patterns_report

pytest.importorskip("fcntl", reason="Chromium is driven over a pipe, as on POSIX systems only")

from chromium import find_chromium

pytestmark = pytest.mark.skipif(find_chromium() is None, reason="no Chromium or Chrome is installed")

ROWS = "[...document.querySelectorAll('.images tbody tr')]"
hostile = ("</script><script>alert(1)</script>", '"><img src=x onerror=alert(2)>')


@dataclass(frozen=True)
class Images:
    images: np.ndarray
    labels: np.ndarray
    class_names: tuple[str, ...]
    image_names: tuple[str, ...]
    skipped: tuple = ()
    notes: tuple[str, ...] = ()


def write(folder, data, n_coefficients):
    analysis = PatternAnalysis(n_coefficients=n_coefficients).fit(data.images, data.labels)
    table = image_table(analysis)
    return write_patterns_report(folder, analysis, data, table=table), table


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    everything = load("digits")
    few = everything.labels < 3
    digits = Images(
        everything.images[few],
        everything.labels[few],
        everything.class_names,
        tuple(name for name, kept in zip(everything.image_names, few, strict=True) if kept),
    )
    path, table = write(tmp_path_factory.mktemp("digits"), digits, 30)
    return path, table, digits


@pytest.fixture(scope="module")
def path(report):
    return report[0]


def column(page, i):
    """Return a column of the table as shown."""
    return page.run(f"{ROWS}.map((row) => row.children[{i}].textContent)")


def numbers(texts):
    return np.array([float(text.replace("−", "-")) for text in texts])


def found(page):
    return page.run("document.querySelector('.found').textContent")


def set_field(page, name, value):
    page.run(
        f"(() => {{ const field = document.getElementById('images-{name}'); field.value = {value!r};"
        "field.dispatchEvent(new Event('input', {bubbles: true})); })()"
    )


def test_it_loads_with_every_picture(page):
    assert "537 images" in page.run("document.title")
    assert page.run("[...document.images].every((image) => image.src.startsWith('data:'))")
    assert page.run(f"{ROWS}.length") == 50
    # The thumbnails are drawn: digits are nowhere one colour.
    page.wait(
        f"{ROWS}.every((row) => {{ const c = row.querySelector('canvas');"
        "const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;"
        "return c.width === 8 && d[3] === 255 && d.some((v, i) => i % 4 === 0 && v !== d[0]); })"
    )


def test_thumbnails_are_those_of_the_images(page, report):
    _, _, digits = report
    page.wait(f"{ROWS}[49].querySelector('canvas').getContext('2d').getImageData(0, 0, 1, 1).data[3] === 255")
    for i in (0, 49):
        drawn = page.run(
            f"[...{ROWS}[{i}].querySelector('canvas').getContext('2d').getImageData(0, 0, 8, 8).data]"
        )
        pixels = np.array(drawn).reshape(8, 8, 4)[..., 0]
        assert np.corrcoef(pixels.ravel(), digits.images[i].ravel())[0, 1] > 0.999


def test_sorting_by_a_column_of_numbers(page, report):
    _, table, digits = report
    selector = ".images [data-key=place]"
    page.click(selector)
    shown = numbers(column(page, 6))
    np.testing.assert_allclose(shown, np.sort(table.spectrum)[:50], atol=0.006)
    header = "document.querySelector('.images [data-key=place]').parentElement.getAttribute('aria-sort')"
    assert page.run(header) == "ascending"
    page.run(f"document.querySelector('{selector}').focus()")
    page.press("Enter")
    assert page.run(header) == "descending"
    np.testing.assert_allclose(numbers(column(page, 6)), np.sort(table.spectrum)[::-1][:50], atol=0.006)
    page.click(".images [data-key=name]")
    assert page.run(header) == "none"
    names = column(page, 0)
    assert len(set(names)) == 50
    assert set(names) <= set(digits.image_names)


def test_filters_narrow_and_come_back(page, report):
    _, table, digits = report
    page.click("#images-name")
    page.type("17")
    expected = [name for name in digits.image_names if "17" in name]
    assert found(page).startswith(f"{len(expected):,} of 537")
    assert all("17" in name for name in column(page, 0))
    set_field(page, "class", "2")
    both = sum("17" in n and k == 2 for n, k in zip(digits.image_names, digits.labels, strict=True))
    assert found(page).startswith(f"{both} of 537")
    assert set(column(page, 1)) <= {"2"}
    page.click(".tools [type=reset]")
    page.wait("document.querySelector('.found').textContent === '537 images'")
    set_field(page, "column", "isolation")
    set_field(page, "from", "0.9")
    assert (
        found(page).startswith(f"{(table.isolation >= 0.9).sum():,} of") or not (table.isolation > 0.9).any()
    )
    set_field(page, "name", "no such image")
    assert "No image is like that" in found(page)
    assert page.run(f"{ROWS}.length") == 0


def test_pages_of_the_table(page):
    first = column(page, 0)
    page.click(".pages [data-to=on]")
    assert not set(first) & set(column(page, 0))
    page.click(".pages [data-to=last]")
    assert page.run("document.querySelector('.page').textContent") == "Page 11 of 11"
    assert page.run("document.querySelector('.pages [data-to=on]').disabled")
    assert page.run(f"{ROWS}.length") == 537 % 50
    page.click(".pages [data-to=first]")
    assert column(page, 0) == first


def test_an_image_of_the_table_opens_and_gives_the_focus_back(page, report):
    _, table, digits = report
    page.run(f"{ROWS}[2].querySelector('button').focus()")
    page.press("Enter")
    page.wait("document.querySelector('dialog').open")
    assert page.run("document.querySelector('#panel-title').textContent") == digits.image_names[2]
    near = page.run(
        "[...document.querySelectorAll('.near')].map((n) => [...n.children].map((b) => b.dataset.image))"
    )
    assert [int(i) for i in near[0]] == table.near_same[2].tolist()
    assert [int(i) for i in near[1]] == table.near_other[2].tolist()
    # From neighbour to neighbour, and with Escape back to where it began.
    page.click(".near button:nth-child(2)")
    assert (
        page.run("document.querySelector('#panel-title').textContent") == digits.image_names[near_name(near)]
    )
    page.press("Escape")
    page.wait("!document.querySelector('dialog').open")
    assert page.run("document.activeElement.dataset.image") == "2"


def near_name(near):
    return int(near[0][1])


def test_the_strip_shows_and_opens(page):
    name = "document.querySelector('.preview .name').textContent"
    page.point(".walk svg", across=0.02)
    left = page.run(name)
    page.point(".walk svg", across=0.98)
    assert page.run(name) != left
    page.run("document.querySelector('.walk').focus()")
    page.press("Home")
    first = page.run(name)
    page.press("ArrowRight")
    assert page.run(name) != first
    page.press("ArrowLeft")
    assert page.run(name) == first
    page.press("Enter")
    page.wait("document.querySelector('dialog').open")
    assert page.run("document.querySelector('#panel-title').textContent") == first
    page.press("Escape")
    page.wait("!document.querySelector('dialog').open")
    assert page.run("document.activeElement.className") == "walk"
    page.click(".walk svg")
    page.wait("document.querySelector('dialog').open")
    page.click(".panel .close")
    page.wait("!document.querySelector('dialog').open")
    page.click(".cell [data-image]")
    page.wait("document.querySelector('dialog').open")


def test_the_theme_follows_the_system_and_the_button(page):
    color = "getComputedStyle(document.body).backgroundColor"
    page.run("localStorage.clear()")
    page.media(scheme="light")
    light = page.run(color)
    page.media(scheme="dark")
    dark = page.run(color)
    assert light != dark
    page.click("#theme")
    assert page.run(color) == light
    assert page.run("document.getElementById('theme').textContent") == "Dark theme"
    page.run("localStorage.clear()")


@pytest.mark.parametrize("width", [360, 700, 1000, 1600])
def test_nothing_sticks_out_of_the_window(page, width):
    page.resize(width, 800)
    assert page.run("document.documentElement.scrollWidth") <= width
    page.run(f"{ROWS}[0].querySelector('button').click()")
    page.wait("document.querySelector('dialog').open")
    assert page.run("document.querySelector('dialog').getBoundingClientRect().right") <= width


def test_paper_has_no_controls(page):
    page.media(scheme="dark", kind="print")
    assert page.run("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    for selector in ("nav", ".tools", ".pages", "dialog"):
        assert page.run(f"document.querySelector('{selector}').getBoundingClientRect().height") == 0
    assert page.run("document.querySelector('.paper-only').getBoundingClientRect().height") > 0
    assert page.run(f"{ROWS}.length") == 50


def test_hostile_names_stay_text(browser, tmp_path):
    rng = np.random.default_rng(0)
    labels = np.arange(24) % 2
    names = tuple(f"{hostile[k]}{i}" for i, k in enumerate(labels))
    path, _ = write(tmp_path, Images(rng.normal(size=(24, 8, 8)), labels, hostile, names), 6)
    browser.errors.clear()
    browser.open(path)
    assert set(column(browser, 1)) == set(hostile)
    browser.run(f"{ROWS}[0].querySelector('button').click()")
    browser.wait("document.querySelector('dialog').open")
    assert browser.run("document.querySelectorAll('img[src=x]').length") == 0
    assert browser.errors == []


def test_ten_thousand_images(browser, tmp_path):
    n = 10_000
    rng = np.random.default_rng(0)
    labels = np.arange(n) % 2
    images = (rng.integers(0, 256, (n, 28, 28)) // 2 + 40 * labels[:, None, None]).astype(np.uint8)
    names = tuple(f"train/{i:05d}.png" for i in range(n))
    path, _ = write(tmp_path, Images(images, labels, ("a", "b"), names), 20)
    assert path.stat().st_size < 15e6
    browser.errors.clear()
    start = time.monotonic()
    browser.open(path)
    browser.click(".images [data-key=complexity]")
    set_field(browser, "name", "777")
    assert found(browser).startswith("19 of 10,000")
    # Far more than it takes, and far less than a page that chokes.
    assert time.monotonic() - start < 30
    assert browser.run("document.querySelectorAll('*').length") < 20_000
    assert browser.errors == []
