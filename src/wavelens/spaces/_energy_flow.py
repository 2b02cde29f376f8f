"""How much of the images' energy each layer rejects, beside what chance would."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["EnergyFlow", "mean_interval", "random_layer_spread"]

Float64Array = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False, kw_only=True)
class EnergyFlow:
    """The share of the energy that enters each layer and lies in its rejected space.

    The share of an image is ‖rejected part‖²/‖values‖² of what enters the layer; of a convolution, both summed over
    all patches and groups of channels (kernels as rows, see `PatchSpaces`); of a linear layer that treats tokens one
    by one, over the tokens.

    Attributes
    ----------
    name : str
        Of the network.
    layers : tuple of str
        In the order of execution.
    kinds : tuple of str
        ``"linear"``, ``"convolution"``, ``"pointwise"`` or ``"depthwise"``.
    shapes : tuple of (int, int)
        Rows and columns of the matrix that each sample meets: of a group of channels its kernels and their values.
    ranks : ndarray of float, shape (n_layers,)
        Of that matrix, the mean over groups.
    classes : tuple of str
        One for each column; one alone for images without labels.
    counts : ndarray of int, shape (n_classes,)
        Images of each class.
    labels : ndarray of int, shape (n_images,)
        Codes into `classes`.
    shares : ndarray, shape (n_images, n_layers)
        Rejected share of each image; NaN where nothing enters the layer.
    rejected : ndarray, shape (n_layers, n_classes)
        Means of each class.
    interval : ndarray, shape (n_layers, n_classes, 2)
        Of those means, 95 % by Student's t; NaN for a class of one image.
    overall, overall_interval : ndarray, shape (n_layers,) and (n_layers, 2)
        The same over all images.
    isotropic : ndarray, shape (n_layers,)
        What the layer would reject of values that point everywhere alike, 1 − r/n: whatever the images do
        differently from noise shows in the distance from it.
    random_layer, random_layer_spread : ndarray, shape (n_layers,)
        Mean and standard deviation of what layers of the same shape with random weights would reject of these very
        values; the mean is that of `isotropic` at full rank, the spread tells how far from it mere luck leads.
    notes : tuple of str
        What was assumed, in sentences.
    """

    name: str
    layers: tuple[str, ...]
    kinds: tuple[str, ...]
    shapes: tuple[tuple[int, int], ...]
    ranks: Float64Array
    classes: tuple[str, ...]
    counts: npt.NDArray[np.intp]
    labels: npt.NDArray[np.intp]
    shares: Float64Array
    rejected: Float64Array
    interval: Float64Array
    overall: Float64Array
    overall_interval: Float64Array
    isotropic: Float64Array
    random_layer: Float64Array
    random_layer_spread: Float64Array
    notes: tuple[str, ...] = ()

    @property
    def beyond_chance(self) -> Float64Array:
        """Overall share minus that of random layers, in their standard deviations; 0 where neither rejects."""
        apart = self.overall - self.random_layer
        with np.errstate(divide="ignore", invalid="ignore"):
            z = apart / self.random_layer_spread
        return np.where(np.abs(apart) < 1e-6, 0.0, z)

    def ranked(self) -> tuple[str, ...]:
        """Return the layers, those that reject most of the images' energy first.

        Returns
        -------
        tuple of str
        """
        return tuple(self.layers[i] for i in np.argsort(-np.nan_to_num(self.overall), kind="stable"))

    def table(self) -> dict[str, list[Any]]:
        """Return one row for each layer, as columns.

        Returns
        -------
        dict of str to list
            For ``pandas.DataFrame``.
        """
        columns: dict[str, list[Any]] = {
            "layer": list(self.layers),
            "kind": list(self.kinds),
            "n_out": [each[0] for each in self.shapes],
            "n_in": [each[1] for each in self.shapes],
            "rank": self.ranks.tolist(),
            "rejected": self.overall.tolist(),
            "low": self.overall_interval[:, 0].tolist(),
            "high": self.overall_interval[:, 1].tolist(),
            "isotropic": self.isotropic.tolist(),
            "random_layer": self.random_layer.tolist(),
            "random_layer_spread": self.random_layer_spread.tolist(),
        }
        if len(self.classes) > 1:
            columns |= {
                f"rejected: {each}": self.rejected[:, i].tolist() for i, each in enumerate(self.classes)
            }
        return columns

    def to_dict(self) -> dict[str, Any]:
        """Return everything but the shares of single images, as JSON takes it.

        Returns
        -------
        dict
            NaN has become None.
        """
        arrays = ("ranks", "counts", "rejected", "interval", "overall", "overall_interval")
        more = ("isotropic", "random_layer", "random_layer_spread", "beyond_chance")
        return {
            "name": self.name,
            "layers": list(self.layers),
            "kinds": list(self.kinds),
            "shapes": [list(each) for each in self.shapes],
            "classes": list(self.classes),
            **{each: _plain(getattr(self, each)) for each in (*arrays, *more)},
            "notes": list(self.notes),
        }

    def words(self) -> tuple[str, ...]:
        """Say in sentences what there is.

        Returns
        -------
        tuple of str
        """
        n = len(self.layers)
        full = int((self.isotropic == 0).sum())
        said = [f"{n} layers, {len(self.labels)} images."]
        if full:
            layers = "layer has" if full == 1 else "layers have"
            said.append(
                f"{full} {layers} as many independent weights as inputs and cannot reject anything, whatever enters."
            )
        rest = np.flatnonzero(self.isotropic > 0)
        if len(rest):
            top = int(rest[np.argmax(self.overall[rest])])
            said.append(
                f"{self.layers[top]} rejects most: {self.overall[top]:.1%} of the energy that enters it; a random layer "
                f"of its shape would reject {self.random_layer[top]:.1%} ± {self.random_layer_spread[top]:.1%}."
            )
            z = self.beyond_chance[rest]
            less, more = int((z < -2).sum()), int((z > 2).sum())
            said.append(
                f"Of the {len(rest)} layers that can reject, {less} reject less than random layers would, {more} more "
                f"(by over two standard deviations), {len(rest) - less - more} as much."
            )
        return tuple(said)

    def __str__(self) -> str:
        head = ("layer", "kind", "matrix", "rank", "rejected", "95 % interval", "1 − r/n", "random layer")
        rows = [head]
        for i, layer in enumerate(self.layers):
            low, high = self.overall_interval[i]
            rows.append(
                (
                    layer,
                    self.kinds[i],
                    f"{self.shapes[i][0]} × {self.shapes[i][1]}",
                    f"{self.ranks[i]:.4g}",
                    f"{self.overall[i]:.1%}",
                    f"{low:.1%} – {high:.1%}" if np.isfinite(low) else "–",
                    f"{self.isotropic[i]:.1%}",
                    f"{self.random_layer[i]:.1%} ± {self.random_layer_spread[i]:.1%}",
                )
            )
        widths = [max(len(row[i]) for row in rows) for i in range(len(head))]
        lines = [
            "  ".join(
                cell.ljust(width) if i < 2 else cell.rjust(width)
                for i, (cell, width) in enumerate(zip(row, widths, strict=True))
            ).rstrip()
            for row in rows
        ]
        return "\n".join([f"{self.name}: energy that each layer rejects", *lines, *self.words(), *self.notes])


def mean_interval(values: Float64Array) -> tuple[Float64Array, Float64Array]:
    """Return means of rows and their 95 % intervals by Student's t.

    Parameters
    ----------
    values : (n, m) ndarray
        NaN counts as missing.

    Returns
    -------
    mean : (m,) ndarray
        NaN where nothing is there.
    interval : (m, 2) ndarray
        Within [0, 1]; NaN where there are fewer than two.
    """
    from scipy.stats import t

    known = np.isfinite(values)
    n = known.sum(axis=0)
    filled = np.where(known, values, 0.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = filled.sum(axis=0) / n
        spread = np.sqrt((np.where(known, values - mean, 0.0) ** 2).sum(axis=0) / (n - 1))
        half = t.ppf(0.975, np.maximum(n - 1, 1)) * spread / np.sqrt(n)
    half = np.where(n > 1, half, np.nan)
    return mean, np.clip(np.stack([mean - half, mean + half], axis=1), 0.0, 1.0)


def random_layer_spread(samples: Float64Array, images: npt.NDArray[np.intp], rank: int) -> float:
    """Return the standard deviation of what random layers reject of given values.

    Parameters
    ----------
    samples : (m, groups, n) ndarray
        Values that enter the layer.
    images : (m,) ndarray of int
        Which image each is of.
    rank : int
        Of the random layers.

    Returns
    -------
    float

    Notes
    -----
    P projects onto a subspace of dimension r, uniformly distributed among all of them; S is the second moment of the
    values. tr(PS)/tr(S) has mean r/n and variance 2r(n − r)/(n(n − 1)(n + 2)) · (tr(S²)/tr(S)² − 1/n), as follows
    from the moments of the uniform distribution. tr(S²) is the mean of ⟨x, x'⟩² over independent x, x', here over
    pairs from different images. Groups have independent subspaces.
    """
    m, _, n = samples.shape
    if n < 2 or rank >= n or m < 2:
        return 0.0
    apart = images[:, None] != images[None, :]
    if not apart.any():
        apart = ~np.eye(m, dtype=bool)
    energies = np.einsum("mgn,mgn->g", samples, samples) / m
    total = energies.sum()
    if not total > 0:
        return 0.0
    variance = 0.0
    for group in np.flatnonzero(energies):
        x = samples[:, group]
        traced = ((x @ x.T)[apart] ** 2).mean()
        excess = max(0.0, traced / energies[group] ** 2 - 1 / n)
        share = energies[group] / total
        variance += share**2 * 2 * rank * (n - rank) / (n * (n - 1) * (n + 2)) * min(excess, 1 - 1 / n)
    return float(np.sqrt(variance))


def _plain(values: npt.NDArray[Any]) -> Any:
    listed = values.tolist()

    def clean(each: Any) -> Any:
        if isinstance(each, list):
            return [clean(one) for one in each]
        return None if isinstance(each, float) and not np.isfinite(each) else each

    return clean(listed)
