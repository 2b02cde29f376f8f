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


def companions(c: npt.ArrayLike, n: int = 4) -> Companions:
    """Compose each row of a positive semidefinite matrix of few others, chosen one after another.

    Parameters
    ----------
    c : (m, m) array_like
        Inner products of classes, as `class_covariance` gives.
    n : int, default 4
        How many others, at most m − 1.

    Returns
    -------
    Companions

    Raises
    ------
    ValueError
        If the matrix is not square, symmetric and finite, or `n` is out of range.

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
    indices = np.full((m, n), -1, dtype=np.intp)
    weights, left = np.zeros((m, n)), np.ones(m)
    with blas_threads(1):
        for i in range(m):
            chosen, left[i] = _choose(matrix, i, n)
            if chosen:
                indices[i, : len(chosen)] = chosen
                block = matrix[np.ix_(chosen, chosen)]
                weights[i, : len(chosen)] = np.linalg.lstsq(block, matrix[chosen, i], rcond=None)[0]
    return Companions(indices, weights, left)


def _choose(c: Float64Array, i: int, n: int) -> tuple[list[int], float]:
    """Return the rows that compose row i, and the share they leave."""
    energy = float(c[i, i])
    if energy <= 0:
        return [], 0.0
    # What is left of the other rows and of their products with row i, once the chosen ones are taken out.
    pivots, products = np.diagonal(c).copy(), c[:, i].copy()
    floor = len(c) * np.finfo(np.float64).eps * np.maximum(pivots, 0)
    pivots[i] = 0
    rest = energy
    chosen: list[int] = []
    columns: list[Float64Array] = []
    for _ in range(n):
        gains = np.divide(np.square(products), pivots, out=np.zeros(len(c)), where=pivots > floor)
        best = int(gains.argmax())
        if gains[best] <= _rounding * energy:
            break
        column = c[:, best].copy()
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
