"""A mask's step from its definition, in float64: noise, mixing, gradient, projected update."""

from __future__ import annotations

import numpy as np

_rotations = ((10, 26), (11, 21), (13, 27), (23, 5), (6, 20), (17, 11), (25, 10), (18, 20))


def threefry4x32(counter, key, rounds=20):
    """Threefry of Salmon et al. (2011): counter and key are sequences of four arrays of uint32."""
    with np.errstate(over="ignore"):
        keys = [np.uint32(each) for each in key]
        keys.append(np.uint32(0x1BD11BDA) ^ keys[0] ^ keys[1] ^ keys[2] ^ keys[3])
        x = [np.asarray(c, dtype=np.uint32) + k for c, k in zip(counter, keys, strict=False)]
        for r in range(rounds):
            first, second = _rotations[r % 8]
            b, d = (1, 3) if r % 2 == 0 else (3, 1)
            for a, other, count in ((0, b, first), (2, d, second)):
                x[a] = x[a] + x[other]
                x[other] = (x[other] << np.uint32(count)) | (x[other] >> np.uint32(32 - count))
                x[other] = x[other] ^ x[a]
            if r % 4 == 3:
                time = r // 4 + 1
                x = [each + keys[(time + i) % 5] for i, each in enumerate(x)]
                x[3] = x[3] + np.uint32(time)
    return x


def normals(seed, image, stream, sample, channel, n):
    """Box and Muller: coefficient 16·w + j of a block of 64 is number w of the block's output j."""
    outputs = np.arange(-(-n // 64) * 16, dtype=np.uint32)
    key = (seed & 0xFFFFFFFF, seed >> 32, image, stream)
    counter = (outputs, np.zeros_like(outputs), np.full_like(outputs, channel), np.full_like(outputs, sample))
    w = threefry4x32(counter, key)
    numbers = []
    for size, turn in ((w[0], w[1]), (w[2], w[3])):
        u = ((size >> np.uint32(1)) + 0.5) * 2.0**-31
        # The quarter's middle is where the angle is counted from: 45 degrees more than the word says.
        angle = ((turn >> np.uint32(6)) + 0.5) * (2 * np.pi * 2.0**-26) - np.pi / 4
        radius = np.sqrt(-2 * np.log(u))
        numbers += [radius * np.cos(angle), radius * np.sin(angle)]
    return np.stack(numbers).reshape(4, -1, 16).transpose(1, 0, 2).ravel()[:n]


def noise(mean, deviation, seed, image, stream, samples):
    """(samples, channels, k); mean is (channels, k), deviation (channels, k) or None."""
    if deviation is None:
        return np.repeat(mean[None], len(samples), axis=0)
    channels, k = mean.shape
    z = [[normals(seed, image, stream, each, c, k) for c in range(channels)] for each in samples]
    return mean + deviation * np.array(z)


def mix(mask, h, v):
    return mask * h + (1 - mask) * v


def reduce(h, v, g):
    return (g * (h - v)).sum(axis=(0, 1))


def adam(mask, free, first, second, g, t, rate, beta1, beta2, epsilon, slack):
    """One step of Adam on `free`, projected onto [-slack, 1 + slack]; the mask is its projection onto [0, 1]."""
    first = beta1 * first + (1 - beta1) * g
    second = beta2 * second + (1 - beta2) * g**2
    step = (first / (1 - beta1**t)) / (np.sqrt(second / (1 - beta2**t)) + epsilon)
    free = np.clip(free - rate * step, -slack, 1 + slack)
    return np.clip(free, 0, 1), free, first, second
