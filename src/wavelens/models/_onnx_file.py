"""The graph inside an ``.onnx`` file: which nodes, which constants, and how to ask for a tensor in between.

onnxruntime runs a file but shows only its declared inputs and outputs. The file is a Protocol Buffers message
of a fixed, public schema (onnx.proto), and of that schema only names, operators and small constants are wanted
here; so the message's fields are walked directly, weights are stepped over, and no further package is needed.

The same format makes it easy to add an output: a message that is written twice is merged by its readers, lists
being joined. A file followed by a graph that has nothing but outputs is the same network with more outputs.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["Graph", "Node", "fields_of", "read_graph", "with_outputs"]

# Field numbers of onnx.proto.
MODEL_GRAPH = 7
GRAPH_NODE, GRAPH_INITIALIZER, GRAPH_INPUT, GRAPH_OUTPUT = 1, 5, 11, 12
NODE_INPUT, NODE_OUTPUT, NODE_NAME, NODE_OPERATOR, NODE_ATTRIBUTE = 1, 2, 3, 4, 5
ATTRIBUTE_NAME, ATTRIBUTE_FLOAT, ATTRIBUTE_TENSOR = 1, 2, 5
TENSOR_DIMS, TENSOR_TYPE, TENSOR_FLOATS, TENSOR_NAME, TENSOR_RAW, TENSOR_DOUBLES = 1, 2, 4, 8, 9, 10
VALUE_NAME = 1
VARINT, EIGHT_BYTES, BYTES, FOUR_BYTES = 0, 1, 2, 5
# Of the tensor types, those that constants of preprocessing have.
DTYPES = {1: "<f4", 10: "<f2", 11: "<f8"}
SMALL = 64


@dataclass(frozen=True)
class Node:
    """One operation: its operator, the tensors that it reads and writes, and constants among its attributes."""

    operator: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    constants: dict[str, npt.NDArray[Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class Graph:
    """Nodes in order of computation, and constants of at most 64 floats.

    Attributes
    ----------
    nodes : tuple of Node
    constants : dict of str to ndarray
        Small ones, by the name of their tensor.
    initializers : frozenset of str
        Names of all constants; some files list them as inputs too.
    inputs, outputs : tuple of str
        Declared ones.
    """

    nodes: tuple[Node, ...]
    constants: dict[str, npt.NDArray[Any]]
    initializers: frozenset[str]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]

    def tensors(self) -> dict[str, Node]:
        """Tensors that depend on an input, with the node that computes each, in order.

        Returns
        -------
        dict of str to Node
        """
        found: dict[str, Node] = {}
        moving = set(self.inputs) - self.initializers
        for node in self.nodes:
            if moving.intersection(node.inputs):
                moving.update(node.outputs)
                found.update((each, node) for each in node.outputs if each)
        return found


def read_graph(model: bytes | memoryview) -> Graph:
    """Read the graph of a model.

    Parameters
    ----------
    model : bytes-like
        The whole file.

    Returns
    -------
    Graph

    Raises
    ------
    ValueError
        If this is no such message.
    """
    nodes: list[Node] = []
    constants: dict[str, npt.NDArray[Any]] = {}
    initializers: list[str] = []
    inputs: list[str] = []
    outputs: list[str] = []
    for number, graph in fields_of(memoryview(model)):
        if number != MODEL_GRAPH or isinstance(graph, int):
            continue
        for part, value in fields_of(graph):
            if isinstance(value, int):
                continue
            if part == GRAPH_NODE:
                node = _node(value)
                nodes.append(node)
                if node.operator == "Constant" and node.constants:
                    constants[node.outputs[0]] = next(iter(node.constants.values()))
            elif part == GRAPH_INITIALIZER:
                name, values = _tensor(value)
                initializers.append(name)
                if values is not None:
                    constants[name] = values
            elif part in (GRAPH_INPUT, GRAPH_OUTPUT):
                names = [_text(each) for key, each in fields_of(value) if key == VALUE_NAME]
                (inputs if part == GRAPH_INPUT else outputs).extend(names)
    if not nodes:
        raise ValueError("the file has no graph")
    return Graph(tuple(nodes), constants, frozenset(initializers), tuple(inputs), tuple(outputs))


def with_outputs(model: bytes, names: Iterable[str]) -> bytes:
    """Return the model with further tensors among its outputs; their types are left to be inferred.

    Parameters
    ----------
    model : bytes
        The whole file.
    names : iterable of str
        Tensors of its graph that are no outputs yet.

    Returns
    -------
    bytes
    """
    added = b"".join(
        _message(GRAPH_OUTPUT, _message(VALUE_NAME, name.encode("utf-8"))) for name in dict.fromkeys(names)
    )
    return model + _message(MODEL_GRAPH, added) if added else model


def _node(message: memoryview) -> Node:
    inputs: list[str] = []
    outputs: list[str] = []
    name = operator = ""
    constants = {}
    for key, value in fields_of(message):
        if isinstance(value, int):
            continue
        if key == NODE_INPUT:
            inputs.append(_text(value))
        elif key == NODE_OUTPUT:
            outputs.append(_text(value))
        elif key == NODE_NAME:
            name = _text(value)
        elif key == NODE_OPERATOR:
            operator = _text(value)
        elif key == NODE_ATTRIBUTE:
            attribute, values = _attribute(value)
            if values is not None:
                constants[attribute] = values
    return Node(operator, name, tuple(inputs), tuple(outputs), constants)


def _attribute(message: memoryview) -> tuple[str, npt.NDArray[Any] | None]:
    name, values = "", None
    for key, value in fields_of(message):
        if key == ATTRIBUTE_NAME:
            name = _text(value)
        elif key == ATTRIBUTE_FLOAT and not isinstance(value, int):
            values = np.frombuffer(value, "<f4").astype(np.float64)
        elif key == ATTRIBUTE_TENSOR and not isinstance(value, int):
            values = _tensor(value)[1]
    return name, values


def _tensor(message: memoryview) -> tuple[str, npt.NDArray[Any] | None]:
    """Name of a tensor, and its values where they are few floats."""
    name, kind = "", 0
    dims: list[int] = []
    parts: list[npt.NDArray[Any]] = []
    raw = memoryview(b"")
    for key, value in fields_of(message):
        if key == TENSOR_NAME:
            name = _text(value)
        elif key == TENSOR_TYPE and isinstance(value, int):
            kind = value
        elif key == TENSOR_DIMS:
            dims += [value] if isinstance(value, int) else _varints(value)
        elif key == TENSOR_RAW and not isinstance(value, int):
            raw = value
        elif key in (TENSOR_FLOATS, TENSOR_DOUBLES) and not isinstance(value, int):
            small = value[: 8 * SMALL]  # more is a weight, and left out below
            parts.append(np.frombuffer(small, "<f4" if key == TENSOR_FLOATS else "<f8"))
    count = int(np.prod(dims, dtype=np.int64)) if dims else 1
    if kind not in DTYPES or count > SMALL:
        return name, None
    values = np.frombuffer(raw, DTYPES[kind]) if len(raw) else np.concatenate(parts or [np.empty(0)])
    return name, values.astype(np.float64).reshape(dims) if values.size == count else None


def fields_of(message: Any) -> Iterator[tuple[int, Any]]:
    """Walk the fields of a message: number, and an integer or the bytes (not copied)."""
    place, end = 0, len(message)
    while place < end:
        tag, place = _varint(message, place)
        number, kind = tag >> 3, tag & 7
        if kind == VARINT:
            value, place = _varint(message, place)
            yield number, value
            continue
        if kind == BYTES:
            length, place = _varint(message, place)
        elif kind in (FOUR_BYTES, EIGHT_BYTES):
            length = 4 if kind == FOUR_BYTES else 8
        else:
            raise ValueError("not a model file: a field of an unknown kind")
        if place + length > end or not number:
            raise ValueError("not a model file, or cut off")
        yield number, message[place : place + length]
        place += length


def _varint(message: Any, place: int) -> tuple[int, int]:
    value = shift = 0
    while place < len(message) and shift < 64:
        byte = message[place]
        value |= (byte & 0x7F) << shift
        place += 1
        if byte < 0x80:
            return value, place
        shift += 7
    raise ValueError("not a model file, or cut off")


def _varints(message: Any) -> list[int]:
    place, values = 0, []
    while place < len(message):
        value, place = _varint(message, place)
        values.append(value)
    return values


def _text(value: Any) -> str:
    return bytes(value).decode("utf-8", "replace") if not isinstance(value, int) else ""


def _message(number: int, content: bytes) -> bytes:
    return _encoded(number << 3 | BYTES) + _encoded(len(content)) + content


def _encoded(value: int) -> bytes:
    parts = []
    while value >= 0x80:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    return struct.pack(f"{len(parts) + 1}B", *parts, value)
