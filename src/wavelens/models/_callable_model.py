"""Any function as a classifier without a gradient."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from wavelens.exceptions import ModelError
from wavelens.models._model import Array, Model

__all__ = ["CallableModel"]


@dataclass(eq=False, kw_only=True)
class CallableModel(Model):
    """A function from a batch of images to an array (n, n_outputs), see `Model`.

    Attributes
    ----------
    function : callable
        Gets what `preprocessing` makes of the images: by default NCHW float32 on the scale 0–1.
    """

    function: Callable[[Array], Any] = field(repr=False)

    def run(self, batch: Array) -> Array:
        """See `Model.run`."""
        outputs = np.asarray(self.function(batch))
        if outputs.ndim != 2 or len(outputs) != len(batch) or outputs.dtype.kind not in "fiub":
            raise ModelError(
                f"{self.name}: expected numbers of shape ({len(batch)}, classes) for {len(batch)} images, got "
                f"{outputs.dtype} of shape {outputs.shape}"
            )
        return outputs
