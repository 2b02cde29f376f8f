"""How images are read, for every workflow that reads a dataset."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass

from wavelens.data import ImageSource, open_source
from wavelens.workflows._argument_names import argument_names
from wavelens.workflows._progress import WorkflowProgress

__all__ = ["ImageOptions", "open_images", "source_name"]


@dataclass(frozen=True, kw_only=True)
class ImageOptions:
    """How the images and labels of a dataset are read; see `wavelens.data.load`.

    Parameters
    ----------
    key, labels_key : str or None, default None
        Arrays of images and of labels inside an ``.npz``, ``.zarr`` or ``.h5`` file; None: recognized.
    split : {"train", "val", "test", "all"} or None, default None
        Part of a dataset with splits; None: the training set.
    size : int, (height, width) or None, default None
        In pixels; None: as they are, or for files the median height and width.
    keep_aspect : bool, default False
        Fit images into `size` by padding instead of stretching.
    color : {"grey", "rgb"} or None, default None
        None: RGB where the images have color.
    limit : int or None, default None
        At most this many images of each class, drawn at random.
    strict : bool, default False
        Refuse unreadable files instead of leaving them out.
    trust_external : bool, default False
        Read other files that an ``.h5`` file or a ``.zarr`` folder names as parts of it.
    fill_missing : bool, default False
        Read chunks that a store lacks as its fill value, instead of leaving their images out.
    """

    key: str | None = None
    labels_key: str | None = None
    split: str | None = None
    size: int | tuple[int, int] | None = None
    keep_aspect: bool = False
    color: str | None = None
    limit: int | None = None
    strict: bool = False
    trust_external: bool = False
    fill_missing: bool = False


def open_images(
    source: object, labels: object, options: ImageOptions | None, seed: int, progress: WorkflowProgress
) -> ImageSource:
    """Open a dataset without reading its images yet."""
    options = ImageOptions() if options is None else options
    if not isinstance(options, ImageOptions):
        raise TypeError(f"`image_options` must be an ImageOptions or None, got {options!r}")
    with argument_names(random_state="`seed`"):
        return open_source(source, labels, **asdict(options), progress=progress.bars, random_state=seed)


def source_name(source: object, name: str = "the images") -> str:
    """Return a source as a person wrote it, else `name`."""
    return os.fspath(source) if isinstance(source, str | os.PathLike) else name
