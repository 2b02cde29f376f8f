"""A convolution from its definition: one output pixel, one tap after another."""

from __future__ import annotations

import numpy as np


def matrix(kernels, input_shape, stride, before, out_size, dilation, groups, *, circular):
    """The (n_out, n_in) matrix; `before` pads at the start of either axis, `out_size` is (height, width)."""
    c_out, per_group, kh, kw = kernels.shape
    channels, height, width = input_shape
    dense = np.zeros((c_out, *out_size, channels, height, width))
    for o, p, q, c, a, b in np.ndindex(c_out, *out_size, per_group, kh, kw):
        i = p * stride[0] + a * dilation[0] - before[0]
        j = q * stride[1] + b * dilation[1] - before[1]
        if circular:
            i, j = i % height, j % width
        if 0 <= i < height and 0 <= j < width:
            group = o // (c_out // groups)
            dense[o, p, q, group * per_group + c, i, j] += kernels[o, c, a, b]
    return dense.reshape(c_out * out_size[0] * out_size[1], -1)
