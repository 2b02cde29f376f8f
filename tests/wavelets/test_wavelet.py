"""The engine's transform against PyWavelets and the twin; its adjoint; what must not change a bit."""

from __future__ import annotations

import warnings
import zlib

import numpy as np
import pytest
import pywt
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import wavelet as twin

import wavelens
from wavelens import _core
from wavelens.wavelets import PixelTransform, WaveletTransform

MODES = pywt.Modes.modes
WAVELETS = pywt.wavelist(kind="discrete")
some_wavelets = st.sampled_from(["haar", "db2", "db3", "db7", "sym5", "coif2", "bior1.3", "rbio3.5", "dmey"])
sizes = st.tuples(st.integers(2, 34), st.integers(2, 34))


def peer_forward(images, transform):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of levels deeper than the filter
        parts = pywt.wavedec2(images, transform.wavelet, transform.mode, transform.level, axes=(1, 2))
    flat = [parts[0], *(detail for details in parts[1:] for detail in details)]
    return parts, np.hstack([part.reshape(len(images), -1) for part in flat])


def deepest(shape):
    return (min(shape) - 1).bit_length()


def relative(found, expected):
    return float(np.abs(found - expected).max() / np.abs(expected).max())


@pytest.mark.parametrize("mode", MODES)
def test_every_wavelet_gives_what_pywavelets_gives(mode):
    worst = np.zeros(2)  # in float32: ours, PyWavelets'
    for wavelet in WAVELETS:
        rng = np.random.default_rng(zlib.crc32(wavelet.encode()))
        shape = tuple(map(int, rng.integers(5, 30, 2)))
        transform = WaveletTransform(shape, wavelet, 2, mode)
        images = rng.standard_normal((2, *shape))
        parts, expected = peer_forward(images, transform)
        found = transform.forward(images)
        # Straight lines past the edges grow with the filter's length, and rounding with them.
        growth = transform._filters.dec_len if mode == "smooth" else 1
        assert relative(found, expected) < 1e-12 * growth, wavelet
        rebuilt = pywt.waverec2(parts, wavelet, mode, axes=(1, 2))[:, : shape[0], : shape[1]]
        scale = np.abs(expected).max()
        assert np.abs(transform.inverse(expected) - rebuilt).max() < 1e-12 * scale, wavelet
        single = transform.forward(images.astype(np.float32))
        assert single.dtype == np.float32
        worst = np.maximum(
            worst,
            [
                relative(single, expected),
                relative(peer_forward(images.astype(np.float32), transform)[1], expected),
            ],
        )
    assert worst[0] < (3 * worst[1] if mode == "smooth" else 1e-5)


@settings(deadline=None, max_examples=80)
@given(shape=sizes, wavelet=some_wavelets, mode=st.sampled_from(MODES), data=st.data())
def test_the_matrices_of_the_definition_say_the_same(shape, wavelet, mode, data):
    level = data.draw(st.integers(1, deepest(shape)))
    transform = WaveletTransform(shape, wavelet, level, mode)
    image = np.random.default_rng(0).standard_normal(shape)
    expected = twin.forward(image, pywt.Wavelet(wavelet), level, mode)
    assert relative(transform.forward(image[None])[0], expected) < 1e-11


@settings(deadline=None, max_examples=30)
@given(
    shape=st.tuples(st.integers(2, 12), st.integers(2, 12)),
    wavelet=some_wavelets,
    mode=st.sampled_from(MODES),
    data=st.data(),
)
def test_inverse_and_adjoint_are_a_matrix_and_its_transpose(shape, wavelet, mode, data):
    level = data.draw(st.integers(1, deepest(shape)))
    transform = WaveletTransform(shape, wavelet, level, mode)
    matrix = twin.inverse_matrix(shape, pywt.Wavelet(wavelet), level, mode)
    rng = np.random.default_rng(0)
    c, g = rng.standard_normal((1, transform.n_coefficients)), rng.standard_normal((1, *shape))
    np.testing.assert_allclose(transform.inverse(c).ravel(), matrix @ c[0], atol=1e-11)
    np.testing.assert_allclose(transform.inverse_adjoint(g)[0], matrix.T @ g.ravel(), atol=1e-11)


@pytest.mark.parametrize("mode", MODES)
def test_the_adjoint_is_exact_for_every_wavelet(mode):
    for wavelet in WAVELETS:
        rng = np.random.default_rng(zlib.crc32((mode + wavelet).encode()))
        shape = tuple(map(int, rng.integers(5, 40, 2)))
        transform = WaveletTransform(shape, wavelet, int(rng.integers(1, deepest(shape) + 1)), mode)
        c, g = rng.standard_normal((3, transform.n_coefficients)), rng.standard_normal((3, *shape))
        images, gradients = transform.inverse(c), transform.inverse_adjoint(g)
        scale = np.linalg.norm(images) * np.linalg.norm(g)
        assert abs(np.vdot(images, g) - np.vdot(c, gradients)) < 1e-14 * scale, (wavelet, shape)


@pytest.mark.parametrize(("mode", "shape"), [("zero", (37, 50)), ("periodization", (48, 32))])
def test_for_orthogonal_filters_the_adjoint_is_the_forward_transform(mode, shape):
    for wavelet in ("haar", "db3", "sym8", "coif3"):
        transform = WaveletTransform(shape, wavelet, 2, mode)
        images = np.random.default_rng(0).standard_normal((2, *shape))
        # PyWavelets' filters are orthogonal to eleven digits.
        np.testing.assert_allclose(transform.inverse_adjoint(images), transform.forward(images), atol=1e-9)


@pytest.mark.parametrize("channels", [(), (3,)])
def test_any_number_of_leading_axes(channels):
    transform = WaveletTransform((14, 11, *channels), "db2")
    images = np.random.default_rng(0).standard_normal((2, 3, 4, 14, 11, *channels))
    flat = transform.forward(images.reshape(24, 14, 11, *channels))
    for lead in ((24,), (6, 4), (2, 3, 4)):
        stack = images.reshape(*lead, 14, 11, *channels)
        found = transform.forward(stack)
        assert found.shape == (*lead, transform.n_coefficients)
        np.testing.assert_array_equal(found.reshape(flat.shape), flat)
        rebuilt = transform.inverse(found)
        assert rebuilt.shape == stack.shape
        np.testing.assert_allclose(rebuilt, stack, atol=1e-12)
        np.testing.assert_array_equal(
            transform.inverse_adjoint(stack).reshape(flat.shape),
            transform.inverse_adjoint(stack.reshape(-1, *transform.shape)),
        )


@settings(deadline=None, max_examples=60)
@given(
    dtype=st.sampled_from(["f4", "f8", ">f4", ">f8", "f2", "u1", "?", "i2", "u4"]),
    lead=st.sampled_from([(5,), (2, 3)]),
    channels=st.sampled_from([(), (3,)]),
    data=st.data(),
)
def test_strides_and_dtypes_change_no_bit(dtype, lead, channels, data):
    shape = (*lead, 13, 10, *channels)
    order = data.draw(st.permutations(range(len(shape))))
    stored = (np.random.default_rng(0).random([2 * shape[i] for i in order]) * 9).astype(dtype)
    steps = [slice(None, None, data.draw(st.sampled_from([2, -2]))) for _ in shape]
    images = stored[tuple(steps)].transpose(np.argsort(order))
    assert images.shape == shape
    transform = WaveletTransform((13, 10, *channels), "db2")
    wanted = np.float32 if dtype in ("f2", "f4", ">f4") else np.float64
    for run in (transform.forward, transform.inverse_adjoint):
        found = run(images)
        assert found.dtype == wanted
        np.testing.assert_array_equal(found, run(np.ascontiguousarray(images, dtype=wanted)))


def test_coefficients_of_any_strides():
    transform = WaveletTransform((13, 10, 2), "db2")
    flat = np.random.default_rng(0).standard_normal((transform.n_coefficients, 6)).T
    np.testing.assert_array_equal(
        transform.inverse(flat[::-2]), transform.inverse(np.ascontiguousarray(flat[::-2]))
    )
    assert transform.inverse(np.empty((0, transform.n_coefficients))).shape == (0, 13, 10, 2)


@pytest.mark.parametrize("make", [PixelTransform, WaveletTransform])
@pytest.mark.parametrize("channels", [(), (2,)])
def test_results_go_where_they_are_wanted(make, channels):
    transform = make((9, 12, *channels))
    images = np.random.default_rng(0).standard_normal((2, 3, 9, 12, *channels))
    flat = np.full((2, 3, transform.n_coefficients), np.nan)
    for run in (transform.forward, transform.inverse_adjoint):
        assert run(images, out=flat) is flat
        np.testing.assert_array_equal(flat, run(images))
    back = np.full_like(images, np.nan)
    assert transform.inverse(flat, out=back) is back
    np.testing.assert_array_equal(back, transform.inverse(flat))
    with pytest.raises(ValueError, match=r"`out` must be an array of float64 and shape \(2, 3, "):
        transform.forward(images, out=flat.astype(np.float32))
    with pytest.raises(ValueError, match="got list"):
        transform.forward(images, out=[1.0])
    with pytest.raises(ValueError, match="`out` must be C-contiguous"):
        transform.inverse(flat, out=np.empty(images.shape[::-1]).T)


@pytest.mark.parametrize(("shape", "n"), [((401, 390), 2), ((20, 23), 40), ((2300, 2100), 1)])
def test_neither_threads_nor_company_change_a_bit(shape, n, threads):
    transform = WaveletTransform(shape, "db3", mode="symmetric")
    images = np.random.default_rng(0).standard_normal((n, *shape), dtype=np.float32)
    flat = transform.forward(images)
    rebuilt, gradient = transform.inverse(flat), transform.inverse_adjoint(images)
    wavelens.set_num_threads(1)
    for i in range(0, n, 7):
        # Other rows of images stand in for other cuts into strips and tasks.
        np.testing.assert_array_equal(transform.forward(images[i : i + 1])[0], flat[i])
        np.testing.assert_array_equal(transform.inverse(flat[i : i + 1])[0], rebuilt[i])
        np.testing.assert_array_equal(transform.inverse_adjoint(images[i : i + 1])[0], gradient[i])


def test_a_plane_in_strips_has_the_same_bits_as_in_one_piece():
    image = np.random.default_rng(0).standard_normal((1, 400, 410))
    transform = WaveletTransform((400, 410), "db4", mode="reflect")
    # With so many planes each is one task; alone it is cut.
    many = np.broadcast_to(image, (64, 400, 410))
    flat = transform.forward(image)
    np.testing.assert_array_equal(transform.forward(many)[17], flat[0])
    np.testing.assert_array_equal(
        transform.inverse(np.broadcast_to(flat, (64, flat.shape[1])))[17], transform.inverse(flat)[0]
    )


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_instruction_sets_change_no_bit(dtype):
    before = _core.isa()
    transform = WaveletTransform((45, 38, 2), "sym6")
    images = np.random.default_rng(0).standard_normal((3, 45, 38, 2)).astype(dtype)
    found = []
    try:
        for name in _core.available_isas():
            _core.set_isa(name)
            flat = transform.forward(images)
            found.append((flat, transform.inverse(flat), transform.inverse_adjoint(images)))
    finally:
        _core.set_isa(before)
    for other in found[1:]:
        for ours, theirs in zip(other, found[0], strict=True):
            np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", ">f8"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("mode", ["zero", "periodization", "smooth"])
def test_what_is_not_finite_is_found_wherever_it_is(dtype, value, mode):
    rng = np.random.default_rng(0)
    transform = WaveletTransform((11, 8), "bior2.2", mode=mode)
    for _ in range(20):
        images = rng.standard_normal((4, 11, 8)).astype(dtype)
        place = tuple(map(int, (rng.integers(4), rng.integers(11), rng.integers(8))))
        images[place] = value
        message = rf"`images` must be finite, got {'NaN' if np.isnan(value) else 'inf'} in image {place[0]} "
        with pytest.raises(ValueError, match=message + rf"at \({place[1]}, {place[2]}\)"):
            transform.forward(images)


def test_nan_stays_in_its_image():
    transform = WaveletTransform((11, 8))
    images = np.random.default_rng(0).standard_normal((4, 11, 8))
    expected = transform.inverse_adjoint(images)
    images[2] = np.nan
    found = transform.inverse_adjoint(images)
    assert np.isnan(found[2]).any()
    np.testing.assert_array_equal(np.delete(found, 2, 0), np.delete(expected, 2, 0))


def test_the_engine_guards_its_memory():
    filters = [[0.5, 0.5]] * 4
    images = np.ones((2, 1, 8, 8))
    with pytest.raises(ValueError, match="`out`"):
        _core.wavelet_forward(images, filters, 1, "zero", np.empty((2, 1, 63)))
    with pytest.raises(TypeError, match="`out`"):
        _core.wavelet_forward(images, filters, 1, "zero", np.empty((2, 1, 64), dtype=np.float32))
    with pytest.raises(ValueError, match="`coefficients`"):
        _core.wavelet_inverse(np.empty((2, 1, 128))[..., ::2], filters, 1, "zero", images)
    with pytest.raises(ValueError, match="`images`"):
        _core.wavelet_forward(images[0], filters, 1, "zero", np.empty((2, 1, 64)))
    with pytest.raises(ValueError, match="`level`"):
        _core.wavelet_forward(images, filters, 0, "zero", np.empty((2, 1, 64)))
    with pytest.raises(ValueError, match="`filters`"):
        _core.wavelet_forward(images, [[1.0]] * 4, 1, "zero", np.empty((2, 1, 64)))
    with pytest.raises(ValueError, match="unknown extension mirror"):
        _core.wavelet_forward(images, filters, 1, "mirror", np.empty((2, 1, 64)))
    out = np.empty((2, 1, 64))
    out.flags.writeable = False
    with pytest.raises(ValueError, match="`out`"):
        _core.wavelet_forward(images, filters, 1, "zero", out)
