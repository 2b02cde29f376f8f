"""The spaces of all layers of a network."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy.typing as npt

from wavelens.models import Model, Preprocessing, WeightLayers, read_layers
from wavelens.models._weight_numpy import read_arrays
from wavelens.spaces._energy_flow import EnergyFlow
from wavelens.spaces._layer_spaces import LayerSpaces
from wavelens.spaces._measure_flow import measure_flow

__all__ = ["NetworkSpaces"]


@dataclass(eq=False, repr=False)
class NetworkSpaces:
    """The spaces of all linear and convolution layers of a network.

    Made by `from_file`, `from_torch`, `from_onnx`, `from_model` or `from_arrays`. Iterates over its layers.

    Attributes
    ----------
    weights : WeightLayers
        What was read.
    layers : tuple of LayerSpaces
        In the order of execution.
    rtol : float or None
        As in `SignalSpaces`.

    Notes
    -----
    Batch normalization is part of the layer before it: its factors are multiplied into the weights, whose singular
    values they change, and whose null space they do not. ``fold=False`` takes the weights as they are stored.

    Examples
    --------
    >>> import numpy as np
    >>> from wavelens.spaces import NetworkSpaces
    >>> rng = np.random.default_rng(0)
    >>> network = NetworkSpaces.from_arrays([rng.normal(size=(4, 9)), rng.normal(size=(2, 4))])
    >>> [(each.name, each.linear.rank) for each in network]
    [('layer1', 4), ('layer2', 2)]
    >>> flow = network.energy_flow(rng.normal(size=(500, 9)))
    >>> flow.overall.round(1), flow.chance.round(2)
    (array([0.6, 0.7]), array([0.56, 0.5 ]))
    """

    weights: WeightLayers
    rtol: float | None = None
    layers: tuple[LayerSpaces, ...] = field(init=False)

    def __post_init__(self) -> None:
        self.layers = tuple(LayerSpaces(each, self.rtol) for each in self.weights)

    @classmethod
    def _of(
        cls,
        model: object,
        shape: tuple[int, ...] | None,
        fold: bool,
        rtol: float | None,
        trust_pickle: bool = False,
    ) -> NetworkSpaces:
        weights = read_layers(model, input_shape=shape, trust_pickle=trust_pickle)
        return cls(weights.folded() if fold else weights, rtol)

    @classmethod
    def from_torch(
        cls,
        module: object,
        *,
        input_shape: tuple[int, ...] | None = None,
        fold: bool = True,
        rtol: float | None = None,
    ) -> NetworkSpaces:
        """Read a torch module or an exported program.

        Parameters
        ----------
        module : torch.nn.Module or torch.export.ExportedProgram
            Of the order in which it is executed, see `read_layers`.
        input_shape : tuple of int, optional
            Of one image; by default usual ones are tried.
        fold : bool
            Take batch normalization into the weights.
        rtol : float, optional
            As in `SignalSpaces`.

        Returns
        -------
        NetworkSpaces

        Raises
        ------
        ImportError, ModelError, TypeError
            As `read_layers`.
        """
        return cls._of(module, input_shape, fold, rtol)

    @classmethod
    def from_onnx(
        cls,
        path: str | os.PathLike[str],
        *,
        input_shape: tuple[int, ...] | None = None,
        fold: bool = True,
        rtol: float | None = None,
    ) -> NetworkSpaces:
        """Read a ``.onnx`` file.

        Parameters
        ----------
        path : path
            Needs the package onnx; `energy_flow` needs onnxruntime as well.
        input_shape, fold, rtol
            As in `from_torch`.

        Returns
        -------
        NetworkSpaces

        Raises
        ------
        ImportError, ModelError
            As `read_layers`.
        """
        return cls._of(path, input_shape, fold, rtol)

    @classmethod
    def from_file(
        cls,
        path: str | os.PathLike[str],
        *,
        input_shape: tuple[int, ...] | None = None,
        fold: bool = True,
        rtol: float | None = None,
        trust_pickle: bool = False,
    ) -> NetworkSpaces:
        """Read a ``.onnx`` or ``.pt2`` file.

        Parameters
        ----------
        path : path
            Of the file.
        input_shape, fold, rtol
            As in `from_torch`.
        trust_pickle : bool
            Open ``.pt2`` files by ``torch.export.load`` as they are, which can run code from them.

        Returns
        -------
        NetworkSpaces

        Raises
        ------
        ImportError, ModelError
            As `read_layers`.
        """
        return cls._of(path, input_shape, fold, rtol, trust_pickle)

    @classmethod
    def from_model(
        cls, model: Model | object, *, fold: bool = True, rtol: float | None = None
    ) -> NetworkSpaces:
        """Read what `wavelens.models.open_model` opens, or has opened.

        Parameters
        ----------
        model : Model, scikit-learn classifier or WeightLayers
            Not a mere function: it has no weights.
        fold, rtol
            As in `from_torch`.

        Returns
        -------
        NetworkSpaces

        Raises
        ------
        ModelError, TypeError
            As `read_layers`.
        """
        return cls._of(model, None, fold, rtol)

    @classmethod
    def from_arrays(
        cls,
        weights: Sequence[npt.ArrayLike],
        biases: Sequence[npt.ArrayLike | None] | None = None,
        activations: Sequence[str] | None = None,
        *,
        input_shape: tuple[int, ...] | None = None,
        name: str = "network",
        rtol: float | None = None,
    ) -> NetworkSpaces:
        """Make a chain of dense layers, y = f(W x + b).

        Parameters
        ----------
        weights : sequence of (n_out, n_in) array_like
            One a layer.
        biases : sequence of ((n_out,) array_like or None), optional
            One a layer; zeros by default.
        activations : sequence of str, optional
            One a layer, as `wavelens.models.NumpyMLP` takes them; by default relu, and identity at the end.
        input_shape : tuple of int, optional
            Of one sample, such as (1, 28, 28).
        name : str
            For titles.
        rtol : float, optional
            As in `SignalSpaces`.

        Returns
        -------
        NetworkSpaces

        Raises
        ------
        ValueError
            If shapes do not fit together, an activation is unknown, or a value is NaN or infinite.
        """
        return cls(read_arrays(weights, biases, activations, input_shape=input_shape, name=name), rtol)

    @property
    def name(self) -> str:
        """Of the network, for titles."""
        return self.weights.name

    def __iter__(self) -> Iterator[LayerSpaces]:
        return iter(self.layers)

    def __len__(self) -> int:
        return len(self.layers)

    def layer(self, name: str) -> LayerSpaces:
        """Find a layer.

        Parameters
        ----------
        name : str
            Its name.

        Returns
        -------
        LayerSpaces

        Raises
        ------
        KeyError
            If there is none; tells the names.
        """
        found = self.weights.layer(name)
        return next(each for each in self.layers if each.layer is found)

    def table(self) -> dict[str, list[Any]]:
        """Return one row for each layer, as columns: what it is, and rank and condition of its weights as a matrix.

        Returns
        -------
        dict of str to list
            For ``pandas.DataFrame``. Of depthwise layers all kernels are rows of one matrix.
        """
        spaces = [each.linear for each in self.layers]
        return {
            "layer": [each.name for each in self.layers],
            "kind": [each.kind for each in self.layers],
            "weights": [each.layer.weights.shape for each in self.layers],
            "activation": [each.activation for each in self.layers],
            "rank": [each.rank for each in spaces],
            "n_in": [each.shape[1] for each in spaces],
            "condition": [each.condition for each in spaces],
            "input": [each.input_name for each in self.layers],
        }

    def energy_flow(
        self,
        images: object,
        labels: object = None,
        *,
        layers: Sequence[str] | None = None,
        preprocessing: Preprocessing | None = None,
        image_range: tuple[float, float] | None = None,
        batch_size: int = 32,
        progress: bool | None = None,
    ) -> EnergyFlow:
        """Measure how much of the energy that enters each layer lies in its rejected space.

        Parameters
        ----------
        images : array, path or ImageSource
            As `wavelens.models.extract_features` takes them; or a matrix, whose rows enter the network as they are.
        labels : array or path, optional
            One for each image.
        layers : sequence of str, optional
            Names; all by default.
        preprocessing : Preprocessing, optional
            What is done to each image; by default recognised, as in `extract_features`.
        image_range : tuple of float, optional
            Black and white of the images, as in `extract_features`.
        batch_size : int
            Images at a time, at most; fewer where the values of all layers would take over 128 MiB.
        progress : bool, optional
            Show a progress bar on stderr. By default, on a terminal, when it takes over a second.

        Returns
        -------
        EnergyFlow

        Raises
        ------
        ImportError
            If the library that runs the network is missing.
        ModelError
            If the network cannot be run, or NaN enters a layer.
        DataError, TypeError, ValueError
            As `extract_features`.

        Notes
        -----
        Of a convolution, each patch is split by the kernels of its group as rows (the paper's section 2.3.1, with all
        channels of the group), and the energies of all patches are summed; zeros of the padding belong to the
        patches at the border. Not the maps' own null space: `LayerSpaces.convolution` has that.

        What a layer rejects is not what a network ignores: the activation before it has already cut values off, and a
        layer of full column rank passes on everything, however faintly.

        Beside each share stands what the layer would reject of noise, 1 − r/n, how far from that luck alone may lead
        with these very values, and what a random layer of its shape would reject; see `EnergyFlow`.

        Costs running the network and 2·min(r, n − r) operations for each value of each patch.

        References
        ----------
        R. Pattichis, M. S. Pattichis, "Understanding neural network systems for image analysis using vector spaces"
        (2024), sections 2.1 to 2.3.1.
        """
        chosen = self.layers if layers is None else tuple(self.layer(each) for each in layers)
        if not chosen:
            raise ValueError("`layers` must name at least one layer, got none")
        return measure_flow(
            self.weights,
            chosen,
            images,
            labels,
            preprocessing=preprocessing,
            image_range=image_range,
            batch_size=batch_size,
            progress=progress,
        )

    def __repr__(self) -> str:
        return f"NetworkSpaces({self.name!r}: {len(self)} layers)"
