"""What `layer_flow` returns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from wavelens.hierarchy._features import Float64Array
from wavelens.hierarchy._mmf import MMF

__all__ = ["LayerFlow"]

_noise_quantile = 0.9
_chance_quantile = 0.1


@dataclass(frozen=True, eq=False)
class LayerFlow:
    """Compositions of classes in the layers of a network; made by `layer_flow`.

    Row i of what compares consecutive layers sets layer i + 1 against layer i. All agreements of sets are
    Jaccard indices, |s ∩ t| / |s ∪ t|.

    Attributes
    ----------
    layers : tuple of str
    classes : (n_classes,) array
        Labels, ascending.
    mmfs : tuple of MMF
        One a layer.
    agreement : (n_layers − 1, n_levels) array of float64
        Of the compositions of one level in consecutive layers.
    cumulative_agreement : (n_layers − 1, n_levels) array of float64
        Of the classes that the first levels use. Not touched by two compositions that change places.
    chance : (n_levels,) array of float64
        What `agreement` would be on average for random compositions.
    cumulative_chance : (n_layers − 1, n_levels) array of float64
        What `cumulative_agreement` would be for random sets of the sizes found.
    resampled, cumulative_resampled : (n_layers, n_levels) array of float64
        The same agreements of a layer with itself, its images drawn anew; mean of the resamples.
    joining : (n_layers − 1,) array of float64
        Rank correlation, over pairs of classes, of the levels by which compositions connect them.
    joining_resampled : (n_layers,) array of float64
        The same of a layer with itself, its images drawn anew; mean of the resamples.
    transfer : (n_layers, n_layers) array of float64
        Entry i, j: error of the covariance of layer j in the wavelets of layer i, ‖QCQᵀ − Λ‖ with the Q of i and
        Λ the part of QCQᵀ on the core and the diagonal, over that in its own. May fall below 1: the search is
        greedy.
    transfer_resampled : (n_layers, n_resamples) array of float64
        The same in the wavelets of the layer's own resamples.
    transfer_chance : (n_layers, n_resamples) array of float64
        The same in its own wavelets, the classes shuffled.
    orders : tuple of int
        Other orders that were tried.
    order_stability : (n_layers, n_orders) array of float64
        Part of the first composition that the one of another order shares (of the smaller of the two).
    order_chance : (n_orders,) array of float64
        What that would be for random compositions.
    """

    layers: tuple[str, ...]
    classes: npt.NDArray[Any]
    mmfs: tuple[MMF, ...]
    agreement: Float64Array
    cumulative_agreement: Float64Array
    chance: Float64Array
    cumulative_chance: Float64Array
    resampled: Float64Array
    cumulative_resampled: Float64Array
    joining: Float64Array
    joining_resampled: Float64Array
    transfer: Float64Array
    transfer_resampled: Float64Array
    transfer_chance: Float64Array
    orders: tuple[int, ...]
    order_stability: Float64Array
    order_chance: Float64Array

    def __repr__(self) -> str:
        return (
            f"LayerFlow(layers={self.layers}, n_classes={len(self.classes)}, order={self.mmfs[0].order}, "
            f"saturates_at={self.saturates_at!r})"
        )

    def serves(self, source: int, target: int) -> str:
        """Say whether the wavelets of one layer serve another as its own do.

        Parameters
        ----------
        source, target : int
            Places in `layers`.

        Returns
        -------
        str
            "adds nothing": those of `source` describe `target` no worse than 9 in 10 of its own resamples do,
            and better than 9 in 10 shuffles of the classes. "changes": worse than 9 in 10 resamples.
            "undecided": neither, or shuffles do about as well as resamples, so that nothing can be told.
        """
        excess = self.transfer[source, target]
        if excess <= 1 + 1e-9 and np.array_equal(self.mmfs[source].tuples, self.mmfs[target].tuples):
            return "adds nothing"
        own = self.transfer_resampled[target]
        if excess > np.quantile(own, _noise_quantile) * (1 + 1e-9):
            return "changes"
        chance = np.quantile(self.transfer_chance[target], _chance_quantile)
        return "undecided" if max(excess, np.median(own)) >= chance else "adds nothing"

    @property
    def verdicts(self) -> tuple[str, ...]:
        """Of each layer but the first, what it does to the compositions of the one before; see `serves`."""
        return tuple(self.serves(i, i + 1) for i in range(len(self.layers) - 1))

    @property
    def saturates_at(self) -> str | None:
        """First layer behind which each layer adds nothing, to the one before it and to this one; or None."""
        last = len(self.layers) - 1
        for i in range(last):
            onward = [(i, j) for j in range(i + 1, last + 1)] + [(j, j + 1) for j in range(i + 1, last)]
            if all(self.serves(*pair) == "adds nothing" for pair in onward):
                return self.layers[i]
        return None

    def words(self) -> tuple[str, ...]:
        """Return the findings as plain sentences."""
        first = self.mmfs[0]
        start = (
            f"{len(self.layers)} layers, {len(self.classes)} classes, compositions of {first.order} in "
            f"{first.n_levels} levels."
        )
        steps = (self._words_of_step(i) for i in range(len(self.layers) - 1))
        return (start, *steps, self._words_of_end(), *self._words_of_orders())

    def _words_of_step(self, i: int) -> str:
        here, there = self.layers[i], self.layers[i + 1]
        noise = float(np.quantile(self.transfer_resampled[i + 1], _noise_quantile))
        chance = float(np.median(self.transfer_chance[i + 1]))
        figures = (
            f"in the wavelets of {here} its error is {_times(self.transfer[i, i + 1])} that in its own (images drawn "
            f"anew: up to {_times(noise)}; classes shuffled: {_times(chance)})"
        )
        verdict = self.serves(i, i + 1)
        if verdict == "changes" and self.transfer[i, i + 1] >= np.quantile(
            self.transfer_chance[i + 1], _chance_quantile
        ):
            return f"{there} composes classes anew, with nothing left of {here}: {figures}."
        if verdict == "changes":
            return f"{there} changes how classes compose: {figures}."
        if verdict == "adds nothing":
            return f"{there} adds nothing to how classes compose: {figures}."
        return f"Whether {there} adds anything can't be told from these images: {figures}."

    def _words_of_end(self) -> str:
        name = self.saturates_at
        if name is None:
            return "No saturation is seen: up to the last layer, each may add something."
        later = self.layers[self.layers.index(name) + 1 :]
        verb = "adds" if len(later) == 1 else "add"
        return f"The compositions are settled at {name}: to the relations of classes, {_listed(later)} {verb} nothing."

    def _words_of_orders(self) -> tuple[str, ...]:
        last = self.mmfs[-1]
        names = _listed([str(self.classes[i]) for i in last.tuples[0]])
        text = f"In {self.layers[-1]}, {names} compose first"
        figures = zip(self.orders, self.order_stability[-1], self.order_chance, strict=True)
        others = [(k, share, chance) for k, share, chance in figures if k != last.order]
        if not others:
            return (f"{text}.",)
        told = ", ".join(
            f"{100 * share:.0f} % at order {k} (by chance {100 * chance:.0f} %)"
            for k, share, chance in others
        )
        return (f"{text}; shared with other orders: {told}.",)


def _times(ratio: float) -> str:
    return f"{ratio:.1f} times" if ratio < 10 else f"{ratio:.0f} times"


def _listed(names: Any) -> str:
    names = [str(name) for name in names]
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
