"""A classifier seen at some of its outputs only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from wavelens.models._class_names import ClassNames
from wavelens.models._model import Array, Model, Pullback

__all__ = ["SomeOutputs", "some_outputs"]


@dataclass(eq=False, kw_only=True)
class SomeOutputs(Model):
    """The outputs at `columns` of another classifier; made by `some_outputs`.

    Attributes
    ----------
    whole : Model
        Whose outputs they are.
    columns : tuple of int
        Which.
    """

    whole: Model
    columns: tuple[int, ...] = ()

    def run(self, batch: Array) -> Array:
        """See `Model.run`."""
        return self.whole.run(batch)[:, self.columns]

    def run_back(self, batch: Array, keep: bool) -> tuple[Array, Pullback]:
        """See `Model.run_back`."""
        outputs, back = self.whole.run_back(batch, keep)

        def pullback(cotangent: Array) -> Array:
            wide = np.zeros((len(cotangent), self.whole.n_outputs), cotangent.dtype)
            wide[:, self.columns] = cotangent
            return back(wide)

        return outputs[:, self.columns], pullback


def some_outputs(model: Model, columns: Sequence[int]) -> Model:
    """Return a classifier that has some of another one's outputs.

    Parameters
    ----------
    model : Model
        Any.
    columns : sequence of int
        Which outputs, in which order; each at most once.

    Returns
    -------
    Model
        The model itself, if these are all of its outputs in their order.
    """
    chosen = tuple(int(each) for each in columns)
    if chosen == tuple(range(model.n_outputs)):
        return model
    names = model.class_names
    if names is not None:
        ids = tuple(names.ids[i] for i in chosen) if names.ids else ()
        names = ClassNames(
            tuple(names.names[i] for i in chosen), tuple(names.full_names[i] for i in chosen), ids
        )
    return SomeOutputs(
        name=model.name,
        kind=model.kind,
        input_shape=model.input_shape,
        n_outputs=len(chosen),
        outputs=model.outputs,
        outputs_reason=model.outputs_reason,
        has_gradient=model.has_gradient,
        no_gradient=model.no_gradient,
        preprocessing=model.preprocessing,
        class_names=names,
        batch_size=model.batch_size,
        fixed_batch=model.fixed_batch,
        _map=replace(model._map),
        whole=model,
        columns=chosen,
    )
