"""scikit-learn's linear and MLP classifiers as NumPy networks, with linear steps before them folded in."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from wavelens.exceptions import ModelError
from wavelens.models._class_names import ClassNames, read_class_names
from wavelens.models._model import Array
from wavelens.models._numpy_model import NumpyMLP, shape_of_features
from wavelens.models._preprocessing import Preprocessing

__all__ = ["is_sklearn", "sklearn_model"]

NAMES = {"logistic": "sigmoid"}
OTHERWISE = (
    "for predictions alone pass a function, such as "
    "open_model(lambda x: model.predict_proba(x.reshape(len(x), -1)), input_shape=(1, height, width))"
)


@dataclass
class _Affine:
    """The map x·a + b; `a` a vector for steps that scale each feature."""

    a: Array
    b: Array

    def then(self, a: Array, b: Array) -> _Affine:
        """Append x·a + b."""
        if a.ndim == 1:
            return _Affine(self.a * a, self.b * a + b)
        return _Affine(self.a[:, np.newaxis] * a if self.a.ndim == 1 else self.a @ a, self.b @ a + b)


def is_sklearn(model: object) -> bool:
    """Whether this is an estimator of scikit-learn, or derived from one."""
    return any(each.__module__.partition(".")[0] == "sklearn" for each in type(model).__mro__)


def sklearn_model(
    model: Any,
    *,
    preprocessing: Preprocessing | None,
    given: dict[str, Any],
    input_shape: tuple[int, int, int] | None,
    outputs: str | None,
    class_names: ClassNames | None,
    batch_size: int,
) -> NumpyMLP:
    """Turn a fitted classifier into a `NumpyMLP`.

    Parameters
    ----------
    model : estimator
        LogisticRegression, SGDClassifier, LinearSVC, RidgeClassifier, Perceptron, MLPClassifier, …, alone, at
        the end of a Pipeline of scalers and PCA, or found by a search.
    preprocessing : Preprocessing, optional
        As `open_model` takes it.
    given : dict
        Attributes of it that are known, if it is not given whole.
    input_shape : tuple of int, optional
        Channels, height, width.
    outputs : {"probabilities", "logits"}, optional
        What is wanted: `predict_proba` or `decision_function`; by default logits, where softmax makes
        `predict_proba` of them, else probabilities where there are any.
    class_names : ClassNames, optional
        By default the classifier's own ``classes_``.
    batch_size : int
        Images at a time.

    Returns
    -------
    NumpyMLP

    Raises
    ------
    ModelError
        If it is not fitted, or is no such classifier.
    """
    model = getattr(model, "best_estimator_", model)
    steps, final = _taken_apart(model)
    n_features = getattr(model, "n_features_in_", None)
    if n_features is None or not hasattr(final, "classes_"):
        raise ModelError(
            f"{type(final).__name__}: expected a fitted classifier, got one without classes_; {OTHERWISE}"
        )
    affine = _Affine(np.ones(n_features), np.zeros(n_features))
    for step in steps:
        affine = affine.then(*_linear_step(step))
    weights, biases, activations = _layers(final, outputs)
    first = weights[0]
    weights[0] = affine.a[:, np.newaxis] * first if affine.a.ndim == 1 else affine.a @ first
    biases[0] = biases[0] + affine.b @ first
    if preprocessing is None:
        shape = input_shape or _shape(given, n_features)
        preprocessing = _preprocessing(shape, given, steps)
    network = NumpyMLP(
        weights,
        biases,
        activations,
        input_shape=input_shape,
        preprocessing=preprocessing,
        outputs=outputs,
        class_names=class_names or read_class_names([str(each) for each in final.classes_]),
        batch_size=batch_size,
        name=type(final).__name__,
    )
    network.kind = "scikit-learn classifier"
    _check_same(network, model, final, outputs)
    return network


def _taken_apart(model: Any) -> tuple[list[Any], Any]:
    if not hasattr(model, "steps"):
        return [], model
    inner = [each for _, each in model.steps if each is not None and not isinstance(each, str)]
    if not inner:
        raise ModelError("the pipeline is empty")
    return inner[:-1], inner[-1]


def _linear_step(step: Any) -> tuple[Array, Array]:
    kind = type(step).__name__
    if kind == "StandardScaler":
        n = step.n_features_in_
        scale = np.ones(n) if step.scale_ is None else step.scale_
        mean = np.zeros(n) if step.mean_ is None or not step.with_mean else step.mean_
        return 1 / scale, -mean / scale
    if kind == "MinMaxScaler" and not step.clip:
        return step.scale_, step.min_
    if kind == "MaxAbsScaler":
        return 1 / step.scale_, np.zeros(step.n_features_in_)
    if kind == "PCA":
        a = step.components_.T
        if step.whiten:
            a = a / np.sqrt(
                np.maximum(step.explained_variance_, np.finfo(step.explained_variance_.dtype).eps)
            )
        return a, -step.mean_ @ a
    raise ModelError(
        f"{kind}: a step of the pipeline whose gradient is not known (StandardScaler, MinMaxScaler, "
        f"MaxAbsScaler and PCA are); {OTHERWISE}"
    )


def _layers(final: Any, outputs: str | None) -> tuple[list[Array], list[Array], list[str]]:
    if hasattr(final, "coefs_") and hasattr(final, "out_activation_"):
        names = [final.activation] * (len(final.coefs_) - 1) + [final.out_activation_]
        weights, biases = list(final.coefs_), list(final.intercepts_)
        activations = [NAMES.get(each, each) for each in names]
        if weights[-1].shape[1] == 1:
            # Softmax of (0, z) is what a sigmoid of z says of two classes.
            weights[-1], biases[-1] = _two_classes(weights[-1], biases[-1])
            activations[-1] = "softmax"
        if outputs == "logits":
            activations[-1] = "identity"
        return weights, biases, activations
    if not (
        hasattr(final, "coef_") and hasattr(final, "decision_function") and np.ndim(final.coef_) in (1, 2)
    ):
        raise ModelError(
            f"{type(final).__name__}: expected a linear classifier or an MLPClassifier; {OTHERWISE}"
        )
    dense = final.coef_.toarray() if hasattr(final.coef_, "toarray") else final.coef_  # after sparsify()
    weight = np.atleast_2d(dense).T
    bias = np.broadcast_to(final.intercept_, weight.shape[1])
    if weight.shape[1] == 1:
        weight, bias = _two_classes(weight, bias)
        rest = False
    else:
        rest = _is_one_vs_rest(final)
    probable = outputs == "probabilities" or (outputs is None and rest)
    if probable and not hasattr(final, "predict_proba"):
        raise ModelError(f"{type(final).__name__} gives no probabilities; its scores are taken for logits")
    activation = ("one_vs_rest" if rest else "softmax") if probable else "identity"
    return [np.array(weight)], [np.array(bias)], [activation]


def _two_classes(weight: Array, bias: Array) -> tuple[Array, Array]:
    return np.hstack([np.zeros_like(weight), weight]), np.concatenate([np.zeros(1), np.ravel(bias)])


def _is_one_vs_rest(final: Any) -> bool:
    """Whether `predict_proba` normalises sigmoids instead of taking softmax of the scores."""
    if not hasattr(final, "predict_proba"):
        return False
    if hasattr(final, "loss"):  # SGDClassifier
        return bool(final.loss == "log_loss")
    return getattr(final, "multi_class", "") == "ovr" or getattr(final, "solver", "") == "liblinear"


def _shape(given: dict[str, Any], n_features: int) -> tuple[int, int, int]:
    if "size" in given:
        height, width = given["size"]
        channels = 1 if given.get("color") == "grey" else max(1, n_features // (height * width))
        return channels, height, width
    try:
        return shape_of_features(n_features)
    except ValueError as error:
        raise ModelError(f"{error}, such as input_shape=(1, 91, 90)") from None


def _preprocessing(
    shape: tuple[int, int, int], given: dict[str, Any], steps: list[Any]
) -> Preprocessing | None:
    channels, height, width = shape
    if channels not in (1, 3):
        if given:
            raise ValueError(
                f"`preprocessing` is for 1 or 3 channels, the network takes {channels}; let it be None, and "
                "images enter as they are, on the scale 0–1"
            )
        return None
    rule: dict[str, Any] = {"size": (height, width)}
    reasons = {"size": "the number of features"}
    if channels == 1:
        rule["color"], reasons["color"] = "grey", "the number of features"
    else:
        # The house's images are (n, height, width, channels), and so they are flattened.
        rule["layout"], reasons["layout"] = "nhwc", "assumed: images are flattened with channels last"
    if not {"value_range", "mean", "std"} & set(given):
        rule["value_range"], reasons["value_range"] = _range_of_training(steps)
    rule["dtype"], reasons["dtype"] = "float64", "scikit-learn's precision"
    for name in given:
        reasons[name] = "given"
    if "value_range" not in rule | given:
        rule["value_range"], reasons["value_range"] = (0.0, 1.0), "assumed: mean and std are usually for 0–1"
    return Preprocessing(**{**rule, **given}, reasons=reasons)


def _range_of_training(steps: list[Any]) -> tuple[tuple[float, float], str]:
    """Conclude from what the first scaler has seen."""
    if steps:
        step, kind = steps[0], type(steps[0]).__name__
        largest = None
        if kind == "MinMaxScaler":
            largest = float(np.max(step.data_max_))
        elif kind == "MaxAbsScaler":
            largest = float(np.max(step.max_abs_))
        elif kind == "StandardScaler" and step.mean_ is not None:
            # Hardly a pixel is always white: the largest value lies above every mean.
            mean, deviation = float(np.max(step.mean_)), math.sqrt(float(np.max(step.var_)))
            if mean <= 1 and deviation <= 0.5:
                return (0.0, 1.0), f"{kind} has seen means up to {mean:.3g}"
            if mean > 20 or deviation > 20:
                return (0.0, 255.0), f"{kind} has seen means up to {mean:.3g}"
            raise ModelError(
                f"{kind} has seen means up to {mean:.3g}: which value is white? Give it, such as "
                "preprocessing={'value_range': (0, 16)}"
            )
        if largest is not None:
            white = 1.0 if largest <= 1 else largest if largest <= 100 else 255.0
            return (0.0, white), f"{kind} has seen values up to {largest:.6g}"
    return (0.0, 1.0), "assumed: nothing tells the values that it was trained with"


def _check_same(network: NumpyMLP, model: Any, final: Any, outputs: str | None) -> None:
    """Compare with the classifier itself on a few random images."""
    shape = (4, *(int(each or 0) for each in network.input_shape))
    batch = network._map.apply(np.random.default_rng(0).random(shape))
    flat = batch.reshape(4, -1)
    got = network.run(batch)
    if network.outputs == "probabilities" and hasattr(model, "predict_proba"):
        expected = model.predict_proba(flat)
    elif hasattr(model, "decision_function"):
        expected = model.decision_function(flat)
        if expected.ndim == 1:
            expected = np.stack([np.zeros(len(expected)), expected], axis=1)
    else:
        return
    scale = float(np.abs(expected).max(initial=1.0))
    if got.shape != expected.shape or not float(np.abs(got - expected).max()) <= 1e-4 * scale:
        raise ModelError(
            f"{type(final).__name__}: its answers are no linear map or perceptron of its coefficients alone; "
            f"{OTHERWISE}"
        )
