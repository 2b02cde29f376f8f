"""Layers of torch modules and exported programs, in the order of execution.

A module is exported first (``torch.export``, which runs it once on a trial batch): its graph tells what is really
executed, functions like modules, and every value in it can be had when the network is run.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from wavelens._threads import num_threads
from wavelens.exceptions import ModelError
from wavelens.models._network import Fact, Network, open_network
from wavelens.models._torch import ModuleNetwork, import_torch
from wavelens.models._torch_export import ExportedNetwork
from wavelens.models._torch_model import TorchModel, quiet
from wavelens.models._weight_layers import WeightLayers
from wavelens.models._weight_steps import Step, assemble, left_out_words
from wavelens.models._weight_torch_steps import TorchReading, read_torch_step

__all__ = ["read_torch"]

# Of networks of photos, digits and small photos; networks that take any size take the first.
TRIAL_SIDES = (224, 32, 28, 64, 96, 128, 256, 299, 160, 48, 16, 8)


def read_torch(
    model: Any, shape: tuple[int, ...] | None, threads: int | None, *, trust_pickle: bool = False
) -> WeightLayers:
    """Read the layers of a module or a program.

    Parameters
    ----------
    model : path, torch.nn.Module, torch.export.ExportedProgram, TorchModel or Network
        As `open_network` takes it.
    shape : tuple of int or None
        Of one image, for modules.
    threads : int or None
        Of the network when it is run.
    trust_pickle : bool
        See `open_network`.

    Returns
    -------
    WeightLayers
    """
    if isinstance(model, TorchModel):
        shape = shape or _known_shape(model.input_shape)
        model = model.module
        if _is_exported(model):
            network: Network = ExportedNetwork.wrap(model, "exported program", threads or num_threads())
            return _of_program(network)
    network = open_network(model, threads=threads, trust_pickle=trust_pickle)
    if isinstance(network, ModuleNetwork):
        network = _exported(network, shape)
    if not isinstance(network, ExportedNetwork):
        raise TypeError(f"`model`: the weights of a {type(network).__name__} are not known")
    return _of_program(network)


def _is_exported(module: Any) -> bool:
    """Whether this is the graph of an exported program, and not of torch.fx, whose modules are called."""
    nodes = getattr(getattr(module, "graph", None), "nodes", ())
    called = [each for each in nodes if each.op == "call_function"]
    calls_modules = any(each.op == "call_module" and each.name != "_guards_fn" for each in nodes)
    return bool(called) and not calls_modules and all("val" in each.meta for each in called)


def _known_shape(shape: tuple[int | None, ...]) -> tuple[int, ...] | None:
    return None if None in shape else tuple(int(each or 0) for each in shape)


def _of_program(network: Any) -> WeightLayers:
    reader = _GraphReader(network)
    steps = reader.steps()
    start = network.input.name
    shape = None if network.input.shape is None else _known_shape(network.input.shape[1:])
    layers, why = assemble(network.name, steps, start, reader.shapes.get(start) or shape)
    return WeightLayers(
        name=network.name,
        kind=network.kind,
        layers=layers,
        why_not_chain=why,
        notes=left_out_words(reader.left_out),
        input_name=start,
        input_shape=reader.shapes.get(start) or shape,
        _network=network,
    )


class _GraphReader:
    """The graph of a program, with what of it is constant and what depends on the images."""

    def __init__(self, network: ExportedNetwork) -> None:
        self.name, self.module = network.name, network.module
        self.labels = {
            each.name: max(each.aliases, key=lambda path: path.count("."))
            for each in network.layers
            if each.aliases
        }
        self.start = network.input.name
        self.shapes: dict[str, tuple[int, ...]] = {}
        self.values: dict[Any, Any] = {}
        self.left_out: list[tuple[str, str]] = []

    def steps(self) -> list[Step]:
        """Tell the nodes that depend on the images, in order."""
        moving = set()
        found = []
        for node in self.module.graph.nodes:
            self._keep_shape(node)
            if node.op == "placeholder":
                moving.add(node)
            if node.op != "call_function" or not moving.intersection(node.all_input_nodes):
                continue
            if not _gives_tensors(node):
                continue  # sizes, and checks of them
            moving.add(node)
            reads = [each for each in node.all_input_nodes if each in moving]
            if "quantized" in str(node.target):
                raise ModelError(
                    f"{self.name}: {node.target} ({node.name!r}) computes with quantized weights or values; take the "
                    "network as it was before quantization"
                )
            reading = TorchReading(node, self.name, tuple(reads), self._constant)
            role, details = read_torch_step(reading)
            if reading.note:
                self.left_out.append((self.labels.get(node.name) or node.name, reading.note))
            found.append(
                Step(
                    node.name,
                    reading.operator.removeprefix("aten."),
                    role,
                    tuple(each.name for each in reads),
                    self.labels.get(node.name, ""),
                    self.shapes.get(node.name),
                    details,
                )
            )
        return found

    def _keep_shape(self, node: Any) -> None:
        value = node.meta.get("val")
        dims = getattr(value, "shape", None)
        if dims is not None and len(dims):
            shape = tuple(_length(each) for each in dims[1:])
            if 0 not in shape:
                self.shapes[node.name] = shape

    def _constant(self, node: Any) -> Any:
        """Return what does not depend on the images, as a tensor, computing it where the graph does."""
        if node not in self.values:
            if node.op == "get_attr":
                found = self.module
                for part in str(node.target).split("."):
                    found = getattr(found, part)
                self.values[node] = found
            elif node.op == "call_function":
                torch = import_torch("reading weights")
                arguments = torch.fx.node.map_arg((node.args, node.kwargs), self._constant)
                with torch.no_grad():
                    self.values[node] = node.target(*arguments[0], **arguments[1])
            else:
                raise ModelError(f"{self.name}: expected {node.name!r} to be a constant")
        return self.values[node]


def _length(size: Any) -> int:
    """Length of an axis; where it is left open, that of the trial; 0 if that is not known."""
    hint = size if type(size) is int else getattr(getattr(size, "node", None), "hint", None)
    return int(hint) if isinstance(hint, int) else 0


def _gives_tensors(node: Any) -> bool:
    value = node.meta.get("val")
    if isinstance(value, list | tuple):
        return any(hasattr(each, "shape") for each in value)
    return hasattr(value, "shape")


def _exported(network: ModuleNetwork, shape: tuple[int, ...] | None) -> ExportedNetwork:
    module = network.module
    for name, each in module.named_modules():
        if "quantized" in type(each).__module__:
            raise ModelError(
                f"{network.name}: {name or 'it'} is quantized ({type(each).__name__}); take the network as it was "
                "before quantization"
            )
    torch = import_torch("reading the layers of a module")
    with _trying(module), torch.no_grad(), quiet():
        batch = _trial(network, shape)
        program = _export(network.name, module, batch)
    exported = ExportedNetwork.of(program, network.name, network.threads)
    exported.kind = network.kind
    exported.facts = {**exported.facts, **network.facts}
    if shape is not None and len(shape) == 3:
        exported.facts |= {"size": Fact(tuple(shape[1:]), "given as input_shape")}
    return exported


@contextmanager
def _trying(module: Any) -> Iterator[None]:
    """Run in evaluation mode, and put back the modes."""
    modes = [(each, each.training) for each in module.modules()]
    module.eval()
    try:
        yield
    finally:
        for each, training in modes:
            each.training = training


def _trial(network: ModuleNetwork, shape: tuple[int, ...] | None) -> Any:
    """Find a batch that the module takes."""
    torch = import_torch("reading the layers of a module")
    one = next(iter(network.module.parameters()), torch.zeros(1))
    first = ""
    tried = list(_shapes_to_try(network)) if shape is None else [tuple(int(each) for each in shape)]
    for each in tried:
        batch = torch.zeros((2, *each), dtype=one.dtype, device=one.device)
        try:
            network.module(batch)
        except Exception as error:  # whatever a module raises on a batch that it does not take
            lines = [line.strip() for line in str(error).splitlines() if line.strip()]
            first = first or (lines[0] if lines else type(error).__name__)
            continue
        return batch
    written = tried[0] if shape is not None else f"{tried[0]} and others" if tried else "any"
    raise ModelError(
        f"{network.name}: cannot be run on a trial batch of images of shape {written}: {first}; give the shape of one "
        "image, such as input_shape=(3, 224, 224)"
    )


def _shapes_to_try(network: ModuleNetwork) -> Iterator[tuple[int, ...]]:
    modules = list(network.module.modules())
    size = network.facts.get("size")
    # Which module comes first is not known before it has been run.
    counts = dict.fromkeys(each.in_channels for each in modules if hasattr(each, "in_channels"))
    for channels in sorted(counts, key=lambda count: count not in (1, 3)):
        if size is not None:
            yield (channels, *size.value)
        for side in TRIAL_SIDES:
            yield channels, side, side
    for n in dict.fromkeys(each.in_features for each in modules if hasattr(each, "in_features")):
        for channels in (1, 3):
            side = math.isqrt(n // channels)
            if channels * side * side == n:
                yield channels, side, side
        yield (n,)
    for channels in (3, 1):
        for side in TRIAL_SIDES:
            yield channels, side, side


def _export(name: str, module: Any, batch: Any) -> Any:
    torch = import_torch("reading the layers of a module")
    auto = torch.export.Dim.AUTO
    # Images of any number and size, where the network takes them.
    free = dict.fromkeys((0, *range(2, batch.ndim)), auto)
    error: Exception | None = None
    for dynamic in ((free,), ({0: auto},), None):
        try:
            return torch.export.export(module, (batch,), dynamic_shapes=dynamic, strict=False)
        except Exception as caught:  # torch raises many kinds
            error = caught
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    raise ModelError(
        f"{name}: torch.export cannot follow what it does ({lines[0][:200]}); rewrite what depends on the values of an "
        "image, or write a .pt2 or .onnx file of it"
    ) from error
