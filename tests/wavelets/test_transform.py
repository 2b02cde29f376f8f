from __future__ import annotations

import numpy as np
import pytest
import pywt
from hypothesis import given, settings
from hypothesis import strategies as st

from wavelens.wavelets import WaveletTransform

shapes = st.one_of(
    st.tuples(st.integers(2, 40), st.integers(2, 40)),
    st.tuples(st.integers(2, 20), st.integers(2, 20), st.integers(1, 4)),
)
wavelets = st.sampled_from(["haar", "db3", "sym4", "bior2.2"])
modes = st.sampled_from(["periodization", "zero", "symmetric", "reflect", "periodic", "constant", "smooth"])


@settings(deadline=None, max_examples=60)
@given(shape=shapes, wavelet=wavelets, mode=modes, seed=st.integers(0, 99))
def test_the_inverse_gives_the_images_back(shape, wavelet, mode, seed):
    transform = WaveletTransform(shape, wavelet, mode=mode)
    images = np.random.default_rng(seed).standard_normal((3, *shape))
    coefficients = transform.forward(images)
    assert coefficients.shape == (3, transform.n_coefficients)
    np.testing.assert_allclose(transform.inverse(coefficients), images, atol=1e-9)


@settings(deadline=None, max_examples=60)
@given(shape=shapes, wavelet=wavelets, mode=modes, seed=st.integers(0, 99))
def test_the_support_is_where_a_coefficient_changes_the_image(shape, wavelet, mode, seed):
    transform = WaveletTransform(shape, wavelet, mode=mode)
    index = int(np.random.default_rng(seed).integers(transform.n_coefficients))
    unit = np.zeros((1, transform.n_coefficients))
    unit[0, index] = 1
    image = np.abs(transform.inverse(unit)[0])
    touched = image if image.ndim == 2 else image.max(axis=-1)
    np.testing.assert_array_equal(transform.support(index), touched > 1e-9)


def test_coverage_counts_supports():
    transform = WaveletTransform((12, 9), "db2", level=2)
    indices = [0, 5, 17, 60]
    total = sum(transform.support(index).astype(int) for index in indices)
    np.testing.assert_array_equal(transform.coverage(indices), total)


@pytest.mark.parametrize("shape", [(64, 32), (16, 48, 3)])
def test_even_sizes_with_periodization_are_orthogonal(shape):
    transform = WaveletTransform(shape, "db3", level=2)
    images = np.random.default_rng(0).standard_normal((4, *shape))
    assert transform.n_coefficients == np.prod(shape)
    coefficients = transform.forward(images)
    np.testing.assert_allclose(
        np.linalg.norm(coefficients, axis=1), np.linalg.norm(images.reshape(4, -1), axis=1), rtol=1e-12
    )


def test_bands_lie_as_pywavelets_has_them():
    images = np.random.default_rng(0).standard_normal((2, 21, 34))
    transform = WaveletTransform((21, 34), "db2", level=2, mode="symmetric")
    approximation, coarse, fine = pywt.wavedec2(images, "db2", "symmetric", 2, axes=(1, 2))
    flat = transform.forward(images)
    expected = [(2, "approximation", approximation)]
    for level, parts in ((2, coarse), (1, fine)):
        expected += [
            (level, name, part)
            for name, part in zip(("horizontal", "vertical", "diagonal"), parts, strict=True)
        ]
    for band, (level, orientation, part) in zip(transform.bands, expected, strict=True):
        assert (band.level, band.orientation) == (level, orientation)
        np.testing.assert_allclose(flat[:, band.slice].reshape(2, *band.shape), part, atol=1e-13)


def test_a_vertical_edge_answers_in_the_vertical_band():
    image = np.zeros((1, 16, 16))
    image[..., 9:] = 1
    transform = WaveletTransform((16, 16), "haar", level=1)
    energy = {
        band.orientation: float((transform.forward(image)[0, band.slice] ** 2).sum())
        for band in transform.bands
    }
    assert energy["vertical"] > 0
    assert energy["horizontal"] == energy["diagonal"] == 0


def test_channels_are_transformed_one_by_one():
    images = np.random.default_rng(0).random((3, 10, 12, 2))
    both = WaveletTransform((10, 12, 2)).forward(images)
    one = WaveletTransform((10, 12))
    np.testing.assert_array_equal(both, np.hstack([one.forward(images[..., c]) for c in (0, 1)]))


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [
        ("uint8", "float64"),
        ("float32", "float32"),
        ("float16", "float32"),
        ("float64", "float64"),
        ("bool", "float64"),
    ],
)
def test_dtypes(dtype, expected):
    images = np.ones((2, 8, 8), dtype=dtype)
    transform = WaveletTransform((8, 8))
    coefficients = transform.forward(images)
    assert coefficients.dtype == expected
    assert transform.inverse(coefficients).dtype == expected


def test_threads_change_no_bit(threads):
    images = np.random.default_rng(0).random((300, 13, 17))
    transform = WaveletTransform((13, 17))
    np.testing.assert_array_equal(
        transform.forward(images), np.vstack([transform.forward(image[None]) for image in images])
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"shape": (8,)}, "`shape` must be"),
        ({"shape": (1, 8)}, "at least 2 rows"),
        ({"shape": (8, 0)}, "`shape` must be at least 1"),
        ({"shape": (8, 8), "wavelet": "morl"}, "`wavelet` must be"),
        ({"shape": (8, 8), "mode": "mirror"}, "`mode` must be one of"),
        ({"shape": (8, 8), "level": 4}, "`level` must be between 1 and 3"),
    ],
)
def test_bad_parameters(arguments, message):
    with pytest.raises(ValueError, match=message):
        WaveletTransform(**arguments)


def test_bad_images():
    transform = WaveletTransform((8, 8))
    with pytest.raises(ValueError, match=r"`images` must have shape \(n_images, 8, 8\), got \(2, 8, 9\)"):
        transform.forward(np.ones((2, 8, 9)))
    with pytest.raises(TypeError, match="real numbers"):
        transform.forward(np.ones((2, 8, 8), dtype=complex))
    images = np.ones((3, 8, 8))
    images[1, 2, 5] = np.nan
    with pytest.raises(ValueError, match=r"got NaN in image 1 at \(2, 5\)"):
        transform.forward(images)
    with pytest.raises(ValueError, match="`coefficients` must have shape"):
        transform.inverse(np.ones((2, 3)))
    with pytest.raises(ValueError, match="`index` must be between 0 and"):
        transform.support(10**6)
