"""One contract for all Displays: axes in, `ax_` and `figure_` out, nothing global, vector output, one set of sizes."""

from __future__ import annotations

import functools
import inspect
import io

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pytest
from explain.toy_models import RegionModel
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.text import Text
from sklearn.datasets import load_digits

import wavelens.plotting
from wavelens import plotting
from wavelens.explain import CartoonX, PixelRDE, evaluate
from wavelens.hierarchy import mmf
from wavelens.models import NumpyMLP
from wavelens.patterns import PatternAnalysis, compare_bases
from wavelens.spaces import NetworkSpaces, SignalSpaces, ideal_inputs
from wavelens.wavelets import fourier_panel, wavelet_panel


def factored(a):
    """Return the factorization of the class means of an analysis."""
    means = np.stack([a.embedding_[a.labels_ == i].mean(axis=0) for i in range(len(a.classes_))])
    return mmf(means @ means.T, 2)


@functools.cache
def explained():
    """Two digits explained to a model that looks at their upper halves, and the evaluation."""
    x = load_digits().images[:2] / 16
    model = RegionModel(np.arange(64).reshape(8, 8) < 32)
    options = {"lam": 0.1, "n_steps": 10, "n_test": 4}
    wavelet = CartoonX(model, wavelet="haar", level=2, **options)
    path = wavelet.path(x, [0.1, 0.01], 0)
    explanations = path[0], PixelRDE(model, **options).explain(x, 0)
    return path, explanations, evaluate(explanations, model, n_samples=2, n_seeds=0, random_model=False)


def network_of(a):
    """Return a network of two layers that takes rows of an embedding."""
    rng = np.random.default_rng(0)
    return NetworkSpaces.from_arrays([rng.normal(size=(6, a.embedding_.shape[1])), rng.normal(size=(3, 6))])


def seen(x):
    """Return the spaces of a layer that looks at images."""
    return SignalSpaces(np.random.default_rng(0).normal(size=(5, x[0].size)), input_shape=x[0].shape)


@functools.cache
def ideal(n_classes):
    """Return the ideal inputs of a linear model of the first digits."""
    x, y = load_digits(n_class=n_classes, return_X_y=True)
    model = NumpyMLP([np.random.default_rng(0).normal(size=(64, n_classes))], [np.zeros(n_classes)])
    return ideal_inputs(model, x.reshape(-1, 8, 8) / 16, y, train="newton")


# How each Display is made from an analysis and its images; a new one needs a line.
makers = {
    "AngleDisplay": lambda a, x: plotting.AngleDisplay.from_analysis(a),
    "AssociationDisplay": lambda a, x: plotting.AssociationDisplay(a.association_test(20)),
    "BasisComparisonDisplay": lambda a, x: plotting.BasisComparisonDisplay.from_comparison(
        compare_bases(x, a.classes_[a.labels_], a, n_sample=4)
    ),
    "ClassSimilarityDisplay": lambda a, x: plotting.ClassSimilarityDisplay.from_analysis(a),
    "ClassTreeDisplay": lambda a, x: plotting.ClassTreeDisplay.from_analysis(a),
    "EnergyByScaleDisplay": lambda a, x: plotting.EnergyByScaleDisplay.from_explanations(explained()[1][0]),
    "EnergyFlowDisplay": lambda a, x: plotting.EnergyFlowDisplay.from_flow(
        network_of(a).energy_flow(a.embedding_, a.classes_[a.labels_])
    ),
    "EvaluationDisplay": lambda a, x: plotting.EvaluationDisplay.from_evaluation(explained()[2]),
    "ExplanationDisplay": lambda a, x: plotting.ExplanationDisplay.from_explanations(*explained()[1]),
    "IdealInputsDisplay": lambda a, x: plotting.IdealInputsDisplay.from_ideal(ideal(len(a.classes_))),
    "ImageGridDisplay": lambda a, x: plotting.ImageGridDisplay.from_images(x, [0, 1, 2], title="Images"),
    "InfluenceDisplay": lambda a, x: plotting.InfluenceDisplay.from_analysis(a, x),
    "MaskPathDisplay": lambda a, x: plotting.MaskPathDisplay.from_path(explained()[0]),
    "DendrogramDisplay": lambda a, x: plotting.DendrogramDisplay.from_covariance(factored(a).matrix),
    "FourierPanelDisplay": lambda a, x: plotting.FourierPanelDisplay.from_panel(fourier_panel(x[0].ravel())),
    "LayerFlowDisplay": lambda a, x: plotting.LayerFlowDisplay(
        ("first", "last"), ("cat", "dog", "car"), [[1, 1, 2], [2, 1, 1]], [[0.5, 1.0]]
    ),
    "LayerImagesDisplay": lambda a, x: plotting.LayerImagesDisplay.from_spaces(seen(x), x[:3]),
    "LayerSpectrumDisplay": lambda a, x: plotting.LayerSpectrumDisplay.from_spaces(seen(x)),
    "LevelErrorDisplay": lambda a, x: plotting.LevelErrorDisplay.from_mmf(factored(a)),
    "MMFGraphDisplay": lambda a, x: plotting.MMFGraphDisplay.from_mmf(factored(a)),
    "OwnShareDisplay": lambda a, x: plotting.OwnShareDisplay(
        ("cat", "dog", "car"), [0.1, 0.2, 0.6], [0.1, 0.1, 0.5], 2
    ),
    "PatternDisplay": lambda a, x: plotting.PatternDisplay.from_analysis(a, 0, n=5),
    "ReconstructionDisplay": lambda a, x: plotting.ReconstructionDisplay.from_analysis(
        a, x[0], others=[1, 2]
    ),
    "ReorderedMatrixDisplay": lambda a, x: plotting.ReorderedMatrixDisplay.from_mmf(factored(a)),
    "SharedPatternsDisplay": lambda a, x: plotting.SharedPatternsDisplay.from_analysis(a),
    "SimilarityDisplay": lambda a, x: plotting.SimilarityDisplay.from_analysis(a, 0, max_images=40),
    "SingularValueDisplay": lambda a, x: plotting.SingularValueDisplay.from_analysis(a),
    "SpectrumDisplay": lambda a, x: plotting.SpectrumDisplay.from_analysis(a, 0, 1),
    "WaveletMaskDisplay": lambda a, x: plotting.WaveletMaskDisplay.from_explanations(explained()[1][0]),
    "WaveletPanelDisplay": lambda a, x: plotting.WaveletPanelDisplay.from_panel(wavelet_panel(x[0].ravel())),
    "WaveletPyramidDisplay": lambda a, x: plotting.WaveletPyramidDisplay.from_image(x[0], level=2),
}
# Points: captions and numbers in cells, ticks, labels and legends, titles.
sizes = {7.0, 7.5, 8.0, 8.5, 9.0, 10.5}


@pytest.fixture(scope="module", params=[2, 4], ids=["2 classes", "4 classes"])
def fitted(request):
    images, labels = load_digits(n_class=request.param, return_X_y=True)
    images = images.reshape(-1, 8, 8)
    return PatternAnalysis(n_coefficients=20).fit(images, labels), images


@pytest.fixture(params=sorted(makers))
def display(request, fitted):
    return makers[request.param](*fitted)


def axes_for(display, figure):
    """Return axes of a figure as `plot` takes them: one, or several for the Displays of several parts."""
    parts = {
        plotting.ReconstructionDisplay: 2,
        plotting.BasisComparisonDisplay: 3,
        plotting.LayerFlowDisplay: 2,
        plotting.LevelErrorDisplay: 2,
        plotting.ReorderedMatrixDisplay: 2,
        plotting.FourierPanelDisplay: 2,
        plotting.WaveletPanelDisplay: 2,
        plotting.EvaluationDisplay: 4,
    }
    if type(display) in parts:
        return tuple(figure.subplots(parts[type(display)], 1))
    return figure.add_subplot()


def test_every_display_is_here():
    exported = {name for name in wavelens.plotting.__all__ if name.endswith("Display")}
    assert exported == set(makers), "give each exported Display a line in `makers`"


def test_plot_takes_axes_first_and_returns_itself(display):
    parameters = list(inspect.signature(display.plot).parameters.values())
    assert parameters[0].name == "ax"
    assert parameters[0].default is None
    assert all(each.kind is each.KEYWORD_ONLY for each in parameters[1:])
    assert display.plot() is display
    assert isinstance(display.ax_, Axes)
    assert isinstance(display.figure_, Figure)
    assert display.ax_.figure is display.figure_


def test_given_axes_are_used_and_no_others(display):
    figure = Figure()
    left, right = figure.subfigures(1, 2)
    other = right.add_subplot()
    ax = axes_for(display, left)
    display.plot(ax)
    figure.canvas.draw()
    assert display.ax_ in (ax if isinstance(ax, tuple) else (ax,))
    assert isinstance(display.figure_, SubFigure)
    assert display.figure_ is left
    assert not other.has_data()


def test_nothing_global_is_left(display):
    settings = dict(matplotlib.rcParams)
    display.plot().figure_.canvas.draw()
    assert plt.get_fignums() == []
    assert dict(matplotlib.rcParams) == settings


def test_it_can_be_drawn_again(display):
    first = display.plot().figure_
    assert display.plot().figure_ is not first


@pytest.mark.parametrize(("kind", "start"), [("svg", b"<?xml"), ("pdf", b"%PDF")])
def test_vector_output(display, kind, start):
    buffer = io.BytesIO()
    display.plot().figure_.savefig(buffer, format=kind)
    text = buffer.getvalue()
    assert text.startswith(start)
    # All but the images themselves is lines and letters: nothing grows with the resolution.
    finer = io.BytesIO()
    display.figure_.savefig(finer, format=kind, dpi=300)
    assert len(finer.getvalue()) < 3 * len(text) + 200_000


def test_letters_have_the_common_sizes(display):
    display.plot().figure_.canvas.draw()
    for text in display.figure_.findobj(Text):
        if text.get_visible() and text.get_text().strip():
            assert text.get_fontsize() in sizes, text.get_text()
    assert display.ax_._left_title.get_fontsize() == 10.5
    assert 3.5 <= display.figure_.get_figwidth() <= 11
