"""Layers of torch modules in the order of execution, and of the programs exported from them."""

from __future__ import annotations

import numpy as np
import pytest
from networks import make_module, need_torch

from wavelens.exceptions import ModelError
from wavelens.models import open_model, read_layers

pytestmark = pytest.mark.networks


@pytest.fixture(autouse=True)
def _needs_torch() -> None:
    need_torch()


def network(*, residual=False):
    """A network whose modules are defined in another order than they are run, with functions in between."""
    torch = need_torch()
    nn, f = torch.nn, torch.nn.functional

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.head = nn.Linear(32, 10)
            self.second = nn.Conv2d(8, 8, 3, padding=1, groups=2, bias=False)
            self.norm = nn.BatchNorm2d(8)
            self.first = nn.Conv2d(1, 8, (4, 3), padding="same")
            self.dense = nn.Linear(8 * 7 * 7, 32)

        def forward(self, x):
            x = f.max_pool2d(f.leaky_relu(self.first(x), 0.2), 2)
            y = self.norm(self.second(x))
            y = f.relu(y + x) if residual else f.hardtanh(y, 0, 6)
            y = f.selu(f.avg_pool2d(y, 2)).flatten(1)
            return self.head(torch.tanh(self.dense(y))).softmax(-1)

    torch.manual_seed(0)
    net = Net()
    for each in (net.norm.running_mean, net.norm.running_var):
        each.uniform_(0.5, 1)
    return net


def test_the_order_of_execution():
    module = network()
    assert module.training
    layers = read_layers(module)
    assert module.training
    assert [each.name for each in layers] == ["first", "second", "dense", "head"]
    assert [each.activation for each in layers] == ["leaky_relu:0.2", "clip:0:6", "tanh", "softmax"]
    assert [each.padding for each in layers][:2] == [(1, 2, 1, 1), (1, 1, 1, 1)]
    assert layers.layers[1].groups == 2
    assert layers.layers[1].bias is None
    assert "max_pool2d" in layers.why_not_chain


def test_values_that_enter_make_what_comes_out():
    module = network()
    layers = read_layers(module)
    batch = np.random.default_rng(0).random((3, 1, 28, 28), np.float32)
    dense = layers.layer("dense")
    values = layers.network.run(batch, [dense.input_name, "dense"])
    z = values[dense.input_name].reshape(3, -1) @ dense.weights.T + dense.bias
    np.testing.assert_allclose(z, values["dense"], rtol=1e-4, atol=1e-5)
    second = layers.layer("second")
    scale = module.norm.weight / (module.norm.running_var + module.norm.eps).sqrt()
    np.testing.assert_allclose(second.scale_out, scale.detach().numpy(), rtol=1e-6)


def test_modules_and_programs_agree(tmp_path):
    torch = need_torch()
    module = make_module().eval()
    program = torch.export.export(module, (torch.zeros(2, 3, 8, 8),))
    torch.export.save(program, tmp_path / "small.pt2")
    found = [
        read_layers(each)
        for each in (
            module,
            program,
            tmp_path / "small.pt2",
            open_model(program, preprocessing={"value_range": (0, 1)}),
        )
    ]
    for layers in found:
        conv, head = layers
        assert (conv.name, head.name, conv.activation) == ("body.0", "head", "relu")
        np.testing.assert_array_equal(conv.weights, module.body[0].weight.detach().numpy())
        np.testing.assert_array_equal(head.weights, module.head.weight.detach().numpy())
        assert conv.input_name == layers.input_name


def test_a_chain_and_a_residual_network():
    torch = need_torch()
    nn = torch.nn
    chain = nn.Sequential(nn.Flatten(), nn.Linear(784, 20), nn.SELU(), nn.Dropout(), nn.Linear(20, 10))
    layers = read_layers(chain)
    assert layers.is_chain
    assert layers.layers[0].input_shape == (1, 28, 28)
    assert layers.layers[0].input_name == layers.input_name
    batch = np.random.default_rng(0).random((3, 1, 28, 28), np.float32)
    second = layers.layers[1]
    values = layers.network.run(batch, [second.input_name, second.name])
    z = values[second.input_name] @ second.weights.T + second.bias
    np.testing.assert_allclose(z, values[second.name], rtol=1e-4, atol=1e-5)
    residual = read_layers(network(residual=True))
    assert residual.layer("second").activation is None
    assert "goes 2 ways" in residual.why_not_chain


def test_shared_and_computed_weights_and_half_precision():
    torch = need_torch()
    nn = torch.nn
    square = nn.Linear(16, 16)
    layers = read_layers(nn.Sequential(square, nn.Tanh(), square), input_shape=(16,))
    assert [each.shares_with for each in layers] == [None, layers.layers[0].name]
    normed = nn.utils.parametrizations.weight_norm(nn.Linear(16, 4))
    (layer,) = read_layers(nn.Sequential(normed), input_shape=(16,))
    np.testing.assert_allclose(layer.weights, normed.weight.detach().numpy(), rtol=1e-6)
    for dtype, name in ((torch.bfloat16, "float32"), (torch.float16, "float32"), (torch.float64, "float64")):
        linear = nn.Linear(16, 4).to(dtype)
        (layer,) = read_layers(nn.Sequential(linear), input_shape=(16,))
        assert layer.weights.dtype == name
        np.testing.assert_array_equal(layer.weights, linear.weight.detach().double().numpy())


def test_circular_padding():
    torch = need_torch()
    conv = torch.nn.Conv2d(3, 4, 3, padding=1, padding_mode="circular")
    (layer,) = read_layers(torch.nn.Sequential(conv), input_shape=(3, 8, 8))
    assert (layer.padding, layer.padding_mode, layer.input_shape) == ((1, 1, 1, 1), "circular", (3, 8, 8))


def test_what_is_refused():
    torch = need_torch()
    nn = torch.nn
    with pytest.raises(ModelError, match=r"cannot be run on a trial batch of images of shape \(5, 5\)"):
        read_layers(network(), input_shape=(5, 5))
    broken = nn.Sequential(nn.Linear(4, 2))
    with torch.no_grad():
        broken[0].weight[0, 0] = float("nan")
    with pytest.raises(ModelError, match="hold NaN or infinity"):
        read_layers(broken, input_shape=(4,))
    with pytest.raises(ModelError, match="no linear or convolution layer"):
        read_layers(nn.ReLU())

    class Depends(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(4, 4)

        def forward(self, x):
            return self.fc(x) if x.sum() > 0 else self.fc(-x)

    with pytest.raises(ModelError, match=r"torch\.export cannot follow what it does"):
        read_layers(Depends(), input_shape=(4,))
