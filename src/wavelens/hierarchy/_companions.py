"""Which few classes compose each class best, and what they leave of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from wavelens._arguments import check_integer
from wavelens._threads import blas_threads
from wavelens.hierarchy._features import Float64Array, IntArray
from wavelens.hierarchy._symmetric import as_symmetric

__all__ = ["Companions", "companions"]

_rounding = 1e-9


@dataclass(frozen=True, eq=False)
class Companions:
    """What few other classes make of each class; made by `companions`.

    Attributes
    ----------
    indices : (m, n) array of intp
        The classes that compose it, the most helpful first; −1 where no more help.
    weights : (m, n) array of float64
        With which weights (least squares); 0 where there is none.
    left : (m,) array of float64
        Energy they leave, over all of the class's energy; from 0 to 1.
    """

    indices: IntArray
    weights: Float64Array
    left: Float64Array


def companions(c: npt.ArrayLike, n: int = 4, *, counts: npt.ArrayLike | None = None) -> Companions:
    """Compose each row of a positive semidefinite matrix of few others, chosen one after another.

    Parameters
    ----------
    c : (m, m) array_like
        Inner products of classes, as `class_covariance` gives.
    n : int, default 4
        How many others, at most m − 1.
    counts : (m,) array_like, optional
        Images of each class, where the rows of `c` are about the mean of all images (`center=True`). Each class
        is then seen from the mean of the other classes' images. From the mean of all it would be composed of
        the others by definition, for centred rows add up to nothing.

    Returns
    -------
    Companions

    Raises
    ------
    ValueError
        If the matrix is not square, symmetric and finite, `n` is out of range, or `counts` are not m positive
        numbers.

    Notes
    -----
    Orthogonal least squares: each choice is the one that leaves the least. O(m² n²) for all rows together.

    Examples
    --------
    >>> import numpy as np
    >>> from wavelens.hierarchy import companions
    >>> means = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [2.0, 3.0, 0.0], [0.0, 0.0, 1.0]])
    >>> found = companions(means @ means.T, 2)
    >>> found.indices[2].tolist(), found.weights[2].tolist(), found.left[2].tolist()
    ([1, 0], [3.0, 2.0], 0.0)
    """
    matrix = as_symmetric(c, "c")
    m = len(matrix)
    check_integer(n, "n", low=1, high=m - 1, why=f"`c` has {m} rows")
    shifts = np.zeros(m) if counts is None else _shifts(counts, m)
    indices = np.full((m, n), -1, dtype=np.intp)
    weights, left = np.zeros((m, n)), np.ones(m)
    with blas_threads(1):
        for i in range(m):
            seen = _Seen(matrix, i, float(shifts[i]))
            chosen, left[i] = _choose(seen, n)
            if chosen:
                indices[i, : len(chosen)] = chosen
                block = np.array([seen.column(j)[chosen] for j in chosen])
                weights[i, : len(chosen)] = np.linalg.lstsq(block, seen.products[chosen], rcond=None)[0]
    return Companions(indices, weights, left)


def _shifts(counts: npt.ArrayLike, m: int) -> Float64Array:
    """Return how far the mean of the others is from that of all, in units of −y_i for class i."""
    numbers = np.asarray(counts, dtype=np.float64)
    if numbers.shape != (m,) or not (numbers > 0).all():
        raise ValueError(f"`counts` must hold {m} positive numbers, got {counts!r}")
    return np.asarray(numbers / (numbers.sum() - numbers))


class _Seen:
    """Products of the rows as class i sees them: z_j = y_j + shift · y_i for inner products c of the y."""

    def __init__(self, c: Float64Array, i: int, shift: float) -> None:
        self.i, self._c, self._shift = i, c, shift
        own = shift * c[:, i]
        self.pivots = np.diagonal(c) + 2 * own + shift**2 * c[i, i]
        self.products = (1 + shift) * (c[:, i] + shift * c[i, i])
        self.energy = (1 + shift) ** 2 * float(c[i, i])

    def column(self, j: int) -> Float64Array:
        """Return the products with row j."""
        c, i, shift = self._c, self.i, self._shift
        return np.asarray(c[:, j] + shift * (c[:, i] + c[i, j]) + shift**2 * c[i, i])


def _choose(seen: _Seen, n: int) -> tuple[list[int], float]:
    """Return the rows that compose row i, and the share they leave."""
    i, energy = seen.i, seen.energy
    if energy <= 0:
        return [], 0.0
    # What is left of the other rows and of their products with row i, once the chosen ones are taken out.
    pivots, products = seen.pivots.copy(), seen.products.copy()
    floor = len(pivots) * np.finfo(np.float64).eps * np.maximum(pivots, 0)
    pivots[i] = 0
    rest = energy
    chosen: list[int] = []
    columns: list[Float64Array] = []
    for _ in range(n):
        gains = np.divide(np.square(products), pivots, out=np.zeros(len(pivots)), where=pivots > floor)
        best = int(gains.argmax())
        if gains[best] <= _rounding * energy:
            break
        column = seen.column(best)
        for each in columns:
            column -= each * each[best]
        column /= np.sqrt(pivots[best])
        weight = products[best] / np.sqrt(pivots[best])
        products -= weight * column
        pivots -= np.square(column)
        pivots[[i, *chosen, best]] = 0
        rest -= weight**2
        chosen.append(best)
        columns.append(column)
    return chosen, float(np.clip(rest / energy, 0, 1))
