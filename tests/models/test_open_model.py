from __future__ import annotations

import sys
from types import SimpleNamespace

import numpy as np
import pytest
from classifiers import check_pullback, images, make_module, need_torch
from sklearn.datasets import load_digits
from sklearn.linear_model import RidgeClassifier

from wavelens.exceptions import ModelError, WavelensWarning
from wavelens.models import Model, NumpyMLP, Preprocessing, check_range, open_model


def brightness(x):
    mean = x.mean(axis=(1, 2, 3))
    return np.stack([mean, 1 - mean], axis=1)


def test_a_function_gives_predictions_and_says_that_it_gives_no_more():
    model = open_model(brightness, input_shape=(3, 4, 5), batch_size=2)
    assert (model.has_gradient, model.outputs, model.n_outputs) == (False, "probabilities", 2)
    x = images(7, 3, 4, 5, dtype=np.float32)
    np.testing.assert_allclose(model.predict(x), brightness(x), rtol=1e-6)
    assert "no gradient: nothing but the answers" in model.describe()
    for call in (model.forward, lambda x: model.forward_backward(x, lambda y, _: y)):
        with pytest.raises(ModelError, match="brightness gives predictions but no gradient: nothing but"):
            call(x)


@pytest.mark.parametrize(
    ("shape", "most"), [((3, 224, 224), 8), ((3, 160, 160), 15), ((3, 1000, 1000), 8), ((1, 28, 28), 32)]
)
def test_large_images_go_few_at_a_time(shape, most):
    seen = []

    def look(x):
        seen.append(len(x))
        return np.stack([x[:, 0, 0, 0], 1 - x[:, 0, 0, 0]], axis=1)

    model = open_model(look, input_shape=shape)
    seen.clear()
    model.predict(np.broadcast_to(np.float32(0.5), (20, *shape)))
    assert max(seen) == min(20, most)
    assert model.batch_size == most


def test_a_function_gets_what_is_asked_for():
    seen = []

    def look(x):
        seen.append(x)
        return np.stack([x.sum(axis=(1, 2, 3)), x.max(axis=(1, 2, 3))], axis=1)

    model = open_model(
        look, input_shape=(3, 2, 2), preprocessing={"value_range": (0, 255), "layout": "nhwc", "color": "bgr"}
    )
    x = images(2, 3, 2, 2, dtype=np.float32)
    model.predict(x)
    np.testing.assert_allclose(seen[-1], np.moveaxis(x[:, ::-1], 1, 3) * 255, rtol=1e-6)
    assert model.outputs == "logits"


def test_rows_of_nan_are_passed_on():
    def sometimes(x):
        return np.where(x[:, :2, 0, 0] > 0.9, np.nan, x[:, :2, 0, 0])

    model = open_model(sometimes, input_shape=(2, 1, 1))
    x = np.array([[0.1, 0.2], [0.95, 0.1]]).reshape(2, 2, 1, 1)
    np.testing.assert_array_equal(np.isnan(model.predict(x)), [[False, False], [True, False]])


def test_a_model_is_returned_as_it_is():
    class Squares(Model):
        def run(self, batch):
            return (batch**2).reshape(len(batch), -1)

        def run_back(self, batch, keep):
            return self.run(batch), lambda g: 2 * batch * g.reshape(batch.shape)

    own = Squares(
        name="squares", kind="own", input_shape=(1, None, 2), n_outputs=4, outputs="logits", batch_size=2
    )
    assert open_model(own) is own
    check_pullback(own, images(5, 1, 2, 2), step=0.1, rtol=1e-5)


@pytest.mark.parametrize(
    ("model", "options", "error", "message"),
    [
        (3, {}, TypeError, "must be the path .* got int"),
        ("nowhere.onnx", {}, ModelError, "no such file"),
        (brightness, {}, ValueError, "`input_shape` must be given for a function"),
        (
            brightness,
            {"input_shape": (1, 2)},
            ValueError,
            r"`input_shape` must be \(channels, height, width\)",
        ),
        (brightness, {"input_shape": (1, 0, 2)}, ValueError, "`input_shape` must be at least 1"),
        (
            brightness,
            {"input_shape": (1, 2, 2), "batch_size": 0},
            ValueError,
            "`batch_size` must be at least 1",
        ),
        (brightness, {"input_shape": (1, 2, 2), "outputs": "odds"}, ValueError, "`outputs` must be one of"),
        (
            brightness,
            {"input_shape": (1, 2, 2), "class_names": ["a"]},
            ValueError,
            "the 2 outputs .* got 1 names",
        ),
        (brightness, {"input_shape": (1, 2, 2), "preprocessing": 5}, TypeError, "`preprocessing` must be"),
        (
            brightness,
            {"input_shape": (1, 2, 2), "preprocessing": {"range": 5}},
            ValueError,
            "`preprocessing` must be one of .*'value_range', got 'range'",
        ),
        (
            brightness,
            {"input_shape": (1, 2, 2), "preprocessing": Preprocessing((4, 4))},
            ValueError,
            r"`input_shape` is \(1, 2, 2\), but `preprocessing` gives \(3, 4, 4\)",
        ),
        (
            lambda x: x.mean(axis=(1, 2, 3)),
            {"input_shape": (1, 2, 2)},
            ModelError,
            r"got float32 of shape \(2,\)",
        ),
        (lambda x: x[:, :1, 0, 0], {"input_shape": (1, 2, 2)}, ModelError, "answers yes or no, give both"),
        (lambda x: x[:, :2, 0, 0] * np.nan, {"input_shape": (2, 2, 2)}, ModelError, "nothing but NaN"),
    ],
)
def test_bad_arguments_are_named(model, options, error, message):
    with pytest.raises(error, match=message):
        open_model(model, **options)


# -- the check of the range


def digits():
    data, labels = (each[:400] for each in load_digits(return_X_y=True))
    return data.reshape(-1, 1, 8, 8) / 16, labels


def digits_net(low, high):
    x, y = digits()
    clf = RidgeClassifier().fit((low + x * (high - low)).reshape(len(x), -1), y)
    return clf, x, y


@pytest.mark.parametrize("trained", [(0, 1), (-1, 1), (0, 255)])
@pytest.mark.parametrize("fed", [(0, 1), (-1, 1), (0, 255)])
def test_known_classes_expose_a_wrong_range(trained, fed):
    clf, x, y = digits_net(*trained)
    model = open_model(clf, preprocessing={"value_range": fed})
    check = check_range(model, x[:16], targets=y[:16].tolist(), warn=False)
    if fed == trained:
        assert check.suspicion == ""
        assert check_range(model, x[:16], warn=False).suspicion == ""
        assert check.trial.right > 0.9
    elif check.trial.right < 0.5:  # a linear map without much of an offset takes any factor
        assert "predicted right" in check.suspicion


def test_answers_are_named_and_ranked():
    clf, x, y = digits_net(0, 1)
    model = open_model(clf)
    check = check_range(model, x[:3], k=4)
    assert check.classes.shape == check.probabilities.shape == (3, 4)
    np.testing.assert_array_equal(check.classes[:, 0], y[:3])
    assert (np.diff(check.probabilities, axis=1) <= 0).all()
    scores = np.exp(clf.decision_function(x[:3].reshape(3, -1)))
    np.testing.assert_allclose(check.probabilities[:, 0], scores.max(axis=1) / scores.sum(axis=1), rtol=1e-6)
    assert check.describe().startswith("image 0: 0 ")
    assert len(check.names[0]) == 4


def test_a_suspicion_is_a_warning():
    def collapsed(x):  # makes sense of bytes alone
        bright = (x > 100).astype(float).reshape(len(x), -1)[:, :6] * 9
        return np.hstack([bright, np.full((len(x), 1), 1.0)])

    model = open_model(collapsed, input_shape=(1, 3, 3))
    x = np.zeros((8, 9), np.float32)
    x[np.arange(8), np.arange(8) % 6] = 1
    with pytest.warns(WavelensWarning, match="100% of the 8 images .* values 0 to 255 there are 6 classes"):
        check_range(model, x.reshape(8, 1, 3, 3))
    right = open_model(collapsed, input_shape=(1, 3, 3), preprocessing={"value_range": (0, 255)})
    assert check_range(right, x.reshape(8, 1, 3, 3)).suspicion == ""


def test_answers_that_depend_on_chance_are_noticed():
    rng = np.random.default_rng(0)
    model = open_model(lambda x: rng.normal(size=(len(x), 3)), input_shape=(1, 2, 2))
    with pytest.warns(WavelensWarning, match="not always the same"):
        check_range(model, images(2, 1, 2, 2))


@pytest.mark.parametrize("targets", [[0, 5], [0], [0.5, 1.0], [-1, 0]])
def test_targets_are_checked(targets):
    model = NumpyMLP([np.eye(4)], [np.zeros(4)])
    with pytest.raises(ValueError, match="`targets` must"):
        check_range(model, images(2, 1, 2, 2), targets=targets)


def test_the_preprocessing_of_a_module_is_not_assumed_in_silence():
    need_torch()
    module = make_module()
    with pytest.raises(ModelError, match=r"does not tell the size .* input_shape=\(3, 224, 224\)"):
        open_model(module)
    with pytest.warns(WavelensWarning, match="ImageNet's mean and standard deviation are assumed"):
        model = open_model(module, input_shape=(3, 6, 6))
    assert "assumed, as nothing tells it: value_range, mean, std, color" in model.describe()
    assert SimpleNamespace(**model.preprocessing.to_dict()).value_range == [0.0, 1.0]
    assert "torch" in sys.modules
