"""Activations read backwards give what went in, and refuse what they cannot have given."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wavelens.models._activations import activation
from wavelens.spaces._inverse_activations import inverse_activation, why_no_inverse

INVERTIBLE = ("identity", "selu", "tanh", "sigmoid", "leaky_relu", "leaky_relu:0.3")


@pytest.mark.parametrize("name", INVERTIBLE)
@given(z=st.lists(st.floats(-6, 6), min_size=1, max_size=20))
def test_there_and_back(name, z):
    z = np.array([z])
    inverse = inverse_activation(name)
    a = activation(name)[0](z)
    assert inverse.inside(a).all()
    assert not inverse.outside(a).any()
    # Near the ends of the range the way back is steep: e^6 times the rounding of a.
    np.testing.assert_allclose(inverse.inverse(a), z, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("name", ["selu", "tanh", "sigmoid"])
def test_the_ends_are_outside_at_distance_zero(name):
    inverse = inverse_activation(name)
    a = np.array([inverse.low, inverse.low - 0.25])
    assert not inverse.inside(a).any()
    np.testing.assert_allclose(inverse.outside(a), [0, 0.25])


def test_the_range_is_that_of_the_activation():
    far = np.array([[-1e3, 1e3]])
    for name in ("tanh", "sigmoid"):
        np.testing.assert_allclose(
            activation(name)[0](far)[0], [inverse_activation(name).low, inverse_activation(name).high]
        )
    assert activation("selu")[0](far)[0, 0] == pytest.approx(inverse_activation("selu").low, rel=1e-15)


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("relu", "all negative values to 0"),
        ("softmax", "a constant added"),
        ("clip:0:6", "beyond its ends"),
        ("leaky_relu:0", "slope is not positive"),
        ("leaky_relu:-0.5", "slope is not positive"),
        ("gelu", "none is known"),
        (None, "no activation"),
    ],
)
def test_others_have_none_for_a_reason(name, why):
    assert inverse_activation(name) is None
    assert why in why_no_inverse(name)
