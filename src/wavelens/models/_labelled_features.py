"""Features of labelled images: in memory, and in ``.npz`` files of ours and of others."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import numpy.typing as npt

from wavelens.models._class_names import ClassNames, read_class_names

__all__ = ["LabelledFeatures"]

Array = npt.NDArray[Any]
Codes = npt.NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class LabelledFeatures:
    """One row for each image, for each layer of a network.

    Attributes
    ----------
    layers : dict of str to ndarray of shape (n, d)
        Features by layer, in the order of the network; maps are flattened, channels first.
    labels : ndarray of int, shape (n,), or None
        Codes into `class_names`; None if nothing says which class an image belongs to.
    class_names : tuple of str
        One for each class; empty without labels.
    file_names : tuple of str
        One for each image, or none at all.
    source : str
        Where they come from, for titles.
    shapes : dict of str to tuple of int
        Of one image's features before flattening: (channels, height, width), or (d,).
    info : dict
        How they were made, as JSON has it: model, preprocessing, pool, prediction check, version.
    notes : tuple of str
        What was done and what looked odd, each one sentence.
    """

    layers: dict[str, Array]
    labels: Codes | None = None
    class_names: tuple[str, ...] = ()
    file_names: tuple[str, ...] = ()
    source: str = "features"
    shapes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    info: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.layers:
            raise ValueError("`layers` must hold at least one layer, got none")
        counts = {name: len(each) for name, each in self.layers.items()}
        if len(set(counts.values())) > 1:
            raise ValueError(f"`layers` must have as many rows each, got {counts}")
        for name, each in self.layers.items():
            if each.ndim != 2:
                raise ValueError(f"`layers`: {name!r} must have shape (n, d), got {each.shape}")
        for name, values in (("labels", self.labels), ("file_names", self.file_names or None)):
            if values is not None and len(values) != self.n_images:
                raise ValueError(
                    f"`{name}` must have one entry for each of the {self.n_images} images, got {len(values)}"
                )
        if not self.shapes:
            shapes = {name: (each.shape[1],) for name, each in self.layers.items()}
            object.__setattr__(self, "shapes", shapes)

    @property
    def n_images(self) -> int:
        """Number of rows."""
        return len(next(iter(self.layers.values())))

    @property
    def class_counts(self) -> dict[str, int]:
        """Number of images of each class."""
        if self.labels is None:
            return {}
        counts = np.bincount(self.labels, minlength=len(self.class_names))
        return dict(zip(self.class_names, counts.tolist(), strict=True))

    def rows_as_classes(
        self, class_names: str | os.PathLike[str] | Sequence[str] | None = None
    ) -> LabelledFeatures:
        """Take every row as a class of its own, in order: a file with one image, or one mean, a class.

        Parameters
        ----------
        class_names : path or sequence of str, optional
            As `read_class_names` takes it, one for each row; file names without folder and ending by default,
            else numbers.

        Returns
        -------
        LabelledFeatures
            With the same arrays.

        Raises
        ------
        ValueError
            If there are not as many names as rows.
        """
        if class_names is not None:
            names = read_class_names(class_names).names
        elif self.file_names:
            names = tuple(PurePosixPath(each).stem for each in self.file_names)
        else:
            names = tuple(str(i) for i in range(self.n_images))
        if len(names) != self.n_images:
            raise ValueError(f"`class_names` must name each of the {self.n_images} rows, got {len(names)}")
        return replace(self, labels=np.arange(self.n_images), class_names=_distinct(names))

    def with_class_names(
        self, names: ClassNames | str | os.PathLike[str] | Sequence[str]
    ) -> LabelledFeatures:
        """Turn ids of classes (``"n01440764"``), or their indices, into words.

        Parameters
        ----------
        names : ClassNames, path or sequence of str
            As `read_class_names` takes it.

        Returns
        -------
        LabelledFeatures
            With the same arrays. Names that are neither an id nor an index stay.
        """
        known = names if isinstance(names, ClassNames) else read_class_names(names)
        words = known.translate(self.class_names)
        indices = [int(each) if each.isdecimal() else -1 for each in self.class_names]
        if indices and all(0 <= each < len(known) for each in indices):
            words = tuple(known.names[each] for each in indices)
        return replace(self, class_names=words)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a ``.npz`` file that `load_features` reads; whole or not at all.

        Parameters
        ----------
        path : path
            Of the file; an existing one is replaced.
        """
        from wavelens.models._features_file import FeaturesWriter

        with FeaturesWriter(Path(path)) as writer:
            for name, each in self.layers.items():
                writer.append(name, each.reshape(len(each), *self.shapes[name]))
            writer.finish(self.labels, self.class_names, self.file_names, self.source, self.info, self.notes)

    def __repr__(self) -> str:
        layers = ", ".join(f"{name}: {each.shape[1]}" for name, each in self.layers.items())
        classes = f" of {len(self.class_names)} classes" if self.labels is not None else ", no labels"
        return f"<LabelledFeatures {self.source!r}: {self.n_images} images{classes} ({layers})>"


def _distinct(names: Sequence[str]) -> tuple[str, ...]:
    seen: dict[str, int] = {}
    for each in names:
        seen[each] = seen.get(each, 0) + 1
    return tuple(f"{each} ({i})" if seen[each] > 1 else each for i, each in enumerate(names))
