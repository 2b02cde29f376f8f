"""Properties of convolutions as operators: the dense matrix, adjoints, exact spectra, bounds that hold."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference.convolution import matrix
from reference.signal_spaces import parts

import wavelens
from wavelens.spaces import ConvolutionOperator, ConvolutionSpaces, SignalSpaces
from wavelens.spaces import _conv_inverse as inverse_module
from wavelens.spaces import _conv_operator as operator_module
from wavelens.spaces import _conv_rejection as rejection_module
from wavelens.spaces import _convolution as convolution_module


def dense(spaces):
    g = spaces.geometry
    before = [each[0] for each in g.padding]
    return matrix(
        spaces.kernels.astype(float),
        g.input_shape,
        g.stride,
        before,
        g.output_shape[1:],
        g.dilation,
        g.groups,
        circular=g.circular,
    )


@st.composite
def layers(draw, padding=None):
    groups = draw(st.integers(1, 3))
    per_group, outputs = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    taps = draw(st.integers(1, 4)), draw(st.integers(1, 4))
    size = draw(st.integers(1, 7)), draw(st.integers(1, 7))
    stride, dilation = draw(st.integers(1, 3)), draw(st.integers(1, 2))
    pads = st.sampled_from(["circular", "zero", 3, (3, 4), ((3, 4), (2, 6))])
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    kernels = rng.standard_normal((outputs * groups, per_group, *taps))
    options = {
        "input_shape": (per_group * groups, *size),
        "stride": stride,
        "dilation": dilation,
        "groups": groups,
        "padding": padding or draw(pads),
    }
    return ConvolutionSpaces(kernels, **options)


def random_inputs(spaces, n=2, seed=0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((n, *spaces.input_shape)), rng.standard_normal((n, *spaces.output_shape))


@settings(max_examples=60, deadline=None)
@given(spaces=layers(), small_bands=st.booleans())
def test_products_are_those_of_the_dense_matrix(spaces, small_bands):
    m = dense(spaces)
    x, y = random_inputs(spaces)
    operator = spaces.as_operator()
    assert operator.shape == spaces.shape == m.shape
    with pytest.MonkeyPatch.context() as patch:
        if small_bands:
            patch.setattr(operator_module, "_BAND_ENTRIES", 1)
        image, back = operator.forward(x), operator.adjoint_product(y)
    np.testing.assert_allclose(image.reshape(2, -1), x.reshape(2, -1) @ m.T, atol=1e-12)
    np.testing.assert_allclose(back.reshape(2, -1), y.reshape(2, -1) @ m, atol=1e-12)
    assert (image * y).sum() == pytest.approx((x * back).sum(), abs=1e-10)
    np.testing.assert_allclose(operator @ x.reshape(2, -1).T, image.reshape(2, -1).T)
    np.testing.assert_allclose(operator.rmatvec(y[0].ravel()), back[0].ravel())


@settings(max_examples=60, deadline=None)
@given(spaces=layers())
def test_the_spectrum_is_that_of_the_dense_matrix(spaces):
    exact = np.linalg.svd(dense(spaces), compute_uv=False)
    found = spaces.singular_values()
    assert found.shape == exact.shape
    np.testing.assert_allclose(found, exact, atol=1e-12 * exact[0])
    np.testing.assert_allclose(spaces.singular_values(method="gram"), exact, atol=1e-6 * exact[0])
    assert spaces.rank == np.linalg.matrix_rank(dense(spaces), rtol=spaces.rtol)


@settings(max_examples=40, deadline=None)
@given(
    spaces=layers(),
    seed=st.integers(0, 2**32),
    scale=st.sampled_from([1, 1e-3]),
    kept=st.sampled_from([0, 2**25]),
)
def test_images_are_split_as_by_the_dense_matrix(spaces, seed, scale, kept):
    x = scale * random_inputs(spaces, 3, seed)[0]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rejection_module, "_KEPT_ENTRIES", kept)
        patch.setattr(convolution_module, "_CHUNK_ENTRIES", 1)  # an image at a time
        found = spaces.decompose(x)
    kept, left = parts(dense(spaces), x.reshape(3, -1), spaces.rank)
    np.testing.assert_allclose(found.signal.reshape(3, -1), kept, atol=1e-11 * scale)
    np.testing.assert_allclose(found.rejected.reshape(3, -1), left, atol=1e-11 * scale)
    np.testing.assert_allclose(found.signal_energy + found.rejected_energy, (x**2).sum(axis=(1, 2, 3)))
    assert found.leak is None


@pytest.mark.parametrize("channels", [(2, 3), (3, 2)])
def test_stride_by_aliasing_with_deficient_frequencies(channels):
    kernels = np.zeros((*channels, 2, 2))
    kernels[:, :, 0] = np.random.default_rng(0).standard_normal((*channels, 2))
    kernels[0] = kernels[1]
    spaces = ConvolutionSpaces(kernels, input_shape=(channels[1], 6, 4), stride=(3, 2))
    assert spaces.geometry.block_circulant
    exact = np.linalg.svd(dense(spaces), compute_uv=False)
    np.testing.assert_allclose(spaces.singular_values(), exact, atol=1e-13 * exact[0])
    x = random_inputs(spaces, 3)[0]
    _, left = parts(dense(spaces), x.reshape(3, -1), spaces.rank)
    np.testing.assert_allclose(spaces.decompose(x).rejected.reshape(3, -1), left, atol=1e-13)


@pytest.mark.parametrize(("taps", "stride"), [((1, 1), 1), ((2, 3), (2, 3)), ((1, 2), (2, 3))])
def test_disjoint_patches_without_padding_are_periodic(taps, stride):
    rng = np.random.default_rng(0)
    spaces = ConvolutionSpaces(
        rng.standard_normal((2, 3, *taps)), input_shape=(3, 4, 6), stride=stride, padding="valid"
    )
    assert spaces.geometry.block_circulant
    exact = np.linalg.svd(dense(spaces), compute_uv=False)
    np.testing.assert_allclose(spaces.singular_values(), exact, rtol=1e-12)
    x = random_inputs(spaces)[0]
    _, left = parts(dense(spaces), x.reshape(2, -1), spaces.rank)
    np.testing.assert_allclose(spaces.decompose(x).rejected.reshape(2, -1), left, atol=1e-13)


def test_small_singular_values_are_exact():
    # A second difference: σ = 4 sin²(πk/n), down to 0, which squaring would blur to 1e-8.
    n = 1000
    spaces = ConvolutionSpaces(np.array([1.0, -2, 1]).reshape(1, 1, 1, 3), input_shape=(1, 1, n))
    exact = np.sort(4 * np.sin(np.pi * np.arange(n) / n) ** 2)[::-1]
    np.testing.assert_allclose(spaces.singular_values(), exact, atol=4e-15)
    assert spaces.rank == n - 1
    gram = spaces.singular_values(method="gram")
    np.testing.assert_allclose(gram, exact, atol=1e-7)


def test_pointwise_kernels_take_one_matrix():
    rng = np.random.default_rng(0)
    w = rng.standard_normal((5, 3))
    spaces = ConvolutionSpaces(w[:, :, None, None], input_shape=(3, 4, 6))
    expected = np.repeat(np.linalg.svd(w, compute_uv=False), 24)
    np.testing.assert_allclose(spaces.singular_values(), expected, rtol=1e-13)
    assert len(spaces._blocks(merge_axes=True).rows) == 1


@pytest.mark.parametrize("padding", ["zero", "valid", "circular"])
@pytest.mark.parametrize("channels", [(4, 2), (2, 4), (3, 3)])
def test_lanczos_bounds_hold(padding, channels, monkeypatch):
    monkeypatch.setattr(convolution_module, "_DENSE_ENTRIES", 0)
    rng = np.random.default_rng(0)
    spaces = ConvolutionSpaces(
        rng.standard_normal((*channels, 3, 3)), input_shape=(channels[1], 9, 11), stride=2, padding=padding
    )
    exact = np.linalg.svd(dense(spaces), compute_uv=False)
    found = spaces.extreme_singular_values(3, rtol=1e-9, basis_size=30)
    assert found.converged
    assert not found.exact
    assert np.abs(found.largest - exact[:3]).max() <= 1e-8 * exact[0]
    assert np.abs(found.smallest - exact[::-1][:3]).max() <= 1e-8 * exact[0]
    for values, bounds in ((found.largest, found.largest_bounds), (found.smallest, found.smallest_bounds)):
        nearest = np.abs(values[:, None] - exact).min(axis=1)
        assert (nearest <= bounds + 1e-12 * exact[0]).all()
    assert found.condition == pytest.approx(exact[0] / exact[-1], rel=1e-6)
    early = spaces.extreme_singular_values(1, rtol=1e-12, basis_size=6, max_products=8)
    assert not early.converged
    nearest = np.abs(early.smallest[0] - exact).min()
    assert nearest <= early.smallest_bounds[0]


def test_lanczos_finds_the_smallest_that_is_not_zero(monkeypatch):
    monkeypatch.setattr(convolution_module, "_DENSE_ENTRIES", 0)
    rng = np.random.default_rng(0)
    kernels = rng.standard_normal((4, 2, 3, 3))
    kernels[:, 1] = kernels[:, 0]
    spaces = ConvolutionSpaces(kernels, input_shape=(2, 7, 6), padding="zero")
    exact = np.linalg.svd(dense(spaces), compute_uv=False)
    exact = exact[exact > 1e-10]
    assert len(exact) == 42
    found = spaces.extreme_singular_values(2, rtol=1e-9, basis_size=30)
    np.testing.assert_allclose(found.smallest, exact[::-1][:2], rtol=1e-7)


@settings(max_examples=40, deadline=None)
@given(spaces=layers())
def test_the_sparse_matrix_is_the_dense_one(spaces):
    exact = dense(spaces)
    found = inverse_module.sparse_matrix(ConvolutionOperator(spaces.kernels, spaces.geometry))
    np.testing.assert_allclose(found.toarray(), exact, atol=1e-14)
    assert found.nnz == np.count_nonzero(exact)


@pytest.mark.parametrize(
    ("kernels", "options"),
    [
        ((3, 3, 3, 3), {}),
        ((4, 1, 3, 3), {"groups": 4}),
        ((4, 1, 2, 2), {"stride": 2, "padding": "valid"}),
        ((3, 3, 3, 3), {"dilation": 2}),
        ((2, 2, 3, 3), {"padding": "circular"}),
    ],
)
def test_the_smallest_of_square_operators_are_pinned_down(kernels, options, monkeypatch):
    monkeypatch.setattr(convolution_module, "_DENSE_ENTRIES", 0)
    rng = np.random.default_rng(0)
    channels = kernels[1] * options.get("groups", 1)
    spaces = ConvolutionSpaces(
        rng.standard_normal(kernels),
        input_shape=(channels, 10, 12),
        **{"padding": "zero"} | options,
    )
    assert spaces.shape[0] == spaces.shape[1]
    exact = np.linalg.svd(dense(spaces), compute_uv=False)
    found = spaces.extreme_singular_values(2)
    assert found.solutions > 0
    assert not found.exact
    assert found.smallest[0] == pytest.approx(exact[-1], rel=1e-6)
    # Equal ones are found once or as often as they are there.
    assert found.smallest[1] <= exact[exact > exact[-1] * (1 + 1e-6)].min() * (1 + 1e-6)
    nearest = np.abs(found.smallest[:, None] - exact).min(axis=1)
    assert (nearest <= found.smallest_bounds + 1e-12 * exact[0]).all()


def test_what_counts_as_zero_is_passed_over_by_factorizing(monkeypatch):
    monkeypatch.setattr(convolution_module, "_DENSE_ENTRIES", 0)
    kernels = np.random.default_rng(0).standard_normal((3, 3, 3, 3))
    exact = np.linalg.svd(
        dense(ConvolutionSpaces(kernels, input_shape=(3, 10, 12), padding="zero")), compute_uv=False
    )
    for zeros in (1, 7, 30, 120):
        rtol = np.sqrt(exact[-zeros] * exact[-zeros - 1]) / exact[0]
        spaces = ConvolutionSpaces(kernels, input_shape=(3, 10, 12), padding="zero", rtol=rtol)
        found = spaces.extreme_singular_values(2)
        assert (found.solutions > 0) == (zeros < 120)
        if found.solutions:
            np.testing.assert_allclose(found.smallest, exact[::-1][zeros : zeros + 2], rtol=1e-6)


def test_factorizing_is_no_more_work_than_was_allowed():
    spaces = ConvolutionSpaces(np.ones((8, 8, 3, 3)), input_shape=(8, 20, 20), padding="zero")
    operator = spaces.as_operator()
    assert inverse_module.is_worth_factorizing(operator, 100, 4000)
    assert not inverse_module.is_worth_factorizing(operator, 24, 20)
    wide = ConvolutionSpaces(np.ones((4, 8, 3, 3)), input_shape=(8, 20, 20), padding="zero")
    assert not inverse_module.is_worth_factorizing(wide.as_operator(), 100, 4000)
    large = ConvolutionSpaces(np.ones((64, 64, 3, 3)), input_shape=(64, 56, 56), padding="zero")
    assert not inverse_module.is_worth_factorizing(large.as_operator(), 100, 10**9)


def test_a_square_operator_without_full_rank_falls_back_on_lanczos(monkeypatch):
    monkeypatch.setattr(convolution_module, "_DENSE_ENTRIES", 0)
    rng = np.random.default_rng(0)
    kernels = rng.standard_normal((3, 3, 3, 3))
    for scale in (0, 1e-16):  # exactly singular, and to rounding
        kernels[2] = kernels[1] + scale * kernels[0]
        spaces = ConvolutionSpaces(kernels, input_shape=(3, 6, 6), padding="zero")
        exact = np.linalg.svd(dense(spaces), compute_uv=False)
        found = spaces.extreme_singular_values(1, rtol=1e-9)
        assert found.solutions == 0
        assert found.smallest[0] == pytest.approx(exact[exact > 1e-10].min(), rel=1e-6)


@pytest.mark.parametrize("padding", ["circular", "zero"])
@pytest.mark.parametrize("small", [True, False])
@pytest.mark.parametrize("size", [1e-310, 1e-200, 1e200, 1e306])
def test_kernels_of_any_size_have_the_same_spaces(padding, small, size, monkeypatch):
    if not small:
        monkeypatch.setattr(convolution_module, "_DENSE_ENTRIES", 0)
    kernels = np.random.default_rng(0).standard_normal((1, 2, 3, 3))
    plain, scaled = (
        ConvolutionSpaces(each, input_shape=(2, 6, 6), padding=padding) for each in (kernels, kernels * size)
    )
    x = random_inputs(plain)[0]
    with np.errstate(all="raise"):
        np.testing.assert_allclose(scaled.decompose(x).rejected, plain.decompose(x).rejected, atol=1e-8)
        np.testing.assert_allclose(scaled.patch_energy(x), plain.patch_energy(x), rtol=1e-9)
        ends = scaled.extreme_singular_values()
    expected = plain.extreme_singular_values()
    assert ends.condition == pytest.approx(expected.condition, rel=1e-6)
    np.testing.assert_allclose(ends.largest, expected.largest * size, rtol=1e-9)
    if small or padding == "circular":
        assert scaled.rank == plain.rank == 36
        np.testing.assert_allclose(scaled.singular_values() / size, plain.singular_values(), rtol=1e-9)


@pytest.mark.parametrize("padding", ["circular", "zero"])
@pytest.mark.parametrize("size", [1e-300, 1e-170, 1e170, 1e300])
def test_images_of_any_size_have_the_same_shares(padding, size, monkeypatch):
    monkeypatch.setattr(convolution_module, "_DENSE_ENTRIES", 0)
    kernels = np.random.default_rng(0).standard_normal((1, 2, 3, 3))
    spaces = ConvolutionSpaces(kernels, input_shape=(2, 6, 6), padding=padding)
    x = random_inputs(spaces)[0]
    expected = spaces.decompose(x)
    with np.errstate(all="raise"):
        found = spaces.decompose(np.concatenate([x * size, x]))
        shares = spaces.patch_energy(np.concatenate([x * size, x]))
    np.testing.assert_allclose(found.energy, np.tile(expected.energy, 2), rtol=1e-9)
    np.testing.assert_allclose(found.rejected[:2] / size, expected.rejected, atol=1e-9)
    np.testing.assert_allclose(shares, np.tile(spaces.patch_energy(x), 2), rtol=1e-12)
    single = (x * 1e-30).astype(np.float32), (x * 1e30).astype(np.float32)
    for each in single:
        np.testing.assert_allclose(spaces.patch_energy(each), spaces.patch_energy(x), rtol=1e-5)


def test_a_given_tolerance_holds_for_rows_of_kernels_too():
    kernels = np.diag([1.0, 1e-3])[:, :, None, None] * np.ones((1, 1, 2, 2))
    spaces = ConvolutionSpaces(kernels, input_shape=(2, 4, 4), rtol=0.1)
    assert spaces.filters_as_rows.rank == 1
    x = np.zeros((1, 2, 4, 4))
    x[:, 1] = 1
    assert spaces.patch_energy(x)[0] == pytest.approx(1)


def test_extremes_of_small_layers_are_exact():
    spaces = ConvolutionSpaces(np.ones((1, 1, 2, 2)), input_shape=(1, 4, 4))
    found = spaces.extreme_singular_values(2)
    assert found.exact
    np.testing.assert_allclose(found.largest, [4, np.sqrt(8)])
    assert found.smallest[0] == pytest.approx(2)
    zero = ConvolutionSpaces(np.zeros((1, 1, 2, 2)), input_shape=(1, 4, 4))
    assert len(zero.extreme_singular_values().largest) == 0
    assert np.isnan(zero.condition)
    assert zero.decompose(np.ones((1, 1, 4, 4))).energy[0] == 1


def test_iteration_splits_zero_padded_layers(monkeypatch):
    monkeypatch.setattr(convolution_module, "_DENSE_ENTRIES", 0)
    rng = np.random.default_rng(0)
    spaces = ConvolutionSpaces(
        rng.standard_normal((2, 3, 3, 3)), input_shape=(3, 8, 8), stride=2, padding="zero"
    )
    x = random_inputs(spaces, 4)[0]
    x[2] = 0
    found = spaces.decompose(x, rtol=1e-12)
    kept, _ = parts(dense(spaces), x.reshape(4, -1), 32)
    np.testing.assert_allclose(found.signal.reshape(4, -1), kept, atol=1e-9)
    assert (found.leak <= 1e-11).all()
    assert np.isnan(found.energy[2])
    rough = spaces.decompose(x, max_steps=3)
    assert rough.leak[0] > 1e-6
    assert (rough.energy[[0, 1, 3]] >= found.energy[[0, 1, 3]]).all()


def test_kernels_as_rows_are_the_papers_matrix():
    kernels = np.random.default_rng(0).standard_normal((8, 4, 3, 3)).astype(np.float32)
    spaces = ConvolutionSpaces(kernels, input_shape=(4, 8, 8))
    assert spaces.kernels_as_rows.shape == (32, 9)
    assert spaces.kernels_as_rows.signal_images().shape == (9, 3, 3)
    assert spaces.filters_as_rows.shape == (8, 36)
    assert spaces.filters_as_rows.input_shape == (4, 3, 3)
    assert spaces.kernels_as_rows.signal.dtype == np.float32


@pytest.mark.parametrize("groups", [1, 2])
def test_patches_are_split_by_the_filters(groups):
    rng = np.random.default_rng(0)
    spaces = ConvolutionSpaces(
        rng.standard_normal((4, 4 // groups, 2, 2)), input_shape=(4, 3, 3), padding="valid", groups=groups
    )
    x = random_inputs(spaces)[0]
    rejected, total = np.zeros(2), np.zeros(2)
    for group in range(groups):
        own = slice(group * 4 // groups, (group + 1) * 4 // groups)
        matrix_of_group = spaces.kernels[group * 4 // groups : (group + 1) * 4 // groups].reshape(
            4 // groups, -1
        )
        for i, j in np.ndindex(2, 2):
            patch = x[:, own, i : i + 2, j : j + 2].reshape(2, -1)
            found = SignalSpaces(matrix_of_group).decompose(patch)
            rejected += found.rejected_energy
            total += (patch**2).sum(axis=1)
    np.testing.assert_allclose(spaces.patch_energy(x), rejected / total, rtol=1e-12)


def test_float32_stays_and_is_exact():
    rng = np.random.default_rng(0)
    kernels = rng.standard_normal((2, 3, 3, 3)).astype(np.float32)
    spaces = ConvolutionSpaces(kernels, input_shape=(3, 6, 6))
    wide = ConvolutionSpaces(kernels.astype(np.float64), input_shape=(3, 6, 6))
    assert np.array_equal(spaces.singular_values(), wide.singular_values())
    x = rng.integers(0, 255, (2, 3, 6, 6)).astype(np.uint8)
    found = spaces.decompose(x)
    assert found.rejected.dtype == np.float32
    np.testing.assert_allclose(found.energy, wide.decompose(x).energy, rtol=1e-12)
    assert spaces.as_operator().forward(x.astype(np.float32)).dtype == np.float32
    for each in (
        x.astype(">f4"),
        x.astype(">f8"),
        x.astype(np.float16),
        np.asfortranarray(x),
        x.astype(bool),
    ):
        expected = wide.decompose(each.astype(np.float64)).energy
        np.testing.assert_allclose(spaces.decompose(each).energy, expected, rtol=1e-12)
        np.testing.assert_allclose(
            spaces.patch_energy(each), wide.patch_energy(each.astype(np.float64)), rtol=1e-5
        )


def test_threads_change_nothing():
    spaces = [
        ConvolutionSpaces(np.random.default_rng(0).standard_normal((6, 5, 3, 3)), input_shape=(5, 8, 8))
        for _ in range(2)
    ]
    before = wavelens.num_threads()
    try:
        wavelens.set_num_threads(1)
        one = spaces[0].singular_values()
        wavelens.set_num_threads(3)
        many = spaces[1].singular_values()
    finally:
        wavelens.set_num_threads(before)
    np.testing.assert_allclose(one, many, rtol=1e-14)


BAD = [
    ({"kernels": np.ones((2, 2))}, ValueError, r"`kernels` must have shape \(c_out"),
    ({"kernels": np.full((1, 1, 2, 2), np.nan)}, ValueError, r"finite, got nan at \(0, 0, 0, 0\)"),
    ({"kernels": np.ones((1, 1, 2, 2), complex)}, TypeError, "real numbers"),
    ({"input_shape": (4, 4)}, ValueError, "`input_shape` must be"),
    ({"input_shape": (2, 4, 4)}, ValueError, "see 1 channels"),
    ({"groups": 2}, ValueError, "see 2 channels"),
    ({"stride": 0}, ValueError, "`stride` must be at least 1"),
    ({"stride": (1, 2, 3)}, ValueError, "`stride` must be an integer or two"),
    ({"padding": "mirror"}, ValueError, "`padding` must be one of"),
    ({"padding": (1, 2, 3)}, ValueError, "`padding` must be"),
    ({"padding": -1}, ValueError, "`padding` must be at least 0"),
    ({"padding": 0, "input_shape": (1, 1, 4)}, ValueError, "larger than the padded input"),
    ({"bias": [1, 2]}, ValueError, r"`bias` must have shape \(1,\)"),
    ({"bias": [np.nan]}, ValueError, "`bias` must be finite"),
    ({"rtol": 2}, ValueError, "`rtol` must be at least 0"),
    ({"rtol": "small"}, TypeError, "`rtol` must be a number or None"),
    ({"stride": 1.5}, TypeError, "`stride` must be an integer, got 1.5"),
    ({"dilation": None}, ValueError, "`dilation` must be an integer or two, of rows and columns, got None"),
    ({"padding": None}, ValueError, '`padding` must be "circular", "zero", "valid", an integer, two'),
    ({"input_shape": 6}, TypeError, r"`input_shape` must be \(channels, height, width\), got 6"),
]


@pytest.mark.parametrize(("arguments", "error", "message"), BAD)
def test_bad_layers_are_refused(arguments, error, message):
    with pytest.raises(error, match=message):
        ConvolutionSpaces(**{"kernels": np.ones((1, 1, 2, 2)), "input_shape": (1, 4, 4)} | arguments)


def test_bad_calls_are_refused():
    spaces = ConvolutionSpaces(np.ones((8, 8, 3, 3)), input_shape=(8, 40, 40), padding="zero")
    with pytest.raises(ValueError, match="`extreme_singular_values` gives the largest"):
        spaces.singular_values()
    with pytest.raises(ValueError, match=r"must have shape \(n_samples, 8, 40, 40\)"):
        spaces.decompose(np.ones((1, 8, 40)))
    x = np.zeros((2, 8, 40, 40))
    x[1, 3, 2, 1] = np.inf
    for call in (spaces.decompose, spaces.energy, spaces.patch_energy):
        with pytest.raises(ValueError, match=r"finite, got inf in sample 1 at \(3, 2, 1\)"):
            call(x)
    with pytest.raises(ValueError, match="`rtol` must be at least 0"):
        spaces.decompose(x, rtol=-1)
    with pytest.raises(TypeError, match="`rtol` must be a number"):
        spaces.extreme_singular_values(rtol="1e-6")
    with pytest.raises(ValueError, match="`method` must be one of"):
        spaces.singular_values(method="fast")
    with pytest.raises(ValueError, match="`basis_size` must be at least 6"):
        spaces.extreme_singular_values(1, basis_size=3)
