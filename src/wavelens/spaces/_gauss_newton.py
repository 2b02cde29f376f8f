"""Least-norm Gauss–Newton: inputs whose outputs are given, many at once.

For a network f with fewer outputs than inputs, f(x) = t has many solutions. A step x ← x + J⁺(t − f(x)) solves the
linearized equations, and among all their solutions takes the one nearest to x; near a solution the error squares
itself with each step, so that 1e-10 takes a few. J⁺ comes from the SVD of J (m × n, m outputs), never from JJᵀ,
which would square its condition number.

Where a step does not lead down it is damped (Levenberg–Marquardt): J⁺ becomes V Σ(Σ² + μ)⁻¹Uᵀ, which turns from the
Gauss–Newton step (μ = 0) to a short step along the gradient; the SVD serves for every μ. Within bounds the step is
that of the linearized problem with bounds: entries that it would push out are fixed at their bounds, the rest makes
up for them, until none is pushed out; entries that lie on a bound and are pushed outwards by the gradient stay.

A step may land where an activation is flat (tanh at 10), from where no slope leads back. Targets not reached because of
that are sought a second time by continuation, from the first outputs straight to the target in `STAGES` short ways,
each a few steps: the outputs then go from one to the other without detours.

A target that cannot be reached ends at a point where no small change brings the outputs nearer: the projection of
Jᵀ(t − f(x)) on the free entries is zero. Cost of a step and input: one Jacobian and O(m²n).

Least-norm steps: Ben-Israel (1966), A Newton–Raphson method for the solution of systems of equations; damping:
Nielsen (1999), Damping parameter in Marquardt's method.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.linalg import lapack

from wavelens._threads import blas_threads
from wavelens.spaces._lengths import ScaledMap, far_exponents, lengths
from wavelens.spaces._smooth_maps import SmoothMap

__all__ = ["Solutions", "gauss_newton"]

Array = npt.NDArray[Any]
Progress = Callable[[int], object]
# Jacobians of this many bytes at a time; one larger than the second is refused.
AT_ONCE, LARGEST = 2**27, 2**31
TRIES = 14
# A step must bring this share of what the linearized problem promises.
LEAST_GAIN, STATIONARY = 1e-4, 1e-7
# So many steps in a row that bring next to nothing end the search.
PATIENCE, NOTHING = 5, 1e-6
STAGES, STEPS_A_STAGE, FLAT = 10, 3, 1e-3
FIELDS = ("x", "outputs", "distances", "tolerances", "steps", "endings", "flat")


@dataclass(frozen=True, eq=False)
class Solutions:
    """What the search found for each row.

    Attributes
    ----------
    x : ndarray of float64, shape (n, n_inputs)
        The inputs.
    outputs : ndarray of float64, shape (n, n_outputs)
        Of these.
    distances : ndarray of float64, shape (n,)
        Between outputs and targets.
    tolerances : ndarray of float64, shape (n,)
        Up to which distance a target counts as reached.
    steps : ndarray of int64, shape (n,)
        Jacobians computed.
    endings : ndarray of str, shape (n,)
        ``"reached"``; ``"stationary"``, where the gradient within the bounds is zero; ``"stalled"``, where steps bring
        nothing more though it is not (at a kink of an activation, or at the edge of rounding); ``"max_steps"``.
    flat : ndarray of bool, shape (n,)
        Whether some output has lost its slope on the way.
    """

    x: Array
    outputs: Array
    distances: Array
    tolerances: Array
    steps: npt.NDArray[np.int64]
    endings: npt.NDArray[np.str_]
    flat: npt.NDArray[np.bool_]

    @property
    def reached(self) -> npt.NDArray[np.bool_]:
        """Which targets are reached."""
        return self.distances <= self.tolerances

    def scaled(self, exponent: int) -> Solutions:
        """Return them as of a map whose outputs are 2 to the `exponent` times these.

        Parameters
        ----------
        exponent : int
            Of two.

        Returns
        -------
        Solutions
        """
        names = ("outputs", "distances", "tolerances")
        with np.errstate(over="ignore", under="ignore"):
            return replace(self, **{each: np.ldexp(getattr(self, each), exponent) for each in names})

    def replace_nearer(self, rows: Array, other: Solutions) -> None:
        """Take over what a second search from the same targets found nearer; its steps are added in any case.

        Parameters
        ----------
        rows : ndarray of int64
            Which rows it was for.
        other : Solutions
            What it found.
        """
        nearer = other.distances < self.distances[rows]
        for name in set(FIELDS) - {"steps"}:
            getattr(self, name)[rows[nearer]] = getattr(other, name)[nearer]
        self.steps[rows] += other.steps


def gauss_newton(
    net: SmoothMap,
    targets: Array,
    start: Array,
    low: Array,
    high: Array,
    *,
    rtol: float,
    max_steps: int,
    progress: Progress | None = None,
) -> Solutions:
    """Search inputs with given outputs.

    Parameters
    ----------
    net : SmoothMap
        The network.
    targets : ndarray of float64, shape (n, n_outputs)
        The outputs.
    start : ndarray of float64, shape (n, n_inputs)
        Where to begin; moved into the bounds.
    low, high : ndarray of float64, shape (n_inputs,)
        Bounds, infinite for none.
    rtol : float
        A target counts as reached at this share of its length (or of the first outputs' length, if that is larger).
    max_steps : int
        At most so many, twice where the target is not reached at once.
    progress : callable, optional
        Is called with the number of rows that are done.

    Returns
    -------
    Solutions

    Raises
    ------
    MemoryError
        If one Jacobian takes more than 2 GiB.
    """
    low, high = np.maximum(low, -net.farthest), np.minimum(high, net.farthest)
    bytes_each = 8 * net.n_outputs * net.n_inputs
    if bytes_each > LARGEST:
        raise MemoryError(
            f"the Jacobian of {net.name} has {net.n_outputs} × {net.n_inputs} entries, "
            f"{bytes_each / 2**30:.1f} GiB: too large for Gauss–Newton; train with 'adam', which needs none"
        )
    with np.errstate(over="ignore", invalid="ignore"):
        exponents = far_exponents(targets, net.values(np.clip(start[:1], low, high)))
    parts, order = [], []
    for exponent in np.unique(exponents).tolist():
        # Squares of outputs as far from 1 as these would leave the range, and nothing more be found or told.
        rows = np.flatnonzero(exponents == exponent)
        seen, scaled = (
            (ScaledMap(net, -exponent), np.ldexp(targets, -exponent)) if exponent else (net, targets)
        )
        with np.errstate(all="ignore" if exponent else None):
            found = _in_chunks(seen, scaled[rows], start[rows], low, high, rtol, max_steps, progress)
        parts.append(found.scaled(exponent) if exponent else found)
        order.append(rows)
    return _joined(parts, np.argsort(np.concatenate(order)))


def _joined(parts: list[Solutions], order: Any = slice(None)) -> Solutions:
    return Solutions(
        **{each: np.concatenate([getattr(part, each) for part in parts])[order] for each in FIELDS}
    )


def _in_chunks(
    net: SmoothMap,
    targets: Array,
    start: Array,
    low: Array,
    high: Array,
    rtol: float,
    max_steps: int,
    progress: Progress | None,
) -> Solutions:
    # The SVD of each row is kept beside its Jacobian.
    size, parts = max(1, AT_ONCE // (3 * 8 * net.n_outputs * net.n_inputs)), []
    for first in range(0, len(targets), size):
        rows = slice(first, first + size)
        found = _Search(net, targets[rows], start[rows], low, high, rtol).run(max_steps)
        again = np.flatnonzero(~found.reached & found.flat)
        if len(again):
            here = _by_stages(net, targets[rows][again], start[rows][again], low, high, rtol, max_steps)
            found.replace_nearer(again, here)
        parts.append(found)
        if progress is not None:
            progress(len(found.x))
    return _joined(parts)


def _by_stages(
    net: SmoothMap, targets: Array, start: Array, low: Array, high: Array, rtol: float, max_steps: int
) -> Solutions:
    x = np.clip(start, low, high)
    first = net.values(x)
    steps = np.zeros(len(x), np.int64)
    few = min(STEPS_A_STAGE, max_steps)
    for stage in range(1, STAGES):
        way = _Search(net, first + stage / STAGES * (targets - first), x, low, high, 1e-3).run(few)
        x, steps = way.x, steps + way.steps
    found = _Search(net, targets, x, low, high, rtol).run(max_steps)
    found.steps[:] += steps
    return found


class _Search:
    """The rows that are worked on together: the network sees them as one batch, all else is each row's own."""

    def __init__(
        self, net: SmoothMap, targets: Array, start: Array, low: Array, high: Array, rtol: float
    ) -> None:
        self.net, self.targets, self.low, self.high = net, targets, low, high
        n = len(targets)
        self.x = np.clip(start, low, high)
        with np.errstate(over="ignore", invalid="ignore"):
            self.y = net.values(self.x)
        self.distances = self._distance(self.y, targets)
        # A target of zero has no length of its own to be measured by.
        self.tolerances = rtol * np.maximum(lengths(targets), lengths(self.y))
        self.steps = np.zeros(n, np.int64)
        self.endings = np.full(n, "max_steps", "<U10")
        self.damping = np.zeros(n)
        self.idle = np.zeros(n, np.int64)
        self.polished = self.distances == 0
        self.first_gradient = np.full(n, np.nan)
        self.first_slopes = np.full((n, net.n_outputs), np.nan)
        self.flat = np.zeros(n, bool)

    def run(self, max_steps: int) -> Solutions:
        """Take steps until each row is done."""
        still = np.flatnonzero(~self.polished & np.isfinite(self.distances))
        for _ in range(max_steps):
            if not len(still):
                break
            still = self._step(still)
        self.endings[self.distances <= self.tolerances] = "reached"
        return Solutions(self.x, self.y, self.distances, self.tolerances, self.steps, self.endings, self.flat)

    def _step(self, rows: Array) -> Array:
        """Take one step in each of these rows; return those that are not done."""
        jacobians = self.net.jacobian(self.x[rows])
        self.steps[rows] += 1
        planes: dict[int, _Linearized] = {}
        reached = self.distances <= self.tolerances
        for i, jacobian in zip(rows, jacobians, strict=True):
            plane = _Linearized(jacobian, self.targets[i] - self.y[i], self.x[i], self.low, self.high)
            if np.isnan(self.first_gradient[i]):
                self.first_gradient[i], self.first_slopes[i] = plane.gradient, plane.slopes
            self.flat[i] = (plane.slopes < FLAT * self.first_slopes[i]).any()
            if not reached[i] and plane.is_stationary(self.first_gradient[i]):
                self.endings[i] = "stationary"
            else:
                planes[int(i)] = plane
        before = self.distances.copy()
        stuck = self._descend(planes)
        for i in planes:
            gained = before[i] - self.distances[i]
            self.idle[i] = self.idle[i] + 1 if gained <= NOTHING * before[i] else 0
            # One step more than needed costs little, and goes from 1e-10 to rounding.
            self.polished[i] = reached[i] or self.distances[i] == 0
            if i in stuck or self.idle[i] >= PATIENCE:
                self.endings[i] = "stalled"
        done = self.polished | (self.endings == "stalled")
        return np.array([i for i in planes if not done[i]], dtype=np.int64)

    def _descend(self, planes: dict[int, _Linearized]) -> set[int]:
        """Move each row down, damping until it works; return those where nothing works."""
        waiting = dict(planes)
        for _ in range(TRIES):
            if not waiting:
                break
            rows = list(waiting)
            moves = np.stack([waiting[i].step(self.damping[i]) for i in rows])
            # Rounding may put an entry a hair beyond its bound.
            tried = np.clip(self.x[rows] + moves, self.low, self.high)
            with np.errstate(over="ignore", invalid="ignore"):
                y = self.net.values(tried)
            distances = self._distance(y, self.targets[rows])
            for k, i in enumerate(rows):
                plane = waiting[i]
                gain = plane.gain(self.distances[i], distances[k], moves[k])
                top = float(plane.sigma[0]) ** 2
                if gain > LEAST_GAIN:
                    self.x[i], self.y[i], self.distances[i] = tried[k], y[k], distances[k]
                    softer = self.damping[i] * (0.1 if gain > 0.5 else 1.0 if gain > 0.1 else 4.0)
                    self.damping[i] = softer if softer > 1e-10 * top else 0.0
                    if gain < 0.1 and softer == 0:
                        self.damping[i] = 1e-4 * top
                    del waiting[i]
                elif self.distances[i] <= self.tolerances[i]:
                    del waiting[i]  # as near as rounding allows
                else:
                    self.damping[i] = max(10 * self.damping[i], 1e-6 * top)
        return set(waiting)

    @staticmethod
    def _distance(y: Array, targets: Array) -> Array:
        with np.errstate(over="ignore", invalid="ignore"):
            distances = lengths(y - targets)
        return np.where(np.isfinite(distances), distances, np.inf)


class _Linearized:
    """The problem of one row, linearized: find a step s of least norm with J s = r, x + s within bounds."""

    def __init__(self, jacobian: Array, rest: Array, x: Array, low: Array, high: Array) -> None:
        self.jacobian, self.rest = jacobian, rest
        self.room_down, self.room_up = low - x, high - x
        self.slopes = np.sqrt(np.einsum("ij,ij->i", jacobian, jacobian))
        down = _times(jacobian.T, rest)
        # What lies on a bound and is pushed outwards stays.
        self.free = ~(((self.room_down >= 0) & (down <= 0)) | ((self.room_up <= 0) & (down >= 0)))
        self.gradient = float(np.linalg.norm(down[self.free]))
        self.bounded = bool(np.isfinite(self.room_down).any() or np.isfinite(self.room_up).any())
        self.u, self.sigma, self.v = _svd(jacobian if self.free.all() else jacobian[:, self.free])

    def is_stationary(self, first: float) -> bool:
        """Tell whether no small step leads down; `first` is the gradient's length at the beginning."""
        slope = float(self.sigma[0]) * float(np.linalg.norm(self.rest))
        return self.gradient <= STATIONARY * slope or self.gradient <= 1e-14 * first

    def step(self, damping: float) -> Array:
        """Return the step."""
        step = np.zeros(len(self.free))
        free, rest = self.free, self.rest
        u, sigma, v = self.u, self.sigma, self.v
        while True:
            step[free] = _least_norm(u, sigma, v, rest, damping)
            if not self.bounded:
                return step
            out = free & ((step < self.room_down) | (step > self.room_up))
            if not out.any():
                return step
            # Each round fixes at least one entry for good: it ends.
            step[out] = np.clip(step[out], self.room_down[out], self.room_up[out])
            rest = rest - _times(self.jacobian[:, out], step[out])
            free = free & ~out
            if not free.any():
                return step
            u, sigma, v = _svd(self.jacobian[:, free])

    def gain(self, before: float, after: float, step: Array) -> float:
        """Return the decrease of the squared distance as a share of what the linearized problem promises."""
        left = float(np.linalg.norm(self.rest - _times(self.jacobian, step)))
        promised = (before - left) * (before + left)
        if not promised > 0 or not np.isfinite(after):
            return -1.0
        return (before - after) * (before + after) / promised


def _least_norm(u: Array, sigma: Array, v: Array, rest: Array, damping: float) -> Array:
    """Return V Σ(Σ² + μ)⁻¹Uᵀ r; without damping the pseudoinverse, singular values of rounding left out."""
    kept = sigma > sigma[0] * max(len(u), len(v)) * np.finfo(np.float64).eps
    if not kept.any():
        return np.zeros(len(v))
    c = _times(u.T, rest)[kept]
    s = sigma[kept]
    return _times(v[:, kept], c * (s / (s * s + damping)))


def _svd(a: Array) -> tuple[Array, Array, Array]:
    """Return U, σ, V of a = U diag(σ) Vᵀ; the transpose of a row-major matrix is what LAPACK takes uncopied."""
    if a.shape[1] == 0:  # every entry lies on a bound
        return np.zeros((len(a), 1)), np.zeros(1), np.zeros((0, 1))
    with blas_threads(1):
        v, sigma, ut, info = lapack.dgesdd(np.ascontiguousarray(a).T, full_matrices=0)
    if info != 0:
        raise ArithmeticError(
            "the singular values of a Jacobian do not converge; is the network finite there?"
        )
    return ut.T, sigma, v


def _times(a: Array, x: Array) -> Array:
    # einsum calls no BLAS of NumPy's own, whose threads would fight over products as small as these.
    product: Array = np.einsum("ij,j->i", a, x)
    return product
