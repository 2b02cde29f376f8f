"""The wavelet transform as matrices, from the definition: extend, convolve, keep every second entry.

One level along one side is a matrix; an image's level is that matrix on its columns and on its rows.
"""

from __future__ import annotations

import numpy as np


def extension(n, first, last, mode):
    """Matrix (last - first, n) that takes a signal of n entries to its entries first … last - 1."""
    matrix = np.zeros((last - first, n))
    for row, e in enumerate(range(first, last)):
        if 0 <= e < n:
            matrix[row, e] = 1
        elif mode == "constant":
            matrix[row, min(max(e, 0), n - 1)] = 1
        elif mode == "periodic":
            matrix[row, e % n] = 1
        elif mode in ("symmetric", "antisymmetric"):  # the edge lies between two entries
            turn, place = divmod(e, n)
            sign = -1 if mode == "antisymmetric" and turn % 2 else 1
            matrix[row, place if turn % 2 == 0 else n - 1 - place] = sign
        elif mode == "reflect":  # the edge is an entry
            place = e % (2 * n - 2) if n > 1 else 0
            matrix[row, min(place, 2 * n - 2 - place)] = 1
        elif mode == "antireflect" and n > 1:  # the same, turned by half a turn about the edge's value
            turn, place = divmod(e, 2 * n - 2)
            if place < n:
                matrix[row, place] += 1
            else:
                matrix[row, n - 1] += 2
                matrix[row, 2 * n - 2 - place] -= 1
            matrix[row, n - 1] += 2 * turn
            matrix[row, 0] -= 2 * turn
        elif mode == "smooth" and n > 1:  # a straight line through the last two entries
            edge, inner, beyond = (0, 1, -e) if e < 0 else (n - 1, n - 2, e - n + 1)
            matrix[row, edge] += 1 + beyond
            matrix[row, inner] -= beyond
        elif mode == "periodization":  # an odd number of entries is made even by the last one again
            matrix[row, min(e % (n + n % 2), n - 1)] = 1
        elif mode != "zero":
            matrix[row, 0] = 1
    return matrix


def n_coefficients(n, length, mode):
    return (n + 1) // 2 if mode == "periodization" else (n + length - 1) // 2


def analysis(n, taps, mode):
    """Matrix (coefficients, n): c[k] = sum_j taps[j] x[2k + 1 - j], periodised 2k + len(taps)/2 - j."""
    length, count = len(taps), n_coefficients(n, len(taps), mode)
    last = length // 2 if mode == "periodization" else 1
    first = last - length + 1
    convolution = np.zeros((count, 2 * count + length - 2))
    for k in range(count):
        convolution[k, 2 * k : 2 * k + length] = taps[::-1]
    return convolution @ extension(n, first, first + convolution.shape[1], mode)


def synthesis(n, taps, mode):
    """Matrix (n, coefficients): x[i] = sum_k taps[i + o - 2k] c[k], o = len(taps) - 2, periodised len/2 - 1."""
    length, count = len(taps), n_coefficients(n, len(taps), mode)
    matrix = np.zeros((2 * count if mode == "periodization" else n, count))
    offset = length // 2 - 1 if mode == "periodization" else length - 2
    for k in range(count):
        for j in range(length):
            i = 2 * k + j - offset
            if mode == "periodization":
                matrix[i % (2 * count), k] += taps[j]
            elif 0 <= i < n:
                matrix[i, k] += taps[j]
    return matrix[:n]


def forward(image, wavelet, level, mode):
    """Flat coefficients of one image (height, width), in the order of `WaveletTransform`."""
    details = []
    for _ in range(level):
        (low, high), (left, right) = (
            [analysis(n, taps, mode) for taps in (wavelet.dec_lo, wavelet.dec_hi)] for n in image.shape
        )
        details = [high @ image @ left.T, low @ image @ right.T, high @ image @ right.T, *details]
        image = low @ image @ left.T
    return np.concatenate([part.ravel() for part in [image, *details]])


def inverse_matrix(shape, wavelet, level, mode):
    """Matrix (height * width, coefficients) that rebuilds a flat image from its flat coefficients."""
    sizes = [shape]
    for _ in range(level):
        sizes.append(tuple(n_coefficients(n, wavelet.rec_len, mode) for n in sizes[-1]))
    bands = [np.eye(int(np.prod(sizes[-1])))]
    for finer in sizes[-2::-1]:
        (low, high), (left, right) = (
            [synthesis(n, taps, mode) for taps in (wavelet.rec_lo, wavelet.rec_hi)] for n in finer
        )
        bands = [np.kron(low, left) @ band for band in bands]
        bands += [np.kron(high, left), np.kron(low, right), np.kron(high, right)]
    return np.hstack(bands)
