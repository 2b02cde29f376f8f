"""The spectrum of a layer is drawn so that it and chance can both be seen."""

from __future__ import annotations

import numpy as np
import pytest

from wavelens.plotting import LayerSpectrumDisplay
from wavelens.spaces import SignalSpaces


def drawn(scales, shape=(40, 9)):
    rng = np.random.default_rng(0)
    w = rng.standard_normal(shape) * np.asarray(scales)
    return LayerSpectrumDisplay.from_spaces(SignalSpaces(w)).plot()


def test_an_even_spectrum_starts_at_zero():
    ax = drawn(np.ones(9)).ax_
    assert ax.get_yscale() == "linear"
    assert ax.get_ylim()[0] == 0
    assert ax.get_ylabel() == "singular value"


@pytest.mark.parametrize("dead", [0, 1, 4])
def test_a_steep_one_is_drawn_by_powers_of_ten(dead):
    display = drawn(np.where(np.arange(9) >= 9 - dead, 0, 10.0 ** -np.arange(9) * 1e3))
    ax = display.ax_
    assert ax.get_yscale() == "log"
    assert "powers of ten" in ax.get_ylabel()
    low, high = ax.get_ylim()
    assert low < display.low[display.low > 1e-3].min(initial=np.inf)
    assert low < display.singular_values[display.singular_values > 1e-6 * display.singular_values[0]].min()
    assert high > display.singular_values.max()
    words = " ".join(each.get_text() for each in ax.texts)
    below = int(
        (display.singular_values <= 1e-6 * max(display.singular_values.max(), display.high.max())).sum()
    )
    assert (f"{below} value" in words) == (below > 0)


def test_zeros_can_be_drawn():
    assert LayerSpectrumDisplay.from_spaces(SignalSpaces(np.zeros((3, 5)))).plot().ax_.get_ylim() == (0, 1)
