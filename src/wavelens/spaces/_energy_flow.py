"""How much of the images' energy each layer rejects, beside what chance would."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from wavelens import _core

__all__ = ["EnergyFlow", "chance_spread", "mean_interval"]

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
    chance : ndarray, shape (n_layers,)
        1 − r/n: what is rejected of values that point everywhere alike, and the mean of what random spaces of the
        same dimension reject of any values.
    chance_spread : ndarray, shape (n_layers,)
        Standard deviation of what random spaces of the same dimension would reject of these very values: how far
        from `chance` mere luck leads. The fewer directions the values fill, the wider.
    random_layer : ndarray, shape (n_layers,)
        1 − min(n_out, n_in)/n_in: the mean of what layers of the same shape with random weights, which have full
        rank, reject of any values.
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
    chance: Float64Array
    chance_spread: Float64Array
    random_layer: Float64Array
    notes: tuple[str, ...] = ()

    @property
    def beyond_chance(self) -> Float64Array:
        """Overall share minus `chance`, in standard deviations; 0 for layers that cannot reject.

        Those of luck (`chance_spread`) and of the mean over so many images, together.
        """
        n = np.maximum(np.isfinite(self.shares).sum(axis=0), 2)
        deviations = np.nan_to_num(self.shares - self.overall)
        error = np.sqrt((deviations**2).sum(axis=0) / (n - 1) / n)
        with np.errstate(divide="ignore", invalid="ignore"):
            z = (self.overall - self.chance) / np.hypot(self.chance_spread, error)
        return np.where((self.chance > 0) & (self.overall != self.chance), z, 0.0)

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
            "chance": self.chance.tolist(),
            "chance_spread": self.chance_spread.tolist(),
            "random_layer": self.random_layer.tolist(),
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
        more = ("chance", "chance_spread", "random_layer", "beyond_chance")
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
        full = int((self.chance == 0).sum())
        said = [f"{n} {'layer' if n == 1 else 'layers'}, {len(self.labels)} images."]
        if full:
            layers = "layer has" if full == 1 else "layers have"
            said.append(
                f"{full} {layers} as many independent weights as inputs and cannot reject anything, whatever enters."
            )
        rest = np.flatnonzero(self.chance > 0)
        empty = int((~np.isfinite(self.overall)).sum())
        if empty:
            said.append(f"Nothing but zeros enters {'one layer' if empty == 1 else f'{empty} layers'}.")
        rest = rest[np.isfinite(self.overall[rest])]
        if len(rest):
            top = int(rest[np.argmax(np.nan_to_num(self.overall[rest]))])
            said.append(
                f"“{self.layers[top]}” rejects most: {self.overall[top]:.1%} of the energy that enters it; a random "
                f"space of its dimension would reject {self.chance[top]:.1%} ± {self.chance_spread[top]:.1%}."
            )
            z = self.beyond_chance[rest]
            less, more = int((z < -2).sum()), int((z > 2).sum())
            said.append(
                f"Of the layers that can reject ({len(rest)}), {less} reject less than chance, {more} more (by over "
                f"two standard deviations), and {len(rest) - less - more} about as much."
            )
        return tuple(said)

    def __str__(self) -> str:
        head = ("layer", "kind", "matrix", "rank", "rejected", "95 % interval", "by chance", "random layer")
        rows = [head]
        for i, layer in enumerate(self.layers):
            low, high = self.overall_interval[i]
            rows.append(
                (
                    layer,
                    self.kinds[i],
                    f"{self.shapes[i][0]} × {self.shapes[i][1]}",
                    f"{self.ranks[i]:.4g}",
                    f"{self.overall[i]:.1%}" if np.isfinite(self.overall[i]) else "–",
                    f"{low:.1%} – {high:.1%}" if np.isfinite(low) else "–",
                    f"{self.chance[i]:.1%} ± {self.chance_spread[i]:.1%}",
                    f"{self.random_layer[i]:.1%}",
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


def chance_spread(samples: Float64Array, images: npt.NDArray[np.intp], ranks: npt.NDArray[np.intp]) -> float:
    """Return the standard deviation of what random spaces reject of given values.

    Parameters
    ----------
    samples : (m, groups, n) ndarray
        Values that enter the layer.
    images : (m,) ndarray of int
        Which image each is of.
    ranks : (groups,) ndarray of int
        Dimensions of the spaces that are kept.

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
    if n < 2 or m < 2:
        return 0.0
    apart = images[:, None] != images[None, :]
    if not apart.any():
        apart = ~np.eye(m, dtype=bool)
    energies = np.einsum("mgn,mgn->g", samples, samples) / m
    total = energies.sum()
    variance = 0.0
    for group in np.flatnonzero(energies):
        x, r = np.ascontiguousarray(samples[:, group]), int(ranks[group])
        traced = (_core.gemm(x, np.ascontiguousarray(x.T))[apart] ** 2).mean()
        excess = min(max(0.0, traced / energies[group] ** 2 - 1 / n), 1 - 1 / n)
        share = energies[group] / total
        variance += share**2 * 2 * r * (n - r) / (n * (n - 1) * (n + 2)) * excess
    return float(np.sqrt(variance))


def _plain(values: npt.NDArray[Any]) -> Any:
    listed = values.tolist()

    def clean(each: Any) -> Any:
        if isinstance(each, list):
            return [clean(one) for one in each]
        return None if isinstance(each, float) and not np.isfinite(each) else each

    return clean(listed)
