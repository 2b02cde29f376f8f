"""The section of the page that says whether the data is sound."""

from __future__ import annotations

import re

import numpy as np
import pytest

from wavelens._utils._names import without_isolates
from wavelens.data import ImageData
from wavelens.patterns import PatternAnalysis
from wavelens.quality import check_images
from wavelens.report import write_patterns_report
from wavelens.report._pattern_story import Story
from wavelens.report._quality_section import in_short, quality_section
from wavelens.report._tables import _quality_columns


def section(folder, data, n_coefficients=10):
    analysis = PatternAnalysis(n_coefficients=n_coefficients).fit(data.images, data.labels)
    quality = check_images(data)
    found = quality_section(Story(folder, analysis, data, more={"quality": quality}))
    return found, [block for block in found.blocks if block.kind == "gallery"], quality


def noise(n=40, modes=None, names=None):
    images = np.random.default_rng(0).uniform(0, 200, (n, 16, 16))
    names = names or tuple(f"image {i}.png" for i in range(n))
    return ImageData(images, np.arange(n) % 2, ("cat", "<b>dog"), names, original_modes=modes)


def test_all_kinds_of_findings_with_hostile_names(tmp_path):
    names = ("\x1b[31m<script>.png", "\udcff.png", *(f"x{i}.png" for i in range(38)))
    data = noise(modes=("RGB", "L") * 20, names=names)
    images = data.images
    images[3] = images[0]
    images[5] = 0.5 * images[1]
    images[7] = 9.0
    images[8] = images.max()
    images[8, :3] = 0
    analysis = PatternAnalysis(n_coefficients=10).fit(data.images, data.labels)
    quality = check_images(data)
    html = write_patterns_report(tmp_path, analysis, data, quality=quality).read_text(encoding="utf-8")
    part = re.search(r'<section id="quality".*?</section>', html, re.DOTALL).group()
    assert "<script>.png" not in part
    assert "\x1b" not in html
    for title in ("Exact copies", "Nearly the same", "Empty or saturated", "What tells the class"):
        assert title in part
    assert part.count("<img") == 2 + 2 + 2
    assert "1 of them across classes" not in part
    assert "of cat, all 20 are RGB" in part
    assert not re.search(r"\b(nan|None)\b", part)
    short = in_short(quality)
    assert short in html
    assert short == (
        "The data wants a look: there are exact copies, near-duplicates, empty images, saturated images and "
        "files that tell their class."
    )


def test_sound_data(tmp_path):
    found, galleries, quality = section(tmp_path, noise())
    assert quality.is_sound
    assert "found nothing that asks for action" in found.blocks[0].paragraphs[0]
    assert galleries == []
    assert in_short(quality) == "The checks of the data found nothing that asks for action."


def test_many_findings_stay_short(tmp_path):
    data = noise(120)
    data.images[60:] = data.images[:60]
    (gallery,) = section(tmp_path, data)[1]
    assert len(gallery.cells) == 16
    assert gallery.title == "60 groups of images with the same pixels (the first 16 images are shown)"


def test_copies_across_classes_come_first(tmp_path):
    data = noise()
    data.images[2], data.images[7] = data.images[0], data.images[4]
    (gallery,) = section(tmp_path, data)[1]
    assert [without_isolates(cell.name) for cell in gallery.cells] == [f"image {i}.png" for i in (4, 7, 0, 2)]


def test_columns_have_a_row_for_each_image():
    data = noise()
    data.images[30] = data.images[4]
    columns = _quality_columns(check_images(data))
    assert {len(column) for column in columns.values()} == {40}
    assert columns["duplicate_of"][30] == "image 4.png"
    assert columns["duplicate_of"].count("") == 39


@pytest.mark.parametrize("n", [4, 10])
def test_few_images(tmp_path, n):
    found, _, quality = section(tmp_path, noise(n), n_coefficients=2)
    assert found.title == "Is the data sound?"
    assert quality.is_sound
