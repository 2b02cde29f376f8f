"""The inverse map of a network: which input gives these outputs."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from wavelens._arguments import as_array, as_float_matrix, check_choice, check_integer
from wavelens._progress import progress_bar
from wavelens.exceptions import WavelensWarning
from wavelens.spaces._gauss_newton import Solutions, gauss_newton
from wavelens.spaces._layer_arguments import checked_share
from wavelens.spaces._layerwise import OutOfRange, RejectedOut, invert_layerwise
from wavelens.spaces._lengths import lengths
from wavelens.spaces._network_maps import as_chain, as_map
from wavelens.spaces._smooth_maps import SmoothMap

__all__ = ["Inversion", "as_bounds", "attainable", "invert"]

Array = npt.NDArray[Any]


ENDINGS = {
    "stationary": "cannot be reached by small changes: the nearest outputs found are away by",
    "stalled": "not reached, where further steps bring nothing: the nearest outputs found are away by",
    "max_steps": "not reached when the steps ran out, away by",
    "missed": "missed by",
}


@dataclass(frozen=True, eq=False)
class Inversion:
    """Inputs found for given outputs.

    Attributes
    ----------
    inputs : ndarray of float64, shape (n, *input_shape)
        Where `exists` is False: NaN.
    outputs : ndarray of float64, shape (n, n_outputs)
        What the network gives for them.
    targets : ndarray of float64, shape (n, n_outputs)
        What was asked for.
    distances : ndarray of float64, shape (n,)
        The forward error ‖outputs − targets‖; infinite where there is no input.
    reached : ndarray of bool, shape (n,)
        Whether the distance is at most `rtol` times the length of the target (or of the outputs at the start, if that
        is larger). Where it is False the input does *not* have the outputs asked for.
    endings : ndarray of str, shape (n,)
        How each search ended: ``"reached"``; ``"stationary"``, where no small change within the bounds brings the
        outputs nearer, so that `distances` is what is lacking near here; ``"stalled"``, where steps bring nothing more
        though the gradient is not zero (SELU and ReLU have kinks); ``"max_steps"``; and layer by layer ``"missed"``
        and ``"no inverse"``.
    steps : ndarray of int64, shape (n,)
        Of Gauss–Newton; 0 layer by layer.
    method : {"layerwise", "newton"}
        How they were found.
    rtol : float
        What counts as reached; larger than asked for where the network computes in float32.
    out_of_range : tuple of OutOfRange
        Layer by layer: the units that would have to give what their activations cannot give.
    rejected_out : tuple of RejectedOut
        Layer by layer: the layers that cannot give what the next one wants, but only something near.
    """

    inputs: Array
    outputs: Array
    targets: Array
    distances: Array
    reached: npt.NDArray[np.bool_]
    endings: npt.NDArray[np.str_]
    steps: npt.NDArray[np.int64]
    method: str
    rtol: float
    out_of_range: tuple[OutOfRange, ...] = ()
    rejected_out: tuple[RejectedOut, ...] = ()

    @property
    def exists(self) -> npt.NDArray[np.bool_]:
        """Which samples have an input at all."""
        return np.isfinite(self.distances)

    def report(self) -> str:
        """Tell in a few lines what was reached, and where and why not.

        Returns
        -------
        str
        """
        n, good = len(self.reached), int(self.reached.sum())
        how = "layer by layer" if self.method == "layerwise" else "by Gauss–Newton"
        lines = [f"{good} of {n} outputs reached {how} (to {self.rtol:.0e} of their length)"]
        if good:
            lines[0] += f"; forward error at most {self.distances[self.reached].max():.1e}"
            if self.method == "newton":
                lines[0] += f", {np.median(self.steps[self.reached]):g} steps (median)"
        if self.rtol > 1e-8:
            lines.append("the network computes in float32, whose rounding allows no more")
        for ending, text in ENDINGS.items():
            which = self.endings == ending
            if which.any():
                lines.append(f"{_count(which)} {text} {_span(self.distances[which])}")
        if not self.exists.all():
            lines.append(f"{_count(~self.exists)} have no inverse layer by layer, because of:")
            lines += [f"  {each}" for each in _range_lines(self.out_of_range)]
        lines += [
            f"{each.layer} has rank {each.rank} for {each.n_outputs} outputs: {each.n_samples} samples ask for "
            f"what it cannot give, by up to {each.distance:.2g}; the nearest was taken"
            for each in self.rejected_out
        ]
        return "\n".join(lines)


def invert(
    network: Any,
    outputs: npt.ArrayLike,
    method: str = "newton",
    *,
    bounds: tuple[npt.ArrayLike, npt.ArrayLike] | None = None,
    start: npt.ArrayLike | None = None,
    rtol: float = 1e-10,
    max_steps: int = 100,
    progress: bool | None = None,
) -> Inversion:
    """Find inputs that give these outputs.

    Parameters
    ----------
    network : Model, NetworkSpaces or (weights, biases, activations)
        A model of `wavelens.models` (with a gradient), whose inputs are images (channels, height, width) on the scale
        0–1; a `NetworkSpaces` that is a chain of linear layers; or its arrays, weights of shape (n_out, n_in), biases
        None for none, activations by name, one for all or one a layer. ``"layerwise"`` takes a `NumpyMLP` and the
        latter two.
    outputs : array_like, shape (n, n_outputs)
        One row for each input wanted.
    method : {"newton", "layerwise"}, default "newton"
        Least-norm Gauss–Newton, or with the pseudoinverses of the layers and the inverses of the activations (selu,
        tanh, sigmoid, leaky_relu, identity).
    bounds : (low, high), optional
        Between which each entry of the input stays: numbers, or arrays of the input's shape. For "newton".
    start : array_like, shape (*input_shape) or (n, *input_shape), optional
        Where to begin, for "newton": the solution found is near it. By default zero, and for outputs not reached from
        there the middle of the bounds (of 0 and 1 without), whichever comes nearer.
    rtol : float, default 1e-10
        Outputs count as reached at this share of their length.
    max_steps : int, default 100
        Of Gauss–Newton.
    progress : bool, optional
        Whether to show a bar; by default on a terminal.

    Returns
    -------
    Inversion
        All is computed in float64, also with float32 weights: the inputs are those of the network with exactly these
        weights. Only what cannot be copied into float64 (some torch programs) is run in float32; `rtol` is then at
        least 1.2e-5, and `Inversion.report` says so.

    Raises
    ------
    ValueError
        If shapes do not fit, outputs are not finite, bounds are empty, or an activation has no inverse.
    ModelError
        If a network with branches or other operators is to be inverted layer by layer (the message names it), or has
        no gradient.
    MemoryError
        If one Jacobian takes more than 2 GiB.

    Warns
    -----
    WavelensWarning
        If there are outputs without any input layer by layer; their inputs are NaN.

    Notes
    -----
    Equation 5 of Pattichis and Pattichis, Understanding Neural Network Systems for Image Analysis Using Vector
    Spaces, goes back layer by layer: the least-norm solution of each layer is taken, though a layer may ask for
    values that the activation before cannot give. With a pyramid such as 256-256-128-32-10 that is the rule. Gauss–
    Newton looks at the whole network instead. A step takes a Jacobian (for a `Model` one pullback an output) and
    O(n_outputs² n_inputs); memory is bounded to some 128 MiB, or to three Jacobians.

    Outputs beyond what the network can give are not an error: the result is a point where no small change brings the
    outputs nearer, with its distance. Another start may come nearer.

    Examples
    --------
    >>> import numpy as np
    >>> from wavelens.spaces import invert
    >>> w = np.array([[1.0, 1.0, 0.0], [0.0, 0.0, 2.0]])
    >>> found = invert(([w], None, "tanh"), [[0.5, -0.5]])
    >>> found.reached, np.allclose(np.tanh(found.inputs @ w.T), [0.5, -0.5])
    (array([ True]), True)
    >>> beyond = invert(([w], None, "tanh"), [[0.5, 3.0]], bounds=(-1, 1))
    >>> beyond.reached, beyond.distances.round(3)  # 3 - tanh(2)
    (array([False]), array([2.036]))
    """
    check_choice(method, "method", ("newton", "layerwise"))
    rtol = checked_share(rtol, "rtol")
    max_steps = check_integer(max_steps, "max_steps", low=1)
    if method == "layerwise":
        if bounds is not None or start is not None:
            raise ValueError(
                "`bounds` and `start` are for method='newton'; layer by layer there is no choice"
            )
        chain = as_chain(network)
        return _layerwise(chain, _targets(outputs, chain), rtol)
    net = as_map(network)
    targets = _targets(outputs, net)
    low, high = as_bounds(bounds, net)
    begin = None if start is None else _start(start, net, len(targets))
    rtol = attainable(rtol, net)
    with progress_bar(len(targets), "inverting", progress, unit=" outputs") as bar:
        found = _newton(net, targets, begin, low, high, rtol, max_steps, bar.update)
    return Inversion(
        found.x.reshape(-1, *net.input_shape),
        found.outputs,
        targets,
        found.distances,
        found.reached,
        found.endings,
        found.steps,
        method,
        rtol,
    )


def attainable(rtol: float, net: SmoothMap) -> float:
    """Return the tolerance that the network's rounding allows."""
    return max(rtol, 100 * net.rounding)


def as_bounds(bounds: Any, net: SmoothMap) -> tuple[Array, Array]:
    """Return the bounds of each entry, infinite for none."""
    if bounds is None:
        return np.full(net.n_inputs, -np.inf), np.full(net.n_inputs, np.inf)
    if not isinstance(bounds, tuple | list) or len(bounds) != 2:
        raise ValueError(f"`bounds` must be (low, high), got {bounds!r}")
    sides = []
    for each in bounds:
        side = as_array(each, "bounds")
        if side.dtype.kind not in "fiub":
            raise TypeError(f"`bounds` must hold real numbers, got {each!r}")
        side = side.astype(np.float64)
        if side.ndim > 0 and side.shape != net.input_shape:
            raise ValueError(
                f"`bounds` must be numbers or of the input's shape {net.input_shape}, got {side.shape}"
            )
        sides.append(np.broadcast_to(side, net.input_shape).ravel())
    low, high = sides
    if not (low <= high).all():
        place = int(np.argmin(low <= high))
        raise ValueError(f"`bounds` must have low ≤ high, got {low[place]:g} and {high[place]:g}")
    return low, high


def _newton(
    net: SmoothMap,
    targets: Array,
    start: Array | None,
    low: Array,
    high: Array,
    rtol: float,
    max_steps: int,
    progress: Any,
) -> Solutions:
    first = np.zeros((len(targets), net.n_inputs)) if start is None else start
    search: dict[str, Any] = {"rtol": rtol, "max_steps": max_steps}
    found = gauss_newton(net, targets, first, low, high, **search, progress=progress)
    again = np.flatnonzero(~found.reached)
    if start is not None or not len(again):
        return found
    # At zero a ReLU network without biases has no gradient; and another start may end nearer.
    middle = np.where(np.isfinite(low) & np.isfinite(high), (low + np.minimum(high, 1e300)) / 2, 0.5)
    starts = np.broadcast_to(middle, (len(again), net.n_inputs))
    second = gauss_newton(net, targets[again], starts, low, high, **search)
    found.replace_nearer(again, second)
    return found


def _layerwise(chain: Any, targets: Array, rtol: float) -> Inversion:
    inputs, outside, rejected = invert_layerwise(chain, targets)
    exists = np.asarray(np.isfinite(inputs).all(axis=1))
    outputs = np.full_like(targets, np.nan)
    distances = np.full(len(targets), np.inf)
    if exists.any():
        outputs[exists] = chain.values(inputs[exists])
        distances[exists] = lengths(outputs[exists] - targets[exists])
    sizes = np.maximum(lengths(targets), lengths(chain.values(np.zeros_like(inputs))))
    reached: npt.NDArray[np.bool_] = distances <= attainable(rtol, chain) * sizes
    found = Inversion(
        inputs.reshape(-1, *chain.input_shape),
        outputs,
        targets,
        distances,
        reached,
        np.where(reached, "reached", np.where(exists, "missed", "no inverse")),
        np.zeros(len(targets), np.int64),
        "layerwise",
        rtol,
        outside,
        rejected,
    )
    if not exists.all():
        first = _range_lines(outside)[0]
        warnings.warn(
            f"{int((~exists).sum())} of {len(exists)} outputs have no inverse layer by layer, their inputs are NaN: "
            f"{first}; method='newton' may reach them",
            WavelensWarning,
            stacklevel=3,
        )
    return found


def _targets(outputs: npt.ArrayLike, net: SmoothMap) -> Array:
    targets = as_float_matrix(outputs, "outputs").astype(np.float64)
    if targets.shape[1] != net.n_outputs:
        raise ValueError(
            f"`outputs` must have {net.n_outputs} columns, one an output of {net.name}, got {targets.shape[1]}"
        )
    return targets


def _start(start: npt.ArrayLike, net: SmoothMap, n: int) -> Array:
    given = as_array(start, "start")
    if given.dtype.kind not in "fiub":
        raise TypeError(f"`start` must hold real numbers, got dtype {given.dtype}")
    if given.shape not in (net.input_shape, (n, *net.input_shape), ()):
        raise ValueError(
            f"`start` must have shape {net.input_shape} or {(n, *net.input_shape)}, got {given.shape}"
        )
    if not np.isfinite(given).all():
        raise ValueError("`start` must be finite")
    return np.broadcast_to(given.astype(np.float64), (n, *net.input_shape)).reshape(n, -1)


def _range_lines(outside: tuple[OutOfRange, ...]) -> list[str]:
    """Say for each layer, the last first, which of its units leave the range."""
    lines = []
    for layer in dict.fromkeys(each.layer for each in outside):
        units = [each for each in outside if each.layer == layer]
        worst = max(units, key=lambda each: each.distance)
        range_ = f"({worst.low:.4g}, {worst.high:.4g})".replace("inf", "∞")
        far = (
            f"by up to {worst.distance:.3g}"
            if worst.distance > 0
            else "at its very end, reached only at infinity"
        )
        lines.append(
            f"{layer} ({worst.activation} gives values in {range_}): {len(units)} of its units are outside, {far} "
            f"(unit {worst.unit}, in {worst.n_samples} samples)"
        )
    return lines


def _count(which: Array) -> str:
    return f"{int(which.sum())} of {len(which)}"


def _span(distances: Array) -> str:
    low, high = float(distances.min()), float(distances.max())
    return f"{low:.3g}" if high - low <= 1e-3 * high else f"{low:.3g} to {high:.3g}"
