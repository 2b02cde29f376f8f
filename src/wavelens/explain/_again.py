"""Masks found again: for a model that has learnt nothing, and with other random numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from wavelens.explain._curves import most_relevant, rank
from wavelens.explain._measures import overlap
from wavelens.explain._methods import Method
from wavelens.explain._randomized import randomized
from wavelens.explain._scores import Counted

__all__ = ["Again", "chosen", "find_again"]

# A mask of less than this share of another is next to nothing: what they have in common is nothing too.
_nothing = 0.05

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Again:
    """What is found again.

    Attributes
    ----------
    rows : ndarray of int
        Of which images.
    n_seeds : int
    random_model : bool
    share : float
        Length of a search, of the explainer's own.
    random_state : int
    """

    rows: npt.NDArray[np.intp]
    n_seeds: int
    random_model: bool
    share: float
    random_state: int

    def searches(self, methods: Sequence[Method]) -> int:
        """Return how many masks of each image are searched."""
        each = self.n_seeds + self.random_model
        return each * sum(method.again is not None and method.has_masks for method in methods)


def chosen(usable: npt.NDArray[np.intp], n_again: int | None) -> npt.NDArray[np.intp]:
    """Return `n_again` of the images, evenly spread over them as they come; None: all."""
    if n_again is None or n_again >= len(usable):
        return usable
    places = (np.arange(n_again) * len(usable)) // max(n_again, 1)
    return usable[places]


def find_again(
    asked: Again,
    methods: Sequence[Method],
    values: dict[str, Array],
    counted: Counted,
    planes: Array,
    targets: npt.NDArray[np.intp],
    notes: list[str],
    told: Callable[[float], None],
) -> None:
    """Find masks again and fill in what they have in common with those there are."""
    if not len(asked.rows) or not (asked.random_model or asked.n_seeds):
        return
    other, classes = counted.model, targets
    if asked.random_model:
        other, classes = _without_learning(asked, counted, planes, targets, notes)
    lacking = [each.name for each in methods if each.again is None]
    if lacking:
        notes.append(f"Not found again, as how they were made is not known: {', '.join(lacking)}.")
    name = "for the random model" if other is not counted.model else "for the other class"
    _tell_what_is_short(asked, methods, int(np.isfinite(values["rate"][0]).sum()), name, notes)
    total, done = max(1, asked.searches(methods)), 0

    def common(method: Method, model: Any, classes: Array, seed: int) -> Array:
        nonlocal done
        assert method.again is not None
        size = 1 / total if method.has_masks else 0.0

        def tick(share: float, begin: float = done / total) -> None:
            told(begin + size * share)

        found, n_evaluations = method.again(model, classes[asked.rows], seed, asked.rows, asked.share, tick)
        counted.evaluations += n_evaluations
        done += method.has_masks
        _tell_of_nothing(method, found, model is not counted.model or classes is not targets)
        return _common(methods[0], method, found, asked.rows)

    def _tell_of_nothing(method: Method, found: Array, is_other: bool) -> None:
        if method.has_masks and is_other:
            least = _nothing * method.relevance[asked.rows].mean(axis=1)
            empty = int((found.mean(axis=1) < least).sum())
            if empty:
                notes.append(
                    f"{method.name}, {name.removeprefix('for the ')}: {empty} of {len(found)} masks are next to empty, "
                    "as hardly anything in the image moves its answer; that they have nothing in common with the "
                    "others says little."
                )

    for row, method in enumerate(methods):
        if method.again is None:
            continue
        if asked.random_model and other is not None:
            found = common(method, other, classes, asked.random_state)
            values["randomized_model"][row, asked.rows] = found
        if asked.n_seeds and not method.by_chance:
            values["seeds"][row, asked.rows] = 1.0
        elif asked.n_seeds:
            each = [
                common(method, counted.model, targets, asked.random_state + 1 + s)
                for s in range(asked.n_seeds)
            ]
            values["seeds"][row, asked.rows] = np.mean(each, axis=0)


def _tell_what_is_short(
    asked: Again, methods: Sequence[Method], n: int, other: str, notes: list[str]
) -> None:
    parts = []
    if len(asked.rows) < n:
        which = ", ".join(str(each + 1) for each in asked.rows[:8]) + (", …" if len(asked.rows) > 8 else "")
        parts.append(f"of {len(asked.rows)} of the {n} images (no. {which})")
    short = asked.share < 1 and asked.searches(methods) > 0
    if short:
        parts.append(f"by searches of {100 * asked.share:.3g} % of the usual length")
    if parts:
        longer = "; longer ones would have somewhat more in common" if short else ""
        what = " and ".join([other] * asked.random_model + ["with other seeds"] * bool(asked.n_seeds))
        notes.append(f"The masks {what} were found {' '.join(parts)}{longer}.")


def _without_learning(
    asked: Again, counted: Counted, planes: Array, targets: npt.NDArray[np.intp], notes: list[str]
) -> tuple[Any, npt.NDArray[np.intp]]:
    """Return the model with its weights shuffled and its answers, or else the model itself and other classes.

    The classes that were explained have next to no probability in a model with shuffled weights, so that
    nothing could move them and each mask would be empty.
    """
    classes = targets.copy()
    other = randomized(counted.model, asked.random_state)
    if other is not None:
        own = Counted(other)
        classes[asked.rows] = own.probabilities(planes[asked.rows]).argmax(axis=1)
        counted.evaluations += own.evaluations
        notes.append(
            "The random model has the weights of every layer shuffled (biases are kept), and its own answers are "
            "explained."
        )
        return other, classes
    p = np.array(counted.probabilities(planes[asked.rows]))
    if p.shape[1] < 2:
        notes.append("The model’s weights are not at hand: the random model was left out.")
        return None, targets
    p[np.arange(len(p)), targets[asked.rows]] = -1
    classes[asked.rows] = p.argmax(axis=1)
    notes.append(
        "The model’s weights are not at hand to be shuffled: in place of a random model’s, masks for the likeliest "
        "other class are compared."
    )
    return counted.model, classes


def _common(reference: Method, method: Method, found: Array, rows: Array) -> Array:
    """Return for each image what two masks of a method have in common."""
    out = np.full(len(rows), np.nan)
    for place, i in enumerate(rows.tolist()):
        if not (method.usable[i] and np.isfinite(found[place]).all()):
            continue
        mask = method.mask(i, float(reference.mask(i).mean()))
        again = found[place] if method.has_masks else most_relevant(rank(found[place], 0), int(mask.sum()))
        out[place] = overlap(mask, again)
    return out
