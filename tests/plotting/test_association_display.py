from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.figure import Figure

from wavelens.patterns import PatternAnalysis
from wavelens.plotting import AssociationDisplay


@pytest.fixture(scope="module")
def fitted():
    rng = np.random.default_rng(0)
    images, labels = rng.standard_normal((80, 4, 4)), np.arange(80) % 2
    images[labels == 1, 0, :2] *= 5
    return PatternAnalysis(wavelet="haar", n_coefficients=12).fit(images, labels)


@pytest.mark.parametrize("n_permutations", [1, 40])
def test_both_distributions_and_the_curve_are_drawn(fitted, n_permutations):
    result, curve = fitted.association_test(n_permutations), fitted.association_curve(n_repeats=2)
    display = AssociationDisplay(result, curve).plot()
    assert isinstance(display.figure_, Figure)
    spread, isolated, fading = display.figure_.axes
    assert display.ax_ is spread
    assert sum(bar.get_height() for bar in spread.patches) == n_permutations
    assert sum(bar.get_height() for bar in isolated.patches) == n_permutations
    assert spread.lines[0].get_xdata()[0] == pytest.approx(np.degrees(result.statistic))
    low, high = spread.get_xlim()
    assert low < np.degrees(min(result.null.min(), result.statistic))
    assert high > np.degrees(max(result.null.max(), result.statistic))
    np.testing.assert_allclose(fading.lines[1].get_ydata(), np.degrees(curve.statistic).mean(axis=1))
    display.figure_.canvas.draw()
    assert plt.get_fignums() == []


def test_axes_of_others_are_used(fitted):
    axes = Figure().add_subplot()
    display = AssociationDisplay(fitted.association_test(10)).plot(axes)
    assert display.ax_ is axes
    assert display.figure_ is axes.figure
    assert len(axes.figure.axes) == 1
