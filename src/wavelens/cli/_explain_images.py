"""The images of ``wavelens explain``, and what the classifier takes them for."""

from __future__ import annotations

import argparse
import difflib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wavelens.cli import _interrupt
from wavelens.cli._output import print_text
from wavelens.cli._steps import Steps
from wavelens.exceptions import DataError, WavelensError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from wavelens.models import Model

__all__ = ["Images", "find_files", "find_target", "read_images", "show_labels"]

_answers_told = 3


@dataclass(eq=False)
class Images:
    """What is explained: as the network sees it, (n, h, w[, c]) on the scale 0–1."""

    pixels: npt.NDArray[np.float32]
    names: tuple[str, ...]
    skipped: tuple[tuple[str, str], ...]


def find_files(given: list[str], limit: int | None) -> list[Path]:
    """Return the files that are meant, those of folders in order of their names, each once."""
    from wavelens.data._decode import ENDINGS

    found: list[Path] = []
    for text in given:
        path = Path(text).expanduser()
        if path.is_dir():
            inside = sorted(
                each for each in path.iterdir() if each.suffix.lower() in ENDINGS and each.is_file()
            )
            if not inside:
                raise DataError(f"{path}: no images in this folder; its sub-folders are not looked into")
            found += inside[:limit]
        elif path.exists():
            found.append(path)
        else:
            raise DataError(f"{path}: no such file or folder")
    return list(dict.fromkeys(found))


def read_images(files: list[Path], model: Model, say: Steps) -> Images:
    """Decode files as the network takes them; what is no image is told and left out."""
    import numpy as np

    from wavelens.data._decode import decode_through
    from wavelens.data._source import SkippedFile

    colour = model.input_shape[0] != 1
    planes, names, skipped = [], [], []
    for path in files:
        _interrupt.check()
        try:
            decoded = decode_through(
                path, lambda pixels: model.prepare(_on_scale(pixels)[None])[0], colour=colour
            )
        except ValueError as error:
            raise DataError(f"{path}: {error}") from error
        if isinstance(decoded, SkippedFile):
            skipped.append((path.name, decoded.reason))
            say.note(f"left out {path}: {decoded.reason}")
        else:
            planes.append(decoded.pixels)
            names.append(path.name)
    if not planes:
        raise DataError(f"no image could be read; {skipped[0][0]}: {skipped[0][1]}")
    if len({each.shape for each in planes}) > 1:
        raise DataError(
            "the images have different sizes, and the network does not tell its own; say which --size"
        )
    stack = np.stack(planes)
    pixels = stack[:, 0] if stack.shape[1] == 1 else np.moveaxis(stack, 1, 3)
    return Images(np.ascontiguousarray(pixels, np.float32), _distinct(names, files), tuple(skipped))


def _on_scale(pixels: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return bytes as they are, deeper images on the scale 0–1."""
    import numpy as np

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


def find_target(asked: str | None, model: Model) -> int | None:
    """Return the class that is asked for by name or number; None if none is."""
    if asked is None:
        return None
    if re.fullmatch(r"\d+", asked):
        if int(asked) >= model.n_outputs:
            raise WavelensError(f"--target {asked}: the classes are 0 to {model.n_outputs - 1}")
        return int(asked)
    if model.class_names is None:
        raise WavelensError(
            f"--target {asked!r}: without --labels the classes have numbers only, 0 to {model.n_outputs - 1}"
        )
    found = model.class_names.index_of(asked)
    if found is not None:
        return found
    folded = {each.casefold(): each for each in model.class_names.names}
    near = [each for each in folded if asked.casefold() in each][:3]
    near = near or difflib.get_close_matches(asked.casefold(), list(folded), 3, 0.6)
    hint = f"; did you mean {' or '.join(repr(folded[each]) for each in near)}?" if near else ""
    raise WavelensError(f"--target: there is no class {asked!r}{hint}")


def show_labels(options: argparse.Namespace, model: Model, images: Images) -> str:
    """Print what the classifier says of each image; return what looks wrong."""
    import numpy as np

    from wavelens.models import check_range

    planes = images.pixels[:, None] if images.pixels.ndim == 3 else np.moveaxis(images.pixels, 3, 1)
    found = check_range(model, np.ascontiguousarray(planes), k=_answers_told)
    if options.quiet:
        return found.suspicion
    width = min(40, max(map(len, images.names)))
    lines = [model.describe(), ""]
    for name, words, shares in zip(images.names, found.names, found.probabilities, strict=True):
        said = ", ".join(f"{word} {share:.1%}" for word, share in zip(words, shares, strict=True))
        lines.append(f"{name:<{width}}  {said if np.isfinite(shares).all() else 'no numbers (NaN)'}")
    print_text("\n".join(lines))
    return found.suspicion
