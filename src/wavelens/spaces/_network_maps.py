"""Whatever is given as a network, as a map that can be inverted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from wavelens._arguments import as_array
from wavelens.exceptions import ModelError
from wavelens.models import Model, NumpyMLP, WeightLayers
from wavelens.models._activations import activation
from wavelens.spaces._network import NetworkSpaces
from wavelens.spaces._smooth_maps import ChainLayer, ChainMap, SmoothMap, chain_of_mlp, model_map

__all__ = ["as_chain", "as_map"]


def as_map(network: Any) -> SmoothMap:
    """Take a network for Gauss–Newton.

    Parameters
    ----------
    network : Model, NetworkSpaces or (weights, biases, activations)
        See `wavelens.spaces.invert`.

    Returns
    -------
    SmoothMap

    Raises
    ------
    ModelError
        If it has no gradient, or is known by its layers alone and these are no chain.
    TypeError
        If it is something else.
    """
    if isinstance(network, Model):
        return model_map(network)
    chain, why = _chain(network)
    if chain is None:
        raise ModelError(
            f"{_name(network)} is known by its layers alone, and only chains of linear layers can be run from these: "
            f"{why}; open the network itself with wavelens.models.open_model and invert that"
        )
    for layer in chain.layers:
        try:
            activation(layer.activation or "")
        except ValueError:
            raise ModelError(
                f"{chain.name}: the gradient of {layer.name}'s activation {layer.activation or 'unknown'} is not "
                "known here; open the network with wavelens.models.open_model and invert that"
            ) from None
    return chain


def as_chain(network: Any) -> ChainMap:
    """Take a network for inversion layer by layer.

    Parameters
    ----------
    network : NumpyMLP, NetworkSpaces or (weights, biases, activations)
        See `wavelens.spaces.invert`.

    Returns
    -------
    ChainMap

    Raises
    ------
    ModelError
        If it is not layer after layer and nothing else.
    TypeError
        If it is something else.
    """
    if isinstance(network, NumpyMLP):
        return chain_of_mlp(network)
    if isinstance(network, Model):
        raise ModelError(
            f"{network.name} is a {network.kind}, of which only outputs and gradients are seen; for "
            "method='layerwise' read its layers (wavelens.spaces.NetworkSpaces), or take method='newton'"
        )
    chain, why = _chain(network)
    if chain is None:
        raise ModelError(
            f"{_name(network)} cannot be inverted layer by layer: {why}; only chains of linear layers can. "
            "method='newton' inverts any network that has a gradient: open it with wavelens.models.open_model"
        )
    return chain


def _chain(network: Any) -> tuple[ChainMap | None, str]:
    if isinstance(network, NetworkSpaces):
        return _of_layers(network.weights)
    if isinstance(network, WeightLayers):
        return _of_layers(network)
    if isinstance(network, tuple | list) and len(network) == 3:
        return _of_arrays(*network), ""
    raise TypeError(
        "`network` must be a model of wavelens.models, a NetworkSpaces, or (weights, biases, activations), got "
        f"{type(network).__name__}; wavelens.models.open_model opens files, torch modules and classifiers"
    )


def _of_layers(network: WeightLayers) -> tuple[ChainMap | None, str]:
    if not network.is_chain:
        why = network.why_not_chain.rstrip(".")
        return None, why[:1].lower() + why[1:] if why.startswith("It ") else why
    layers = []
    for given in network.layers:
        each = given.folded()
        if each.kind != "linear":
            return None, f"{each.name} is a convolution"
        bias = np.zeros(len(each.weights)) if each.bias is None else np.asarray(each.bias, np.float64)
        layers.append(ChainLayer(each.name, np.asarray(each.weights, np.float64), bias, each.activation))
    shape = network.input_shape
    known = shape is not None and None not in shape
    return ChainMap(
        layers, tuple(int(each or 0) for each in shape or ()) if known else None, network.name
    ), ""


def _of_arrays(
    weights: Sequence[Any], biases: Sequence[Any] | None, activations: Sequence[str] | str
) -> ChainMap:
    for name, given in (("weights", weights), ("biases", biases), ("activations", activations)):
        plain = (isinstance(given, str) and name == "activations") or (given is None and name == "biases")
        if not plain and (isinstance(given, str) or not isinstance(given, Sequence | np.ndarray)):
            raise TypeError(f"`network`: the {name} must be a sequence, one a layer, got {given!r}")
    names = [activations] * len(weights) if isinstance(activations, str) else list(activations)
    vectors: list[Any] = [None] * len(weights) if biases is None else list(biases)
    if not len(weights) or not len(weights) == len(names) == len(vectors):
        raise ValueError(
            "`network` must have as many weights, biases and activations, at least one, got "
            f"{len(weights)}, {len(vectors)} and {len(names)}"
        )
    layers: list[ChainLayer] = []
    for i, (given, vector, name) in enumerate(zip(weights, vectors, names, strict=True)):
        w = _real(given, f"weights {i}", ndmin=2)
        b = np.zeros(len(w)) if vector is None else _real(vector, f"biases {i}", ndmin=0)
        wanted = len(layers[-1].weights) if layers else w.shape[1]
        if w.ndim != 2 or w.size == 0 or b.shape != w.shape[:1] or w.shape[1] != wanted:
            raise ValueError(
                f"`network`: weights {i} must have shape (n_out, {wanted if layers else 'n_in'}) and biases {i} "
                f"(n_out,), got {w.shape} and {b.shape}"
            )
        if not (np.isfinite(w).all() and np.isfinite(b).all()):
            raise ValueError(f"`network`: weights {i} and biases {i} must be finite")
        activation(name)
        layers.append(ChainLayer(f"layer{i + 1}", w, b, name))
    return ChainMap(layers)


def _real(values: Any, name: str, *, ndmin: int) -> npt.NDArray[np.float64]:
    array = as_array(values, f"network ({name})")
    if array.dtype.kind not in "fiub":
        raise TypeError(f"`network`: {name} must hold real numbers, got dtype {array.dtype}")
    return np.array(array, np.float64, ndmin=ndmin)


def _name(network: Any) -> str:
    return str(getattr(network, "name", "the network"))
