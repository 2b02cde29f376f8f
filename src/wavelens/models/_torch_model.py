"""torch modules and exported programs as classifiers with a gradient.

Evaluation mode, no gradient of the parameters, and the gradient of the images by autograd. The module is left as
it was: modes and ``requires_grad`` are put back after each run.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from wavelens.exceptions import ModelError
from wavelens.models._model import Array, Model, Pullback
from wavelens.models._outputs import Output, is_flat
from wavelens.models._torch import import_torch

__all__ = [
    "CUT_OFF",
    "TorchModel",
    "check_evaluation",
    "describe_outputs",
    "flatten_outputs",
    "last_operators",
    "quiet",
    "torch_outputs",
]

CUT_OFF = (
    "torch cannot follow the outputs back to the images (torch.no_grad, .detach, .item or a step without a "
    "derivative within the network)"
)


@dataclass(eq=False, kw_only=True)
class TorchModel(Model):
    """A callable of torch, see `Model`; opened by `wavelens.models.open_model`.

    Attributes
    ----------
    module : torch.nn.Module
        A module, or the graph of an exported program.
    place : int
        Of the classes among the outputs.
    threads : int
        Of the computation.
    """

    module: Any = field(repr=False)
    place: int = 0
    threads: int = 1

    def run(self, batch: Array) -> Array:
        """See `Model.run`."""
        torch = import_torch("running this network")
        with torch_ready(self.name, self.module, self.threads, batch.shape), torch.no_grad():
            return to_numpy(self._classes(self._tensor(batch)), batch.dtype)

    def run_back(self, batch: Array, keep: bool) -> tuple[Array, Pullback]:
        """See `Model.run_back`."""
        torch = import_torch("running this network")
        with torch_ready(self.name, self.module, self.threads, batch.shape), torch.enable_grad():
            images = self._tensor(batch).requires_grad_(True)
            outputs = self._classes(images)
            if not outputs.requires_grad:
                raise ModelError(f"{self.name}: {CUT_OFF}")

        def back(cotangent: Array) -> Array:
            with torch_ready(self.name, self.module, self.threads, batch.shape):
                # A copy: the caller's array may be read-only, which torch warns of.
                given = torch.from_numpy(np.array(cotangent)).to(outputs)
                (gradient,) = torch.autograd.grad(
                    outputs, images, given, retain_graph=keep, allow_unused=True
                )
                if gradient is None:
                    return np.zeros(batch.shape, batch.dtype)
                return to_numpy(gradient, batch.dtype)

        return to_numpy(outputs, batch.dtype), back

    def _tensor(self, batch: Array) -> Any:
        torch = import_torch("running this network")
        tensor = torch.from_numpy(batch).to(_device(self.module))
        # On a CPU convolutions take a quarter less time with the channels last in memory.
        return tensor.contiguous(memory_format=torch.channels_last) if batch.ndim == 4 else tensor

    def _classes(self, images: Any) -> Any:
        outputs = self.module(images)
        listed = flatten_outputs(outputs)
        if len(listed) <= self.place:
            raise ModelError(f"{self.name}: has {len(listed)} outputs now, and had more when opened")
        classes = listed[self.place][1]
        shape = tuple(classes.shape)
        if len(shape) < 2 or shape[0] != len(images) or not is_flat(shape[1:]):
            raise ModelError(
                f"{self.name}: expected one value for each class, got shape {shape} for {len(images)} images"
            )
        return classes.reshape(shape[0], -1)


def torch_outputs(name: str, module: Any, batch: Array, threads: int) -> tuple[list[tuple[str, Any]], bool]:
    """Run a trial.

    Parameters
    ----------
    name : str
        For errors.
    module : torch.nn.Module
        To run.
    batch : ndarray
        As the network takes it.
    threads : int
        Of the computation.

    Returns
    -------
    outputs : list of (str, ndarray)
        All of them, flattened.
    gradient : bool
        Whether the way back is open, for those whose dtype has gradients.
    """
    torch = import_torch("running this network")
    with torch_ready(name, module, threads, batch.shape), torch.enable_grad():
        images = torch.from_numpy(batch.copy()).to(_device(module))
        if images.is_floating_point():
            images.requires_grad_(True)
        listed = flatten_outputs(module(images))
    if not listed:
        raise ModelError(f"{name}: gives no tensor")
    values = [(label, to_numpy(each, np.dtype(np.float32))) for label, each in listed]
    return values, any(each.requires_grad for _, each in listed)


def flatten_outputs(output: Any, label: str = "") -> list[tuple[str, Any]]:
    """List the tensors among what a module gives: of dictionaries by their keys, else by their places."""
    if hasattr(output, "detach"):
        return [(label or "output", output)]
    if isinstance(output, Mapping):
        parts = [(str(key), value) for key, value in output.items()]
    elif isinstance(output, list | tuple):
        names = getattr(output, "_fields", range(len(output)))
        parts = [(str(key), value) for key, value in zip(names, output, strict=True)]
    else:
        return []
    return [
        found for key, value in parts for found in flatten_outputs(value, f"{label}.{key}" if label else key)
    ]


def last_operators(module: Any) -> tuple[tuple[str, str], ...]:
    """Return name and operator of each output of an exported graph, in the order in which they are given."""
    graph = getattr(module, "graph", None)
    if graph is None:
        return ()
    end = next(iter(reversed(graph.nodes)))
    return tuple(
        (each.name, str(each.target).split(".")[1]) for each in end.all_input_nodes if "." in str(each.target)
    )


def describe_outputs(values: list[tuple[str, Any]], operators: tuple[tuple[str, str], ...]) -> list[Output]:
    """Put together what is known of the outputs."""
    fitting = operators if len(operators) == len(values) else (("", ""),) * len(values)
    outputs = []
    for (label, array), (node, operator) in zip(values, fitting, strict=True):
        plain = label.isdigit() or label == "output"
        name = node if plain and node else label
        outputs.append(Output(name, array.shape[1:], (label,) if name != label else (), operator))
    return outputs


def check_evaluation(name: str, module: Any) -> None:
    """Refuse a program that was exported in training mode, whose answers are partly random.

    Parameters
    ----------
    name : str
        For the error.
    module : torch.fx.GraphModule
        The program.
    """
    for node in module.graph.nodes:
        schema = getattr(node.target, "_schema", None)
        if node.op != "call_function" or schema is None:
            continue
        for i, argument in enumerate(schema.arguments):
            if argument.name in ("train", "training"):
                value = node.args[i] if i < len(node.args) else node.kwargs.get(argument.name)
                if value is True:
                    raise ModelError(
                        f"{name}: was exported in training mode ({node.name}); export it again after .eval()"
                    )


def to_numpy(tensor: Any, dtype: Any) -> Array:
    """Return a copy in NumPy; half precisions and integers become `dtype`."""
    tensor = tensor.detach().cpu()
    if str(tensor.dtype) == "torch.bfloat16":  # unknown to NumPy
        tensor = tensor.float()
    array: Array = tensor.contiguous().numpy()
    return array.copy() if array.dtype in (np.float32, np.float64) else array.astype(dtype)


@contextmanager
def torch_ready(name: str, module: Any, threads: int, shape: tuple[int, ...]) -> Iterator[None]:
    """Run in evaluation mode, with parameters without gradient, in so many threads; errors of torch as ours."""
    torch = import_torch("running this network")
    before = torch.get_num_threads()
    modes = [(each, each.training) for each in module.modules()]
    wanted = [each for each in module.parameters() if each.requires_grad]
    torch.set_num_threads(threads)
    try:
        # An exported graph has no eval(), and needs none: its modes are written into it.
        for each, training in modes:
            if training:
                each.training = False
        for each in wanted:
            each.requires_grad_(False)
        yield
    except ModelError:
        raise
    except Exception as error:  # whatever a module raises is about this module or this batch
        lines = [each.strip() for each in str(error).splitlines() if each.strip()]
        text = lines[0] if lines else type(error).__name__
        raise ModelError(f"{name}: torch cannot run it on a batch of shape {shape}: {text}") from error
    finally:
        for each in wanted:
            each.requires_grad_(True)
        for each, training in modes:
            each.training = training
        torch.set_num_threads(before)


def _device(module: Any) -> Any:
    return next((each.device for each in module.parameters()), "cpu")


@contextmanager
def quiet() -> Iterator[None]:
    """Without warnings of other people's code, which the user can do nothing about."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
