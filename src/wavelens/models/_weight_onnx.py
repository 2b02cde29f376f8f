"""Layers of ``.onnx`` files, by the package onnx alone: nothing is run."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from wavelens.exceptions import ModelError
from wavelens.models._network import Network, open_network
from wavelens.models._onnx import OnnxNetwork
from wavelens.models._onnx_external import check_external_weights
from wavelens.models._weight_layers import WeightLayers
from wavelens.models._weight_onnx_steps import QUANTIZED, Reading, read_step
from wavelens.models._weight_steps import Step, assemble, left_out_words

__all__ = ["read_onnx", "read_onnx_network"]

Array = npt.NDArray[Any]
LEFT_OUT = {
    "ConvTranspose": "transposed convolutions",
    "LSTM": "recurrent layers",
    "GRU": "recurrent layers",
    "RNN": "recurrent layers",
    "If": "branches that are taken or not",
    "Loop": "loops",
    "Scan": "loops",
}
# Of larger files shapes are not inferred: that would copy all weights, and beyond 2 GB it cannot be done.
LARGEST_COPIED = 2**30


def read_onnx(path: Path, shape: tuple[int, ...] | None, threads: int | None) -> WeightLayers:
    """Read the layers of a file.

    Parameters
    ----------
    path : Path
        Of the file.
    shape : tuple of int or None
        Of one image as it enters, where the file leaves it open.
    threads : int or None
        Of the network when it is run.

    Returns
    -------
    WeightLayers
    """
    onnx = _onnx()
    if not path.is_file():
        raise ModelError(f"{path}: no such file")
    try:
        content = path.read_bytes()
        check_external_weights(content, path.parent)
        model = onnx.load_model_from_string(content)
        onnx.load_external_data_for_model(model, str(path.parent))
    except Exception as error:  # the package raises many kinds on damaged files and missing weights
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise ModelError(f"{path}: cannot be read as an .onnx file: {lines[0]}") from error

    def network() -> Network:
        return open_network(path, threads=threads)

    return _read(onnx, model, path.name, shape, network)


def read_onnx_network(network: OnnxNetwork, shape: tuple[int, ...] | None) -> WeightLayers:
    """Read the layers of a file that is open in onnxruntime.

    Parameters
    ----------
    network : OnnxNetwork
        As `open_network` gives it.
    shape : tuple of int or None
        Of one image as it enters, where the file leaves it open.

    Returns
    -------
    WeightLayers
    """
    onnx = _onnx()
    model = onnx.load_model_from_string(network.model)
    onnx.load_external_data_for_model(model, str(network.folder))
    return _read(onnx, model, network.name, shape, lambda: network)


def _read(
    onnx: Any, model: Any, name: str, shape: tuple[int, ...] | None, open_it: Callable[[], Network]
) -> WeightLayers:
    graph = model.graph
    constants = {each.name for each in graph.initializer} | {
        each.values.name for each in graph.sparse_initializer
    }
    inputs = [each for each in graph.input if each.name not in constants]
    if len(inputs) != 1 or not graph.node:
        raise ModelError(f"{name}: expected a network with one input, got {len(inputs)}")
    _set_shape(inputs[0], shape, name)
    reader = _OnnxReader(onnx, model, inputs[0].name, name)
    steps = reader.steps()
    layers, why = assemble(name, steps, inputs[0].name, reader.shapes.get(inputs[0].name))
    return WeightLayers(
        name=name,
        kind="ONNX file",
        layers=layers,
        why_not_chain=why,
        notes=left_out_words(reader.left_out),
        input_name=inputs[0].name,
        input_shape=reader.shapes.get(inputs[0].name),
        _open=open_it,
    )


def _onnx() -> Any:
    try:
        import onnx
    except ImportError as error:
        raise ImportError(
            'reading the weights of .onnx files needs onnx; install it with: pip install "wavelens[onnx]"'
        ) from error
    return onnx


def _set_shape(value: Any, shape: tuple[int, ...] | None, name: str) -> None:
    if shape is None:
        return
    dims = value.type.tensor_type.shape.dim
    told = [each.dim_value for each in dims][1:]
    if len(told) != len(shape) or any(a and a != b for a, b in zip(told, shape, strict=True)):
        written = " × ".join(str(each or "any") for each in told)
        raise ValueError(f"`input_shape` is {shape}, but {name} takes images of {written}")
    for each, length in zip(list(dims)[1:], shape, strict=True):
        each.dim_value = int(length)


class _OnnxReader:
    """The graph, with what of it is constant, what is a mere size, and what depends on the images."""

    def __init__(self, onnx: Any, model: Any, start: str, name: str) -> None:
        self.onnx, self.graph, self.start, self.name = onnx, model.graph, start, name
        self.opsets = model.opset_import
        self.shapes = _shapes(onnx, model)
        self.stored = {each.name: each for each in model.graph.initializer}
        self.makers = {out: node for node in model.graph.node for out in node.output}
        self.values: dict[str, Array] = {}
        self.sizes: set[str] = set()
        self.moving = {start}
        self.left_out: list[tuple[str, str]] = []

    def steps(self) -> list[Step]:
        """Tell the nodes that depend on the images, in order (which the format demands)."""
        taken = set(self.makers) | {self.start}
        found = []
        for node in self.graph.node:
            if not node.output:
                continue
            reads = [each for each in node.input if each in self.moving]
            sized = any(each in self.sizes for each in node.input)
            if node.op_type in ("Shape", "Size") or (sized and not reads):
                # Arithmetic of sizes, for a Reshape to come; it is no way of the image.
                self.sizes.update(node.output)
                continue
            if not reads:
                continue
            if node.op_type in QUANTIZED:
                raise ModelError(
                    f"{self.name}: {node.op_type} ({node.output[0]!r}) computes with quantized weights or values; "
                    "take the network as it was before quantization"
                )
            label = node.name if node.name and node.name not in taken else ""
            taken.add(label)
            self.moving.update(each for each in node.output if each)
            step = self._step(node, tuple(reads), label)
            found.append(step)
            found += [
                Step(each, node.op_type, "other", (node.output[0],), shape=self.shapes.get(each))
                for each in node.output[1:]
                if each and self._is_read(each)
            ]
        return found

    def _is_read(self, tensor: str) -> bool:
        return any(tensor in node.input for node in self.graph.node)

    def _step(self, node: Any, reads: tuple[str, ...], label: str) -> Step:
        attributes = {
            each.name: self.onnx.helper.get_attribute_value(each)
            for each in node.attribute
            if each.type not in (self.onnx.AttributeProto.GRAPH, self.onnx.AttributeProto.GRAPHS)
        }
        reading = Reading(
            operator=node.op_type,
            name=node.output[0],
            network=self.name,
            inputs=tuple(node.input),
            reads=reads,
            attributes=attributes,
            constant=self._constant,
            key=self._key,
            shapes=self.shapes,
        )
        role, details = read_step(reading)
        what = LEFT_OUT.get(node.op_type, reading.note)
        if what:
            self.left_out.append((label or node.output[0], what))
        shape = self.shapes.get(node.output[0])
        return Step(node.output[0], node.op_type, role, reads, label, shape, details)

    def _key(self, tensor: str) -> str:
        """Name where a constant is stored, behind what only passes it on."""
        node = self.makers.get(tensor)
        return self._key(node.input[0]) if node is not None and node.op_type == "Identity" else tensor

    def _constant(self, tensor: str) -> Array | None:
        """Return what does not depend on the images, computing it where it is computed in the file."""
        if not tensor or tensor in self.moving or tensor in self.sizes:
            return None
        if tensor not in self.values:
            if tensor in self.stored:
                self.values[tensor] = self.onnx.numpy_helper.to_array(self.stored[tensor])
            elif tensor in self.makers:
                self._compute(self.makers[tensor])
            else:
                return None
        return self.values.get(tensor)

    def _compute(self, node: Any) -> None:
        if node.op_type in QUANTIZED:
            raise ModelError(
                f"{self.name}: the weights {node.output[0]!r} are quantized ({node.op_type}); take the network as it "
                "was before quantization"
            )
        given = {each: self._constant(each) for each in node.input if each}
        if any(each is None for each in given.values()):
            return
        from onnx.reference import ReferenceEvaluator

        helper = self.onnx.helper
        # One node as a network of its own; what its inputs are is told by their values.
        infos = [
            helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(value.dtype), value.shape)
            for name, value in given.items()
            if value is not None
        ]
        outputs = [self.onnx.ValueInfoProto(name=each) for each in node.output if each]
        graph = helper.make_graph([node], "constant", infos, outputs)
        model = helper.make_model(graph, opset_imports=list(self.opsets))
        try:
            results = ReferenceEvaluator(model).run(None, given)
        except Exception:  # an operator that the reference does not know: the value stays unknown
            return
        self.values |= {
            name: np.asarray(value)
            for name, value in zip((each.name for each in outputs), results, strict=True)
        }


def _shapes(onnx: Any, model: Any) -> dict[str, tuple[int, ...]]:
    """Shapes for one image of all tensors of which the file, or inference from it, tells them."""
    if model.ByteSize() <= LARGEST_COPIED:
        # A file can be run without its shapes being known.
        with suppress(Exception):
            model = onnx.shape_inference.infer_shapes(model, data_prop=True)
    graph = model.graph
    found = {}
    for value in (*graph.input, *graph.value_info, *graph.output):
        kind = value.type.tensor_type
        if not kind.HasField("shape"):
            continue
        dims = [each.dim_value if each.HasField("dim_value") else 0 for each in kind.shape.dim]
        if dims and all(each > 0 for each in dims[1:]):
            found[value.name] = tuple(dims[1:])
    return found
