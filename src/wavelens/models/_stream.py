"""Images through a network, a batch at a time, for who needs values of its layers whole, but not all at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from wavelens._arguments import check_integer
from wavelens.data import ImageSource
from wavelens.exceptions import ModelError
from wavelens.models._extract import full_range, open_images, own_size
from wavelens.models._network import Network
from wavelens.models._preprocessing import Preprocessing
from wavelens.models._recognise import recognise_preprocessing

__all__ = ["LayerStream"]

Array = npt.NDArray[Any]


class LayerStream:
    """Values of some layers, batch by batch; iterates over (positions, values by the names of layers).

    Parameters
    ----------
    network : Network
        Opened.
    images : array, path or ImageSource
        As `extract_features` takes them.
    layers : sequence of str
        Names of layers, or of the network's input.
    labels : array or path, optional
        One label for each image.
    preprocessing : Preprocessing, optional
        By default what `recognise_preprocessing` chooses.
    image_range : tuple of float, optional
        Black and white of the images.
    batch_size : int
        Images at a time.
    progress : bool, optional
        Of reading, as `extract_features` takes it.

    Attributes
    ----------
    source : ImageSource
        The images.
    rule : Preprocessing
        What becomes of them.
    notes : list of str
        What was assumed of them.
    """

    def __init__(
        self,
        network: Network,
        images: object,
        layers: Sequence[str],
        *,
        labels: object = None,
        preprocessing: Preprocessing | None = None,
        image_range: tuple[float, float] | None = None,
        batch_size: int = 32,
        progress: bool | None = None,
    ) -> None:
        check_integer(batch_size, "batch_size", low=1)
        color = None if preprocessing is None else preprocessing.color
        self.network = network
        self.layers = tuple(dict.fromkeys(layers))
        self.source: ImageSource = open_images(images, labels, color, network, progress)
        self.rule = preprocessing or recognise_preprocessing(network, **own_size(network, self.source))
        self.notes: list[str] = []
        self._full = full_range(self.source, image_range, self.notes)
        self._batch_size = network.batch or batch_size

    def __iter__(self) -> Iterator[tuple[npt.NDArray[np.intp], dict[str, Array]]]:
        def prepared(image: Array) -> Array:
            return self.rule(image, self._full)

        for chunk in self.source.mapped(prepared, self._batch_size):
            yield chunk.positions, run_batch(self.network, chunk.images, self.layers)


def run_batch(network: Network, batch: Array, layers: Sequence[str]) -> dict[str, Array]:
    """Push one batch through.

    Parameters
    ----------
    network : Network
        Opened.
    batch : ndarray
        As the network takes it; filled up if it insists on more images.
    layers : sequence of str
        Names of layers, or of the network's input.

    Returns
    -------
    dict of str to ndarray
        Images along the first axis.
    """
    n = len(batch)
    inner = [each for each in layers if each != network.input.name]
    values = {network.input.name: batch} if len(inner) < len(layers) else {}
    if inner:
        whole = batch
        if network.batch is not None and n < network.batch:
            whole = np.concatenate([batch, np.zeros((network.batch - n, *batch.shape[1:]), batch.dtype)])
        values |= network.run(whole, inner)
    for name, each in values.items():
        if not each.ndim or len(each) < n:
            raise ModelError(f"{network.name}: the layer {name!r} does not give a value for each image")
    return {name: values[name][:n] for name in layers}
