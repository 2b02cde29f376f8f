"""Masks found at one λ that are better at another change places.

Searches are not perfect: what is found at one λ may be the better answer at another, and then a larger λ seems to
keep more. All masks of a path are therefore judged on the same fresh noise, and each λ gets the one with the smallest
D(s) + λ·mean(s). With D fixed for each mask these are straight lines over λ, and of the lowest line the slope, which
is the rate, falls as λ grows: rates that rise with λ are gone, to the bit where labels are kept. (Masks that lose the
label count at twice their price, as in the search; where such a one gives way to one that keeps it, the rate may
still grow, by a factor of two at most.)
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from wavelens.explain._choice import DEAR, LOST
from wavelens.explain._objective import ModelAnswerError, Objective
from wavelens.explain._search import Found

__all__ = ["exchange"]

# Noise of its own: neither the searches nor the report have seen it.
EXCHANGE_STREAM = 2**31 + 3
_n_exchange = 64


def exchange(objective: Objective, found: Sequence[Found], lambdas: Sequence[float]) -> None:
    """Give each image at each λ the best of the masks found for it, in place.

    Parameters
    ----------
    objective : Objective
    found : sequence of Found
        One for each λ. Where a search has failed its mask is no candidate, and stays.
    lambdas : sequence of float
    """
    n_samples = _n_exchange if objective.random else 1
    for i in range(len(found[0].masks)):
        places = [k for k, each in enumerate(found) if not each.stopped[i].startswith("failed")]
        try:
            distinct = _distinct([found[k].masks[i] for k in places])
            if len(distinct) > 1:
                masks = np.stack(distinct)
                lines = _lines(objective, i, masks, n_samples)
                for k in places:
                    found[k].masks[i] = masks[int((lines[0] + lambdas[k] * lines[1]).argmin())]
        except ModelAnswerError:
            continue  # what the searches have found stands


def _distinct(masks: list[npt.NDArray[np.float32]]) -> list[npt.NDArray[np.float32]]:
    """Leave out masks that are equal to an earlier one."""
    kept: list[npt.NDArray[np.float32]] = []
    for mask in masks:
        if not any(np.array_equal(mask, each) for each in kept):
            kept.append(mask)
    return kept


def _lines(
    objective: Objective, i: int, masks: npt.NDArray[np.float32], n_samples: int
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return what each mask costs at λ = 0, and how much more for each unit of λ."""
    one = np.array([i])
    none = np.zeros_like(masks[:1])
    empty = float(objective.distortions(one, none, EXCHANGE_STREAM, n_samples).mean())
    own = np.array(
        [objective.distortions(one, mask[None], EXCHANGE_STREAM, n_samples).mean() for mask in masks]
    )
    price = np.where(own > LOST * empty, DEAR, 1.0)
    same = np.full(len(masks), i)
    return price * (own + objective.penalties(same, masks, 0.0)), price * masks.mean(axis=1, dtype=np.float64)
