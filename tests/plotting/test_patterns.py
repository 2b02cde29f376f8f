"""Displays of the patterns system: their data, their axes, and that nothing global is left behind."""

from __future__ import annotations

import warnings

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from sklearn.datasets import load_digits

from wavelens.patterns import PatternAnalysis
from wavelens.plotting import (
    AngleDisplay,
    ClassSimilarityDisplay,
    ImageGridDisplay,
    InfluenceDisplay,
    PatternDisplay,
    ReconstructionDisplay,
    SimilarityDisplay,
    SingularValueDisplay,
    SpectrumDisplay,
)
from wavelens.plotting._pattern_images import reconstruction_counts
from wavelens.plotting._style import (
    N_COLORS,
    category_color,
    color_range,
    image_pixels,
    pattern_pixels,
    shorten,
)


@pytest.fixture(scope="module", params=[2, 10])
def fitted(request):
    images, labels = load_digits(n_class=request.param, return_X_y=True)
    images = images.reshape(-1, 8, 8)
    return PatternAnalysis(n_coefficients=20).fit(images, labels), images


def all_displays(analysis, images):
    first, second = analysis.classes_[:2]
    return [
        InfluenceDisplay.from_analysis(analysis, images),
        SingularValueDisplay.from_analysis(analysis),
        AngleDisplay.from_analysis(analysis),
        PatternDisplay.from_analysis(analysis, first, n=5),
        ReconstructionDisplay.from_analysis(analysis, images[0], others=[1, 2]),
        ImageGridDisplay.from_images(images, analysis.isolated(first, 4), [0.1, 0.2, 0.3, 0.4]),
        SimilarityDisplay.from_analysis(analysis, first, max_images=40),
        ClassSimilarityDisplay.from_analysis(analysis),
        SpectrumDisplay.from_analysis(analysis, first, second),
    ]


def test_displays_draw_and_leave_nothing_global(fitted):
    settings = dict(matplotlib.rcParams)
    for display in all_displays(*fitted):
        assert display.plot() is display
        display.figure_.canvas.draw()
        assert isinstance(display.figure_, Figure)
        assert display.ax_.figure is display.figure_
        assert display.ax_.get_title(loc="left")
        if display.ax_.axison:
            assert display.ax_.get_xlabel()
            assert display.ax_.get_ylabel()
    assert plt.get_fignums() == []
    assert dict(matplotlib.rcParams) == settings


def test_displays_draw_into_given_axes(fitted):
    for display in all_displays(*fitted):
        figure = Figure()
        if isinstance(display, ReconstructionDisplay):
            axes = tuple(figure.subplots(2, 1))
            display.plot(axes)
            assert display.axes_ == axes
        else:
            ax = figure.add_subplot()
            display.plot(ax)
            assert display.ax_ is ax
        assert display.figure_ is figure
        figure.canvas.draw()


def test_outlines_of_images_with_shape_and_contrast():
    counts = np.ones((20, 24), dtype=int)
    rows, columns = np.indices((20, 24))
    disc = np.where((rows - 10) ** 2 + (columns - 12) ** 2 < 40, 255, 0).astype(np.uint8)
    for mean in (disc, np.stack([disc] * 3, axis=2), np.zeros((20, 24), dtype=np.uint8)):
        display = InfluenceDisplay(counts, mean).plot()
        lines = [c for c in display.ax_.collections if len(c.get_paths())]
        assert bool(lines) == bool(mean.any())


def test_singular_values_keep_every_pattern_once(fitted):
    analysis, _ = fitted
    display = SingularValueDisplay.from_analysis(analysis)
    assert sorted(display.order) == list(range(analysis.sigma_.shape[1]))
    np.testing.assert_array_equal(display.sigma, analysis.sigma_[:, display.order])
    owner = display.sigma.argmax(axis=0)
    assert (np.diff(owner) >= 0).all()


def test_two_classes_are_ordered_by_angle():
    images, labels = load_digits(n_class=2, return_X_y=True)
    analysis = PatternAnalysis(n_coefficients=20).fit(images.reshape(-1, 8, 8), labels)
    display = SingularValueDisplay.from_analysis(analysis)
    ratio = display.sigma[0] / display.sigma[1]
    assert (np.diff(ratio) <= 1e-12 * ratio[:-1]).all()
    assert display.plot().ax_.get_yscale() == "log"


def test_angles_agree_with_singular_values(fitted):
    analysis, _ = fitted
    display = AngleDisplay.from_analysis(analysis)
    strongest = display.angles.argmax(axis=0)
    np.testing.assert_array_equal(strongest, analysis.sigma_.argmax(axis=0))
    # Two classes cannot both lead in a pattern.
    assert display.n_own.sum() <= analysis.sigma_.shape[1]


def test_similarity_is_a_reordered_similarity(fitted):
    analysis, _ = fitted
    whole = analysis.similarity(0)
    display = SimilarityDisplay.from_analysis(analysis, 0)
    members = np.flatnonzero(analysis.labels_ == 0)
    assert sorted(display.indices) == list(members)
    place = np.searchsorted(members, display.indices)
    np.testing.assert_allclose(display.similarity, whole[np.ix_(place, place)], atol=1e-12)

    sample = SimilarityDisplay.from_analysis(analysis, 0, max_images=30)
    assert sample.similarity.shape == (30, 30)
    assert set(sample.indices) <= set(members)
    assert f"30 of {len(members)}" in sample.plot().ax_.get_xlabel()


def test_clustering_brings_groups_together():
    rng = np.random.default_rng(0)
    group = np.arange(40) % 2
    images = np.where(group[:, None, None] == 0, 0.0, 10.0) + rng.normal(size=(40, 8, 8))
    labels = np.repeat([0, 1], 20)
    analysis = PatternAnalysis(n_coefficients=6).fit(images, labels)
    order = SimilarityDisplay.from_analysis(analysis, 0).indices
    assert np.count_nonzero(np.diff(group[order])) == 1


def test_spectrum_holds_each_image_once_first_class_left(fitted):
    analysis, _ = fitted
    display = SpectrumDisplay.from_analysis(analysis, 0, 1)
    left, right = display.values
    assert len(left) == (analysis.labels_ == 0).sum()
    assert len(right) == (analysis.labels_ == 1).sum()
    assert np.median(left) <= 0 <= np.median(right)
    assert display.colors[0] != display.colors[1]


def test_class_similarity_is_symmetric(fitted):
    analysis, _ = fitted
    display = ClassSimilarityDisplay.from_analysis(analysis)
    np.testing.assert_allclose(display.similarity, display.similarity.T)
    assert sorted(display.order) == list(range(len(analysis.classes_)))


def test_reconstruction_falls_to_nothing(fitted):
    analysis, images = fitted
    display = ReconstructionDisplay.from_analysis(analysis, images[3])
    assert display.n_patterns[-1] == analysis.sigma_.shape[1]
    assert display.curve[0] == pytest.approx(1)
    assert display.residuals[-1] < 1e-9
    np.testing.assert_allclose(display.curve[display.n_patterns], display.residuals, atol=1e-9)
    assert len(display.pixels) == len(display.n_patterns) + 1


@pytest.mark.parametrize("n", [1, 2, 3, 5, 40, 199, 200, 250, 401, 1200, 5000])
def test_reconstruction_counts_rise_to_all(n):
    counts = reconstruction_counts(n)
    assert counts[-1] == n
    assert (np.diff(counts) > 0).all()
    assert counts[0] >= 1
    if n == 1200:
        assert list(counts) == [10, 50, 100, 400, 1000, 1200]


def test_pixels_of_images():
    limits = color_range(np.array([[[0, 255]]], dtype=np.uint8))
    assert limits == (0, 255)
    np.testing.assert_array_equal(image_pixels(np.array([[[0, 128, 255]]]), limits), [[[0, 128, 255]]])
    constant = np.full((3, 4, 4), 7.0)
    low, high = color_range(constant)
    assert low < high
    assert image_pixels(np.ones((2, 5, 6, 1)), (0, 1)).shape == (2, 5, 6)
    assert image_pixels(np.ones((2, 5, 6, 2)), (0, 1)).shape == (2, 5, 6)
    assert image_pixels(np.ones((2, 5, 6, 4)), (0, 1)).shape == (2, 5, 6, 3)


def test_a_hot_pixel_does_not_hide_the_rest():
    images = np.random.default_rng(0).random((20, 30, 30))
    images[0, 0, 0] = 1e6
    assert color_range(images)[1] < 10


def test_pattern_pixels_are_symmetric_about_the_middle():
    pattern = np.random.default_rng(1).normal(size=(1, 9, 9, 3))
    total = pattern_pixels(pattern).astype(int) + pattern_pixels(-pattern)
    assert abs(total - 255).max() <= 1
    zero = pattern_pixels(np.zeros((1, 4, 4)))
    assert zero.std() < 2
    assert zero.mean() > 240


def test_class_colors_are_told_apart():
    colors = np.array([to_rgb(category_color(i)) for i in range(N_COLORS)])
    distance = np.linalg.norm(colors[:, None] - colors, axis=2) + np.eye(N_COLORS)
    assert distance.min() > 0.2


@pytest.mark.parametrize("name", ["$100", "$x^$", "_hidden", "a\nb", "", "x" * 200, "<b>", "100%", r"\alpha"])
def test_names_are_drawn_as_they_stand(name):
    images, labels = load_digits(n_class=2, return_X_y=True)
    analysis = PatternAnalysis(n_coefficients=5).fit(images.reshape(-1, 8, 8), labels)
    names = (name, "other")
    for display in (
        SingularValueDisplay.from_analysis(analysis, class_names=names),
        AngleDisplay.from_analysis(analysis, class_names=names),
        SpectrumDisplay.from_analysis(analysis, 0, 1, class_names=names),
        SimilarityDisplay.from_analysis(analysis, 0, class_names=names),
        PatternDisplay.from_analysis(analysis, 0, class_names=names),
        ClassSimilarityDisplay.from_analysis(analysis, class_names=names),
    ):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            display.plot().figure_.canvas.draw()


def test_shortened_names_keep_both_ends():
    assert shorten("a" * 24) == "a" * 24
    cut = shorten("abc" + "x" * 50 + "789", 20)
    assert len(cut) == 20
    assert cut.startswith("abc")
    assert cut.endswith("789")


def test_bad_arguments():
    images, labels = load_digits(n_class=2, return_X_y=True)
    images = images.reshape(-1, 8, 8)
    analysis = PatternAnalysis(n_coefficients=5).fit(images, labels)
    with pytest.raises(ValueError, match="`class_names` must give a name to each of the 2 classes, got 1"):
        AngleDisplay.from_analysis(analysis, class_names=("only",))
    with pytest.raises(ValueError, match="`class_` must be one of 0, 1, got 7"):
        SimilarityDisplay.from_analysis(analysis, 7)
    with pytest.raises(ValueError, match="no image to show"):
        ImageGridDisplay.from_images(images, []).plot()
