"""torch modules: the values of any submodule, taken by a forward hook."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from wavelens.exceptions import ModelError
from wavelens.models._network import Array, Fact, Layer, Network, NetworkInput, as_values

__all__ = ["OUTPUT", "ModuleNetwork", "import_torch", "run_torch", "to_array"]

OUTPUT = "output"
"""What a module without named outputs gives out."""


@dataclass(eq=False)
class ModuleNetwork(Network):
    """A ``torch.nn.Module``, see `Network`; opened by `of`."""

    module: Any = field(default=None, repr=False)
    threads: int = 1

    @classmethod
    def of(cls, module: Any, threads: int) -> ModuleNetwork:
        """Wrap a module.

        Parameters
        ----------
        module : torch.nn.Module
            Which takes a batch of images.
        threads : int
            Of the computation.

        Returns
        -------
        ModuleNetwork
        """
        inside = [
            Layer(name, type(each).__name__)
            for name, each in module.named_modules()
            if name and name != OUTPUT
        ]
        channels = next((each.in_channels for each in module.modules() if hasattr(each, "in_channels")), None)
        return cls(
            name=type(module).__name__,
            kind="torch module",
            input=NetworkInput("input", (None, channels, None, None) if channels else None, _dtype(module)),
            layers=(*inside, Layer(OUTPUT, type(module).__name__, True)),
            facts=_facts(module),
            module=module,
            threads=threads,
        )

    def run(self, batch: Array, layers: Sequence[str]) -> dict[str, Array]:
        """See `Network.run`. The module is put into evaluation mode meanwhile."""
        values: dict[str, Array] = {}
        submodules = dict(self.module.named_modules())

        def keep(_: Any, __: Any, output: Any, *, name: str) -> None:
            # Copied at once: what follows may work in place (ReLU often does).
            values[name] = to_array(output, name)

        hooks = [
            submodules[each].register_forward_hook(partial(keep, name=each))
            for each in layers
            if each != OUTPUT
        ]
        try:
            with _evaluating(self.module):
                output = run_torch(self.name, self.module, batch, self.threads, _device(self.module))
        finally:
            for hook in hooks:
                hook.remove()
        if OUTPUT in layers:
            values[OUTPUT] = to_array(output, OUTPUT)
        unreached = [each for each in layers if each not in values]
        if unreached:
            raise ModelError(f"{self.name}: the layer {unreached[0]!r} is never called in a forward pass")
        return {each: values[each] for each in layers}


def import_torch(what: str) -> Any:
    """Import torch, or say how to get it.

    Parameters
    ----------
    what : str
        Needs it.

    Returns
    -------
    module
    """
    try:
        import torch
    except ImportError as error:
        raise ImportError(f'{what} needs torch; install it with: pip install "wavelens[torch]"') from error
    return torch


def run_torch(
    name: str, function: Callable[[Any], Any], batch: Array, threads: int, device: Any = "cpu"
) -> Any:
    """Call `function` with a batch as a tensor, without gradients and in so many threads."""
    torch = import_torch("running this network")
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with torch.no_grad():
            return function(torch.from_numpy(batch).to(device))
    except ModelError:
        raise
    except Exception as error:  # whatever a module raises is about this module or this batch
        lines = [each.strip() for each in str(error).splitlines() if each.strip()]
        text = lines[0] if lines else type(error).__name__
        raise ModelError(f"{name}: torch cannot run it on a batch of shape {batch.shape}: {text}") from error
    finally:
        torch.set_num_threads(before)


def to_array(output: Any, name: str) -> Array:
    """Return a copy of a tensor, or of the first one among several, in NumPy."""
    while isinstance(output, tuple | list | dict) and len(output):
        output = next(iter(output.values())) if isinstance(output, dict) else output[0]
    if not hasattr(output, "detach"):
        raise ModelError(f"the layer {name!r} gives no tensor but {type(output).__name__}")
    tensor = output.detach().cpu()
    if str(tensor.dtype) == "torch.bfloat16":  # unknown to NumPy
        tensor = tensor.float()
    return as_values(tensor.numpy().copy())


@contextmanager
def _evaluating(module: Any) -> Iterator[None]:
    modes = [(each, each.training) for each in module.modules()]
    module.eval()
    try:
        yield
    finally:
        for each, training in modes:
            each.training = training


def _device(module: Any) -> Any:
    return next((each.device for each in module.parameters()), "cpu")


def _dtype(module: Any) -> str:
    kind = str(next((each.dtype for each in module.parameters()), "torch.float32")).removeprefix("torch.")
    return kind if kind in ("float16", "float32", "float64") else "float32"


def _facts(module: Any) -> dict[str, Fact]:
    """Read what timm writes onto its models."""
    said = getattr(module, "pretrained_cfg", None) or getattr(module, "default_cfg", None)
    if not isinstance(said, dict):
        return {}
    reason = "the module's pretrained_cfg"
    facts: dict[str, Fact] = {}
    for name in ("mean", "std"):
        if said.get(name) is not None:
            facts[name] = Fact(tuple(said[name]), reason)
            facts["value_range"] = Fact((0.0, 1.0), reason)
    if said.get("interpolation") in ("bilinear", "bicubic", "nearest", "lanczos"):
        facts["filter"] = Fact(said["interpolation"], reason)
    size = said.get("input_size")
    if size is not None and len(size) == 3:
        facts["size"] = Fact(tuple(size[1:]), reason)
        if said.get("crop_pct"):
            facts["shorter_side"] = Fact(round(min(size[1:]) / said["crop_pct"]), reason)
    return facts
