"""Opening a classifier, whatever library it is of."""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

import numpy as np
import numpy.typing as npt

from wavelens._arguments import check_choice, check_integer
from wavelens.exceptions import ModelError, WavelensWarning
from wavelens.models._batch import SMALL_IMAGES, usual_batch
from wavelens.models._callable_model import CallableModel
from wavelens.models._class_names import ClassNames, read_class_names
from wavelens.models._input_map import InputMap
from wavelens.models._model import Model
from wavelens.models._network import Network, open_network
from wavelens.models._outputs import Output, check_trial, choose_output, kind_of_outputs, width
from wavelens.models._preprocessing import Preprocessing
from wavelens.models._recognise import check_fits, recognise_preprocessing
from wavelens.models._sklearn_model import is_sklearn, sklearn_model

__all__ = ["open_model"]

Array = npt.NDArray[Any]
Shape = tuple[int, int, int]


def open_model(
    model: object,
    *,
    preprocessing: Preprocessing | Mapping[str, Any] | None = None,
    outputs: str | None = None,
    batch_size: int | None = None,
    class_output: str | int | None = None,
    class_names: ClassNames | str | os.PathLike[str] | Sequence[str] | None = None,
    input_shape: tuple[int, int, int] | None = None,
    gradient: bool | None = None,
    threads: int | None = None,
    trust_pickle: bool = False,
) -> Model:
    """Open a classifier, whatever library it is of.

    Parameters
    ----------
    model : path, object or callable
        A ``.pt2`` file (extra ``torch``) or a ``.onnx`` file (extra ``onnx``); a ``torch.nn.Module`` or
        ``torch.export.ExportedProgram``; a fitted linear or MLP classifier of scikit-learn, alone or after
        scalers and PCA in a Pipeline; a function from images (n, channels, height, width) to an array
        (n, classes), which gives predictions alone; or a `Model`, returned as it is.
    preprocessing : Preprocessing or dict, optional
        What becomes of an image before the network, or those of its attributes that are known, as in
        ``{"value_range": (0, 1), "mean": IMAGENET_MEAN, "std": IMAGENET_STD}``. The rest is recognised, see
        `recognise_preprocessing`; what nothing tells is assumed, and `Model.describe` says so. A function
        gets images as they are.
    outputs : {"probabilities", "logits"}, optional
        What the outputs are; recognised by default.
    batch_size : int, optional
        Images that the network gets at a time; memory grows with it. By default 8 photos of 224 × 224, or more of
        smaller images, at most 32: more take longer each.
    class_output : str or int, optional
        Of several outputs the one with the classes, by name or place. By default the one that has as many
        values as there are `class_names`, or a telling name, or else the first flat one.
    class_names : ClassNames, path or sequence of str, optional
        What the classes are called, see `read_class_names`.
    input_shape : tuple of int, optional
        Channels, height and width of the images, where the network does not tell them: modules, functions,
        and classifiers of images that are not square.
    gradient : bool, optional
        Of ``.onnx`` files: False opens them in onnxruntime for predictions alone; True insists on a gradient;
        by default there is one if torch, onnx and onnx2torch are installed, and else a warning.
    threads : int, optional
        Of torch and onnxruntime; `wavelens.num_threads` by default.
    trust_pickle : bool, default False
        Open ``.pt2`` files by ``torch.export.load`` as they are, which can run code from them.

    Returns
    -------
    Model

    Raises
    ------
    ImportError
        If a library is missing; says what to install.
    ModelError
        If the network cannot be read or run, is no classifier of images, or the ONNX file has an operator
        whose gradient is not known.
    TypeError, ValueError
        If an argument is not what it should be.

    Warns
    -----
    WavelensWarning
        If a ``.onnx`` file is opened without a gradient though `gradient` is not False, or if ImageNet's mean
        and standard deviation had to be assumed.

    Notes
    -----
    A network is tried once, with two random images: this tells its outputs. What onnx2torch makes of a file is
    compared with onnxruntime at that. No code from a file runs, see `open_network`.

    Examples
    --------
    >>> import numpy as np
    >>> from wavelens.models import open_model
    >>> brightness = lambda x: np.stack([x.mean((1, 2, 3)), 1 - x.mean((1, 2, 3))], axis=1)
    >>> model = open_model(brightness, input_shape=(1, 4, 4))
    >>> model.outputs, model.has_gradient
    ('probabilities', False)
    """
    if isinstance(model, Model):
        return model
    if batch_size is not None:
        check_integer(batch_size, "batch_size", low=1)
    names = class_names if isinstance(class_names, ClassNames | None) else read_class_names(class_names)
    shape = None if input_shape is None else _checked_shape(input_shape)
    rule, given = None, dict[str, Any]()
    if isinstance(preprocessing, Preprocessing):
        rule = preprocessing
    elif isinstance(preprocessing, Mapping):
        given = dict(preprocessing)
        known = {each.name for each in fields(Preprocessing)} - {"reasons"}
        for each in given:
            check_choice(each, "preprocessing", tuple(sorted(known)))
    elif preprocessing is not None:
        raise TypeError(f"`preprocessing` must be a Preprocessing or a dict, got {preprocessing!r}")
    if is_sklearn(model):
        return sklearn_model(
            model,
            preprocessing=rule,
            given=given,
            input_shape=shape,
            outputs=outputs,
            class_names=names,
            batch_size=SMALL_IMAGES if batch_size is None else batch_size,
        )
    common: dict[str, Any] = {"class_names": names}
    if callable(model) and not _is_torch(model):
        return _open_callable(model, rule, given, shape, outputs, batch_size, common)
    network = open_network(model, threads=threads, trust_pickle=trust_pickle)
    rule, shape = _input(network, rule, given, shape)
    common |= {
        "name": network.name,
        "kind": network.kind,
        "input_shape": shape,
        "preprocessing": rule,
        "fixed_batch": network.batch,
        "batch_size": usual_batch(shape) if batch_size is None else batch_size,
        "_map": InputMap(dtype=network.input.dtype) if rule is None else InputMap.of(rule),
    }
    if network.kind == "ONNX file":
        return _open_onnx(network, outputs, class_output, common, gradient)
    return _open_torch(network, outputs, class_output, common)


def _open_torch(
    network: Any, given: str | None, class_output: str | int | None, common: dict[str, Any]
) -> Model:
    from wavelens.models import _torch_model as torch_model

    if hasattr(network.module, "graph"):
        torch_model.check_evaluation(network.name, network.module)
    batch = _trial(common)
    values, gradient = torch_model.torch_outputs(network.name, network.module, batch, network.threads)
    operators = torch_model.last_operators(network.module)
    outputs = torch_model.describe_outputs(values, operators)
    place, known = _known(network.name, outputs, [each for _, each in values], class_output, given, common)
    why = "" if gradient else torch_model.CUT_OFF
    if not common["_map"].is_smooth:
        why = f"it takes images of type {common['_map'].dtype}"
    return torch_model.TorchModel(
        module=network.module,
        place=place,
        threads=network.threads,
        has_gradient=not why,
        no_gradient=why,
        **known,
    )


def _open_onnx(
    network: Any,
    given: str | None,
    class_output: str | int | None,
    common: dict[str, Any],
    gradient: bool | None,
) -> Model:
    from wavelens.models import _onnx_model as onnx_model
    from wavelens.models._onnx_file import read_graph

    batch = _trial(common)
    order = [each for each in read_graph(network.model).outputs if each in network.outputs]
    found = network.run(batch, order)
    outputs = [
        Output(each, found[each].shape[1:], (str(i),), network.named(each).kind)
        for i, each in enumerate(order)
    ]
    values = [found[each] for each in order]
    place, known = _known(network.name, outputs, values, class_output, given, common)
    why = "opened for predictions alone (gradient=False)" if gradient is False else ""
    if not why and not common["_map"].is_smooth:
        why = f"it takes images of type {network.input.dtype}"
    missing = "" if why else onnx_model.missing_for_gradients()
    if gradient and (why or missing):
        raise ImportError(missing) if missing else ModelError(f"{network.name}: no gradient: {why}")
    if missing:
        warnings.warn(
            f"{network.name} is opened for predictions alone: {missing}", WavelensWarning, stacklevel=3
        )
    if why or missing:
        return onnx_model.OnnxModel(
            network=network,
            output=order[place],
            has_gradient=False,
            no_gradient=why or missing,
            **known,
        )
    from wavelens.models import _torch_model as torch_model

    module = onnx_model.convert_onnx(network.folder / network.name, network.name)
    with torch_model.quiet():
        converted, _ = torch_model.torch_outputs(network.name, module, batch, network.threads)
    if len(converted) != len(order):
        raise ModelError(f"{network.name}: onnx2torch gives {len(converted)} outputs instead of {len(order)}")
    onnx_model.check_conversion(
        network.name, converted[place][1], values[place].reshape(converted[place][1].shape)
    )
    return torch_model.TorchModel(module=module, place=place, threads=network.threads, **known)


def _open_callable(
    function: Any,
    rule: Preprocessing | None,
    given: dict[str, Any],
    shape: Shape | None,
    outputs: str | None,
    batch_size: int | None,
    common: dict[str, Any],
) -> Model:
    if rule is None and given:
        sides = {"size": shape[1:]} if shape else {}
        color = {"color": "grey"} if shape and shape[0] == 1 else {}
        if "size" not in sides | given:
            raise ValueError("`input_shape` must be given for a function: channels, height, width")
        # What is not said of a function's input is as it is: nothing is guessed.
        rule = Preprocessing(**{"value_range": (0.0, 1.0), **sides, **color, **given})
    if rule is not None:
        of_rule = (rule.n_channels, *rule.size)
        if shape not in (None, of_rule):
            raise ValueError(f"`input_shape` is {shape}, but `preprocessing` gives {of_rule}")
        shape = of_rule
    if shape is None:
        raise ValueError("`input_shape` must be given for a function: channels, height, width")
    name = getattr(function, "__name__", type(function).__name__)
    common |= {
        "name": "function" if name == "<lambda>" else name,
        "kind": "function",
        "input_shape": shape,
        "batch_size": usual_batch(shape) if batch_size is None else batch_size,
        "preprocessing": rule,
        "_map": InputMap() if rule is None else InputMap.of(rule),
        "has_gradient": False,
        "no_gradient": "nothing but the answers of a function can be seen",
        "function": function,
    }
    first = CallableModel(n_outputs=2, outputs="logits", **common).run(_trial(common))
    return CallableModel(**_of_trial(common["name"], first, outputs, common, "", ""))


def _known(
    name: str,
    outputs: Sequence[Output],
    values: Sequence[Array],
    wanted: str | int | None,
    given: str | None,
    common: dict[str, Any],
) -> tuple[int, dict[str, Any]]:
    """Choose among the outputs of a trial; return the place, and what a `Model` must know."""
    names = common["class_names"]
    place = choose_output(name, outputs, wanted, None if names is None else len(names))
    chosen = outputs[place]
    flat = values[place].reshape(len(values[place]), width(chosen.shape))
    return place, _of_trial(name, flat, given, common, chosen.name, chosen.operator)


def _of_trial(
    name: str, values: Array, given: str | None, common: dict[str, Any], output: str, operator: str
) -> dict[str, Any]:
    check_trial(name, values, common["class_names"])
    finite = values[np.isfinite(values).all(axis=1)]
    kind, reason = kind_of_outputs(finite if len(finite) else values, given, output, operator)
    return common | {"n_outputs": values.shape[1], "outputs": kind, "outputs_reason": reason}


def _trial(common: dict[str, Any]) -> Array:
    n = common.get("fixed_batch") or 2
    images = np.random.default_rng(0).random((n, *common["input_shape"]), np.float32)
    batch: Array = common["_map"].apply(images)
    return batch


def _input(
    network: Network, rule: Preprocessing | None, given: dict[str, Any], shape: Shape | None
) -> tuple[Preprocessing | None, Shape]:
    """Settle what the network takes: from what is given, and from what it tells."""
    told = network.input.shape
    if rule is not None:
        check_fits(network, rule)
        of_rule = (rule.n_channels, *rule.size)
        if shape not in (None, of_rule):
            raise ValueError(f"`input_shape` is {shape}, but `preprocessing` gives {of_rule}")
        return rule, of_rule
    channels = shape[0] if shape else told[1] if told and len(told) == 4 else None
    several = channels not in (None, 1, 3) and not (told and len(told) == 4 and told[3] in (1, 3))
    if several:
        return None, _plain_shape(network, given, shape)
    known = dict(given)
    if shape is not None:
        known.setdefault("size", shape[1:])
        if shape[0] == 1:
            known.setdefault("color", "grey")
    if (
        "size" not in known
        and "size" not in network.facts
        and (not told or None in told[1:] or len(told) not in (2, 4))
    ):
        raise ModelError(
            f"{network.name}: the network does not tell the size of its images; give it, such as "
            f"input_shape=({channels or 3}, 224, 224)"
        )
    rule = recognise_preprocessing(network, **known)
    reasons = rule.reasons or {}
    if reasons.get("mean", "").startswith("assumed"):
        warnings.warn(
            f"{network.name}: nothing tells its preprocessing, ImageNet's mean and standard deviation are "
            "assumed; say what it was trained with, such as preprocessing={'value_range': (0, 1)}",
            WavelensWarning,
            stacklevel=3,
        )
    return rule, (rule.n_channels, *rule.size)


def _plain_shape(network: Network, given: dict[str, Any], shape: Shape | None) -> Shape:
    if given:
        raise ValueError(
            "`preprocessing` is for 1 or 3 channels; the images of other networks enter as they are, on the "
            "scale 0–1: put scaling into the network"
        )
    told = network.input.shape
    whole = tuple(told[1:]) if told is not None and len(told) == 4 else (None, None, None)
    if shape is None:
        if None in whole:
            raise ModelError(f"{network.name}: give the size of its images: input_shape=(…, height, width)")
        return tuple(int(each or 0) for each in whole)  # type: ignore[return-value]
    if any(want not in (None, got) for want, got in zip(whole, shape, strict=True)):
        written = " × ".join("any" if each is None else str(each) for each in whole)
        raise ValueError(f"`input_shape` is {shape}, but {network.name} takes images of {written}")
    return shape


def _checked_shape(shape: object) -> Shape:
    if not isinstance(shape, Sequence) or len(shape) != 3:
        raise ValueError(f"`input_shape` must be (channels, height, width), got {shape!r}")
    channels, height, width = (check_integer(each, "input_shape", low=1) for each in shape)
    if math.prod((channels, height, width)) < 2:
        raise ValueError(f"`input_shape` must be an image, got {shape!r}")
    return channels, height, width


def _is_torch(model: object) -> bool:
    return any(each.__module__.partition(".")[0] == "torch" for each in type(model).__mro__)
