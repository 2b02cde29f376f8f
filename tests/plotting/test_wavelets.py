from __future__ import annotations

import numpy as np
import pytest
from matplotlib.text import Text

from wavelens.plotting import FourierPanelDisplay, WaveletPanelDisplay, WaveletPyramidDisplay
from wavelens.wavelets import fourier_panel, wavelet_panel


@pytest.mark.parametrize("shape", [(64, 48), (33, 70), (21, 20, 3)])
def test_the_pyramid_fills_a_square(shape):
    display = WaveletPyramidDisplay.from_image(np.random.default_rng(0).random(shape), "db2", 3)
    assert len(display.bands) == 10
    assert sum(side**2 for *_, side, _ in display.places) == 1
    corners = {(left, top, side) for left, top, side, _ in display.places}
    assert len(corners) == 10
    assert display.ratio == shape[0] / shape[1]


def test_a_vertical_edge_lights_up_to_the_right_of_the_coarse_image():
    image = np.zeros((32, 32))
    image[:, 15:] = 1
    display = WaveletPyramidDisplay.from_image(image, level=1)
    lit = {name: pixels.max() for pixels, (*_, name) in zip(display.bands, display.places, strict=True)}
    assert lit["vertical, level 1"] == 255
    assert lit["horizontal, level 1"] == lit["diagonal, level 1"] == 0
    assert next(place for place in display.places if place[3].startswith("vertical"))[:3] == (0.5, 0, 0.5)


def test_units_and_titles_are_shown_as_they_stand():
    signal = np.sin(np.arange(50.0))
    for display in (
        FourierPanelDisplay.from_panel(fourier_panel(signal, unit="$weeks"), title="a_$b$"),
        WaveletPanelDisplay.from_panel(wavelet_panel(signal, unit="$weeks"), title="a_$b$"),
    ):
        display.plot().figure_.canvas.draw()
        words = [text.get_text() for text in display.figure_.findobj(Text)]
        assert r"a_\$b\$" in words
        assert r"time (\$weeks)" in words
        assert any(r"per \$week)" in word for word in words)


def test_a_signal_of_nothing_can_be_drawn():
    for wavelet in ("morlet", "haar"):
        WaveletPanelDisplay.from_panel(
            wavelet_panel(np.zeros(9), wavelet=wavelet)
        ).plot().figure_.canvas.draw()
