"""Of very many images a report shows some, and tells of all."""

from __future__ import annotations

import csv
import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from wavelens.data import ImageData
from wavelens.patterns import PatternAnalysis, _image_similarity
from wavelens.patterns._sample import seen_through
from wavelens.quality import check_images
from wavelens.quality._among import among
from wavelens.report import image_table, summarize, write_images_csv, write_patterns_report
from wavelens.report._pattern_findings import Findings
from wavelens.report._shown_images import seen_for_report

N = 900


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    rng = np.random.default_rng(3)
    labels = rng.integers(0, 3, N)
    images = rng.integers(0, 255, (N, 10, 12), dtype=np.uint8)
    for i in (1, 2):
        images[labels == i, i : i + 4, 2:6] //= 3
    images[[5, 700]] //= 8  # odd ones
    folder = tmp_path_factory.mktemp("work")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_image_similarity, "_landmarks", 200)
        analysis = PatternAnalysis(n_coefficients=12, similarity_method="landmarks", progress=False)
        analysis.fit(images, labels, work_dir=folder)
        assert analysis.class_similarity_.method == "landmarks"
    return analysis, images


def of(images, seen):
    places = seen.sampled_from_.places
    names = tuple(f"{i}.png" for i in places)
    return ImageData(images[places], seen.labels_, ("a", "b", "c"), names, "some")


@pytest.fixture(scope="module")
def seen(whole):
    return seen_for_report(whole[0], 400)


def test_what_the_galleries_point_at_is_shown(whole, seen):
    analysis, _ = whole
    shown = seen.sampled_from_.places
    assert (np.diff(shown) > 0).all()
    assert len(shown) <= 440
    for i in range(3):
        assert np.isin(analysis.isolated(i, 8), shown).all()
        for j in {0, 1, 2} - {i}:
            assert np.isin(analysis.borderline(i, j, 8), shown).all()
            assert np.isin(analysis.extremes(i, j, 8), shown).all()
    order = np.argsort(analysis.complexity())
    assert np.isin([order[:8], order[-8:]], shown).all()
    assert 0.4 * len(shown) <= seen.sampled_from_.drawn.sum() <= len(shown)


def test_numbers_of_an_image_are_those_among_all(whole, seen):
    analysis, _ = whole
    places = seen.sampled_from_.places
    similarity = analysis.similarity_to_classes()
    assert np.array_equal(seen.similarity_to_classes(), similarity[places])
    here, there = seen.spectrum(0, 2), analysis.spectrum(0, 2)
    known = np.isin(there.indices, places)
    assert np.array_equal(places[here.indices], there.indices[known])
    assert np.array_equal(here.values, there.values[known])
    assert (here.method, here.error) == ("landmarks", there.error)
    assert np.array_equal(places[seen.isolated(1, 8)], analysis.isolated(1, 8))
    table = image_table(seen)
    assert np.array_equal(table.isolation, 1 - similarity[places, seen.labels_])
    assert np.array_equal(table.complexity, analysis.complexity()[places])


def test_neighbours_are_the_nearest_of_all(whole, seen):
    analysis, _ = whole
    table, places = image_table(seen), seen.sampled_from_.places
    rows = np.array(analysis.embedding_)
    found = 0
    for i in np.flatnonzero((table.near_same >= 0).any(axis=1)):
        distance = np.linalg.norm(rows - rows[places[i]], axis=1)
        distance[places[i]] = np.inf
        for side, same in ((table.near_same[i], True), (table.near_other[i], False)):
            among_them = np.flatnonzero((analysis.labels_ == seen.labels_[i]) == same)
            nearest = among_them[np.argsort(distance[among_them], kind="stable")[:4]]
            held = side >= 0
            assert np.array_equal(places[side[held]], nearest[held])
            found += held.sum()
    assert found > 100


def test_findings_are_of_all_images(whole, seen):
    analysis, _ = whole
    a, b = (Findings(each, ("a", "b", "c")) for each in (seen, analysis))
    assert np.array_equal(a.sizes, b.sizes)
    assert a.pairs == b.pairs
    assert a.overlap() == b.overlap()
    assert a.likeness() == b.likeness()
    assert np.array_equal(a.complexity, b.complexity)
    places = seen.sampled_from_.places
    assert a.loneliest(lambda i: str(places[i])) == b.loneliest(str)
    assert seen.sampled_from_.drawn[a.sample].all()


@pytest.mark.parametrize("n", [2, 30, 90, 250, 5000])
def test_any_number_of_images_makes_a_page(whole, n, tmp_path):
    analysis, images = whole
    some = seen_for_report(analysis, n)
    assert (len(some.labels_) == N) == (n > N)
    if n not in (2, 90):
        return
    data = of(images, some)
    table = image_table(some)
    page = write_patterns_report(tmp_path, some, data, table=table).read_text(encoding="utf-8")
    assert "What 900 images of 3 classes are made of" in page
    assert f"900, of which {len(data.labels)} are shown" in page
    assert "through 200 landmarks" in page
    assert "found exactly at 200 images (landmarks)" in page
    write_images_csv(tmp_path / "images.csv", table, data)
    assert len(Path(tmp_path / "images.csv").read_text().splitlines()) == len(data.labels) + 1
    summary = summarize(some, data, table)
    json.dumps(summary, allow_nan=False)
    assert summary["n_images"] == N
    assert sum(each["n_images"] for each in summary["classes"].values()) == N
    assert summary["similarity"]["method"] == "landmarks"


def test_images_that_can_no_longer_be_read_are_left_out(whole, seen, tmp_path):
    analysis, images = whole
    sampled = seen.sampled_from_
    there = ~np.isin(sampled.places, [*analysis.isolated(0, 8), *analysis.borderline(0, 1, 3)])
    less = seen_through(analysis, sampled.places[there], sampled.drawn[there], sampled.nearest)
    page = write_patterns_report(tmp_path, less, of(images, less), table=image_table(less))
    assert "Isolated images" in page.read_text(encoding="utf-8")


def test_checks_of_a_sample_are_told_of_it(whole, seen, tmp_path):
    analysis, images = whole
    data = of(images, seen)
    drawn = np.flatnonzero(seen.sampled_from_.drawn)
    taken = images[seen.sampled_from_.places[drawn]].copy()
    taken[7] = taken[3]
    sample = dataclasses.replace(
        data,
        images=taken,
        labels=data.labels[drawn],
        image_names=tuple(data.image_names[i] for i in drawn),
    )
    counts = np.array([10, 20, 3000])
    quality = among(check_images(sample, progress=False), drawn, data.image_names, data.labels, counts)
    assert quality.duplicate_groups == ((drawn[3], drawn[7]),)
    assert quality.duplicate_of[drawn[7]] == drawn[3]
    told = [each.text for each in quality.findings()]
    assert any("c has 3,000 images, a 10" in text for text in told)
    assert quality.to_dict()["n_checked"] == len(drawn)
    assert quality.to_dict()["n_images"] == 3030
    table = image_table(seen)
    write_images_csv(tmp_path / "images.csv", table, data, quality)
    with (tmp_path / "images.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows[drawn[7]]["duplicate_of"] == data.image_names[drawn[3]]
    page = write_patterns_report(tmp_path, seen, data, table=table, quality=quality)
    assert f"Checked were {len(drawn)} images drawn at random" in page.read_text(encoding="utf-8")
    assert analysis.sampled_from_ is None
