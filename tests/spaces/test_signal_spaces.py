"""Properties of the spaces of a layer: orthogonality, exact sums, ranks, dtypes, the paper's closed forms."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference.signal_spaces import bases, parts
from scipy.sparse.linalg import LinearOperator

import wavelens
from wavelens.spaces import SignalSpaces
from wavelens.spaces import _complement as complement_module


def of_rank(n_out, n_in, rank, seed=0):
    rng = np.random.default_rng(seed)
    left = np.linalg.qr(rng.standard_normal((n_out, n_out)))[0][:, :rank]
    right = np.linalg.qr(rng.standard_normal((n_in, n_in)))[0][:, :rank]
    return (left * np.linspace(3, 1, rank)) @ right.T


def columns(basis):
    return basis @ np.eye(basis.shape[1]) if isinstance(basis, LinearOperator) else basis


shapes = st.tuples(st.integers(1, 40), st.integers(1, 40))


@settings(max_examples=60, deadline=None)
@given(
    shape=shapes, share=st.floats(0, 1), seed=st.integers(0, 2**32), single=st.booleans(), dense=st.booleans()
)
def test_four_bases_are_orthonormal_and_complementary(shape, share, seed, single, dense):
    rank = round(share * min(shape))
    dtype = np.float32 if single else np.float64
    eps = np.finfo(dtype).eps
    w = of_rank(*shape, rank, seed).astype(dtype)
    spaces = SignalSpaces(w)
    assert spaces.rank == rank
    assert spaces.shape == shape
    assert len(spaces.singular_values) == min(shape)
    with pytest.MonkeyPatch.context() as patch:
        if not dense:
            patch.setattr(complement_module, "_DENSE_ENTRIES", -1)
        found = [spaces.signal, columns(spaces.rejected), spaces.signal_out, columns(spaces.rejected_out)]
    assert all(each.dtype == dtype for each in found)
    for kept, left, n in ((*found[:2], shape[1]), (*found[2:], shape[0])):
        assert kept.shape == (n, rank)
        assert left.shape == (n, n - rank)
        whole = np.concatenate([kept, left], axis=1).astype(np.float64)
        assert np.abs(whole.T @ whole - np.eye(n)).max() <= 20 * eps
    assert np.abs(w.astype(float) @ found[1]).max(initial=0) <= 100 * eps
    assert np.abs(w.T.astype(float) @ found[3]).max(initial=0) <= 100 * eps


@settings(max_examples=60, deadline=None)
@given(shape=shapes, share=st.floats(0, 1), seed=st.integers(0, 2**32), single=st.booleans())
def test_parts_add_up_and_agree_with_the_twin(shape, share, seed, single):
    dtype = np.float32 if single else np.float64
    eps = np.finfo(dtype).eps
    rng = np.random.default_rng(seed)
    w = of_rank(*shape, round(share * min(shape)), seed).astype(dtype)
    x = rng.standard_normal((7, shape[1])).astype(dtype)
    spaces = SignalSpaces(w)
    found = spaces.decompose(x)
    assert found.signal.dtype == found.rejected.dtype == dtype
    signal, rejected = parts(w.astype(np.float64), x.astype(np.float64), spaces.rank)
    size = np.linalg.norm(x, axis=1, keepdims=True)
    assert np.abs(found.signal - signal).max() <= 50 * eps * size.max()
    assert np.abs(found.rejected - rejected).max() <= 50 * eps * size.max()
    assert np.abs(found.signal + found.rejected - x).max() <= 2 * eps * size.max()
    total = found.signal_energy + found.rejected_energy
    exact = (x.astype(np.float64) ** 2).sum(axis=1)
    np.testing.assert_allclose(total, exact, rtol=1e-12 if dtype == np.float64 else 1e-6)
    np.testing.assert_allclose(found.energy, found.rejected_energy / total, rtol=1e-14)
    np.testing.assert_allclose(spaces.energy(x), found.energy, rtol=1e4 * eps, atol=10 * eps)


@pytest.mark.parametrize("rank", [3, 30, 57])
@pytest.mark.parametrize("kept", [True, False])
@pytest.mark.parametrize("size", [1e-3, 1e-7, 1e-12])
def test_a_faint_part_is_orthogonal_to_the_other_by_its_own_size(rank, kept, size):
    w = of_rank(60, 60, rank)
    spaces = SignalSpaces(w)
    rng = np.random.default_rng(1)
    large, faint = (spaces.signal, spaces.rejected) if kept else (spaces.rejected, spaces.signal)
    x = rng.standard_normal((5, large.shape[1])) @ large.T
    x += size * rng.standard_normal((5, faint.shape[1])) @ faint.T
    found = spaces.decompose(x)
    little, much = (found.rejected, spaces.signal) if kept else (found.signal, spaces.rejected)
    lengths = np.linalg.norm(little, axis=1)
    # What the sample's own rounding puts there is as real as the rest.
    assert (np.abs(little @ much).max(axis=1) <= 1e-11 * lengths).all()
    total = found.signal_energy + found.rejected_energy
    np.testing.assert_allclose(total, (x**2).sum(axis=1), rtol=1e-12)
    np.testing.assert_allclose(spaces.energy(x), found.energy, rtol=1e-9, atol=1e-30)


def test_a_square_invertible_layer_rejects_exactly_nothing():
    spaces = SignalSpaces(np.random.default_rng(0).standard_normal((20, 20)))
    x = np.random.default_rng(1).standard_normal((9, 20))
    found = spaces.decompose(x)
    assert np.array_equal(found.signal, x)
    assert not found.rejected.any()
    assert not found.energy.any()


def test_a_matrix_of_zeros_has_no_signal():
    spaces = SignalSpaces(np.zeros((3, 5)))
    assert spaces.rank == 0
    assert np.isnan(spaces.condition)
    assert spaces.signal.shape == (5, 0)
    assert np.array_equal(columns(spaces.rejected), np.eye(5))
    assert np.array_equal(columns(spaces.rejected_out), np.eye(3))
    x = np.ones((2, 5))
    found = spaces.decompose(x)
    assert np.array_equal(found.rejected, x)
    assert np.array_equal(found.energy, [1, 1])
    assert spaces.signal_images().shape == (0, 5)
    assert "zero" in spaces.against_chance().words()


def test_singular_vectors_follow_the_twin():
    w = of_rank(12, 30, 12)
    spaces = SignalSpaces(w)
    u, values, v = bases(w)
    np.testing.assert_allclose(spaces.singular_values, values, rtol=1e-13)
    np.testing.assert_allclose(spaces.signal, v[:, :12], atol=1e-12)
    np.testing.assert_allclose(spaces.signal_out, u, atol=1e-12)
    np.testing.assert_allclose((spaces.signal_out * spaces.singular_values) @ spaces.signal.T, w, atol=1e-13)
    assert spaces.condition == pytest.approx(values[0] / values[-1])


def test_the_rank_is_numpys():
    rng = np.random.default_rng(3)
    for dtype in (np.float32, np.float64):
        eps = np.finfo(dtype).eps
        w = np.diag([1, 0.5, 100 * eps, 31 * eps, 29 * eps, 0]).astype(dtype)
        w = np.concatenate([w, np.zeros((24, 6), dtype)])
        assert SignalSpaces(w).rank == np.linalg.matrix_rank(w)
        assert SignalSpaces(w, rtol=0.6).rank == 1
        assert SignalSpaces(w, rtol=0).rank == 5
    assert SignalSpaces(rng.standard_normal((4, 9))).rank == 4


def test_a_neuron_sees_its_projection():
    rng = np.random.default_rng(0)
    w, x = rng.standard_normal((4, 9)), rng.standard_normal((6, 9))
    spaces = SignalSpaces(w, input_shape=(3, 3))
    found = spaces.project(2, x.reshape(6, 3, 3))
    expected = (x @ w[2] / (w[2] @ w[2]))[:, None] * w[2]
    np.testing.assert_allclose(found.projection.reshape(6, 9), expected, atol=1e-14)
    np.testing.assert_allclose(found.residual.reshape(6, 9), x - expected, atol=1e-14)
    np.testing.assert_allclose(found.energy, 1 - (expected**2).sum(axis=1) / (x**2).sum(axis=1))
    silent = SignalSpaces(np.zeros((1, 9))).project(0, x)
    assert np.array_equal(silent.residual, x)
    tiny = SignalSpaces(np.full((1, 9), 1e-300)).project(0, np.ones((1, 9)))
    np.testing.assert_allclose(tiny.projection, np.ones((1, 9)))


def test_outputs_are_split_into_what_can_be_reached():
    w = of_rank(9, 30, 4)
    rng = np.random.default_rng(0)
    y = rng.standard_normal((5, 9))
    found = SignalSpaces(w).decompose_outputs(y)
    np.testing.assert_allclose(found.signal, y @ np.linalg.pinv(w).T @ w.T, atol=1e-13)
    np.testing.assert_allclose(found.signal + found.rejected, y, atol=1e-15)
    full = SignalSpaces(of_rank(9, 30, 9)).decompose_outputs(y)
    assert not full.rejected.any()


def test_a_bias_is_a_last_column_and_a_constant_input():
    rng = np.random.default_rng(0)
    w, b, x = rng.standard_normal((3, 8)), rng.standard_normal(3), rng.standard_normal((5, 8))
    spaces = SignalSpaces(w, bias=b, input_shape=(2, 4))
    by_hand = SignalSpaces(np.c_[w, b]).decompose(np.c_[x, np.ones(5)])
    found = spaces.decompose(x.reshape(5, 2, 4))
    assert found.signal.shape == (5, 9)
    np.testing.assert_allclose(found.signal, by_hand.signal, atol=1e-14)
    np.testing.assert_allclose(spaces.energy(x), by_hand.energy, atol=1e-14)
    np.testing.assert_allclose(np.c_[w, b] @ found.signal.T, w @ x.T + b[:, None], atol=1e-13)
    assert spaces.signal_images().shape == (3, 2, 4)
    assert spaces.project(0, x).projection.shape == (5, 9)


def test_signal_images_are_scaled_and_shaped():
    w = of_rank(5, 12, 3)
    spaces = SignalSpaces(w, input_shape=(3, 4))
    images = spaces.signal_images()
    assert images.shape == (3, 3, 4)
    np.testing.assert_allclose(np.linalg.norm(images, axis=(1, 2)), [3, 2, 1], rtol=1e-13)
    flat = images.reshape(3, 12)
    assert (flat[np.arange(3), np.abs(flat).argmax(axis=1)] > 0).all()
    assert spaces.signal_images(2).shape == (2, 3, 4)


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("kind", ["f4", "f8"])
def test_weights_keep_their_precision_in_any_byte_order(order, kind):
    w = np.random.default_rng(0).standard_normal((4, 12)).astype(order + kind)
    spaces = SignalSpaces(w)
    assert spaces.dtype == np.dtype(kind)
    assert spaces.rank == 4
    assert spaces.decompose(np.ones((2, 12), order + kind)).signal.dtype == np.dtype(kind)


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.float16, np.float32, ">f8", ">f4", bool])
def test_samples_of_any_dtype_and_layout(dtype):
    rng = np.random.default_rng(0)
    w = rng.standard_normal((4, 12)).astype(np.float32)
    x = (rng.random((40, 3, 4)) * 100).astype(dtype)
    spaces = SignalSpaces(w, input_shape=(3, 4))
    expected = SignalSpaces(w.astype(np.float64)).decompose(x.reshape(40, 12).astype(np.float64))
    for each in (x, x[::-1][::-1], np.asfortranarray(x), np.repeat(x, 2, axis=2)[:, :, ::2]):
        found = spaces.decompose(each)
        wide = np.dtype(dtype).itemsize == 8
        assert found.signal.dtype == (np.float64 if wide else np.float32)
        assert found.signal.shape == (40, 3, 4)
        np.testing.assert_allclose(found.signal.reshape(40, 12), expected.signal, atol=1e-4)
        np.testing.assert_allclose(found.energy, expected.energy, atol=1e-6)


@pytest.mark.parametrize("size", [1e-300, 1e-170, 1e170, 1e300])
def test_energies_beyond_the_range_leave_the_share_right(size):
    rng = np.random.default_rng(0)
    spaces = SignalSpaces(rng.standard_normal((4, 9)))
    x = rng.standard_normal((3, 9))
    expected = spaces.decompose(x)
    mixed = np.concatenate([x * size, x])
    with np.errstate(all="raise"):
        found = spaces.decompose(mixed)
    np.testing.assert_allclose(found.energy, np.tile(expected.energy, 2), rtol=1e-13)
    np.testing.assert_allclose(found.rejected[:3] / size, expected.rejected, rtol=1e-12)
    np.testing.assert_allclose(spaces.energy(mixed), found.energy, rtol=1e-12)


def test_a_sample_of_zeros_has_no_share():
    found = SignalSpaces(np.eye(2, 4)).decompose(np.zeros((1, 4)))
    assert np.isnan(found.energy[0])
    assert found.rejected_energy[0] == 0


def test_threads_change_no_bit():
    rng = np.random.default_rng(0)
    spaces = SignalSpaces(rng.standard_normal((70, 300)))
    x = rng.standard_normal((4000, 300))
    before = wavelens.num_threads()
    try:
        wavelens.set_num_threads(1)
        one = spaces.decompose(x)
        wavelens.set_num_threads(3)
        many = spaces.decompose(x)
    finally:
        wavelens.set_num_threads(before)
    assert np.array_equal(one.signal, many.signal)
    assert np.array_equal(one.energy, many.energy)


def test_large_complements_are_operators():
    w = np.random.default_rng(0).standard_normal((2, 6000))
    spaces = SignalSpaces(w)
    rejected = spaces.rejected
    assert isinstance(rejected, LinearOperator)
    assert rejected.shape == (6000, 5998)
    y = np.random.default_rng(1).standard_normal((5998, 2))
    image = rejected @ y
    assert np.abs(w @ image).max() <= 1e-11
    np.testing.assert_allclose(rejected.T @ image, y, atol=1e-12)
    np.testing.assert_allclose(rejected.rmatvec(image[:, 0]), y[:, 0], atol=1e-12)


def test_progress_is_told():
    spaces = SignalSpaces(np.eye(2, 5))
    seen = []
    spaces.decompose(np.ones((3, 5), dtype=np.uint8), progress=seen.append)
    spaces.energy(np.ones((3, 5)), progress=seen.append)
    assert seen[-1] == 1.0


BAD = [
    ({"weights": np.ones(3)}, ValueError, "`weights` must have 2 dimensions"),
    ({"weights": np.ones((0, 3))}, ValueError, "`weights` must not be empty"),
    ({"weights": [[1, np.nan]]}, ValueError, "`weights` must be finite, got nan at row 0, column 1"),
    ({"weights": [[1j]]}, TypeError, "`weights` must hold real numbers"),
    (
        {"weights": np.eye(3), "input_shape": (2, 2)},
        ValueError,
        r"as many entries as a row of `weights` \(3\)",
    ),
    ({"weights": np.eye(3), "input_shape": 3}, TypeError, "`input_shape` must be a sequence of integers"),
    ({"weights": np.eye(3), "bias": [1, 2]}, ValueError, r"`bias` must have shape \(3,\)"),
    ({"weights": np.eye(3), "rtol": 1}, ValueError, "`rtol` must be at least 0 and below 1"),
    ({"weights": np.eye(3), "rtol": "no"}, TypeError, "`rtol` must be a number or None"),
]


@pytest.mark.parametrize(("arguments", "error", "message"), BAD)
def test_bad_layers_are_refused(arguments, error, message):
    with pytest.raises(error, match=message):
        SignalSpaces(**arguments)


def test_bad_samples_are_refused():
    spaces = SignalSpaces(np.eye(3, 4), input_shape=(2, 2))
    with pytest.raises(
        ValueError, match=r"must have shape \(n_samples, 4\) or \(n_samples, 2, 2\), got \(3, 5\)"
    ):
        spaces.decompose(np.ones((3, 5)))
    with pytest.raises(ValueError, match=r"a single sample is samples\[None\]"):
        spaces.decompose(np.ones((2, 2)))
    with pytest.raises(ValueError, match="at least one sample"):
        spaces.decompose(np.ones((0, 4)))
    x = np.ones((3, 2, 2))
    x[2, 1, 0] = np.inf
    with pytest.raises(ValueError, match=r"got inf in sample 2 at \(1, 0\)"):
        spaces.energy(x)
    with pytest.raises(TypeError, match="real numbers"):
        spaces.decompose(np.ones((3, 4), dtype=complex))
    with pytest.raises(ValueError, match=r"`unit` must be between 0 and 2 \(there are 3 units\), got 3"):
        spaces.project(3, np.ones((1, 4)))
    with pytest.raises(ValueError, match="the rank"):
        spaces.signal_images(4)
    with pytest.raises(ValueError, match="`outputs`"):
        spaces.decompose_outputs(np.ones((1, 4)))
