"""Masks of a path at the λ they are best for."""

from __future__ import annotations

import numpy as np
import pytest
from explain.toy_models import LinearModel, PredictOnly

import wavelens.explain._explainer as explainer_module
from wavelens.explain import CartoonX, PixelRDE
from wavelens.explain._exchange import exchange
from wavelens.explain._search import Found

SIZE = 12
LAMBDAS = (0.2, 0.05, 0.02, 0.005)


def model():
    return LinearModel(2 * np.random.default_rng(1).standard_normal((SIZE * SIZE, 3)))


def images(n=3):
    return np.random.default_rng(0).random((n, SIZE, SIZE))


@pytest.mark.parametrize("kind", [CartoonX, PixelRDE])
@pytest.mark.parametrize("n_steps", [3, 30])
def test_rates_do_not_rise_with_lambda(kind, n_steps):
    options = {"wavelet": "haar", "level": 2} if kind is CartoonX else {}
    path = kind(model(), n_steps=n_steps, n_test=4, **options).path(images(), LAMBDAS)
    rates = np.array([each.rates for each in path])
    assert (np.diff(rates, axis=0) >= 0).all(), "λ falls along the path"


def test_alone_is_as_in_a_batch():
    both = PixelRDE(model(), n_steps=10, n_test=4).path(images(), LAMBDAS)
    alone = PixelRDE(model(), n_steps=10, n_test=4).path(images()[[2]], LAMBDAS)
    for all_of_it, one in zip(both, alone, strict=True):
        np.testing.assert_allclose(all_of_it.masks[2], one.masks[0], atol=2e-3)
        assert all_of_it.n_evaluations[2] == one.n_evaluations[0]


def captured(monkeypatch, **options):
    """Return an objective, and what searches found before the exchange."""
    kept = []

    def watch(objective, found, lambdas):
        kept.append((objective, [Found(each.masks.copy(), list(each.stopped)) for each in found]))

    monkeypatch.setattr(explainer_module, "exchange", watch)
    PixelRDE(model(), n_steps=5, n_test=4, **options).path(images(), LAMBDAS)
    return kept[0]


def test_each_price_gets_its_cheapest_mask(monkeypatch):
    objective, found = captured(monkeypatch, noise="mean")
    masks = np.stack([each.masks for each in found])
    exchange(objective, found, LAMBDAS)
    for i in range(3):
        same = np.full(len(LAMBDAS), i)
        own = objective.distortions(same, masks[:, i], 0, 1).mean(axis=1)
        empty = objective.distortions(same[:1], np.zeros_like(masks[:1, i]), 0, 1).mean()
        price = np.where(own > 0.5 * empty, 2, 1)
        for k, lam in enumerate(LAMBDAS):
            best = int((price * (own + lam * masks[:, i].mean(axis=1))).argmin())
            np.testing.assert_array_equal(found[k].masks[i], masks[best, i])


def test_failed_searches_take_no_part(monkeypatch):
    objective, found = captured(monkeypatch)
    found[1].masks[0], found[1].stopped[0] = 0.0, "failed: NaN"
    exchange(objective, found, LAMBDAS)
    assert not found[1].masks[0].any()
    assert all(each.masks[0].any() for each in (found[0], found[2], found[3]))


def test_without_gradients_too():
    path = PixelRDE(PredictOnly3(model()), n_steps=20, n_test=4).path(images(2), LAMBDAS)
    assert (np.diff([each.rates for each in path], axis=0) >= 0).all()


class PredictOnly3(PredictOnly):
    outputs = "logits"
    n_outputs = 3


def test_the_published_schedule_stays_as_it_is(monkeypatch):
    def refuse(*_):
        raise AssertionError("masks of the published schedule were exchanged")

    monkeypatch.setattr(explainer_module, "exchange", refuse)
    PixelRDE(model(), preset="published", n_steps=2, n_test=4).path(images(1), LAMBDAS)
