"""``.onnx`` files through onnxruntime: declared outputs and any tensor in between."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from wavelens.exceptions import ModelError
from wavelens.models._first_steps import Affine, facts_of_affine
from wavelens.models._network import Array, Fact, Layer, Network, NetworkInput, as_values
from wavelens.models._onnx_external import check_external_weights
from wavelens.models._onnx_file import Graph, read_graph, with_outputs

__all__ = ["OnnxNetwork"]

DTYPES = {
    "tensor(float)": "float32",
    "tensor(float16)": "float16",
    "tensor(double)": "float64",
    "tensor(uint8)": "uint8",
    "tensor(int8)": "int8",
    "tensor(int32)": "int32",
    "tensor(int64)": "int64",
}
# Keys of the ONNX standard for image networks.
PIXEL_FORMATS = {"Gray8": "grey", "Rgb8": "rgb", "Srgb8": "rgb", "Bgr8": "bgr"}
PIXEL_RANGES = {
    "NominalRange_0_255": (0.0, 255.0),
    "Normalized_0_1": (0.0, 1.0),
    "Normalized_1_1": (-1.0, 1.0),
}


@dataclass(eq=False)
class OnnxNetwork(Network):
    """A ``.onnx`` file, see `Network`; opened by `open`."""

    model: bytes = field(default=b"", repr=False)
    folder: Path = field(default_factory=Path)
    threads: int = 1
    _session: Any = field(default=None, repr=False)
    _asked: frozenset[str] = field(default_factory=frozenset, repr=False)

    @classmethod
    def open(cls, path: Path, threads: int) -> OnnxNetwork:
        """Read the file.

        Parameters
        ----------
        path : Path
            Of the file.
        threads : int
            Of the computation.

        Returns
        -------
        OnnxNetwork
        """
        _runtime()
        try:
            model = path.read_bytes()
            graph = read_graph(model)
            check_external_weights(model, path.parent)
        except (ValueError, OSError, MemoryError) as error:
            text = str(error) or "it does not fit in memory"
            raise ModelError(f"{path}: cannot be read as an .onnx file: {text}") from error
        session = _open_session(model, path.parent, threads, path.name)
        inputs = session.get_inputs()
        if len(inputs) != 1:
            names = ", ".join(each.name for each in inputs) or "none"
            raise ModelError(f"{path.name}: expected a network with one input, got {len(inputs)} ({names})")
        if inputs[0].type not in DTYPES:
            raise ModelError(f"{path.name}: the input has an unexpected type, {inputs[0].type}")
        shape = tuple(each if isinstance(each, int) and each > 0 else None for each in inputs[0].shape)
        given = NetworkInput(inputs[0].name, shape or None, DTYPES[inputs[0].type])
        network = cls(
            name=path.name,
            kind="ONNX file",
            input=given,
            layers=_layers(graph, [each.name for each in session.get_outputs()]),
            batch=shape[0] if shape else None,
            facts=_facts(graph, given, session.get_modelmeta().custom_metadata_map),
            model=model,
            folder=path.parent,
            threads=threads,
        )
        network._session = session
        network._asked = frozenset(network.outputs)
        return network

    def run(self, batch: Array, layers: Sequence[str]) -> dict[str, Array]:
        """See `Network.run`. Asking for a tensor in between opens the file anew, once."""
        tensors = {each: self.named(each).name for each in layers}
        missing = set(tensors.values()) - self._asked
        if missing:
            asked = self._asked | missing
            model = with_outputs(self.model, sorted(asked - set(self.outputs)))
            self._session = _open_session(model, self.folder, self.threads, self.name)
            self._asked = asked
        try:
            values = self._session.run(list(tensors.values()), {self.input.name: batch})
        except Exception as error:  # whatever onnxruntime raises is about this file or this batch
            raise ModelError(f"{self.name}: onnxruntime cannot run it: {_first_line(error)}") from error
        return {each: as_values(value) for each, value in zip(tensors, values, strict=True)}


def _runtime() -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise ImportError(
            'reading .onnx files needs onnxruntime; install it with: pip install "wavelens[onnx]"'
        ) from error
    return onnxruntime


def _open_session(model: bytes, folder: Path, threads: int, name: str) -> Any:
    runtime = _runtime()
    options = runtime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # The model is given as bytes, so weights that lie in files beside it would not be found.
    options.add_session_config_entry("session.model_external_initializers_file_folder_path", str(folder))
    try:
        return runtime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise ModelError(f"{name}: onnxruntime cannot open it: {_first_line(error)}") from error


def _layers(graph: Graph, outputs: Sequence[str]) -> tuple[Layer, ...]:
    """Tensors by their names; where a node has a name, its first tensor goes by that too."""
    tensors = graph.tensors()
    taken = set(tensors)
    layers = []
    for tensor, node in tensors.items():
        aliases: tuple[str, ...] = ()
        if node.name and tensor == node.outputs[0] and node.name not in taken:
            aliases = (node.name,)
            taken.add(node.name)
        layers.append(Layer(tensor, node.operator, tensor in outputs, aliases))
    constant = [Layer(each, "", True) for each in outputs if each not in tensors]
    return (*layers, *constant)


def _facts(graph: Graph, given: NetworkInput, metadata: dict[str, str]) -> dict[str, Fact]:
    facts = facts_of_affine(_first_steps(graph, given), "the network's first steps")
    if given.dtype == "uint8":
        facts["value_range"] = Fact((0.0, 255.0), "the input is of type uint8")
        facts |= {"mean": Fact((0.0,), "within the network"), "std": Fact((1.0,), "within the network")}
    pixels = metadata.get("Image.BitmapPixelFormat", "")
    if pixels in PIXEL_FORMATS:
        facts["color"] = Fact(PIXEL_FORMATS[pixels], "the file's Image.BitmapPixelFormat")
    nominal = metadata.get("Image.NominalPixelRange", "")
    if nominal in PIXEL_RANGES:
        reason = "the file's Image.NominalPixelRange"
        facts["value_range"] = Fact(PIXEL_RANGES[nominal], reason)
        facts |= {"mean": Fact((0.0,), reason), "std": Fact((1.0,), reason)}
    return facts


def _first_steps(graph: Graph, given: NetworkInput) -> Affine | None:
    """Follow the image through what only scales and shifts it."""
    steps = Affine()
    tensor = given.name
    for _ in range(16):
        readers = [node for node in graph.nodes if tensor in node.inputs]
        if len(readers) != 1 or len(readers[0].outputs) != 1:
            break
        node = readers[0]
        if node.operator in ("Cast", "Identity", "Transpose"):
            pass
        elif node.operator in ("Mul", "Div", "Add", "Sub") and len(node.inputs) == 2:
            other = node.inputs[1 - node.inputs.index(tensor)]
            constant = graph.constants.get(other)
            if constant is None or not steps.take(node.operator, constant, first=node.inputs[0] == tensor):
                break
        else:
            break
        tensor = node.outputs[0]
    return steps if steps.taken else None


def _first_line(error: Exception) -> str:
    lines = [each for each in str(error).splitlines() if each.strip()]
    text = lines[0].strip() if lines else type(error).__name__
    return text if len(text) <= 300 else text[:300] + " …"
