from __future__ import annotations

import numpy as np
import pytest
from explain.toy_models import LinearModel, PredictOnly, RegionModel
from hypothesis import given, settings
from hypothesis import strategies as st

from wavelens.exceptions import WavelensError
from wavelens.explain import (
    gradient_times_input,
    integrated_gradients,
    random_wavelet_mask,
    smooth_grad,
)


def linear(seed=0, shape=(3, 6, 5), classes=4, outputs="logits", scale=1.0):
    rng = np.random.default_rng(seed)
    return LinearModel(scale * rng.standard_normal((np.prod(shape), classes)), outputs=outputs)


def images(seed=1, n=3, shape=(6, 5, 3)):
    return np.random.default_rng(seed).random((n, *shape))


@given(
    st.integers(0, 10**6),
    st.sampled_from([0.0, 0.5, "mean", "blur"]),
    st.floats(0.1, 2.0),
)
@settings(max_examples=20, deadline=None)
def test_integrated_gradients_are_complete(seed, baseline, scale):
    model, x = linear(seed, scale=scale), images(seed)
    found = integrated_gradients(model, x, baseline=baseline, n_steps=64)
    # Values sum to f(image) − f(baseline) up to the quadrature and float32.
    assert np.abs(found.residuals).max() < 2e-4
    fewer = integrated_gradients(model, x, baseline=baseline, n_steps=2)
    assert np.abs(fewer.residuals).max() >= np.abs(found.residuals).max() - 1e-5


def test_integrated_gradients_residual_is_the_sum_against_the_scores():
    model, x = linear(), images()
    start = 1 - x
    found = integrated_gradients(model, x, [0, 1, 2], baseline=start, scale="output", n_steps=1)
    planes = [np.moveaxis(each, 3, 1).astype(np.float32) for each in (x, start)]
    ends = [model.predict(each)[np.arange(3), [0, 1, 2]] for each in planes]
    np.testing.assert_allclose(found.values.sum(axis=(1, 2, 3)), ends[0] - ends[1], atol=1e-4)
    np.testing.assert_allclose(found.scores, ends[0], rtol=1e-6)


def test_closed_forms_of_a_linear_model():
    model, x = linear(outputs="probabilities"), images()
    weights = model.weights[0][:, 2].reshape(3, 6, 5)
    planes = np.moveaxis(x, 3, 1)
    product = weights * planes
    np.testing.assert_allclose(
        integrated_gradients(model, x, 2, n_steps=1).values, product, rtol=1e-5, atol=1e-6
    )
    np.testing.assert_allclose(gradient_times_input(model, x, 2).values, product, rtol=1e-5, atol=1e-6)
    smooth = smooth_grad(model, x, 2, n_samples=3)
    np.testing.assert_allclose(smooth.values, np.broadcast_to(weights, planes.shape), rtol=1e-5)
    np.testing.assert_allclose(smooth.relevance()[0], np.abs(weights).max(axis=0).ravel(), rtol=1e-5)
    np.testing.assert_allclose(
        gradient_times_input(model, x, 2).relevance(),
        np.abs(product.sum(axis=1)).reshape(3, -1),
        rtol=1e-4,
        atol=1e-6,
    )


def test_the_gradient_of_probabilities_is_that_of_softmax():
    model, x = linear(), images(n=2)
    planes = np.moveaxis(x, 3, 1).astype(np.float32)
    found = gradient_times_input(model, x, [1, 3])
    logits = model.predict(planes).astype(np.float64)
    p = np.exp(logits - logits.max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)
    for i, y in enumerate([1, 3]):
        by_logit = p[i, y] * (np.eye(4)[y] - p[i])
        expected = (model.weights[0] @ by_logit).reshape(3, 6, 5) * planes[i]
        np.testing.assert_allclose(found.values[i], expected, atol=1e-6)
        assert found.scores[i] == pytest.approx(p[i, y], rel=1e-5)


def test_without_noise_smooth_grad_is_the_gradient():
    model, x = linear(), images()
    planes = np.moveaxis(x, 3, 1)
    smooth = smooth_grad(model, x, 0, noise=0.0, n_samples=2)
    np.testing.assert_allclose(smooth.values * planes, gradient_times_input(model, x, 0).values, atol=1e-6)


def test_seeds_repeat_and_differ_and_images_are_independent():
    model, x = linear(), images()
    first = smooth_grad(model, x, 0, random_state=1)
    np.testing.assert_array_equal(first.values, smooth_grad(model, x, 0, random_state=1).values)
    assert not np.array_equal(first.values, smooth_grad(model, x, 0, random_state=2).values)
    np.testing.assert_allclose(
        first.values[:1], smooth_grad(model, x[:1], 0, random_state=1).values, rtol=1e-6
    )


def test_random_wavelet_masks_need_no_model():
    x = images(shape=(16, 12), n=2)
    found = random_wavelet_mask(x, [0, 1], wavelet="haar", level=2)
    assert found.relevance().shape == (2, found.transform.n_coefficients)
    assert found.n_evaluations.tolist() == [0, 0]
    assert 0.4 < found.values.mean() < 0.6
    assert not np.array_equal(found.values[0], found.values[1])


def test_grey_bytes_and_the_most_probable_class():
    x = np.random.default_rng(0).integers(0, 256, (2, 6, 5), dtype=np.uint8)
    model = RegionModel(np.arange(30).reshape(6, 5) < 15)
    found = gradient_times_input(model, x)
    assert found.images.shape == (2, 6, 5)
    assert found.images.max() <= 1
    np.testing.assert_array_equal(found.targets, model.predict(found.images[:, None]).argmax(axis=1))


def test_what_was_shown_is_counted():
    model, x = linear(), images(n=2)
    for run in (
        lambda: integrated_gradients(model, x, 0, n_steps=5),
        lambda: smooth_grad(model, x, 0, n_samples=5),
        lambda: gradient_times_input(model, x, 0),
    ):
        model.shown = 0
        assert run().n_evaluations.sum() == model.shown


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"target": 4}, "`target` must be at least 0 and below 4, got 4 to 4"),
        ({"target": -1}, "`target` must be at least 0"),
        ({"target": [0, 1]}, "`target` must be one class or 3"),
        ({"n_steps": 0}, "`n_steps` must be at least 1"),
        ({"baseline": "black"}, "`baseline` must be one of"),
        ({"baseline": np.zeros((2, 6, 5, 3))}, "`baseline` must be like `images`"),
        ({"scale": "logit"}, "`scale` must be one of"),
        ({"images": images() * 255}, "`images` must be uint8 or floats from 0 to 1"),
        ({"images": np.where(images() < 0.5, np.nan, 0.0)}, "`images` must be finite"),
    ],
)
def test_bad_input(change, message):
    arguments = {"images": images(), **change}
    with pytest.raises(ValueError, match=message):
        integrated_gradients(linear(), **arguments)


def test_bad_types_and_models_without_gradient():
    with pytest.raises(TypeError, match="`target` must hold class indices"):
        gradient_times_input(linear(), images(), 0.5)
    with pytest.raises(ValueError, match="`noise` must be at least 0"):
        smooth_grad(linear(), images(), noise=-1)
    with pytest.raises(WavelensError, match="no gradient"):
        gradient_times_input(PredictOnly(linear()), images())
