"""The report of a hierarchy as a page: whole, self-contained, safe with any names, and honest."""

from __future__ import annotations

import re

import numpy as np
import pytest
from html_page import check_page
from sklearn.datasets import load_digits
from sklearn.exceptions import NotFittedError

from wavelens.hierarchy import ClassHierarchy, companions, composition_stability, layer_flow
from wavelens.report import hierarchy_in_words, summarize_hierarchy, write_hierarchy_report

hostile = (
    "<script>alert(1)</script>",
    'a "quoted" & name',
    "$x_1$ and $",
    "x" * 300,
    "</style><img src=x onerror=alert(2)>",
    "new\nline",
)


def planted(names, n=8, d=16, seed=0):
    rng = np.random.default_rng(seed)
    means = 1 + rng.normal(size=(len(names), d))
    means[1] = means[0] + 0.1 * rng.normal(size=d)
    labels = np.repeat(np.array(names), n)
    return np.repeat(means, n, axis=0) + 0.1 * rng.normal(size=(len(labels), d)), labels


def write(folder, values, labels, *, order=3, flow=False, resamples=4, **options):
    hierarchy = ClassHierarchy(order=order).fit(values, labels)
    stability = composition_stability(values, labels, order=order, n_resamples=resamples)
    layers = None
    if flow:
        layers = layer_flow({"a": np.abs(values), "b": values}, labels, order=order, n_resamples=resamples)
    path = write_hierarchy_report(folder, hierarchy, stability=stability, flow=layers, **options)
    return hierarchy, path.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    values, labels = load_digits(return_X_y=True)
    return write(
        tmp_path_factory.mktemp("digits"),
        values,
        labels,
        flow=True,
        layer="pixels",
        source="digits",
        notes=("A note.",),
        command="wavelens hierarchy digits.npz",
    )


def test_every_section_is_there(digits):
    page, text = check_page(digits[1])
    sections = [attributes.get("id") for attributes in page.all("section") if "id" in attributes]
    assert sections == [
        "graph",
        "levels",
        "places",
        "apart",
        "matrix",
        "tree",
        "layers",
        "trust",
        "storage",
        "reading",
    ]
    assert len(page.all("svg")) >= 6
    assert "How 10 classes hang together in the layer “pixels”" in text
    assert "wavelens hierarchy digits.npz" in text
    assert "A note." in text
    for digit in range(10):
        assert f"“{digit}”" in text


def test_figures_lie_beside_the_page(tmp_path):
    values, labels = planted(("cat", "dog", "car", "bus", "oak"))
    write(tmp_path, values, labels)
    figures = {each.name for each in (tmp_path / "figures").iterdir()}
    assert {"graph.svg", "graph.png", "levels.png", "apart.png", "matrix.png", "tree.png"} <= figures


def test_hostile_names_stay_text(tmp_path):
    values, labels = planted(hostile)
    hierarchy, html = write(tmp_path, values, labels, flow=True, layer="<b>layer</b>", source="<i>&")
    page, text = check_page(html)
    assert len(page.all("script")) == 1
    assert not page.all("img")
    assert "<script>alert(1)</script>" in text
    assert "<b>layer</b>" in text
    # Of a long name the page shows the ends, and no more than a bounded part anywhere.
    (long,) = {each["title"] for each in page.all("bdi") if "xxx" in each.get("title", "")}
    assert 100 < len(long) < 300
    assert "x" * 300 not in html
    assert 'a "quoted" & name' in text
    summary = summarize_hierarchy(hierarchy)
    assert summary["n_classes"] == len(hostile)


def test_like_classes_are_told_first(tmp_path):
    values, labels = planted(("cat", "dog", "car", "bus", "oak"))
    hierarchy = ClassHierarchy(order=2, center=True).fit(values, labels)
    findings, _ = hierarchy_in_words(hierarchy)
    assert re.match(r"(Cat and dog|Dog and cat) belong together first", findings[0])


def test_the_figures_of_the_findings_are_right(digits):
    hierarchy, html = digits
    _, text = check_page(html)
    error = hierarchy.mmf_.relative_error
    assert f"up to {100 * error:.2g}%" in text or f"up to {100 * error:.0f}%" in text
    summary = summarize_hierarchy(hierarchy)
    values = np.linalg.eigvalsh(hierarchy.covariance_.matrix)
    assert summary["common_share"] == pytest.approx(values[-1] ** 2 / np.sum(values**2))
    rest = np.sqrt(np.sum(values[:-1] ** 2))
    assert summary["relative_error_of_rest"] == pytest.approx(hierarchy.mmf_.error / rest)
    # The share of the class that stands apart most, by least squares on the others.
    most = summary["stands_apart_most"][0]
    i = [str(each) for each in hierarchy.classes_].index(most["class"])
    others = np.delete(hierarchy.means_, i, axis=0)
    left = hierarchy.means_[i] - np.linalg.lstsq(others.T, hierarchy.means_[i], rcond=None)[0] @ others
    assert most["share"] == pytest.approx(left @ left / (hierarchy.means_[i] @ hierarchy.means_[i]))


def test_what_says_little_is_said(tmp_path):
    values, labels = planted(("cat", "dog", "car", "bus", "oak"))
    _, html = write(tmp_path / "few", values, labels, order=4)
    _, text = check_page(html)
    assert "Few images" in text
    assert "A composition takes 4 of 5 classes" in text
    rows = np.random.default_rng(0).normal(size=(12, 6))
    one = ClassHierarchy(order=3).fit(rows, np.arange(12))
    _, remarks = hierarchy_in_words(one)
    assert any("Every class is one row" in each for each in remarks)
    assert any("more classes (12) than numbers that describe an image (6)" in each for each in remarks)
    noise = np.random.default_rng(1).normal(size=(60, 200))
    drawn = composition_stability(noise, np.arange(60) % 12, order=3, n_resamples=8)
    assert drawn.is_steady is False


def test_layers_are_judged_with_a_caveat_where_images_tell_little(tmp_path):
    noise, labels = np.random.default_rng(1).normal(size=(60, 200)), np.arange(60) % 12
    _, unsteady = check_page(write(tmp_path / "noise", noise, labels, flow=True)[1])
    assert "As far as these images tell: " in unsteady
    values, labels = planted(tuple("abcdefgh"), n=40, d=30)
    assert composition_stability(values, labels, order=3, n_resamples=4).is_steady is True
    _, steady = check_page(write(tmp_path / "planted", values, labels, flow=True)[1])
    assert "As far as these images tell" not in steady
    assert "The compositions are settled" in steady or "No saturation" in steady


@pytest.mark.parametrize("order", [2, 3])
def test_the_smallest_hierarchies(tmp_path, order):
    values, labels = planted(("cat", "dog", "car")[:order])
    _, html = write(tmp_path, values, labels, order=order)
    check_page(html)


def test_many_classes_fold(tmp_path):
    rng = np.random.default_rng(0)
    values = 1 + rng.normal(size=(260, 40))
    hierarchy = ClassHierarchy(order=4).fit(values, np.arange(260))
    html = write_hierarchy_report(tmp_path, hierarchy).read_text(encoding="utf-8")
    page, text = check_page(html)
    assert len(page.all("details")) >= 2
    assert "too dense to be drawn" in text
    assert "classes.csv" in text
    assert len(html) < 4e6


def test_all_classes_alike(tmp_path):
    values = np.tile(np.arange(1.0, 9.0), (12, 1))
    _, html = write(tmp_path, values, np.arange(12) % 4, order=3, resamples=2)
    _, text = check_page(html)
    assert "none has anything of its own" in text


def test_other_classes_are_refused(tmp_path):
    values, labels = planted(("cat", "dog", "car", "bus"))
    hierarchy = ClassHierarchy(order=2).fit(values, labels)
    other = composition_stability(values[:24], labels[:24], order=2, n_resamples=2)
    with pytest.raises(ValueError, match="`stability` must be of the 4 classes"):
        write_hierarchy_report(tmp_path, hierarchy, stability=other)
    with pytest.raises(NotFittedError):
        write_hierarchy_report(tmp_path, ClassHierarchy())


def test_companions_are_the_best_next_choice():
    rng = np.random.default_rng(0)
    means = 1 + rng.normal(size=(9, 6))
    c = means @ means.T
    found = companions(c, 2)
    for i in range(9):
        others = [j for j in range(9) if j != i]
        alone = [1 - c[i, j] ** 2 / (c[i, i] * c[j, j]) for j in others]
        first = others[int(np.argmin(alone))]
        assert found.indices[i, 0] == first
        mix = found.weights[i] @ means[found.indices[i]]
        left = means[i] - mix
        assert found.left[i] == pytest.approx(left @ left / c[i, i])
        best = min(
            np.linalg.lstsq(means[[first, j]].T, means[i], rcond=None)[1].sum() for j in others if j != first
        )
        assert left @ left == pytest.approx(best)


def test_companions_of_copies_zeros_and_bad_input():
    c = np.diag([1.0, 0.0, 2.0])
    found = companions(c, 2)
    assert found.indices.tolist() == [[-1, -1]] * 3
    assert found.left.tolist() == [1.0, 0.0, 1.0]
    copies = companions(np.ones((3, 3)), 2)
    assert copies.left == pytest.approx(np.zeros(3))
    assert (copies.indices[:, 1] == -1).all()
    with pytest.raises(ValueError, match="`n` must be between 1 and 2"):
        companions(c, 3)


def test_stability_of_a_clear_structure():
    names = ("cat", "dog", "car", "bus", "oak", "elm")
    values, labels = planted(names, n=30)
    found = composition_stability(values, labels, order=2, center=True, n_resamples=6)
    assert found.is_steady is True
    np.testing.assert_allclose(found.first_overlap, 1)
    assert found.first_share.sum() == pytest.approx(2)
    assert found.orders == (2, 3, 4, 5, 6)
    assert found.order_first[0] == 1
    assert found.order_joining[0] == pytest.approx(1)
    again = composition_stability(values, labels, order=2, center=True, n_resamples=6)
    np.testing.assert_array_equal(found.transfer, again.transfer)
    none = composition_stability(values, labels, order=2, n_resamples=0)
    assert none.is_steady is None
    assert np.isnan(none.first_share).all()
    with pytest.raises(ValueError, match="`order` must be between 2 and 6"):
        composition_stability(values, labels, order=7)
    with pytest.raises(ValueError, match="two classes"):
        composition_stability(values[:3], ["a"] * 3, order=2)
