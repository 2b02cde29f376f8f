"""Networks of torch: inverted in float64, with branches by Gauss–Newton alone."""

from __future__ import annotations

import copy

import numpy as np
import pytest

from wavelens.exceptions import ModelError
from wavelens.models import open_model, read_layers
from wavelens.spaces import ideal_inputs, invert
from wavelens.spaces._smooth_maps import model_map

pytestmark = pytest.mark.networks


@pytest.fixture(scope="module")
def branched():
    torch = pytest.importorskip("torch")
    from torch import nn

    class Branched(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.Conv2d(1, 6, 3, padding=1)
            self.second = nn.Conv2d(6, 6, 3, padding=1)
            self.norm = nn.BatchNorm2d(6)
            self.last = nn.Linear(6 * 16, 4)

        def forward(self, x):
            a = torch.nn.functional.selu(self.first(x))
            return self.last((a + torch.tanh(self.norm(self.second(a)))).flatten(1))

    torch.manual_seed(0)
    return Branched()


def opened(module):
    return open_model(
        module, preprocessing={"value_range": (0, 1), "mean": (0.5,), "std": (0.25,)}, input_shape=(1, 4, 4)
    )


def test_a_network_with_branches_is_inverted_in_float64(branched):
    before = copy.deepcopy(branched.state_dict())
    model = opened(branched)
    targets = model.predict(np.random.default_rng(0).random((5, 1, 4, 4), np.float32))
    found = invert(model, targets, bounds=(0, 1))
    assert found.reached.all()
    assert found.rtol == 1e-10
    assert found.distances.max() < 1e-9
    assert found.inputs.min() >= 0
    assert found.inputs.max() <= 1
    np.testing.assert_allclose(model.predict(found.inputs.astype(np.float32)), targets, atol=1e-5)
    # The network itself is left as it was.
    for name, tensor in branched.state_dict().items():
        assert tensor.dtype == before[name].dtype
        np.testing.assert_array_equal(tensor, before[name])


def test_the_jacobian_of_a_network_is_its_derivative(branched):
    net = model_map(opened(branched))
    assert net.rounding < 1e-15
    x, step = np.random.default_rng(1).random((2, 16)), 1e-6
    jacobian = net.jacobian(x)
    for j in range(16):
        moved = step * np.eye(16)[j]
        slope = (net.values(x + moved) - net.values(x - moved)) / (2 * step)
        np.testing.assert_allclose(jacobian[:, :, j], slope, atol=1e-7)


def test_layer_by_layer_the_branch_is_named(branched):
    layers = read_layers(branched, input_shape=(1, 4, 4))
    with pytest.raises(ModelError, match=r"cannot be inverted layer by layer: .*newton"):
        invert(layers, np.zeros((1, 4)), "layerwise")


def test_a_chain_of_torch_is_inverted_layer_by_layer():
    torch = pytest.importorskip("torch")
    from torch import nn

    torch.manual_seed(1)
    module = nn.Sequential(
        nn.Flatten(), nn.Linear(16, 16), nn.SELU(), nn.Linear(16, 16), nn.Tanh(), nn.Linear(16, 16)
    )
    layers = read_layers(module, input_shape=(1, 4, 4))
    x = 0.3 * np.random.default_rng(2).standard_normal((3, 1, 4, 4))
    with torch.no_grad():
        targets = copy.deepcopy(module).double()(torch.from_numpy(x)).numpy()
    for method in ("layerwise", "newton"):
        found = invert(layers, targets, method)
        assert found.reached.all()
        np.testing.assert_allclose(found.inputs.reshape(x.shape), x, atol=1e-8)


def test_ideal_inputs_of_a_network(branched):
    rng = np.random.default_rng(3)
    images, labels = rng.random((24, 4, 4)), np.arange(24) % 4
    found = ideal_inputs(opened(branched), images, labels, train="newton", bounds=None)
    assert found.reached.all()
    assert found.images.shape == (4, 1, 4, 4)
