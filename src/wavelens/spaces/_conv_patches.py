"""The patches that a convolution's filters meet, and how much of them the filters reject."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from wavelens.spaces._conv_operator import ConvolutionOperator
from wavelens.spaces._project import working_dtype
from wavelens.spaces._signal_spaces import SignalSpaces

__all__ = ["patch_energy"]


def patch_energy(operator: ConvolutionOperator, images: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Return the rejected share of the energy of every image's patches."""
    g = operator.geometry
    count = g.kernels[0] // g.groups
    spaces = [
        SignalSpaces(operator.kernels[i * count : (i + 1) * count].reshape(count, -1))
        for i in range(g.groups)
    ]
    dtype = working_dtype(images, operator.kernels.dtype)
    shares = np.empty(len(images))
    for i, image in enumerate(images):
        energy = np.zeros(2)
        for group, patches in operator.patches(image[None].astype(dtype)):
            total = np.einsum("ij,ij->j", patches, patches, dtype=np.float64)
            held = total > 0
            if held.any():
                share = spaces[group].energy(patches[:, held].T)
                energy += (share @ total[held], total.sum())
        with np.errstate(invalid="ignore"):
            shares[i] = energy[0] / energy[1]
    return shares
