"""`out` of the transforms: the right result or a `ValueError` that names it, wherever it lies in memory."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wavelens.wavelets import PixelTransform, WaveletTransform

RNG = np.random.default_rng(0)
N = 3
TRANSFORMS = [
    WaveletTransform((6, 6)),
    WaveletTransform((6, 5), "db2", mode="symmetric"),
    WaveletTransform((4, 5, 2), "haar"),
    PixelTransform((6, 6)),
    PixelTransform((4, 5, 2)),
]


def source_of(transform, method, dtype):
    shape = (N, transform.n_coefficients) if method == "inverse" else (N, *transform.shape)
    return (RNG.random(shape) * 100).astype(dtype)


@given(
    transform=st.sampled_from(TRANSFORMS),
    method=st.sampled_from(["forward", "inverse", "inverse_adjoint"]),
    dtype=st.sampled_from([np.float32, np.float64, np.uint8, np.int16]),
    order=st.sampled_from(["C", "F", "reversed", "every other"]),
    shift=st.integers(-400, 400),
)
def test_overlapping_memory_gives_the_right_result_or_an_error(transform, method, dtype, order, shift):
    source = source_of(transform, method, dtype)
    run = getattr(transform, method)
    expected = run(source)
    room = 4 * (2 * source.nbytes + expected.nbytes)
    memory = np.zeros(2 * room, np.uint8)

    stored = np.empty((2 * N, *source.shape[1:]), dtype) if order == "every other" else source
    at = room // 8 * 8
    placed = memory[at : at + stored.nbytes].view(dtype)
    if order == "F":
        view = placed.reshape(source.shape[::-1]).T
    elif order == "every other":
        view = placed.reshape(stored.shape)[::2]
    else:
        view = placed.reshape(source.shape)[:: -1 if order == "reversed" else 1]
    view[...] = source
    start = at + shift * expected.itemsize
    out = memory[start : start + expected.nbytes].view(expected.dtype).reshape(expected.shape)

    if not np.shares_memory(out, view):
        assert run(view, out=out) is out
        np.testing.assert_array_equal(out, expected)
        np.testing.assert_array_equal(view, source)
        return
    try:
        got = run(view, out=out)
    except ValueError as error:
        named = "`out`" in str(error)
        np.testing.assert_array_equal(view, source)
    else:
        named = True
        np.testing.assert_array_equal(got, expected)
    assert named


@pytest.mark.parametrize("method", ["forward", "inverse", "inverse_adjoint"])
@pytest.mark.parametrize("transform", TRANSFORMS, ids=repr)
def test_out_that_cannot_hold_the_result_is_refused(transform, method):
    source = source_of(transform, method, np.float64)
    run = getattr(transform, method)
    good = run(source)
    read_only = good.copy()
    read_only.flags.writeable = False
    misaligned = np.empty(good.nbytes + 1, np.uint8)[1:].view(np.float64).reshape(good.shape)
    for bad in (
        read_only,
        misaligned,
        good.astype(np.float32),
        good.astype(">f8"),
        good[:-1],
        good[None],
        np.empty((2 * N, *good.shape[1:]))[::2],
        np.empty(good.shape[::-1]).T,
        good[::-1],
        good.tolist(),
    ):
        with pytest.raises(ValueError, match="`out`"):
            run(source, out=bad)
    for kind in (np.ma.MaskedArray, np.matrix):
        if kind is np.matrix and good.ndim != 2:
            continue
        with pytest.raises(TypeError, match="`out`"):
            run(source, out=good.view(kind))
