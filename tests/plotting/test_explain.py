"""The Displays of explanations hold what they are given: each coefficient once, shares as they are, λ rising."""

from __future__ import annotations

import numpy as np
import pytest
from explain.toy_models import RegionModel

from wavelens.explain import CartoonX, ExplanationPath, PixelRDE
from wavelens.plotting import (
    EnergyByScaleDisplay,
    ExplanationDisplay,
    MaskPathDisplay,
    WaveletMaskDisplay,
)
from wavelens.wavelets import WaveletTransform

MODEL = RegionModel(np.arange(16 * 12).reshape(16, 12) < 90)
IMAGES = np.random.default_rng(0).random((3, 16, 12))
OPTIONS = {"n_steps": 5, "n_test": 4}


@pytest.fixture(scope="module")
def wavelets():
    return CartoonX(MODEL, lam=0.1, wavelet="db2", level=2, **OPTIONS).explain(IMAGES, 0)


@pytest.fixture(scope="module")
def pixels():
    return PixelRDE(MODEL, lam=0.1, **OPTIONS).explain(IMAGES, 0)


@pytest.mark.parametrize("mode", ["zero", "periodization", "symmetric"])
@pytest.mark.parametrize("shape", [(16, 12), (21, 34), (8, 8)])
def test_each_coefficient_has_its_place_in_the_pyramid(mode, shape):
    transform = WaveletTransform(shape, "db3", 2, mode)
    mask = np.random.default_rng(0).permutation(transform.n_coefficients) / transform.n_coefficients
    display = WaveletMaskDisplay.from_mask(mask, transform)
    shown = display.pyramid[np.isfinite(display.pyramid)]
    np.testing.assert_array_equal(np.sort(shown), np.sort(mask))
    assert len(display.blocks) == len(transform.bands)


def test_a_vertical_edge_is_top_right():
    transform = WaveletTransform((16, 16), "haar", 1)
    x = np.zeros((1, 16, 16))
    x[:, :, 7:] = 1
    energy = np.abs(transform.forward(x)[0])
    pyramid = WaveletMaskDisplay.from_mask(energy, transform).pyramid
    assert pyramid[:8, 8:].any()
    assert not pyramid[8:].any()


def test_full_and_empty_masks_keep_all_and_nothing(wavelets):
    for value in (0.0, 1.0):
        masks = np.full_like(wavelets.masks, value)
        changed = type(wavelets)(
            **{**{k: v for k, v in vars(wavelets).items() if k != "basis"}, "masks": masks}
        )
        display = EnergyByScaleDisplay.from_explanations(changed)
        assert len(display.scales) == 3
        np.testing.assert_allclose(display.coefficients, value)
        np.testing.assert_allclose(display.energy, value, rtol=1e-6)


def test_explanations_stand_beside_their_images(wavelets, pixels):
    display = ExplanationDisplay.from_explanations(
        wavelets, pixels, indices=[2, 0], class_names=["sky", "sea"]
    )
    assert [len(line) for line in display.pixels] == [3, 3]
    assert display.captions[0][0].startswith("sky\nprobability ")
    np.testing.assert_array_equal(display.pixels[1][0], np.rint(IMAGES[0].astype(np.float32) * 255))
    assert "λ = 0.1" in display.captions[0][1]
    assert display.headings == ("image", "CartoonX (wavelets)", "Pixel RDE (pixels)")


def test_the_path_rises_in_lambda():
    path = CartoonX(MODEL, wavelet="haar", level=2, **OPTIONS).path(IMAGES, [0.5, 0.01, 0.1], 0)
    assert isinstance(path, ExplanationPath)
    display = MaskPathDisplay.from_path(path, 1)
    assert [each.split("\n")[0] for each in display.captions] == ["image", "λ = 0.01", "λ = 0.1", "λ = 0.5"]
    recommended = path.lambdas[int(path.recommended[1])]
    assert f"λ = {recommended:g}" in display.captions[1 + display.recommended]
    assert f"λ = {recommended:g})" in display.title
    assert len(display.plot(columns=2).ax_.images) == 4


def test_bad_input(wavelets, pixels):
    with pytest.raises(ValueError, match="`indices` must be between 0 and 2"):
        ExplanationDisplay.from_explanations(wavelets, indices=[3])
    with pytest.raises(ValueError, match="at least one"):
        ExplanationDisplay.from_explanations()
    with pytest.raises(ValueError, match="`class_names` must name class 0"):
        ExplanationDisplay.from_explanations(wavelets, class_names=[])
    with pytest.raises(ValueError, match="must be of wavelets"):
        WaveletMaskDisplay.from_explanations(pixels)
    with pytest.raises(ValueError, match="must be of wavelets"):
        EnergyByScaleDisplay.from_explanations(pixels)
    with pytest.raises(ValueError, match="`mask` must have shape"):
        WaveletMaskDisplay.from_mask(np.ones(3), wavelets.basis.transform)
    with pytest.raises(ValueError, match="`coefficients` and `energy` must have shape"):
        EnergyByScaleDisplay(("fine",), [[0.1, 0.2]], [[0.1]])
