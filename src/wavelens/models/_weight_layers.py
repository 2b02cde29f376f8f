"""All layers with weights of a network, whatever library it is of."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from wavelens.exceptions import ModelError
from wavelens.models._network import Network
from wavelens.models._numpy_model import NumpyMLP
from wavelens.models._sklearn_model import is_sklearn
from wavelens.models._weight_layer import WeightLayer

__all__ = ["WeightLayers", "read_layers"]


@dataclass(eq=False)
class WeightLayers:
    """The layers with weights of one network, in the order of execution.

    Iterates over the layers; ``len`` counts them.

    Attributes
    ----------
    name : str
        Of the file or the class, for titles.
    kind : str
        What it is, in words.
    layers : tuple of WeightLayer
        All linear and convolution layers, as often as they are executed.
    why_not_chain : str
        A sentence that names the branch or the operator that keeps the network from being layer → activation →
        layer → … and nothing else; empty for a chain.
    notes : tuple of str
        What has weights and is not among the layers.
    input_name : str
        Of the network's input.
    input_shape : tuple of int or None
        Of one image as it enters.
    """

    name: str
    kind: str
    layers: tuple[WeightLayer, ...]
    why_not_chain: str = ""
    notes: tuple[str, ...] = ()
    input_name: str = "input"
    input_shape: tuple[int, ...] | None = None
    _open: Callable[[], Network] | None = field(default=None, repr=False)
    _network: Network | None = field(default=None, repr=False)

    @property
    def is_chain(self) -> bool:
        """Whether the network is layer → activation → layer → … and nothing else, but for flattening."""
        return not self.why_not_chain

    @property
    def network(self) -> Network:
        """The network to run, in which the names of layers and their inputs are known.

        Of a ``.onnx`` file it needs onnxruntime, and is opened when first asked for.
        """
        if self._network is None:
            if self._open is None:
                raise ModelError(f"{self.name}: there are weights alone, nothing to run")
            self._network = self._open()
        return self._network

    def __iter__(self) -> Iterator[WeightLayer]:
        return iter(self.layers)

    def __len__(self) -> int:
        return len(self.layers)

    def layer(self, name: str) -> WeightLayer:
        """Find a layer.

        Parameters
        ----------
        name : str
            Its name.

        Returns
        -------
        WeightLayer

        Raises
        ------
        KeyError
            If there is none; tells the names.
        """
        for each in self.layers:
            if each.name == name:
                return each
        raise KeyError(f"no layer {name!r}; there are {', '.join(each.name for each in self.layers)}")

    def folded(self) -> WeightLayers:
        """Take all normalizations into weights and biases.

        Returns
        -------
        WeightLayers
        """
        return WeightLayers(
            self.name,
            self.kind,
            tuple(each.folded() for each in self.layers),
            self.why_not_chain,
            self.notes,
            self.input_name,
            self.input_shape,
            self._open,
            self._network,
        )

    def describe(self) -> str:
        """Tell in a few lines what there is.

        Returns
        -------
        str
        """
        lines = [f"{self.name} ({self.kind}): {len(self.layers)} layers with weights"]
        lines += [f"  {each.describe()}" for each in self.layers]
        if self.why_not_chain:
            lines.append(self.why_not_chain)
        return "\n".join([*lines, *self.notes])


def read_layers(
    model: object,
    *,
    input_shape: tuple[int, ...] | None = None,
    threads: int | None = None,
    trust_pickle: bool = False,
) -> WeightLayers:
    """Read the weights of a network, with all that its layers do with them.

    Parameters
    ----------
    model : path, torch object, NumpyMLP or classifier
        A ``.onnx`` file (needs the package onnx, and neither torch nor onnxruntime), a ``.pt2`` file, a
        ``torch.nn.Module`` or ``torch.export.ExportedProgram``, a `NumpyMLP`, a fitted linear or MLP classifier
        of scikit-learn, alone or after scalers and PCA in a Pipeline, a `Model` that `open_model` has made of
        a torch object, or `WeightLayers`, returned as they are.
    input_shape : tuple of int, optional
        Of one image as it enters, such as (3, 224, 224). A torch module does not tell it, and is tried with
        usual ones; of ``.onnx`` files it is needed only where sizes are left open and padding depends on them.
    threads : int, optional
        Of the network when it is run; `wavelens.num_threads` by default.
    trust_pickle : bool, default False
        Open ``.pt2`` files by ``torch.export.load`` as they are, which can run code from them.

    Returns
    -------
    WeightLayers

    Raises
    ------
    ImportError
        If a package is missing; says which extra to install.
    ModelError
        If the network cannot be read, has no layer with weights, is quantized, or weights are NaN.
    TypeError
        If `model` is something else.

    Notes
    -----
    The order is that of execution, not of definition: of a module it is found by ``torch.export`` on a trial
    batch, so that functions (``torch.nn.functional``) are seen like modules. Weights that are computed from
    parameters (weight normalization, transposes) are computed.

    Linear layers and two-dimensional convolutions are read, whether they are called MatMul, Gemm, addmm or Linear.
    Constants that are added or multiplied right after, and batch normalization in evaluation mode, belong to the
    layer. Transposed, one- and three-dimensional convolutions and recurrent layers are left out and noted.

    Examples
    --------
    >>> import numpy as np
    >>> from wavelens.models import NumpyMLP, read_layers
    >>> rng = np.random.default_rng(0)
    >>> model = NumpyMLP([rng.normal(size=(9, 4)), rng.normal(size=(4, 2))], [np.zeros(4), np.zeros(2)])
    >>> layers = read_layers(model)
    >>> [(each.name, each.shape, each.activation) for each in layers]
    [('layer1', (4, 9), 'relu'), ('layer2', (2, 4), 'identity')]
    >>> layers.is_chain, layers.layers[1].input_name
    (True, 'activation1')
    """
    if isinstance(model, WeightLayers):
        return model
    found = _read(model, input_shape, threads, trust_pickle)
    if not found.layers:
        raise ModelError(f"{found.name}: has no linear or convolution layer{_also(found.notes)}")
    return found


def _read(model: Any, shape: tuple[int, ...] | None, threads: int | None, trust_pickle: bool) -> WeightLayers:
    if is_sklearn(model) and not isinstance(model, NumpyMLP):
        from wavelens.models._open_model import open_model

        model = open_model(model, input_shape=shape)  # type: ignore[arg-type]
    if isinstance(model, NumpyMLP):
        from wavelens.models._weight_numpy import read_numpy

        return read_numpy(model)
    if isinstance(model, str | os.PathLike):
        path = Path(os.fsdecode(model)).expanduser()
        if path.suffix.lower() == ".onnx":
            from wavelens.models._weight_onnx import read_onnx

            return read_onnx(path, shape, threads)
    from wavelens.models._onnx import OnnxNetwork
    from wavelens.models._onnx_model import OnnxModel

    if isinstance(model, OnnxModel):
        model = model.network
    if isinstance(model, OnnxNetwork):
        from wavelens.models._weight_onnx import read_onnx_network

        return read_onnx_network(model, shape)
    from wavelens.models._weight_torch import read_torch

    return read_torch(model, shape, threads, trust_pickle=trust_pickle)


def _also(notes: tuple[str, ...]) -> str:
    return f" that can be read; {notes[0]}" if notes else ""
