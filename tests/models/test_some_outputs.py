"""A classifier seen at some of its outputs answers as the whole one does there, and so does its gradient."""

from __future__ import annotations

import numpy as np
import pytest

from wavelens.models import ClassNames, NumpyMLP
from wavelens.models._some_outputs import some_outputs


@pytest.fixture
def whole():
    rng = np.random.default_rng(0)
    names = ClassNames(tuple("abcde"), tuple("ABCDE"), tuple("vwxyz"))
    weights = [rng.normal(size=(9, 6)), rng.normal(size=(6, 5))]
    return NumpyMLP(weights, [np.zeros(6), np.ones(5)], ["tanh", "identity"], class_names=names)


def test_outputs_and_gradient_are_those_of_the_columns(whole):
    x = np.random.default_rng(1).random((4, 1, 3, 3))
    part = some_outputs(whole, [3, 0])
    assert part.n_outputs == 2
    assert part.class_names is not None
    assert part.class_names.names == ("d", "a")
    assert part.class_names.index_of("y") == 0
    np.testing.assert_array_equal(part.predict(x), whole.predict(x)[:, [3, 0]])
    _, back = part.forward(x)
    _, whole_back = whole.forward(x)
    cotangent = np.random.default_rng(2).normal(size=(4, 2))
    wide = np.zeros((4, 5))
    wide[:, [3, 0]] = cotangent
    np.testing.assert_allclose(back(cotangent), whole_back(wide), rtol=1e-12)


def test_all_outputs_are_the_model_itself(whole):
    assert some_outputs(whole, range(5)) is whole
