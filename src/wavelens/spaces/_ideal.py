"""Ideal outputs and inputs: the answer a network gives at its surest, and pictures that get it.

Section 2.4 of Pattichis and Pattichis, Understanding Neural Network Systems for Image Analysis Using Vector Spaces:
the ideal output for a class is the largest value that its own unit takes over the training images, and the smallest
of each other unit. Candidates for the ideal input are the mean of the class's images (avg), the image whose outputs are
nearest to the ideal ones (min), and the mean of the nearest quarter (avg-min); each can be trained with the network's
weights frozen.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from wavelens._arguments import as_array, as_float_matrix, as_images, check_choice, check_integer
from wavelens._progress import progress_bar
from wavelens.models import Model
from wavelens.spaces._adam import adam
from wavelens.spaces._gauss_newton import gauss_newton
from wavelens.spaces._ideal_starts import Starts, gather_starts
from wavelens.spaces._invert import as_bounds, attainable
from wavelens.spaces._layer_arguments import checked_share
from wavelens.spaces._smooth_maps import SmoothMap, model_map

__all__ = ["CAVEAT", "IdealInputs", "ideal_inputs", "ideal_outputs"]

Array = npt.NDArray[Any]
STARTS = ("avg", "min", "avg-min")
AS_NEAR = 1e-6
CAVEAT = (
    "A small distance says that the network answers as asked, not that the picture looks like its class: of the many "
    "inputs with the same outputs training takes one near its start, and what it adds is mostly what no natural image "
    "has. Look at each picture beside its start, and take the distance of the untrained candidates, which are natural "
    "images or means of them, for what such images reach."
)


@dataclass(frozen=True, eq=False)
class IdealInputs:
    """Pictures that a network is surest of, one a class, and how near each candidate comes.

    Attributes
    ----------
    images : ndarray of float64, shape (n_classes, channels, height, width)
        The chosen candidate of each class, on the scale 0–1 (beyond it where there were no bounds).
    chosen : tuple of str
        Which candidate it is.
    candidates : dict of str to ndarray, each of shape (n_classes, channels, height, width)
        All of them: ``"avg"``, ``"min"``, ``"avg-min"``, and those trained, such as ``"avg + newton"``.
    distances : dict of str to ndarray of shape (n_classes,)
        ‖outputs − ideal outputs‖ of each candidate.
    outputs : ndarray of shape (n_classes, n_outputs)
        Of `images`.
    ideal : ndarray of shape (n_classes, n_outputs)
        The ideal outputs.
    reached : ndarray of bool, shape (n_classes,)
        Whether `images` have the ideal outputs, to the `rtol` that was asked for.
    predicted : ndarray of int64, shape (n_classes,)
        The class that the network sees in `images`.
    nearest : ndarray of int64, shape (n_classes,)
        Which of the images given is "min".
    bounds : tuple of float or of ndarray, or None
        Within which training stayed.
    class_names : tuple of str
        One a class.
    notes : tuple of str
        What to keep in mind.
    """

    images: Array
    chosen: tuple[str, ...]
    candidates: Mapping[str, Array]
    distances: Mapping[str, Array]
    outputs: Array
    ideal: Array
    reached: npt.NDArray[np.bool_]
    predicted: npt.NDArray[np.int64]
    nearest: npt.NDArray[np.int64]
    bounds: Any
    class_names: tuple[str, ...]
    notes: tuple[str, ...]

    def table(self) -> str:
        """Show the distance of each candidate for each class, the chosen one marked by a star.

        Returns
        -------
        str
        """
        names = list(self.distances)
        widths = [max(len(each) + 1, 10) for each in names]
        first = max(len("class"), *map(len, self.class_names))
        lines = [
            "  ".join(["class".ljust(first), *(f"{n:>{w}}" for n, w in zip(names, widths, strict=True))])
        ]
        for i, label in enumerate(self.class_names):
            cells = [
                f"{self.distances[n][i]:.3g}{'*' if n == self.chosen[i] else ' '}".rjust(w)
                for n, w in zip(names, widths, strict=True)
            ]
            lines.append("  ".join([label.ljust(first), *cells]))
        return "\n".join(lines)

    def report(self) -> str:
        """Show the table, with what to keep in mind.

        Returns
        -------
        str
        """
        head = "Distance of each candidate's outputs from the ideal outputs (* chosen)"
        return "\n".join([head, self.table(), *self.notes])


def ideal_outputs(logits: npt.ArrayLike, labels: npt.ArrayLike | None = None) -> Array:
    """Say what a network answers at its surest, for each class.

    Parameters
    ----------
    logits : array_like, shape (n, n_classes)
        Outputs for the training images: logits or probabilities.
    labels : array_like of int, shape (n,), optional
        The column of each image's class. With them the maxima and minima of a class are those over its own images,
        which such an image can rather reach; without, over all images, as in the paper.

    Returns
    -------
    ndarray of float64, shape (n_classes, n_classes)
        Row c: its own maximum at c, the minima of the other outputs elsewhere. With labels, NaN for a class that has
        no images.

    Raises
    ------
    ValueError
        If shapes do not fit, outputs are not finite or labels are no columns.

    Notes
    -----
    Section 2.4 of Pattichis and Pattichis. Nothing makes such outputs jointly possible: the maxima and minima are of
    different images. Probabilities that are ideal in this sense do not even sum to 1.

    Examples
    --------
    >>> from wavelens.spaces import ideal_outputs
    >>> ideal_outputs([[3.0, -1.0], [2.0, -2.0], [0.0, 5.0]])
    array([[ 3., -2.],
           [ 0.,  5.]])
    """
    values = as_float_matrix(logits, "logits").astype(np.float64)
    k = values.shape[1]
    if labels is None:
        low, high = np.tile(values.min(axis=0), (k, 1)), values.max(axis=0)
    else:
        codes = _codes(labels, len(values), k)
        low, high = np.full((k, k), np.nan), np.full(k, np.nan)
        for c in np.unique(codes):
            own = values[codes == c]
            low[c], high[c] = own.min(axis=0), own[:, c].max()
    low[np.arange(k), np.arange(k)] = high
    return low


def ideal_inputs(
    model: Model,
    images: npt.ArrayLike,
    labels: npt.ArrayLike,
    start: str = "best",
    *,
    train: str | None = None,
    bounds: str | tuple[npt.ArrayLike, npt.ArrayLike] | None = "data",
    ideal: npt.ArrayLike | None = None,
    rtol: float = 1e-10,
    max_steps: int | None = None,
    progress: bool | None = None,
) -> IdealInputs:
    """Find pictures whose outputs are as near as can be to the ideal outputs.

    Parameters
    ----------
    model : Model
        Of `wavelens.models`; with a gradient, if it is to be trained.
    images : ndarray of shape (n, height, width) or (n, height, width, channels)
        Training images, as `Model.prepare` takes them.
    labels : array_like of int, shape (n,)
        The output of each image's class. Classes without images are left out of the result's choice: none may be.
    start : {"best", "avg", "min", "avg-min"}, default "best"
        The mean of the class's images; the one of them whose outputs are nearest to the ideal ones; the mean of the
        nearest quarter; or, of all three (each trained, if `train` is given), whichever comes nearest; of several
        that come as near, to 1e-6, or reach the ideal outputs, the one that was changed least.
    train : {None, "newton", "adam"}
        Whether to change the start, with the weights frozen: by least-norm Gauss–Newton, or by Adam.
    bounds : "data", None or (low, high), default "data"
        Where the trained picture stays: in the range of the images' values, anywhere, or between numbers or arrays of
        the image's shape (channels, height, width).
    ideal : array_like, shape (n_classes, n_outputs), optional
        Other ideal outputs than `ideal_outputs` of all images.
    rtol : float, default 1e-10
        An ideal output counts as reached at this share of its length.
    max_steps : int, optional
        Of training; 100 of Gauss–Newton, 500 of Adam.
    progress : bool, optional
        Whether to show a bar; by default on a terminal.

    Returns
    -------
    IdealInputs

    Raises
    ------
    ValueError
        If shapes do not fit, a class has no image, or an argument is not what it should be.
    ModelError
        If the model is to be trained against and has no gradient.

    Notes
    -----
    The images pass through the network once; the memory beside them is that of a chunk and of the outputs.
    Gauss–Newton goes to the nearest input that has the ideal outputs, if there is one, in a few steps of n_outputs
    pullbacks each; Adam needs one pullback a step and hundreds of steps, and does without the Jacobian where there are
    a thousand classes. What was nearest on the way is kept, so that training never makes it worse.

    In the paper "min" is taken over all training images, in its published scripts over those of the class; here it is
    the class's own, as "avg-min" must be: a quarter of all images would be of several classes.

    Examples
    --------
    >>> import numpy as np
    >>> from wavelens.models import NumpyMLP
    >>> from wavelens.spaces import ideal_inputs
    >>> rng = np.random.default_rng(0)
    >>> labels = np.arange(40) % 2
    >>> images = rng.random((40, 3, 3)) * 0.5 + 0.4 * labels[:, None, None]
    >>> model = NumpyMLP([np.stack([-np.ones(9), np.ones(9)], axis=1)], [np.array([5.0, -5.0])])
    >>> found = ideal_inputs(model, images, labels, "avg", train="newton")
    >>> bool((found.distances["avg + newton"] <= found.distances["avg"]).all()), found.predicted
    (True, array([0, 1]))
    """
    check_choice(start, "start", ("best", *STARTS))
    if train is not None:
        check_choice(train, "train", ("newton", "adam"))
    if not isinstance(model, Model):
        raise TypeError(
            f"`model` must be a model of wavelens.models, got {type(model).__name__}; open it with open_model"
        )
    array = as_images(images, "images")
    codes = _codes(labels, len(array), model.n_outputs)
    _check_classes(codes, model.n_outputs)
    if isinstance(bounds, str) and bounds != "data":
        raise ValueError(f"`bounds` must be 'data', None or (low, high), got {bounds!r}")
    tolerance = rtol = checked_share(rtol, "rtol")
    steps = None if max_steps is None else check_integer(max_steps, "max_steps", low=1)
    names = model.class_names
    titles = tuple(str(i) if names is None else names.names[i] for i in range(model.n_outputs))
    wanted = None if ideal is None else _ideal(ideal, model.n_outputs)
    with progress_bar(len(array), "images through the network", progress) as bar:
        starts = gather_starts(model, array, codes, ideal_outputs if wanted is None else wanted, bar.update)
    candidates, distances, outputs = dict(starts.images), dict(starts.distances), dict(starts.outputs)
    limits = (starts.low, starts.high) if isinstance(bounds, str) else bounds
    if train is not None:
        net = model_map(model)
        tolerance = attainable(rtol, net)
        for each in STARTS if start == "best" else (start,):
            name = f"{each} + {train}"
            candidates[name], outputs[name] = _trained(net, starts, each, train, limits, tolerance, steps)
            distances[name] = np.linalg.norm(outputs[name] - starts.ideal, axis=1)
    enough = tolerance * np.linalg.norm(starts.ideal, axis=1)
    chosen = _choose(candidates, distances, enough, start, train)
    pick = [candidates[name][i] for i, name in enumerate(chosen)]
    answers = np.stack([outputs[name][i] for i, name in enumerate(chosen)])
    final = np.array([distances[name][i] for i, name in enumerate(chosen)])
    return IdealInputs(
        np.stack(pick),
        chosen,
        candidates,
        distances,
        answers,
        starts.ideal,
        final <= enough,
        answers.argmax(axis=1),
        starts.nearest,
        limits if train is not None else None,
        titles,
        _notes(model, starts, train, limits, candidates, chosen, final),
    )


def _trained(
    net: SmoothMap, starts: Starts, start: str, train: str, bounds: Any, rtol: float, steps: int | None
) -> tuple[Array, Array]:
    begin = starts.images[start].reshape(len(starts.ideal), -1)
    low, high = as_bounds(bounds, net)
    if train == "newton":
        found = gauss_newton(net, starts.ideal, begin, low, high, rtol=rtol, max_steps=steps or 100)
        x, y = found.x, found.outputs
    else:
        x, y = adam(net, starts.ideal, begin, low, high, rtol=rtol, max_steps=steps or 500)
    return x.reshape(-1, *net.input_shape), y


def _choose(
    candidates: Mapping[str, Array],
    distances: Mapping[str, Array],
    enough: Array,
    start: str,
    train: str | None,
) -> tuple[str, ...]:
    if start != "best":
        name = start if train is None else f"{start} + {train}"
        return (name,) * len(enough)
    names = list(distances)
    chosen = []
    for c, limit in enumerate(enough):
        # Of those that are as near rounding must not choose, but how little they were changed.
        near = max(limit, (1 + AS_NEAR) * min(distances[each][c] for each in names))
        tied = [each for each in names if distances[each][c] <= near]
        moves = [_moved(candidates, each, c) for each in tied]
        chosen.append(tied[moves.index(min(moves))])
    return tuple(chosen)


def _moved(candidates: Mapping[str, Array], name: str, c: int) -> float:
    """Tell how far training moved a candidate, as a share of its start's length."""
    begin = candidates[name.split(" + ")[0]][c]
    return float(np.linalg.norm(candidates[name][c] - begin)) / (float(np.linalg.norm(begin)) or 1.0)


def _notes(
    model: Model,
    starts: Starts,
    train: str | None,
    bounds: Any,
    candidates: Mapping[str, Array],
    chosen: tuple[str, ...],
    final: Array,
) -> tuple[str, ...]:
    notes = []
    share = final / np.linalg.norm(starts.ideal, axis=1)
    notes.append(
        f"The chosen pictures miss the ideal outputs by {share.min():.2g} to {share.max():.2g} of their length."
    )
    if train is not None:
        moved = [_moved(candidates, name, i) for i, name in enumerate(chosen)]
        where = "anywhere" if bounds is None else "within the bounds"
        changed = f"{100 * min(moved):.3g} % to {100 * max(moved):.3g} %"
        notes.append(f"Training ({train}, {where}) changed them by {changed} of their own length.")
    if model.outputs == "logits":
        away = starts.ideal - starts.outputs["avg"]
        common = float((away.mean(axis=1) ** 2).sum() * away.shape[1] / (away**2).sum())
        if common > 0.25:
            notes.append(
                f"{common:.0%} of the way from the mean images' logits to the ideal ones (in squares) is one constant "
                "for all classes, which softmax does not see and training does not shape: to move along it a picture "
                "may have to change much, and all classes' pictures alike."
            )
    if model.outputs == "probabilities":
        notes.append(
            "The outputs are probabilities: ideal ones do not sum to 1 and are not quite reachable. Logits say more."
        )
    return (*notes, CAVEAT)


def _codes(labels: npt.ArrayLike, n: int, k: int) -> npt.NDArray[np.int64]:
    given = as_array(labels, "labels")
    if given.shape != (n,):
        raise ValueError(f"`labels` must have shape ({n},), one an image, got {given.shape}")
    if given.dtype.kind not in "iu":
        raise TypeError(f"`labels` must be integers, the column of each image's class, got {given.dtype}")
    codes = given.astype(np.int64)
    if codes.min() < 0 or codes.max() >= k:
        raise ValueError(
            f"`labels` must be between 0 and {k - 1}, the columns of the outputs, got {codes.min()} to {codes.max()}"
        )
    return codes


def _check_classes(codes: npt.NDArray[np.int64], k: int) -> None:
    counts = np.bincount(codes, minlength=k)
    if not counts.all():
        missing = np.flatnonzero(counts == 0)
        some = ", ".join(map(str, missing[:8].tolist())) + (", …" if len(missing) > 8 else "")
        raise ValueError(f"`labels` must have at least one image of each of the {k} classes; none of {some}")


def _ideal(ideal: npt.ArrayLike, k: int) -> Array:
    given = as_float_matrix(ideal, "ideal").astype(np.float64)
    if given.shape != (k, k):
        raise ValueError(f"`ideal` must have shape ({k}, {k}), one row a class, got {given.shape}")
    return given
