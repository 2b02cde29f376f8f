from __future__ import annotations

import numpy as np
import pytest
from classifiers import check_pullback, export, images, make_module, need_torch

from wavelens.exceptions import ModelError
from wavelens.models import Model, Preprocessing, open_model

torch = need_torch()
RULE = Preprocessing((6, 6), value_range=(-1, 1), std=(0.5, 0.6, 0.7), dtype="float64")


def direct(module, x, rule=RULE):
    """Outputs and the gradient of their sum, by torch alone."""
    module = module.eval()
    tensor = torch.from_numpy(x).requires_grad_(True)
    std = torch.tensor(rule.std, dtype=tensor.dtype).reshape(-1, 1, 1)
    outputs = module((tensor * 2 - 1) / std)
    (gradient,) = torch.autograd.grad(outputs.sum(), tensor)
    return outputs.detach().numpy(), gradient.numpy()


@pytest.fixture(params=["module", "file", "program", "file of fixed batch"])
def double_model(request, tmp_path):
    module = make_module(double=True)
    if request.param == "module":
        return open_model(module, preprocessing=RULE, batch_size=2)
    batch = 2 if "fixed" in request.param else None
    path = export(module.eval(), tmp_path / "net.pt2", batch=batch)
    source = torch.export.load(path) if request.param == "program" else path
    return open_model(source, preprocessing=RULE, batch_size=2)


def test_the_pullback_is_the_derivative(double_model):
    # The derivative of 3 images in chunks of 2, from weights in double precision.
    check_pullback(double_model, images(3, 3, 6, 6))


def test_it_is_what_torch_says(double_model):
    x = images(3, 3, 6, 6)
    outputs, gradient = direct(make_module(double=True), x)
    got, pullback = double_model.forward(x)
    np.testing.assert_allclose(got, outputs, atol=1e-12)
    np.testing.assert_allclose(pullback(np.ones((3, 4))), gradient, atol=1e-12)
    assert double_model.outputs == "logits"
    assert double_model.input_shape == (3, 6, 6)


@pytest.mark.parametrize("n", [1, 4, 9])
def test_float32_in_chunks_equals_the_whole(n):
    rule = RULE.replace(dtype="float32")
    module = make_module()
    whole = open_model(module, preprocessing=rule, batch_size=64)
    parts = open_model(module, preprocessing=rule, batch_size=4)
    x, g = images(n, 3, 6, 6, dtype=np.float32), images(n, 4, dtype=np.float32)
    (y, back), (y_parts, back_parts) = whole.forward(x), parts.forward(x)
    assert {y.dtype, back(g).dtype, back_parts(g).dtype} == {np.dtype(np.float32)}
    np.testing.assert_allclose(y_parts, y, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(back_parts(g), back(g), rtol=1e-4, atol=1e-6)


def test_the_module_is_left_as_it_was():
    module = make_module()
    module[2].eval()
    module[0].bias.requires_grad_(False)
    modes = [each.training for each in module.modules()]
    wants = [each.requires_grad for each in module.parameters()]
    mean = module[1].running_mean.clone()
    threads = torch.get_num_threads()
    model = open_model(module, preprocessing=RULE.replace(dtype="float32"), threads=1)
    x = images(3, 3, 6, 6, dtype=np.float32)
    outputs, pullback = model.forward(x)
    pullback(outputs)
    assert [each.training for each in module.modules()] == modes
    assert [each.requires_grad for each in module.parameters()] == wants
    assert all(each.grad is None for each in module.parameters())
    assert torch.equal(module[1].running_mean, mean)
    assert torch.get_num_threads() == threads
    # Dropout is off although the module is in training mode.
    np.testing.assert_array_equal(model.predict(x), model.predict(x))


def test_the_caller_may_reuse_the_images():
    model = open_model(make_module(), preprocessing=RULE.replace(dtype="float32"), batch_size=2)
    x, g = images(5, 3, 6, 6, dtype=np.float32), np.ones((5, 4), np.float32)
    _, pullback = model.forward(x)
    before = pullback(g)
    x[:] = 0
    np.testing.assert_array_equal(pullback(g), before)


def test_read_only_images_are_taken():
    model = open_model(make_module(), preprocessing=Preprocessing((6, 6), value_range=(0, 1)))
    x = images(2, 3, 6, 6, dtype=np.float32)
    x.flags.writeable = False
    outputs, pullback = model.forward(x)
    outputs.flags.writeable = False
    assert np.isfinite(pullback(outputs)).all()


class Several(torch.nn.Module):
    """Features, a softmax and logits, in one of several packings."""

    def __init__(self, pack):
        super().__init__()
        self.body, self.head = torch.nn.Flatten(), torch.nn.Linear(12, 5)
        self.pack = pack

    def forward(self, x):
        logits = self.head(self.body(x))
        return self.pack(x, logits, logits.softmax(1))


PACKINGS = {
    "dictionary": (lambda x, z, p: {"maps": x, "logits": z, "p": p}, None, "logits", "logits"),
    "by name": (lambda x, z, p: {"maps": x, "logits": z, "p": p}, "p", "probabilities", "p"),
    "tuple": (lambda x, z, p: (p, (x, z)), None, "probabilities", "0"),
    "by place": (lambda x, z, p: (p, (x, z)), 2, "logits", "1.1"),
    "maps of one pixel": (lambda x, z, p: p[:, :, None, None], None, "probabilities", "output"),
}


@pytest.mark.parametrize("name", PACKINGS)
@pytest.mark.parametrize("exported", [False, True])
def test_the_output_of_the_classes_is_found(name, exported, tmp_path):
    pack, wanted, kind, _ = PACKINGS[name]
    module = Several(pack)
    source = export(module, tmp_path / "n.pt2", 3, 2) if exported else module
    rule = Preprocessing((2, 2), value_range=(0, 1))
    model = open_model(source, preprocessing=rule, class_output=wanted)
    assert model.outputs == kind
    assert model.n_outputs == 5
    x = images(3, 3, 2, 2, dtype=np.float32)
    z = module.head(torch.from_numpy(x).flatten(1))
    expected = (z if kind == "logits" else z.softmax(1)).detach().numpy()
    np.testing.assert_allclose(model.predict(x), expected, atol=1e-5)
    assert np.abs(model.forward(x)[1](expected)).max() > 0


def test_class_names_tell_the_output():
    module = Several(lambda x, z, p: (x.flatten(1), z))
    rule = Preprocessing((2, 2), value_range=(0, 1))
    assert open_model(module, preprocessing=rule).n_outputs == 12
    assert open_model(module, preprocessing=rule, class_names=list("abcde")).n_outputs == 5


def refuse(module, match, **options):
    options = {"preprocessing": Preprocessing((2, 2), value_range=(0, 1))} | options
    with pytest.raises((ModelError, ValueError), match=match):
        open_model(module, **options)


def test_networks_that_are_no_classifiers_are_refused():
    refuse(Several(lambda x, z, p: x), r"no output has one value .* output \(3, 2, 2\)")
    refuse(Several(lambda x, z, p: (x, z)), r"'0' has no classes", class_output=0)
    refuse(
        Several(lambda x, z, p: (x, z)),
        r"no output 'scores'; .* 0: 0 \(3, 2, 2\), 1: 1 \(5,\)",
        class_output="scores",
    )
    refuse(Several(lambda x, z, p: (x, z)), "`class_output` must be between 0 and 1", class_output=2)
    refuse(Several(lambda x, z, p: 5), "gives no tensor")
    refuse(Several(lambda x, z, p: z * torch.nan), "nothing but NaN")
    refuse(Several(lambda x, z, p: z), "the 5 outputs", class_names=list("abc"))
    refuse(torch.nn.Linear(5, 2), "torch cannot run it on a batch of shape")


def test_no_way_back_is_told():
    rule = Preprocessing((2, 2), value_range=(0, 1))
    model = open_model(Several(lambda x, z, p: z.detach()), preprocessing=rule)
    assert not model.has_gradient
    with pytest.raises(ModelError, match="torch cannot follow the outputs back"):
        model.forward(images(2, 3, 2, 2, dtype=np.float32))
    assert model.predict(images(2, 3, 2, 2, dtype=np.float32)).shape == (2, 5)


def test_a_program_in_training_mode_is_refused(tmp_path):
    module = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Dropout(0.5), torch.nn.Linear(12, 3)).train()
    path = export(module, tmp_path / "n.pt2", 3, 2)
    refuse(path, "was exported in training mode .* after .eval")
    path = export(module.eval(), tmp_path / "n.pt2", 3, 2)
    assert open_model(path, preprocessing={"value_range": (0, 1)}).n_outputs == 3


def test_other_numbers_of_channels():
    model = open_model(make_module(5), input_shape=(5, 6, 6))
    assert model.preprocessing is None
    x = images(2, 5, 6, 6, dtype=np.float32)
    outputs, pullback = model.forward(x)
    assert pullback(outputs).shape == x.shape
    refuse(make_module(5), "takes images of 5 × any × any", preprocessing=None, input_shape=(4, 6, 6))
    refuse(
        make_module(5), "for 1 or 3 channels", input_shape=(5, 6, 6), preprocessing={"value_range": (0, 255)}
    )
    grey = open_model(make_module(1), input_shape=(1, 6, 6))
    assert grey.preprocessing.color == "grey"


def test_an_image_of_nan_stays_its_own():
    class Odd(torch.nn.Module):
        def forward(self, x):
            mean = x.mean(dim=(2, 3))
            return torch.where(mean > 0.9, torch.nan, mean)

    model = open_model(Odd(), preprocessing=Preprocessing((2, 2), value_range=(0, 1)))
    x = np.stack([np.zeros((3, 2, 2)), np.ones((3, 2, 2))]).astype(np.float32)
    outputs, _ = model.forward(x)
    assert np.isnan(outputs).tolist() == [[False] * 3, [True] * 3]


def test_a_class_of_its_own_fits_the_protocol():
    model = open_model(make_module(), preprocessing=RULE.replace(dtype="float32"))
    assert isinstance(model, Model)
    assert "torch module" in model.describe()
