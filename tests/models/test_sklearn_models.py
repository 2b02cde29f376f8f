from __future__ import annotations

import numpy as np
import pytest
from classifiers import check_pullback
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import (
    LinearRegression,
    LogisticRegression,
    Perceptron,
    RidgeClassifier,
    SGDClassifier,
)
from sklearn.model_selection import GridSearchCV
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MaxAbsScaler, MinMaxScaler, PowerTransformer, StandardScaler
from sklearn.svm import SVC, LinearSVC
from threadpoolctl import threadpool_limits

from wavelens.exceptions import ModelError
from wavelens.models import check_range, open_model

X, Y = load_digits(return_X_y=True)
UNIT = X[:150] / 16
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture(autouse=True)
def _one_thread():
    with threadpool_limits(1):  # these fits are so small that more threads only wait for each other
        yield


def nets():
    mlp = {"hidden_layer_sizes": (12, 8), "max_iter": 3, "random_state": 0}
    return {
        "logistic": LogisticRegression(max_iter=15),
        "sgd log": SGDClassifier(loss="log_loss", random_state=0),
        "sgd hinge": SGDClassifier(random_state=0),
        "svc": LinearSVC(random_state=0),
        "ridge": RidgeClassifier(),
        "perceptron": Perceptron(random_state=0),
        **{
            f"mlp {each}": MLPClassifier(activation=each, **mlp)
            for each in ("relu", "tanh", "logistic", "identity")
        },
        "scaled": make_pipeline(StandardScaler(), LogisticRegression(max_iter=15)),
        "min-max": make_pipeline(MinMaxScaler((-1, 1)), MLPClassifier(**mlp)),
        "whitened": make_pipeline(
            MaxAbsScaler(), PCA(9, whiten=True), "passthrough", LinearSVC(random_state=0)
        ),
        "no mean": make_pipeline(
            StandardScaler(with_mean=False), SGDClassifier(loss="log_loss", random_state=0)
        ),
        "search": GridSearchCV(LogisticRegression(max_iter=5), {"C": [1.0, 2.0]}, cv=2),
    }


@pytest.mark.parametrize("classes", [2, 10])
@pytest.mark.parametrize("name", nets())
def test_answers_and_gradients_are_the_classifiers(name, classes):
    chosen = classes > Y[:150]
    clf = nets()[name].fit(UNIT[chosen], Y[:150][chosen])
    model = open_model(clf, preprocessing={"value_range": (0, 1)})
    assert model.input_shape == (1, 8, 8)
    assert model.n_outputs == classes
    x = UNIT[:6].reshape(6, 1, 8, 8)
    outputs = model.predict(x)
    if hasattr(clf, "predict_proba"):
        expected = clf.predict_proba(UNIT[:6])
        if model.outputs == "logits":
            outputs = np.exp(outputs - outputs.max(axis=1, keepdims=True))
            outputs /= outputs.sum(axis=1, keepdims=True)
    else:
        assert model.outputs == "logits"
        expected = clf.decision_function(UNIT[:6])
        if classes == 2:
            expected = np.stack([0 * expected, expected], axis=1)
    np.testing.assert_allclose(outputs, expected, rtol=1e-9, atol=1e-11)
    assert model.class_names.names == tuple(map(str, range(classes)))
    check_pullback(model, x[:2], rtol=1e-5)


@pytest.mark.parametrize("classes", [2, 10])
@pytest.mark.parametrize("wanted", ["probabilities", "logits"])
@pytest.mark.parametrize("name", ["logistic", "sgd log", "mlp tanh"])
def test_either_kind_of_outputs_can_be_had(name, wanted, classes):
    chosen = classes > Y[:150]
    clf = nets()[name].fit(UNIT[chosen], Y[:150][chosen])
    model = open_model(clf, outputs=wanted, preprocessing={"value_range": (0, 1)})
    outputs = model.predict(UNIT[:5].reshape(5, 1, 8, 8))
    assert model.outputs == wanted
    if wanted == "probabilities":
        np.testing.assert_allclose(outputs, clf.predict_proba(UNIT[:5]), atol=1e-12)
    elif hasattr(clf, "decision_function") and classes > 2:
        np.testing.assert_allclose(outputs, clf.decision_function(UNIT[:5]), atol=1e-11)


def test_colours_are_flattened_as_the_house_has_them():
    rng = np.random.default_rng(0)
    photos, labels = rng.random((60, 4, 5, 3)), rng.integers(0, 3, 60)
    clf = LogisticRegression().fit(photos.reshape(60, -1), labels)
    model = open_model(clf, input_shape=(3, 4, 5))
    np.testing.assert_allclose(
        model.predict(model.prepare(photos[:4]).astype(np.float64)),
        clf.decision_function(photos[:4].reshape(4, -1)),
        atol=1e-5,
    )
    check_pullback(model, np.moveaxis(photos[:2], 3, 1))
    many = LogisticRegression().fit(rng.random((60, 40)), labels)
    assert open_model(many, input_shape=(2, 4, 5)).input_shape == (2, 4, 5)


def test_class_names_come_from_the_classifier():
    clf = RidgeClassifier().fit(UNIT, np.where(Y[:150] < 5, "low", "high"))
    assert open_model(clf).class_names.names == ("high", "low")
    assert open_model(clf, class_names=["gross", "klein"]).class_names.names == ("gross", "klein")


@pytest.mark.parametrize(
    ("scale", "step", "expected"),
    [
        (1 / 16, StandardScaler(), (0, 1)),
        (255 / 16, StandardScaler(), (0, 255)),
        (1.0, MinMaxScaler(), (0, 16)),
        (1 / 16, MinMaxScaler(), (0, 1)),
        (255 / 16, MaxAbsScaler(), (0, 255)),
    ],
)
def test_the_scaler_tells_the_range(scale, step, expected):
    clf = make_pipeline(step, RidgeClassifier()).fit(X[:150] * scale, Y[:150])
    model = open_model(clf)
    assert model.preprocessing.value_range == expected
    assert "has seen" in model.preprocessing.reasons["value_range"]
    outputs = model.predict((X[:5] / 16).reshape(5, 1, 8, 8))
    np.testing.assert_allclose(outputs, clf.decision_function(X[:5] * scale), atol=1e-9)


def test_a_scaler_that_does_not_tell_is_refused():
    clf = make_pipeline(StandardScaler(), RidgeClassifier()).fit(X[:300], Y[:300])
    with pytest.raises(ModelError, match="which value is white"):
        open_model(clf)
    model = open_model(clf, preprocessing={"value_range": (0, 16)})
    assert check_range(model, (X[:20] / 16).reshape(20, 1, 8, 8), targets=Y[:20]).suspicion == ""


@pytest.mark.parametrize(
    ("clf", "message"),
    [
        (RandomForestClassifier(2), "expected a linear classifier or an MLPClassifier"),
        (SVC(kernel="rbf"), "expected a linear classifier"),
        (make_pipeline(PowerTransformer(), RidgeClassifier()), "PowerTransformer: a step .* not known"),
        (LinearRegression(), "without classes_"),
    ],
)
def test_others_are_pointed_to_predictions_alone(clf, message):
    clf.fit(UNIT + np.random.default_rng(0).random(UNIT.shape), Y[:150] % 3)
    with pytest.raises(ModelError, match=message) as caught:
        open_model(clf)
    assert "for predictions alone pass a function" in str(caught.value)


def test_what_is_missing_is_named():
    with pytest.raises(ModelError, match="expected a fitted classifier"):
        open_model(LogisticRegression())
    with pytest.raises(ModelError, match="gives no probabilities"):
        open_model(LinearSVC().fit(UNIT, Y[:150]), outputs="probabilities")
    odd = LogisticRegression().fit(UNIT[:, :60], Y[:150])
    with pytest.raises(ModelError, match=r"60 values are no square image.*such as input_shape="):
        open_model(odd)
    assert open_model(odd, input_shape=(1, 6, 10)).input_shape == (1, 6, 10)
