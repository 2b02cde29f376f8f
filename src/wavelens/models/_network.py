"""A network as the features need it: an input, named layers, and a batch pushed through.

One kind of network is one subclass of `Network` in a file of its own; `open_network` chooses. Nothing outside
these files imports torch or onnxruntime, and they do so only when a network is opened.
"""

from __future__ import annotations

import difflib
import os
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from wavelens._arguments import check_integer
from wavelens._threads import num_threads
from wavelens.exceptions import ModelError

__all__ = ["Fact", "Layer", "Network", "NetworkInput", "open_network"]

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class NetworkInput:
    """What a network takes.

    Attributes
    ----------
    name : str
        As the file calls it.
    shape : tuple of (int or None), or None
        Batch first; None for what the file leaves open. None in its place if nothing is known of it.
    dtype : str
        NumPy's name.
    """

    name: str
    shape: tuple[int | None, ...] | None
    dtype: str = "float32"


@dataclass(frozen=True)
class Layer:
    """A place in a network whose values can be had.

    Attributes
    ----------
    name : str
        By which it is chosen.
    kind : str
        What computes it: ``"Conv"``, ``"ReLU6"``, …
    is_output : bool
        Whether the network itself gives it out.
    aliases : tuple of str
        Other names that work too.
    shape : tuple of int or None
        Of one image's values; known after a run.
    """

    name: str
    kind: str
    is_output: bool = False
    aliases: tuple[str, ...] = ()
    shape: tuple[int, ...] | None = None


@dataclass(frozen=True)
class Fact:
    """Something that a file says about its preprocessing: the value, and where it stands."""

    value: Any
    reason: str


@dataclass(eq=False)
class Network(ABC):
    """A trained network, opened.

    Attributes
    ----------
    name : str
        Of the file or the class, for titles.
    kind : str
        What it is, in words.
    input : NetworkInput
        What it takes.
    layers : tuple of Layer
        All that can be chosen, in the order of computation.
    batch : int or None
        The number of images that the network insists on, if it does.
    facts : dict of str to Fact
        What is known of its `Preprocessing`, by attribute.
    """

    name: str
    kind: str
    input: NetworkInput
    layers: tuple[Layer, ...] = ()
    batch: int | None = None
    facts: Mapping[str, Fact] = field(default_factory=dict)

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the layers that the network itself gives out."""
        return tuple(each.name for each in self.layers if each.is_output)

    def resolve(self, names: str | Sequence[str] | None) -> tuple[str, ...]:
        """Check the names of layers.

        Parameters
        ----------
        names : str or sequence of str, optional
            Names or aliases; all outputs by default.

        Returns
        -------
        tuple of str
            As given, without repetitions.

        Raises
        ------
        ModelError
            If a layer does not exist; tells those with the nearest names.
        """
        if names is None:
            return self.outputs
        wanted = tuple(dict.fromkeys((names,) if isinstance(names, str) else names))
        if not wanted:
            raise ValueError("`layers` must name at least one layer, got none")
        known = {alias: each.name for each in self.layers for alias in each.aliases}
        known |= {each.name: each.name for each in self.layers}
        for each in wanted:
            if each not in known:
                raise ModelError(f"{self.name}: no layer {each!r}; {self._nearest(str(each), known)}")
        return wanted

    def named(self, name: str) -> Layer:
        """Find a layer by its name or an alias.

        Parameters
        ----------
        name : str
            As `resolve` has passed it.

        Returns
        -------
        Layer
        """
        plain = next((each for each in self.layers if each.name == name), None)
        return plain or next(each for each in self.layers if name in each.aliases)

    def _nearest(self, name: str, known: Iterable[str]) -> str:
        folded = {each.casefold(): each for each in known}
        near = [folded[each] for each in difflib.get_close_matches(name.casefold(), folded, 4, 0.5)]
        if near:
            return f"the nearest names are {', '.join(near)}"
        some = ", ".join(self.outputs[:8])
        return f"its outputs are {some}; `wavelens features --list` shows all {len(self.layers)} layers"

    @abstractmethod
    def run(self, batch: Array, layers: Sequence[str]) -> dict[str, Array]:
        """Push a batch through.

        Parameters
        ----------
        batch : ndarray
            As the network takes it, images along the first axis.
        layers : sequence of str
            Names or aliases.

        Returns
        -------
        dict of str to ndarray
            The values of each layer, images along the first axis.

        Raises
        ------
        ModelError
            If the network refuses the batch.
        """


def open_network(model: object, *, threads: int | None = None, trust_pickle: bool = False) -> Network:
    """Open a network, whatever library it is of.

    Parameters
    ----------
    model : path, torch.nn.Module, torch.export.ExportedProgram or Network
        A ``.onnx`` file (needs the extra ``onnx``), a ``.pt2`` file written by ``torch.export.save`` (needs
        ``torch``), or a torch object, which is run in evaluation mode and left as it was.
    threads : int, optional
        Of the computation; as many as `wavelens.num_threads` by default.
    trust_pickle : bool, default False
        Open ``.pt2`` files by ``torch.export.load`` as they are, which can run code from them.

    Returns
    -------
    Network
        With its `input`, its `layers` and what it tells of its preprocessing.

    Raises
    ------
    ImportError
        If the library is missing; says which extra to install.
    ModelError
        If the file cannot be read as a network of images.
    TypeError
        If `model` is something else.

    Notes
    -----
    No code from a file runs. ``.onnx`` files hold data alone; weights beside them must lie in the same folder.
    Of ``.pt2`` files nothing is unpickled or evaluated: those with pickled objects, compiled code, or operators
    other than torch's own are refused unless `trust_pickle` is set.
    """
    count = num_threads() if threads is None else check_integer(threads, "threads", low=1, high=1024)
    if isinstance(model, Network):
        return model
    if isinstance(model, str | os.PathLike):
        path = Path(os.fsdecode(model)).expanduser()
        if not path.is_file():
            raise ModelError(f"{path}: no such file")
        ending = path.suffix.lower()
        if ending == ".onnx":
            from wavelens.models._onnx import OnnxNetwork

            return OnnxNetwork.open(path, count)
        if ending == ".pt2":
            from wavelens.models._torch_export import ExportedNetwork

            return ExportedNetwork.open(path, count, trust_pickle=trust_pickle)
        hint = ""
        if ending in (".pt", ".pth", ".ckpt", ".bin", ".safetensors"):
            hint = (
                "; such a file holds weights without the network: build the module in Python and pass it to "
                "wavelens.models.extract_features, or write a .pt2 file with torch.export.save"
            )
        raise ModelError(f"{path}: expected a .onnx or a .pt2 file{hint}")
    return _open_object(model, count)


def _open_object(model: object, threads: int) -> Network:
    # Whoever has made such an object has imported torch; nobody else needs to.
    names = {f"{each.__module__.partition('.')[0]}.{each.__name__}" for each in type(model).__mro__}
    if "torch.ExportedProgram" in names:
        from wavelens.models._torch_export import ExportedNetwork

        return ExportedNetwork.of(model, type(model).__name__, threads)
    if "torch.Module" in names:
        from wavelens.models._torch import ModuleNetwork

        return ModuleNetwork.of(model, threads)
    raise TypeError(
        "`model` must be the path of a .onnx or .pt2 file, a torch.nn.Module or a "
        f"torch.export.ExportedProgram, got {type(model).__name__}"
    )


def as_values(array: Any) -> Array:
    """Return what a layer gave as floats of its own precision; integers and booleans become float32."""
    values = np.asarray(array)
    return values if values.dtype in (np.float16, np.float32, np.float64) else values.astype(np.float32)
