"""A model that has learnt nothing, made from one that has: the sanity check of explanations.

An explanation that stays the same when the weights are shuffled shows the image, not the model (J. Adebayo et al.,
*Sanity Checks for Saliency Maps*, NeurIPS 2018).
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

__all__ = ["randomized"]


def randomized(model: Any, random_state: int) -> Any | None:
    """Return a copy of a model with the weights of each layer shuffled; None for a model that can't be copied.

    Shuffled are the entries of each array with two axes or more, which keeps their distribution; biases and
    statistics of normalisation stay. Known are models with a torch `module`, and with arrays `weights`.
    """
    rng = np.random.default_rng(random_state)
    found = copy.copy(model)
    if hasattr(getattr(model, "module", None), "parameters"):
        with warnings.catch_warnings():
            # Copying a graph, torch warns of its own ways.
            warnings.simplefilter("ignore")
            found.module = copy.deepcopy(model.module)
        for parameter in found.module.parameters():
            values = parameter.detach()
            if values.ndim > 1:
                order = rng.permutation(values.numel())
                values.copy_(values.reshape(-1)[order.tolist()].reshape(values.shape))
        return found
    weights = getattr(model, "weights", None)
    if isinstance(weights, Sequence) and all(isinstance(each, np.ndarray) for each in weights):
        shuffled = [rng.permutation(each.ravel()).reshape(each.shape) for each in weights]
        # Of frozen dataclasses too: nobody else holds this copy.
        object.__setattr__(found, "weights", type(weights)(shuffled))  # type: ignore[call-arg]
        return found
    return None
