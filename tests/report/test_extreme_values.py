"""Values whose squares no number can hold make a page or a sentence, never a traceback or a page of NaN."""

from __future__ import annotations

import re

import numpy as np
import pytest
from every_page import dataset
from html_page import check_page

from wavelens.exceptions import WavelensError
from wavelens.hierarchy import ClassHierarchy
from wavelens.patterns import PatternAnalysis
from wavelens.report import (
    image_table,
    write_hierarchy_report,
    write_patterns_report,
    write_spaces_report,
)
from wavelens.spaces import NetworkSpaces

SCALES = (1e155, 1e300, 1e-200, 1e-300)


def page_or_sentence(write):
    """Return the page, checked, or what was said in its place."""
    try:
        path = write()
    except (WavelensError, ValueError) as error:
        return str(error)
    return check_page(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("normalization", ["unit", "csd"])
@pytest.mark.parametrize("n_classes", [2, 5])
def test_images(tmp_path, scale, normalization, n_classes):
    data = dataset(("cat", "dog"), n_classes)
    images = data.images * (scale / 200)

    def write(by=1.0):
        np.multiply(images, by, out=data.images)
        analysis = PatternAnalysis(n_coefficients=8, normalization=normalization)
        analysis.fit(data.images, data.labels)
        return write_patterns_report(tmp_path, analysis, data, table=image_table(analysis))

    found = page_or_sentence(write)
    if isinstance(found, str):
        # What the sentence advises helps.
        assert "images" in found
        check_page(write(float(re.search(r"1e[+-]\d+", found).group())).read_text(encoding="utf-8"))


@pytest.mark.parametrize("scale", SCALES)
def test_features(tmp_path, scale):
    rng = np.random.default_rng(0)
    values = (1 + np.repeat(rng.normal(size=(6, 12)), 5, axis=0)) * scale
    found = page_or_sentence(
        lambda: write_hierarchy_report(
            tmp_path, ClassHierarchy(order=3).fit(values, np.repeat(np.arange(6), 5))
        )
    )
    assert not isinstance(found, str) or "features" in found


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("of", ["images", "weights"])
def test_what_enters_a_network(tmp_path, scale, of):
    rng = np.random.default_rng(0)
    weights = [rng.normal(size=(12, 64)), rng.normal(size=(3, 12))]
    images = rng.random((60, 64))
    if of == "images":
        images *= scale
    else:
        weights = [each * scale for each in weights]
    net = NetworkSpaces.from_arrays(weights, input_shape=(8, 8))
    found = page_or_sentence(
        lambda: write_spaces_report(tmp_path, net, flow=net.energy_flow(images, np.arange(60) % 3))
    )
    assert not isinstance(found, str) or "layer" in found
