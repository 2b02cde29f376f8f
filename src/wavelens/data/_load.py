"""The one way in: whatever holds images becomes an `ImageSource`, or `ImageData` at once."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from wavelens._arguments import check_choice, check_integer
from wavelens.data._archives import read_npy, read_npz
from wavelens.data._arrays import Arrays, ArraySource, Positions, check_images
from wavelens.data._folders import FolderSource
from wavelens.data._generated import GeneratedSource
from wavelens.data._labels import encode_labels, labels_for
from wavelens.data._source import Codes, ImageData, ImageSource, check_classes, pick, taken
from wavelens.data._store_access import Access
from wavelens.data._stores import StoreSource, is_store, read_store
from wavelens.exceptions import DataError

__all__ = ["BUNDLED", "load", "open_source"]

BUNDLED = ("digits",)
"""Names of the data sets that come with the libraries and need no file."""


def load(
    source: object,
    labels: object = None,
    *,
    key: str | None = None,
    labels_key: str | None = None,
    split: str | None = None,
    size: int | tuple[int, int] | None = None,
    keep_aspect: bool = False,
    color: str | None = None,
    limit: int | None = None,
    strict: bool = False,
    trust_external: bool = False,
    fill_missing: bool = False,
    progress: bool | None = None,
    random_state: int = 0,
) -> ImageData:
    """Read labelled images from wherever they are.

    Parameters
    ----------
    source : array, path or name
        * An array ``(n, height, width)`` or ``(n, height, width, channels)`` with 1, 3 or 4 channels, of real
          numbers; memory maps and read-only arrays are taken as they are.
        * A ``.npy`` file, which is mapped into memory.
        * A ``.npz`` file; its arrays are mapped where they are not compressed. Recognised are images/labels,
          x/y, data/target, each also with a split (x_train/y_train, train_images/train_labels), and
          class_names and file_names beside them.
        * A folder with one sub-folder per class (folders within are searched too), or parts train, val and
          test with such sub-folders; or any folder of images if `labels` are given.
        * A ``.zarr`` folder or a ``.h5`` file (extra ``[io]``), with arrays of the same names; read a slice at a
          time.
        * A function that takes nothing and returns an iterable of (images, labels), the same at every call.
        * ``"digits"``: 1,797 handwritten digits of 8 × 8 pixels that come with scikit-learn.
        * An `ImageSource`.
    labels : array or path, optional
        One label (integer or string) for each image, or a file: ``.npy``; ``.csv``, ``.tsv`` or ``.txt``
        with one label a line, or with a file name and a label. Overrides what the source says.
    key, labels_key : str, optional
        Names of the arrays in a ``.npz`` file, where they are not recognised.
    split : {"train", "val", "test", "all"}, optional
        Which part of a divided source; ``"train"`` by default.
    size : int or (height, width), optional
        Size to bring all images to. By default arrays keep theirs, and files get the median height and width.
    keep_aspect : bool
        Fit images into `size` without stretching, and repeat their outermost pixels in the rest.
    color : {"grey", "rgb"}, optional
        Grey is the luminance of ITU-R 601. By default arrays keep their channels (alpha is dropped), and
        files are read in colour if in some class more than half of the images show it, whatever mode they
        are stored in: over 1 % of the pixels have channels more than 16 of 255 apart (25 images of each
        class are looked at).
    limit : int, optional
        At most so many images of each class, chosen at random and left in order.
    strict : bool
        Refuse a folder with files that cannot be read, instead of leaving them out.
    trust_external : bool
        Read other files that a store names as parts of it: external storage, external links and virtual
        datasets of HDF5, symbolic links out of a zarr folder. Refused by default, since a store from somebody
        else could name any file of this machine.
    fill_missing : bool
        Read chunks that are not in a zarr or HDF5 store as its fill value. By default images that need one
        are left out and listed, or refused with `strict`; in HDF5, chunks that were never written are accepted
        if the dataset was created with a fill value of its own.
    progress : bool, optional
        Show a progress bar. By default, on a terminal, when it takes over a second.
    random_state : int
        Seed of the choice for `limit`.

    Returns
    -------
    ImageData
        Images in the source's dtype, labels, names, the files that were left out, and notes in plain words
        on what was done. 16-bit files give float32 on the scale 0–255 with their full precision; 32-bit ones
        float32 as they are.

    Raises
    ------
    TypeError, ValueError
        If an array or another argument is not what it should be; NaN and infinities with their place.
    DataError
        If a file or folder cannot be read, holds no images, or its labels do not fit; or if there are fewer
        than two classes, or a class with only one image. (`open_source` accepts those.)

    See Also
    --------
    open_source : the same without reading the images yet, in chunks.

    Notes
    -----
    Files are decoded by pillow in `wavelens.num_threads` threads; the result does not depend on their
    number. Of an animation the first frame is taken; EXIF orientation is obeyed; alpha is dropped, not
    blended; colour files of 16 bits a channel are read with 8, as pillow does. Resizing is by a Lanczos
    filter of three lobes; a JPEG over six times as large as needed is decoded at a reduced size first. An
    image beyond pillow's limit of pixels counts as unreadable.

    Arrays are copied only if they are resized, change colour, are chosen from by `limit`, or do not lie in
    memory as the machine reads it; so `images` may be read-only.

    Examples
    --------
    >>> import numpy as np
    >>> from wavelens.data import load
    >>> images = np.zeros((4, 8, 8), dtype=np.uint8)
    >>> data = load(images, ["cat", "dog", "dog", "cat"])
    >>> data.class_names, data.labels
    (('cat', 'dog'), array([0, 1, 1, 0]))
    >>> data.images is images
    True
    """
    opened = open_source(
        source,
        labels,
        key=key,
        labels_key=labels_key,
        split=split,
        size=size,
        keep_aspect=keep_aspect,
        color=color,
        limit=limit,
        strict=strict,
        trust_external=trust_external,
        fill_missing=fill_missing,
        progress=progress,
        random_state=random_state,
    )
    if not opened.labelled:
        sub_folders = "put the images into one sub-folder per class, or "
        raise DataError(
            f"{opened.name}: nothing says which class an image belongs to; "
            f"{sub_folders if isinstance(opened, FolderSource) else ''}"
            "give `labels` (--labels): one for each image, or a .csv file with the columns file and label"
        )
    # Before the images are read, which may take long, and after, when some turned out unreadable.
    check_classes(opened)
    data = opened.load(progress=progress)
    check_classes(data)
    return data


def open_source(
    source: object,
    labels: object = None,
    *,
    key: str | None = None,
    labels_key: str | None = None,
    split: str | None = None,
    size: int | tuple[int, int] | None = None,
    keep_aspect: bool = False,
    color: str | None = None,
    limit: int | None = None,
    strict: bool = False,
    trust_external: bool = False,
    fill_missing: bool = False,
    progress: bool | None = None,
    random_state: int = 0,
) -> ImageSource:
    """Find out what a source holds, without reading its images yet.

    Parameters
    ----------
    source, labels, key, labels_key, split, size, keep_aspect, color, limit, strict, trust_external, \
    fill_missing, progress, random_state
        As in `load`. Labels may be missing, and any number of classes and images is accepted.

    Returns
    -------
    ImageSource
        With the number of images, their shape, labels and names; ``chunks(size)`` and ``load()`` read them.

    Raises
    ------
    TypeError, ValueError, DataError
        As `load` does.

    Examples
    --------
    >>> import numpy as np
    >>> from wavelens.data import open_source
    >>> source = open_source(np.zeros((5, 8, 8)), labels=[0, 0, 1, 1, 1])
    >>> source.n_images, source.image_shape
    (5, (8, 8))
    >>> [len(chunk.images) for chunk in source.chunks(2)]
    [2, 2, 1]
    """
    if split is not None:
        check_choice(split, "split", ("train", "val", "test", "all"))
    if color is not None:
        check_choice(color, "color", ("grey", "rgb"))
    if limit is not None:
        check_integer(limit, "limit", low=1)
    check_integer(random_state, "random_state", low=0)
    height_width = _check_size(size)
    if isinstance(source, ImageSource):
        given = {"labels": labels, "key": key, "labels_key": labels_key, "split": split, "size": size}
        given |= {
            "keep_aspect": keep_aspect or None,
            "color": color,
            "limit": limit,
            "strict": strict or None,
        }
        _refuse("the source is open already", **given)
        return source
    if callable(source) or hasattr(source, "__next__"):
        if not callable(source):
            raise ValueError(
                f"`source`: a {type(source).__name__} gives its images once, and they are read several times; "
                "pass a function that makes a new one at every call, or write the images to a .npy file"
            )
        given = {"labels": labels, "key": key, "labels_key": labels_key, "split": split, "size": size}
        given |= {"keep_aspect": keep_aspect or None, "color": color, "limit": limit}
        _refuse("the source is a function, which gives images and labels as they are taken", **given)
        return GeneratedSource(source)
    path = _existing_path(source)
    if path is not None and is_store(path):
        _refuse(f"{path} has no named parts", split=split)
        access = Access(trust_external, fill_missing)
        stored = read_store(path, key, labels_key, access, own_labels=labels is None)
        stored, codes, class_names = _encode(stored, labels, path)
        rows = pick(codes, limit, random_state)
        return StoreSource(
            stored,
            codes,
            class_names,
            path=path,
            strict=strict,
            rows=rows,
            notes=() if rows is None else (taken(len(rows), len(codes), limit),),
            size=height_width,
            keep_aspect=keep_aspect,
            color=color,
        )
    if path is not None and path.is_dir():
        _refuse(f"{path} is a folder", key=key, labels_key=labels_key)
        return FolderSource(
            path,
            labels,
            split=split,
            size=height_width,
            keep_aspect=keep_aspect,
            color=color,
            limit=limit,
            strict=strict,
            progress=progress,
            random_state=random_state,
        )
    if key is not None:
        _refuse(f"`key` names the array {key!r}", split=split)
    if labels is not None:
        _refuse("so are `labels`", labels_key=labels_key)
    arrays = _read_arrays(source, path, key, labels_key, split, labels is None)
    arrays, codes, class_names = _encode(arrays, labels, path)
    rows = pick(codes, limit, random_state)
    return ArraySource(
        arrays,
        codes,
        class_names,
        rows=rows,
        notes=() if rows is None else (taken(len(rows), len(codes), limit),),
        size=height_width,
        keep_aspect=keep_aspect,
        color=color,
        from_file=path is not None,
    )


def _read_arrays(
    source: object,
    path: Path | None,
    key: str | None,
    labels_key: str | None,
    split: str | None,
    own_labels: bool,
) -> Arrays:
    """Read or map anything that is no folder."""
    if path is not None and path.suffix.lower() == ".npz":
        return read_npz(path, key, labels_key, split, own_labels=own_labels)
    _refuse(
        "the source has no named parts" if path is None else f"{path} has no named parts",
        key=key,
        labels_key=labels_key,
        split=split,
    )
    if path is None:
        return _digits() if isinstance(source, str) else Arrays(check_images(source), "images")
    if path.suffix.lower() == ".npy":
        return read_npy(path)
    raise DataError(
        f"{path}: expected a folder of images, a .npz or a .npy file, a .zarr folder or a .h5 file"
    )


def _encode(arrays: Arrays, labels: object, path: Path | None) -> tuple[Arrays, Codes, tuple[str, ...]]:
    """Put the given labels in the place of the source's own, and turn them into codes and class names."""
    n = len(arrays.images)
    if labels is not None:
        values = labels_for(labels, arrays.image_names or Positions(n))
        arrays = replace(arrays, labels=values, class_names=None)
    values = np.full(n, "unlabelled") if arrays.labels is None else arrays.labels
    try:
        codes, class_names, notes = encode_labels(values, arrays.class_names)
    except ValueError as error:
        raise DataError(f"{path}: {error}") from error
    return replace(arrays, notes=(*arrays.notes, *notes)), codes, class_names


def _digits() -> Arrays:
    # scikit-learn takes a second to import; only those who ask for its digits wait for it.
    from sklearn.datasets import load_digits

    digits = load_digits()
    names = [str(each) for each in digits.target_names]
    return Arrays(digits.images, "digits", digits.target, names, again=_digit_images)


def _digit_images() -> npt.NDArray[np.float64]:
    return np.asarray(_digits().images)


def _existing_path(source: object) -> Path | None:
    """Return the path that `source` names; None for arrays and bundled names."""
    if not isinstance(source, str | os.PathLike) or (isinstance(source, str) and source in BUNDLED):
        return None
    path = Path(os.fsdecode(source))
    try:
        path = path.expanduser()
        exists = path.exists()
    except (OSError, ValueError, RuntimeError) as error:  # RuntimeError: no such user
        raise DataError(f"{path}: cannot be read: {error}") from error
    if not exists:
        bundled = ", ".join(map(repr, BUNDLED))
        raise DataError(f"{path}: no such file or folder (and not the name of a bundled set: {bundled})")
    return path


def _refuse(why: str, **given: object) -> None:
    for name, value in given.items():
        if value is not None:
            raise ValueError(f"`{name}` is given, but {why}")


def _check_size(size: object) -> tuple[int, int] | None:
    if size is None:
        return None
    pair = (size, size) if isinstance(size, int | np.integer) else size
    if not isinstance(pair, Sequence | np.ndarray) or isinstance(pair, str) or len(pair) != 2:
        raise TypeError(f"`size` must be an integer or (height, width), got {size!r}")
    return check_integer(pair[0], "size", low=1), check_integer(pair[1], "size", low=1)
