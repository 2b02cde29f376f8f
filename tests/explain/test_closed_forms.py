"""Masks that are known: linear models, white images, and gradients against differences."""

from __future__ import annotations

import numpy as np
import pytest
import pywt
from reference import mask as twin
from tiny_models import Linear, objective_of, random_mlp

from wavelens.explain import CartoonX, PixelRDE
from wavelens.wavelets import WaveletTransform


def analysis_matrix(shape, wavelet, level, mode="periodization"):
    transform = WaveletTransform(shape, wavelet, level, mode)
    n = shape[0] * shape[1]
    return transform.forward(np.eye(n).reshape(n, *shape)).T


@pytest.mark.parametrize("lam", [0.02, 0.2, 1.0])
def test_a_linear_model_of_known_coefficients(lam):
    # Φ = ½ + a·Wx shows every coefficient: F = Σ a²c²(1 − s)² + λ·mean(s), entry by entry.
    a, shape = 0.1, (8, 8)
    matrix = a * analysis_matrix(shape, "haar", 2)
    image = np.random.default_rng(1).uniform(0.2, 0.8, (1, *shape)).astype(np.float32)
    model = Linear(matrix, (1, *shape))
    explainer = CartoonX(
        model,
        lam=lam,
        wavelet="haar",
        level=2,
        mode="periodization",
        noise="zero",
        distortion="l2",
        n_steps=800,
    )
    # The clamp to [0, 1] is no part of the closed form.
    found = Unclamped(explainer).explain(image)
    c = matrix @ image.ravel() / a
    k = len(c)
    expected = np.clip(1 - lam / (2 * k * a**2 * np.maximum(c**2, 1e-12)), 0, 1)
    least = (a**2 * c**2 * (1 - expected) ** 2).sum() + lam * expected.mean()
    assert 0.999999 * least <= found.objectives[0] <= 1.002 * least + 1e-6
    np.testing.assert_allclose(found.masks[0], expected, rtol=0, atol=0.03)
    assert found.rates[0] <= found.rate_bounds[0] + 1e-6
    assert found.distortion_errors[0] == 0


class Unclamped:
    def __init__(self, explainer):
        make = explainer._basis

        def basis(size):
            found = make(size)
            found.clamp = False
            return found

        explainer._basis = basis
        self.explain = explainer.explain


@pytest.mark.parametrize("lam", [0.02, 0.1])
def test_a_linear_model_of_known_pixels(lam):
    a, shape = 0.1, (6, 9)
    image = np.random.default_rng(1).uniform(0, 1, (1, *shape)).astype(np.float32)
    model = Linear(a * np.eye(54), (1, *shape), 0.0)
    found = PixelRDE(model, lam=lam, noise="zero", distortion="l2", n_steps=800).explain(image)
    c = image.ravel().astype(float)
    expected = np.clip(1 - lam / (2 * 54 * a**2 * np.maximum(c**2, 1e-12)), 0, 1)
    least = (a**2 * c**2 * (1 - expected) ** 2).sum() + lam * expected.mean()
    assert 0.999999 * least <= found.objectives[0] <= 1.002 * least + 1e-6
    np.testing.assert_allclose(found.masks[0], expected, rtol=0, atol=0.03)


def test_pixels_with_noise():
    # E[(a(1 − s)(x − v))²] = a²(1 − s)²((x − μ)² + σ²): s = max(0, 1 − λ/(2ka²((x − μ)² + σ²))).
    a, shape, lam = 0.1, (6, 9), 0.05
    image = np.random.default_rng(1).uniform(0, 1, (1, *shape)).astype(np.float32)
    model = Linear(a * np.eye(54), (1, *shape), 0.0)
    found = PixelRDE(model, lam=lam, distortion="l2", n_steps=600, n_samples=4).explain(image)
    x = image.ravel().astype(float)
    spread = (x - x.mean()) ** 2 + x.var()
    expected = np.clip(1 - lam / (2 * 54 * a**2 * spread), 0, 1)
    least = (a**2 * spread * (1 - expected) ** 2).sum() + lam * expected.mean()
    value = (a**2 * spread * (1 - found.masks[0]) ** 2).sum() + lam * found.rates[0]
    assert value <= 1.03 * least
    assert abs(found.distortions[0] + lam * found.rates[0] - value) <= 5 * found.distortion_errors[0]


@pytest.mark.parametrize("make", [CartoonX, PixelRDE])
def test_a_white_image_needs_nothing(make):
    # Nothing can be told from noise of its own mean and no spread: the empty mask shows the same image.
    model = random_mlp((1, 8, 8))
    found = make(model, n_steps=200, noise="mean").explain(np.full((1, 8, 8), 255, dtype=np.uint8))
    assert found.rates[0] == 0
    assert found.distortions[0] < 1e-9
    assert found.stopped == ("settled",)


@pytest.mark.parametrize("wavelet", ["db3", "bior2.2"])
@pytest.mark.parametrize("mode", pywt.Modes.modes)
def test_the_gradient_is_exact_in_every_mode(mode, wavelet):
    # The objective of a linear model with l2 is a quadratic along a line, whose central difference is exact.
    rng = np.random.default_rng(0)
    shape = (13, 10)
    model = Linear(0.01 * rng.standard_normal((5, 2 * 130)), (2, *shape))
    explainer = CartoonX(model, wavelet=wavelet, mode=mode, level=2, distortion="l2")
    images = rng.uniform(0, 1, (1, *shape, 2)).astype(np.float32)
    o = objective_of(explainer, images)
    o.basis.clamp = False
    mask = rng.uniform(0.3, 0.7, (1, o.k)).astype(np.float32)
    direction = rng.standard_normal((1, o.k)).astype(np.float32)
    _, g = o.gradients(np.array([0]), mask, 0, 6)
    up, down = (
        o.answers(np.array([0]), mask + np.float32(side * 0.25) * direction, 0, 6)[0].mean()
        for side in (1, -1)
    )
    difference = (up - down) / 0.5
    scale = np.abs(g).sum() * 0.02 + abs(difference)
    assert abs(g[0].astype(float) @ direction[0] - difference) <= 2e-4 * scale


@pytest.mark.parametrize("distortion", ["probability", "relative", "l2", "kl", "maximize"])
@pytest.mark.parametrize("make", [CartoonX, PixelRDE])
@pytest.mark.parametrize("channels", [1, 3])
def test_gradients_agree_with_the_definition(make, distortion, channels):
    # By the twin in float64: matrices, noise from its definition, differences of a smooth net.
    rng = np.random.default_rng(2)
    shape = (9, 8)
    model = random_mlp((channels, *shape))
    explainer = make(model, distortion=distortion, random_state=3)
    o = objective_of(explainer, rng.uniform(0, 1, (2, *shape, channels)).astype(np.float32))
    k, pixels = o.k, 72
    one = np.array([1])
    mask = rng.uniform(0.2, 0.8, (1, k)).astype(np.float32)
    values, g = o.gradients(one, mask, 11, 3)
    synthesis = o.basis.pictures(np.eye(k, dtype=np.float32)[:, None]).reshape(k, pixels).astype(float).T
    h = o.coefficients[1].astype(float)
    mean, deviation = (
        np.broadcast_to(a[1], h.shape).astype(float) for a in (o.noise.mean, o.noise.deviation)
    )
    v = twin.noise(mean, deviation, 3, int(o._keys[1]), 11, range(3))

    def distortions(s):
        u = twin.mix(s, h, v) @ synthesis.T
        z = np.clip(u, 0, 1) if o.basis.clamp else u
        logits, _ = model._run(z.reshape(3, channels, *shape))
        p = np.exp(logits - logits.max(1, keepdims=True))
        p /= p.sum(1, keepdims=True)
        q, t = o.probabilities[1], o.targets[1]
        return {
            "probability": (p[:, t] - q[t]) ** 2,
            "relative": (p[:, t] / q[t] - 1) ** 2,
            "l2": ((p - q) ** 2).sum(1),
            "kl": (q * np.log(q / p)).sum(1),
            "maximize": 1 - p[:, t],
        }[distortion]

    s = mask[0].astype(float)
    np.testing.assert_allclose(values[0], distortions(s), rtol=1e-4, atol=1e-6)
    for i in rng.choice(k, 12, replace=False):
        e = np.zeros(k)
        e[i] = 1e-5
        slope = (distortions(s + e).mean() - distortions(s - e).mean()) / 2e-5
        assert abs(g[0, i] - slope) <= 1e-3 * np.abs(g).max()


def test_the_spatial_penaltys_gradient():
    rng = np.random.default_rng(4)
    explainer = CartoonX(random_mlp((1, 12, 11)), spatial=3.0, level=2, mode="symmetric")
    o = objective_of(explainer, rng.uniform(0, 1, (1, 12, 11)))
    one = np.array([0])
    mask = rng.uniform(0.2, 0.8, (1, o.k)).astype(np.float32)
    g = np.zeros_like(mask)
    o.add_spatial_gradient(one, mask, g)
    direction = rng.standard_normal((1, o.k)).astype(np.float32)
    up, down = (o.penalties(one, mask + side * np.float32(1e-3) * direction, 0.0)[0] for side in (1, -1))
    assert abs(float(g[0] @ direction[0]) - (up - down) / 2e-3) <= 2e-3 * np.abs(g).sum()
