"""What a convolution is given, checked: its kernels and its geometry."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from wavelens._arguments import FloatArray, as_array, check_choice, check_integer
from wavelens.models import WeightLayer
from wavelens.spaces._conv_operator import Geometry

__all__ = ["as_layer", "checked_geometry", "checked_kernels"]

_PADDINGS = '"circular", "zero", "valid", an integer, two, or ((top, bottom), (left, right))'


def checked_kernels(kernels: npt.ArrayLike) -> FloatArray:
    """Return kernels (c_out, c_in/groups, kh, kw), finite, in float32 or float64."""
    array = as_array(kernels, "kernels")
    if array.dtype.kind not in "fiub":
        raise TypeError(f"`kernels` must hold real numbers, got dtype {array.dtype}")
    if array.ndim != 4 or array.size == 0:
        raise ValueError(
            f"`kernels` must have shape (c_out, c_in/groups, height, width), none of them 0, got {array.shape}"
        )
    single = array.dtype.newbyteorder("=") in (np.float16, np.float32)
    found: FloatArray = np.ascontiguousarray(array, dtype=np.float32 if single else np.float64)
    if not np.isfinite(found).all():
        place = tuple(map(int, np.argwhere(~np.isfinite(found))[0]))
        raise ValueError(f"`kernels` must be finite, got {found[place]} at {place}")
    return found


def checked_geometry(
    kernels: FloatArray,
    input_shape: Sequence[int],
    stride: int | Sequence[int],
    padding: str | int | Sequence[Any],
    dilation: int | Sequence[int],
    groups: int,
) -> Geometry:
    """Return the geometry, in which everything fits together."""
    if isinstance(input_shape, str) or not isinstance(input_shape, Sequence | np.ndarray):
        raise TypeError(f"`input_shape` must be (channels, height, width), got {input_shape!r}")
    sizes = tuple(check_integer(each, "input_shape", low=1) for each in input_shape)
    if len(sizes) != 3:
        raise ValueError(f"`input_shape` must be (channels, height, width), got {sizes}")
    count = check_integer(groups, "groups", low=1)
    if kernels.shape[1] * count != sizes[0] or kernels.shape[0] % count:
        raise ValueError(
            f"`kernels` of shape {kernels.shape} with groups={count} see {kernels.shape[1] * count} channels "
            f"and make a multiple of {count}, got {sizes[0]} channels in `input_shape` and {len(kernels)} out"
        )
    steps = _pair(dilation, "dilation", 1)
    spans = [(taps - 1) * step for taps, step in zip(kernels.shape[2:], steps, strict=True)]
    geometry = Geometry(
        kernels=kernels.shape,
        input_shape=(sizes[0], sizes[1], sizes[2]),
        stride=_pair(stride, "stride", 1),
        padding=_padding(padding, spans),
        dilation=steps,
        groups=count,
        circular=isinstance(padding, str) and padding == "circular",
    )
    if min(geometry.output_shape) < 1:
        raise ValueError(
            f"kernels that reach over {geometry.reach} pixels are larger than the padded input, "
            f"{sizes[1:]} with padding {geometry.padding}"
        )
    return geometry


def _pair(value: object, name: str, low: int) -> tuple[int, int]:
    values = [value, value] if isinstance(value, int | float | np.number) else _listed(value)
    if len(values) != 2:
        raise ValueError(f"`{name}` must be an integer or two, of rows and columns, got {value!r}")
    return check_integer(values[0], name, low=low), check_integer(values[1], name, low=low)


def _padding(padding: object, spans: list[int]) -> tuple[tuple[int, int], tuple[int, int]]:
    if isinstance(padding, str):
        if check_choice(padding, "padding", ("circular", "zero", "valid")) == "valid":
            return (0, 0), (0, 0)
        before = [span // 2 for span in spans]
        return (before[0], spans[0] - before[0]), (before[1], spans[1] - before[1])
    values = [padding, padding] if isinstance(padding, int | float | np.number) else _listed(padding)
    if len(values) != 2:
        raise ValueError(f"`padding` must be {_PADDINGS}, got {padding!r}")
    return _pair(values[0], "padding", 0), _pair(values[1], "padding", 0)


def _listed(value: object) -> list[Any]:
    """Return the entries of a sequence; none of anything else, whose refusal names it."""
    return list(value) if isinstance(value, Sequence | np.ndarray) and not isinstance(value, str) else []


def as_layer(kernels: FloatArray, geometry: Geometry) -> WeightLayer:
    """Return the same as a layer of a network."""
    return WeightLayer(
        name="convolution",
        kind="convolution",
        weights=kernels,
        stride=geometry.stride,
        padding=(*geometry.padding[0], *geometry.padding[1]),
        padding_mode="circular" if geometry.circular else "zeros",
        dilation=geometry.dilation,
        groups=geometry.groups,
    )
