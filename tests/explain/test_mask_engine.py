from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import mask as twin

from wavelens import _core


def problem(images, samples, channels, k, dtype, shared, seed):
    rng = np.random.default_rng(seed)
    masks = rng.random((images, k)).astype(dtype)
    h = rng.standard_normal((images, channels, k)).astype(dtype)
    mean, deviation = rng.standard_normal((2, images, 1 if shared else channels, k)).astype(dtype)
    g = rng.standard_normal((images, samples, channels, k)).astype(dtype)
    keys, streams = rng.integers(0, 2**32, (2, images), dtype=np.uint32)
    return masks, h, mean, deviation, g, keys, streams


@given(
    images=st.integers(1, 3),
    samples=st.integers(1, 3),
    channels=st.integers(1, 4),
    k=st.integers(1, 200),
    dtype=st.sampled_from([np.float32, np.float64]),
    shared=st.booleans(),
    noisy=st.booleans(),
    seed=st.integers(0, 2**63),
)
@settings(max_examples=60, deadline=None)
def test_mixing_and_reducing_agree_with_the_twin(images, samples, channels, k, dtype, shared, noisy, seed):
    masks, h, mean, deviation, g, keys, streams = problem(images, samples, channels, k, dtype, shared, seed)
    if not noisy:
        deviation = None
    out = np.empty_like(g)
    sums = np.zeros_like(masks)
    common = (masks, h, mean, deviation, seed, keys, streams, 7)
    _core.mask_mix(*common, out)
    _core.mask_reduce(*common, g, sums)
    for i in range(images):
        double = [np.broadcast_to(a[i], (channels, k)).astype(float) for a in (h, mean)]
        spread = None if deviation is None else np.broadcast_to(deviation[i], (channels, k)).astype(float)
        v = twin.noise(double[1], spread, seed, int(keys[i]), int(streams[i]), range(7, 7 + samples))
        np.testing.assert_allclose(out[i], twin.mix(masks[i].astype(float), double[0], v), rtol=0, atol=2e-5)
        np.testing.assert_allclose(sums[i], twin.reduce(double[0], v, g[i].astype(float)), rtol=0, atol=1e-3)


def test_the_twin_gives_the_published_answers():
    zeros = twin.threefry4x32([0] * 4, [0] * 4)
    assert [int(each) for each in zeros] == [0x9C6CA96A, 0xE17EAE66, 0xFC10ECD4, 0x5256A7D8]


def test_addresses_give_different_noise():
    base = (1, 2, 3, 4, 5)
    first = _core.mask_normals(*base, 512)
    np.testing.assert_array_equal(first[:100], _core.mask_normals(*base, 100))
    for place in range(5):
        other = list(base)
        other[place] += 1
        assert abs(np.corrcoef(first, _core.mask_normals(*other, 512))[0, 1]) < 0.2
    assert abs(np.corrcoef(first, _core.mask_normals(1 + 2**32, 2, 3, 4, 5, 512))[0, 1]) < 0.2


def test_normals_are_normal():
    from scipy.stats import kstest

    z = _core.mask_normals(0, 0, 0, 0, 0, 200_000).astype(float)
    assert kstest(z, "norm").pvalue > 1e-3
    pairs = z.reshape(-1, 4, 16)
    for a in range(4):
        for b in range(a):
            assert abs(np.corrcoef(pairs[:, a].ravel(), pairs[:, b].ravel())[0, 1]) < 0.02


@pytest.mark.parametrize("slack", [0.0, 0.3])
def test_updates_agree_with_the_twin(slack):
    rng = np.random.default_rng(0)
    mask = rng.random(100)
    free, first, second = mask.copy(), np.zeros(100), np.zeros(100)
    expected = mask.copy(), free.copy(), first.copy(), second.copy()
    for t in range(1, 30):
        g = rng.standard_normal(100) + 0.3
        _core.mask_update(
            mask,
            g,
            first,
            second,
            free,
            0.1,
            0.9,
            0.99,
            1e-8,
            1 / (1 - 0.9**t),
            1 / (1 - 0.99**t),
            slack,
            2.0,
            0.5,
        )
        expected = twin.adam(*expected, 2 * g + 0.5, t, 0.1, 0.9, 0.99, 1e-8, slack)
        for found, wanted in zip((mask, free, first, second), expected, strict=True):
            np.testing.assert_allclose(found, wanted, rtol=1e-10, atol=1e-12)
    assert mask.min() == 0


def test_the_engine_guards_its_memory():
    masks, h, mean, deviation, g, keys, streams = problem(2, 3, 1, 70, np.float32, True, 0)
    out = np.empty_like(g)
    good = [masks, h, mean, deviation, 0, keys, streams, 0, out]
    for place, bad in (
        (0, masks[:, :-1]),
        (1, h[:1]),
        (2, mean[..., :-1]),
        (3, deviation.astype(np.float64)),
        (5, keys[:1]),
        (6, streams[:1]),
        (8, out[:, :, :, ::2]),
        (8, np.asfortranarray(out)),
        (8, out.astype(np.float64)),
    ):
        arguments = list(good)
        arguments[place] = bad
        with pytest.raises((ValueError, TypeError), match=r"must (have|be|hold)"):
            _core.mask_mix(*arguments)
    with pytest.raises(ValueError, match="`out`"):
        _core.mask_reduce(*good[:-1], g, masks[:1].copy())
    with pytest.raises(ValueError, match="`gradients`"):
        _core.mask_reduce(*good[:-1], g[:1], masks.copy())
    with pytest.raises(TypeError, match="`values`"):
        _core.mask_clamp(np.zeros(3, dtype=int))
    with pytest.raises(ValueError, match="`gradient`"):
        _core.mask_gate(np.zeros(3), np.zeros(4))
    frozen = np.zeros(3)
    frozen.setflags(write=False)
    with pytest.raises(ValueError, match="`values`"):
        _core.mask_clamp(frozen)
