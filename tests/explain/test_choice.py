"""Which mask a search keeps: its last one, unless another is better by more than the noise of the comparison."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from wavelens.explain._choice import choose, unseen

SPREAD = 0.2
# Samples of the two masks move against each other, so that their difference spreads by twice that, over 16 samples.
ERROR = 2 * SPREAD / np.sqrt(16)


def kept(difference, empty=10.0):
    """Return 1 if the last mask is kept, 2 if the other one, whose mean distortion is that much smaller."""

    def distortions(images, masks, _, n):
        swing = SPREAD * (-1.0) ** np.arange(n)
        last = masks[:, :1] == 1
        return np.where(last, 0.5 + swing, 0.5 - difference - swing)

    objective = SimpleNamespace(
        random=True, distortions=distortions, penalties=lambda images, *_: np.zeros(len(images))
    )
    searcher = SimpleNamespace(
        objective=objective,
        n=1,
        alive=np.array([0]),
        masks=np.zeros((1, 3), np.float32),
        guarded=lambda images, run: run(images),
    )
    masks = [np.full((1, 3), value, np.float32) for value in (1, 2)]
    choose(searcher, np.zeros(1), np.array([empty]), [unseen(each) for each in masks])
    return int(searcher.masks[0, 0])


@pytest.mark.parametrize(
    ("difference", "expected"), [(-0.3, 1), (0.0, 1), (0.9 * ERROR, 1), (1.1 * ERROR, 2), (0.3, 2)]
)
def test_the_last_mask_stays_unless_another_is_better_beyond_the_error(difference, expected):
    assert kept(difference) == expected


def test_a_mask_that_keeps_the_label_wins_over_a_last_one_that_lost_it():
    """Half of D(0) lies between the two: the price of the lost one counts twice."""
    assert kept(0.9 * ERROR, empty=0.95) == 2
