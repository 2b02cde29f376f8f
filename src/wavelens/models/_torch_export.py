"""``.pt2`` files: programs exported by torch.

An exported program is one flat graph; its submodules are never called, so hooks would not fire. Its nodes
remember the modules they came from, though. The graph is interpreted node by node, and stopped after the last
one that is wanted. A layer is a node by its own name (``hardtanh_2``), or a module by its path (``features.3``),
which means the last node that came from it.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from wavelens.exceptions import ModelError
from wavelens.models._first_steps import Affine, facts_of_affine
from wavelens.models._network import Array, Fact, Layer, Network, NetworkInput
from wavelens.models._pt2_archive import UntrustedError, harmless_archive
from wavelens.models._torch import import_torch, run_torch, to_array

__all__ = ["ExportedNetwork", "operator_of"]

AFFINE = {"aten.mul": "Mul", "aten.div": "Div", "aten.add": "Add", "aten.sub": "Sub", "aten.rsub": "Rsub"}
PASSING = ("aten.to", "aten._to_copy", "aten.permute", "aten.clone", "aten.contiguous", "aten.alias")


@dataclass(eq=False)
class ExportedNetwork(Network):
    """A program exported by torch, see `Network`; opened by `open` or `of`."""

    module: Any = field(default=None, repr=False)
    threads: int = 1

    @classmethod
    def open(cls, path: Path, threads: int, *, trust_pickle: bool = False) -> ExportedNetwork:
        """Read a ``.pt2`` file.

        Parameters
        ----------
        path : Path
            Of the file.
        threads : int
            Of the computation.
        trust_pickle : bool
            Whether torch may run code from the file.

        Returns
        -------
        ExportedNetwork

        Raises
        ------
        ModelError
            If it is damaged, or could run code and is not trusted.
        """
        torch = import_torch("reading .pt2 files")
        try:
            with _without_logs(), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                program = torch.export.load(path if trust_pickle else harmless_archive(path))
                return cls.of(program, path.name, threads)
        except ModelError:
            raise
        except UntrustedError as error:
            raise ModelError(
                f"{path}: opening it could run code from the file: {error}. If you trust where it comes from, "
                "trust_pickle=True (--trust-pickle) opens it"
            ) from error
        except Exception as error:  # torch raises many kinds on damaged and foreign files
            lines = str(error).strip().splitlines() or [type(error).__name__]
            raise ModelError(
                f"{path}: torch cannot open it as an exported program: {lines[0][:300]}"
            ) from error

    @classmethod
    def of(cls, program: Any, name: str, threads: int) -> ExportedNetwork:
        """Wrap an exported program.

        Parameters
        ----------
        program : torch.export.ExportedProgram
            With one input, a batch of images.
        name : str
            For titles.
        threads : int
            Of the computation.

        Returns
        -------
        ExportedNetwork
        """
        import_torch("running an exported program")
        return cls.wrap(program.module(), name, threads)

    @classmethod
    def wrap(cls, module: Any, name: str, threads: int) -> ExportedNetwork:
        """Wrap the graph of an exported program.

        Parameters
        ----------
        module : torch.fx.GraphModule
            What ``program.module()`` gives.
        name : str
            For titles.
        threads : int
            Of the computation.

        Returns
        -------
        ExportedNetwork
        """
        inputs = [each for each in module.graph.nodes if each.op == "placeholder"]
        if len(inputs) != 1:
            raise ModelError(f"{name}: expected a network with one input, got {len(inputs)}")
        value = inputs[0].meta.get("val")
        shape = tuple(each if type(each) is int else None for each in value.shape)
        return cls(
            name=name,
            kind="exported torch program",
            input=NetworkInput(inputs[0].name, shape, str(value.dtype).removeprefix("torch.")),
            layers=_layers(module.graph),
            batch=shape[0],
            facts=_facts(module, inputs[0]),
            module=module,
            threads=threads,
        )

    def run(self, batch: Array, layers: Sequence[str]) -> dict[str, Array]:
        """See `Network.run`."""
        wanted = {each: self.named(each).name for each in layers}
        values: dict[str, Array] = {}
        left = set(wanted.values())
        nodes = self.module.graph.nodes
        # Hardly ever is the end of the network needed for a layer at its beginning.
        last = [node for node in nodes if node.name in left][-1]
        torch = import_torch("running an exported program")

        class Taking(torch.fx.Interpreter):  # type: ignore[misc, name-defined]
            def run_node(self, node: Any) -> Any:
                result = super().run_node(node)
                if node.name in left:
                    values[node.name] = to_array(result, node.name)
                if node is last:
                    raise _ReachedError
                return result

        def forward(tensor: Any) -> None:
            try:
                Taking(self.module).run(tensor)
            except _ReachedError:
                return

        run_torch(self.name, forward, batch, self.threads)
        return {each: values[node] for each, node in wanted.items()}


@contextmanager
def _without_logs() -> Iterator[None]:
    """Keep torch from logging tracebacks of what becomes an error here."""
    names = ("torch.export", "torch.export.pt2_archive._package", "torch._export.serde.serialize")
    loggers = [logging.getLogger(name) for name in names]
    before = [each.disabled for each in loggers]
    try:
        for each in loggers:
            each.disabled = True
        yield
    finally:
        for each, disabled in zip(loggers, before, strict=True):
            each.disabled = disabled


class _ReachedError(Exception):
    """All that was asked for is there."""


def _layers(graph: Any) -> tuple[Layer, ...]:
    nodes = [node for node in graph.nodes if node.op == "call_function" and _is_tensor(node)]
    outputs = {each.name for each in next(iter(reversed(graph.nodes))).all_input_nodes}
    # A later node overwrites: what leaves a module is what its last node gives.
    last: dict[str, str] = {}
    for node in nodes:
        for path, _ in (node.meta.get("nn_module_stack") or {}).values():
            if path:
                last[path] = node.name
    names = {node.name for node in nodes}
    aliases: dict[str, list[str]] = {}
    for path, node_name in last.items():
        if path not in names:
            aliases.setdefault(node_name, []).append(path)
    return tuple(
        Layer(node.name, _kind(node), node.name in outputs, tuple(aliases.get(node.name, ())))
        for node in nodes
    )


def _is_tensor(node: Any) -> bool:
    return hasattr(node.meta.get("val"), "shape")


def _kind(node: Any) -> str:
    stack = list((node.meta.get("nn_module_stack") or {}).values())
    if stack and stack[-1][0]:
        kind = stack[-1][1]
        return (kind if isinstance(kind, str) else kind.__name__).rpartition(".")[2]
    return operator_of(node).removeprefix("aten.")


def operator_of(node: Any) -> str:
    """Name of an operator without its overload, and of an in-place one like of its twin."""
    return ".".join(str(node.target).split(".")[:2]).removesuffix("_")


def _facts(module: Any, start: Any) -> dict[str, Fact]:
    steps = Affine()
    node = start
    for _ in range(16):
        readers = [each for each in node.users if each.op == "call_function"]
        if len(readers) != 1:
            break
        reader = readers[0]
        operator = operator_of(reader)
        if operator in AFFINE and len(reader.args) >= 2 and reader.kwargs.get("alpha", 1) == 1:
            constant = _constant(module, reader.args[1 if reader.args[0] is node else 0])
            first = (reader.args[0] is node) != (operator == "aten.rsub")
            kind = AFFINE[operator].replace("Rsub", "Sub")
            if constant is None or not steps.take(kind, constant, first=first):
                break
        elif operator not in PASSING:
            break
        node = reader
    return facts_of_affine(steps if steps.taken else None, "the network's first steps")


def _constant(module: Any, value: Any) -> Any:
    if isinstance(value, int | float):
        return value
    if getattr(value, "op", "") != "get_attr":
        return None
    found = module
    for part in str(value.target).split("."):
        found = getattr(found, part, None)
    return found.detach().cpu().numpy() if hasattr(found, "detach") and found.numel() <= 64 else None
