"""The report of spaces in headless Chromium: nothing fails, nothing is fetched, it fits and can be read."""

from __future__ import annotations

import numpy as np
import pytest

from wavelens.models import NumpyMLP
from wavelens.report import write_spaces_report
from wavelens.spaces import NetworkSpaces, ideal_inputs

pytest.importorskip("fcntl", reason="Chromium is driven over a pipe, as on POSIX systems only")

from chromium import find_chromium

pytestmark = pytest.mark.skipif(find_chromium() is None, reason="no Chromium or Chrome is installed")

names = ("</script><script>alert(1)</script>", '"><img src=x onerror=alert(2)>', "$x$ & y", "w" * 200)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    rng = np.random.default_rng(0)
    weights = [
        rng.normal(size=(12, 64)),
        *(rng.normal(size=(12, 12)) for _ in range(6)),
        rng.normal(size=(4, 12)),
    ]
    net = NetworkSpaces.from_arrays(weights, input_shape=(8, 8), name="net & <b>")
    codes = np.arange(80) % 4
    images = rng.random((80, 64))
    flow = net.energy_flow(images, np.array(names)[codes])
    model = NumpyMLP(
        [each.T for each in weights], [np.zeros(len(each)) for each in weights], input_shape=(1, 8, 8)
    )
    return write_spaces_report(
        tmp_path_factory.mktemp("spaces"),
        net,
        flow=flow,
        means=np.stack([images[np.array(names)[codes] == name].mean(axis=0) for name in flow.classes]),
        ideal=ideal_inputs(model, images.reshape(-1, 8, 8), codes, train="newton", max_steps=3),
        command="wavelens spaces " + "a-long-name-" * 30,
        notes=["One thing to know."],
    )


def test_names_stay_text(page):
    assert page.run("document.querySelectorAll('img').length") == 0
    assert page.run("document.querySelector('h1').textContent").startswith("What net & <b> keeps")


def test_contents_lead_to_every_section(page):
    links = page.run("[...document.querySelectorAll('nav > ol > li > a')].map((a) => a.hash)")
    sections = page.run("[...document.querySelectorAll('main > section')].map((each) => '#' + each.id)")
    assert links == ["#overview", *sections]


def test_the_table_of_layers_fits(page):
    wide = "document.querySelector('#layers .scroll')"
    assert page.run(f"{wide}.scrollWidth - {wide}.clientWidth") <= 1


@pytest.mark.parametrize("width", [360, 700, 1000, 1600])
def test_nothing_sticks_out_of_the_window(page, width):
    page.resize(width, 800)
    page.run("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
    assert page.run("document.documentElement.scrollWidth") <= width
