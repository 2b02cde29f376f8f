"""The images of `explain`, the class that is explained, and what the classifier predicts."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from wavelens.data._decode import ENDINGS, decode_through
from wavelens.data._source import SkippedFile
from wavelens.exceptions import DataError, WavelensError
from wavelens.models import Model, check_range
from wavelens.workflows._progress import WorkflowProgress

__all__ = ["ExplainedImages", "find_files", "find_target", "first_predictions", "on_scale", "read_images"]

_predictions_shown = 3


@dataclass(frozen=True, eq=False)
class ExplainedImages:
    """The images as the network sees them.

    Attributes
    ----------
    pixels : array of float32, shape (n, height, width[, channels])
        On the scale 0–1.
    names : tuple of str
    skipped : tuple of (str, str)
        Files that were left out, and why.
    """

    pixels: npt.NDArray[np.float32]
    names: tuple[str, ...]
    skipped: tuple[tuple[str, str], ...] = ()

    @property
    def planes(self) -> npt.NDArray[np.float32]:
        """The pixels as (n, channels, height, width)."""
        return np.ascontiguousarray(
            self.pixels[:, None] if self.pixels.ndim == 3 else np.moveaxis(self.pixels, 3, 1)
        )


def find_files(images: object, limit: int | None) -> list[Path] | None:
    """Return image files, those of folders in order of their names, each once; None where `images` is an array."""
    if isinstance(images, str | os.PathLike):
        images = [images]
    if not isinstance(images, Sequence) or not all(isinstance(each, str | os.PathLike) for each in images):
        return None
    found: list[Path] = []
    for each in images:
        path = Path(each).expanduser()
        if path.is_dir():
            inside = sorted(
                file for file in path.iterdir() if file.suffix.lower() in ENDINGS and file.is_file()
            )
            if not inside:
                raise DataError(f"{path}: no images in this folder; its sub-folders are not looked into")
            found += inside[:limit]
        elif path.exists():
            found.append(path)
        else:
            raise DataError(f"{path}: no such file or folder")
    if not found:
        raise ValueError("`images` must be at least one file, folder or array, got none")
    return list(dict.fromkeys(found))


def read_images(
    images: object, files: list[Path] | None, model: Model, progress: WorkflowProgress
) -> ExplainedImages:
    """Read images as the network takes them; files that are no images are noted and left out."""
    if files is None:
        return _from_array(images, model)
    color = model.input_shape[0] != 1
    planes, names, skipped = [], [], []
    for path in files:
        progress.check()
        try:
            decoded = decode_through(
                path, lambda pixels: model.prepare(on_scale(pixels)[None])[0], colour=color
            )
        except ValueError as error:
            raise DataError(f"{path}: {error}") from error
        if isinstance(decoded, SkippedFile):
            skipped.append((path.name, decoded.reason))
            progress.note(f"left out {path}: {decoded.reason}")
        else:
            planes.append(decoded.pixels)
            names.append(path.name)
    if not planes:
        raise DataError(f"no image could be read; {skipped[0][0]}: {skipped[0][1]}")
    if len({each.shape for each in planes}) > 1:
        raise DataError(
            "the images have different sizes, and the network does not tell its own; pass `size` (--size)"
        )
    return ExplainedImages(_as_pixels(np.stack(planes)), _distinct(names, files), tuple(skipped))


def _from_array(images: object, model: Model) -> ExplainedImages:
    planes = model.prepare(np.asarray(images))
    if not len(planes):
        raise ValueError("`images` must hold at least one image, got none")
    return ExplainedImages(_as_pixels(planes), tuple(f"image {i}" for i in range(len(planes))))


def _as_pixels(planes: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    pixels = planes[:, 0] if planes.shape[1] == 1 else np.moveaxis(planes, 1, 3)
    return np.ascontiguousarray(pixels, np.float32)


def on_scale(pixels: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return bytes as they are, deeper images on the scale 0–1."""
    return pixels if pixels.dtype == np.uint8 else np.clip(pixels / 255.0, 0, 1).astype(np.float32)


def _distinct(names: list[str], files: list[Path]) -> tuple[str, ...]:
    """Return names of files, with their folders where two are alike."""
    if len(set(names)) == len(names):
        return tuple(names)
    by_name: dict[str, list[Path]] = {}
    for path in files:
        by_name.setdefault(path.name, []).append(path)
    taken = iter(path for path in files if path.name in names)
    return tuple(f"{path.parent.name}/{path.name}" for path in taken)


def find_target(target: str | int | None, model: Model) -> int | None:
    """Return the class that is explained, by name or index; None: the predicted one."""
    if target is None:
        return None
    asked = str(target)
    if re.fullmatch(r"\d+", asked):
        if int(asked) >= model.n_outputs:
            raise WavelensError(f"`target={asked}`: the classes are 0 to {model.n_outputs - 1}")
        return int(asked)
    if model.class_names is None:
        raise WavelensError(
            f"`target={asked!r}`: without `labels` the classes have numbers only, 0 to {model.n_outputs - 1}"
        )
    found = model.class_names.index_of(asked)
    if found is not None:
        return found
    folded = {each.casefold(): each for each in model.class_names.names}
    near = [each for each in folded if asked.casefold() in each][:3]
    near = near or difflib.get_close_matches(asked.casefold(), list(folded), 3, 0.6)
    hint = f"; did you mean {' or '.join(repr(folded[each]) for each in near)}?" if near else ""
    raise WavelensError(f"`target`: there is no class {asked!r}{hint}")


def first_predictions(model: Model, images: ExplainedImages) -> tuple[str, str]:
    """Return what the classifier predicts for each image as text, and what looks wrong."""
    found = check_range(model, images.planes, k=_predictions_shown)
    width = min(40, max(map(len, images.names)))
    lines = [model.describe(), ""]
    for name, words, shares in zip(images.names, found.names, found.probabilities, strict=True):
        said = ", ".join(f"{word} {share:.1%}" for word, share in zip(words, shares, strict=True))
        lines.append(f"{name:<{width}}  {said if np.isfinite(shares).all() else 'no numbers (NaN)'}")
    return "\n".join(lines), found.suspicion
