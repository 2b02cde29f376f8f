"""``.onnx`` files as classifiers: with a gradient through onnx2torch, without one through onnxruntime.

onnx2torch turns the graph into torch modules. It imports torchvision, which it needs for two operators of object
detectors (non-maximum suppression, RoI align) and for nothing else; and torchvision insists on a torch of exactly
its own version. So it is not among this package's dependencies: where it is installed without torchvision, an
empty stand-in takes torchvision's place during the import, and is gone afterwards.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from wavelens.exceptions import ModelError
from wavelens.models._model import Array, Model
from wavelens.models._onnx import OnnxNetwork
from wavelens.models._torch_model import quiet

__all__ = ["OnnxModel", "convert_onnx", "missing_for_gradients"]

INSTALL = 'pip install "wavelens[torch,onnx]" and then pip install --no-deps onnx2torch'
# Between two libraries' float32, as a share of the largest output.
AGREEMENT = 1e-3


@dataclass(eq=False, kw_only=True)
class OnnxModel(Model):
    """A ``.onnx`` file in onnxruntime, see `Model`: predictions alone.

    Attributes
    ----------
    network : OnnxNetwork
        The file, opened.
    output : str
        The one with the classes.
    """

    network: OnnxNetwork = field(repr=False)
    output: str

    def run(self, batch: Array) -> Array:
        """See `Model.run`."""
        values = self.network.run(batch, [self.output])[self.output]
        return values.reshape(len(values), -1)


def missing_for_gradients() -> str:
    """Tell what is missing for gradients of ``.onnx`` files.

    Returns
    -------
    str
        Which packages, and how to install them; empty if nothing is.
    """
    needed = ("torch", "onnx", "onnx2torch")
    missing = [each for each in needed if not _installed(each)]
    if not missing:
        return ""
    return (
        f"gradients of .onnx files need {', '.join(needed)} ({', '.join(missing)} missing here): {INSTALL} "
        "(with its dependencies it would bring torchvision, which is not needed)"
    )


def _installed(name: str) -> bool:
    if name in sys.modules:
        return sys.modules[name] is not None
    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):
        return False


def convert_onnx(path: Path, name: str) -> Any:
    """Turn the file into a torch module, in evaluation mode.

    Parameters
    ----------
    path : Path
        Of the file.
    name : str
        For errors.

    Returns
    -------
    torch.nn.Module

    Raises
    ------
    ImportError
        If onnx2torch, onnx or torch is missing.
    ModelError
        If onnx2torch does not know an operator of the file.
    """
    missing = missing_for_gradients()
    if missing:
        raise ImportError(missing)
    with quiet():
        with _without_torchvision():
            import onnx2torch
        try:
            return onnx2torch.convert(str(path)).eval()
        except NotImplementedError as error:
            operator = _operator_in(str(error))
            raise ModelError(
                f"{name}: onnx2torch does not know its operator {operator}, so there is no gradient; "
                "predictions alone work: open_model(..., gradient=False)"
            ) from error
        except Exception as error:  # whatever else it raises is about this file
            lines = str(error).strip().splitlines() or [type(error).__name__]
            raise ModelError(
                f"{name}: onnx2torch cannot convert it: {lines[0][:300]}; predictions alone work: "
                "open_model(..., gradient=False)"
            ) from error


def check_conversion(name: str, converted: Array, original: Array) -> None:
    """Refuse a conversion that answers differently.

    Parameters
    ----------
    name : str
        For the error.
    converted, original : ndarray
        The same images' outputs, from torch and from onnxruntime.
    """
    scale = float(np.abs(original).max(initial=0.0))
    apart = float(np.abs(converted - original).max(initial=0.0))
    if converted.shape != original.shape or not apart <= AGREEMENT * scale + 1e-5:
        raise ModelError(
            f"{name}: onnx2torch's conversion answers differently from onnxruntime (by {apart:.3g}, where "
            f"outputs reach {scale:.3g}), so its gradient would be wrong; predictions alone work: "
            "open_model(..., gradient=False)"
        )


@contextmanager
def _without_torchvision() -> Iterator[None]:
    """Import onnx2torch without torchvision, if that is missing; no trace of the stand-in is left."""
    if _installed("torchvision"):
        yield
        return

    def needs_torchvision(*_: Any, **__: Any) -> Any:
        raise ModelError("this network has operators of object detection, which need torchvision")

    torchvision, ops = ModuleType("torchvision"), ModuleType("torchvision.ops")
    for each in ("roi_align", "nms", "box_convert"):
        setattr(ops, each, needs_torchvision)
    torchvision.ops = ops  # type: ignore[attr-defined]
    sys.modules |= {"torchvision": torchvision, "torchvision.ops": ops}
    try:
        yield
    finally:
        for each in ("torchvision", "torchvision.ops"):
            sys.modules.pop(each, None)


def _operator_in(message: str) -> str:
    _, found, rest = message.partition("operation_type='")
    return f"{rest.partition(chr(39))[0]!r}" if found else f"({message.strip()[:200]})"
