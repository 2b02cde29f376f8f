"""Images in a folder, with one sub-folder per class or with labels by file name."""

from __future__ import annotations

import copy
import hashlib
import json
import os
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from wavelens._arguments import check_integer
from wavelens._progress import progress_bar
from wavelens.data._decode import (
    Facts,
    Header,
    decode,
    decode_through,
    in_threads,
    read_header,
    shows_colour,
)
from wavelens.data._labels import encode_labels, labels_for
from wavelens.data._listing import Listing, counted, list_folder
from wavelens.data._resize import Target
from wavelens.data._source import (
    Codes,
    ImageChunk,
    ImageData,
    Images,
    ImageSource,
    SkippedFile,
    listed,
    pick,
    printable,
    taken,
)
from wavelens.exceptions import DataError

__all__ = ["FolderSource"]

# So many files of each class are looked at to find out whether a set is in colour.
LOOKED_AT = 25


class FolderSource(ImageSource):
    """Image files in a folder.

    Opening it reads the headers of all files, and some images to see whether they show colour.

    Parameters
    ----------
    root : Path
        The folder.
    labels : array or path, optional
        One label for each image in natural order of the file names, or a file of labels. Sub-folders are not
        classes then.
    split, size, keep_aspect, color, limit, strict, progress, random_state
        As in `wavelens.data.load`.
    """

    random_access = True

    def __init__(
        self,
        root: Path,
        labels: object = None,
        *,
        split: str | None = None,
        size: tuple[int, int] | None = None,
        keep_aspect: bool = False,
        color: str | None = None,
        limit: int | None = None,
        strict: bool = False,
        progress: bool | None = None,
        random_state: int = 0,
    ) -> None:
        self.name = printable(root.resolve().name) or str(root)
        self.skipped = []
        self._unreadable: set[int] = set()
        self.strict = strict
        listing = list_folder(root, split, by_class=labels is None)
        self.notes = list(listing.notes)
        self._check_listing(listing)
        values = self._find_labels(listing, labels)
        self.labels, self.class_names, notes = encode_labels(values)
        self.notes += notes
        headers = self._read_headers(listing, limit, progress, random_state)
        self.image_names = [listing.name(path) for path in self._paths]
        self.dtype = np.dtype(np.float32 if any(each.deep for each in headers) else np.uint8)
        self._target = Target(
            size=size or _median_size(headers),
            keep_aspect=keep_aspect,
            colour=self._find_colour(headers) if color is None else color == "rgb",
        )
        self.image_shape = (*self._target.size, *((3,) if self._target.colour else ()))
        self._note_sizes(headers)

    def _check_listing(self, listing: Listing) -> None:
        if listing.other:
            kinds = listed([f"{kind} × {count}" for kind, count in listing.other.most_common()], 5)
            self.notes.append(f"{counted(listing.other.total())} of other kinds left out: {kinds}.")
        if not listing.paths:
            seen = ", ".join(f"{kind} × {count}" for kind, count in listing.other.most_common(5))
            raise DataError(
                f"{listing.root}: no images in this folder"
                + (f"; it holds only files of other kinds ({seen})" if seen else "")
                + ". Expected one sub-folder per class with image files such as .png or .jpg"
            )
        if listing.empty:
            folders = "folder" if len(listing.empty) == 1 else "folders"
            names = listed([repr(each) for each in listing.empty])
            raise DataError(f"{listing.root}: no images in the class {folders} {names}")

    def _find_labels(self, listing: Listing, labels: object) -> npt.NDArray[Any]:
        self.labelled = labels is not None or listing.classes[0] is not None
        if labels is not None:
            return labels_for(labels, [listing.name(path) for path in listing.paths], "image files")
        return np.array([each or "unlabelled" for each in listing.classes])

    def _read_headers(
        self, listing: Listing, limit: int | None, progress: bool | None, random_state: int
    ) -> list[Header]:
        headers: dict[int, Header] = {}
        with (
            progress_bar(len(listing.paths), "Looking at the files", progress) as bar,
            closing(in_threads(read_header, listing.paths)) as results,
        ):
            for i, result in enumerate(results):
                bar.update()
                if isinstance(result, SkippedFile):
                    self.skipped.append(result)
                else:
                    headers[i] = result
        if not headers:
            raise DataError(
                f"{listing.root}: none of the {len(listing.paths)} image files can be read: "
                f"{listed(self.skipped, 3)}"
            )
        kept = np.fromiter(headers, np.intp, len(headers))
        chosen = pick(self.labels[kept], limit, random_state)
        if chosen is not None:
            self.notes.append(taken(len(chosen), len(kept), limit))
            kept = kept[chosen]
        self._paths = [listing.paths[i] for i in kept]
        self.labels = self.labels[kept]
        return [headers[i] for i in kept.tolist()]

    def _find_colour(self, headers: Sequence[Header]) -> bool:
        """Read in colour if, of those looked at, more than half of the images of some class show it."""
        members = [np.flatnonzero(self.labels == code) for code in np.unique(self.labels)]
        spread = [
            np.linspace(0, len(each) - 1, min(len(each), LOOKED_AT)).astype(np.intp) for each in members
        ]
        looked_at = np.concatenate([each[some] for each, some in zip(members, spread, strict=True)])
        able = np.array([i for i in looked_at.tolist() if headers[i].coloured], dtype=np.intp)
        if not len(able):
            return False
        with closing(in_threads(shows_colour, [self._paths[i] for i in able])) as results:
            coloured = able[[bool(shows) for shows in results]]
        n_classes = len(self.class_names)
        showing = np.bincount(self.labels[coloured], minlength=n_classes)
        in_colour = bool(np.any(2 * showing > np.bincount(self.labels[looked_at], minlength=n_classes)))
        if in_colour and len(coloured) < len(looked_at):
            self.notes.append(
                f"Read in colour: {len(coloured)} of {len(looked_at)} images looked at show colour, "
                "the others are grey."
            )
        elif not in_colour:
            shown = f"only {len(coloured)} of them do" if len(coloured) else "none of them does"
            self.notes.append(
                f"Read as grey: {len(able)} of {len(looked_at)} images looked at are stored so that they "
                f"could show colour, but {shown}."
            )
        return in_colour

    def _note_sizes(self, headers: Sequence[Header]) -> None:
        sizes = {each.size for each in headers}
        target = self._target
        if sizes == {target.size}:
            return
        heights, widths = zip(*sizes, strict=True)
        was = (
            f"{len(sizes)} sizes, {min(heights)}–{max(heights)} × {min(widths)}–{max(widths)} pixels"
            if len(sizes) > 1
            else f"{heights[0]} × {widths[0]} pixels"
        )
        how = (
            "keeping the aspect and repeating the outermost pixels" if target.keep_aspect else "by stretching"
        )
        self.notes.append(
            f"Images of {was} (height × width) were resized to {target.size[0]} × {target.size[1]} {how}."
        )

    def chunks(self, size: int, start: int = 0) -> Iterator[ImageChunk]:
        """Decode `size` files at a time in threads; see `ImageSource.chunks`."""
        check_integer(size, "size", low=1)
        check_integer(start, "start", low=0)
        for first in range(start, self.n_images, size):
            positions = np.arange(first, min(first + size, self.n_images), dtype=np.intp)
            images = np.empty((len(positions), *self.image_shape), self.dtype)
            index, _ = self._decode(positions, images, lambda: None)
            if self.strict:
                self._refuse_skipped()
            if len(index):
                yield ImageChunk(images[: len(index)], self.labels[index], index)

    def read(self, positions: Codes) -> ImageChunk:
        """Decode some files; see `ImageSource.read`."""
        images = np.empty((len(positions), *self.image_shape), self.dtype)
        index, _ = self._decode(positions, images, lambda: None)
        return ImageChunk(images[: len(index)], self.labels[index], index)

    def part(self, first: int, last: int, labels: npt.NDArray[Any]) -> Callable[[], ImageSource]:
        """Name the files; see `ImageSource.part`."""
        twin = self._twin(first, last, labels)
        paths = [os.path.abspath(each) for each in self._paths[first:last]]
        # Names of files are long and resemble each other.
        named = zlib.compress(json.dumps([paths, list(twin.image_names)]).encode())
        twin._paths, twin.image_names, twin._unreadable = [], (), set()
        return partial(_with_files, twin, named)

    def fingerprint(self) -> dict[str, str]:
        """Add name, size and time of every file; see `ImageSource.fingerprint`."""
        files = hashlib.sha256()
        for name, path in zip(self.image_names, self._paths, strict=True):
            try:
                found = path.stat()
                told = f"{name}\0{found.st_size}\0{found.st_mtime_ns}\0"
            except OSError as error:
                told = f"{name}\0{error.strerror}\0"
            files.update(told.encode("utf-8", "surrogateescape"))
        target = self._target
        return super().fingerprint() | {
            "files": files.hexdigest(),
            "way of resizing": "keeping the aspect" if target.keep_aspect else "stretching",
        }

    def mapped(self, function: Callable[[Images], Images], size: int) -> Iterator[ImageChunk]:
        """Decode `size` files at a time at their own sizes; see `ImageSource.mapped`."""
        check_integer(size, "size", low=1)
        read = partial(decode_through, function=function, colour=self._target.colour)
        for start in range(0, self.n_images, size):
            positions = range(start, min(start + size, self.n_images))
            index: list[int] = []
            images: list[Images] = []
            with closing(in_threads(read, [self._paths[i] for i in positions])) as results:
                for position, result in zip(positions, results, strict=True):
                    if isinstance(result, SkippedFile):
                        self._note_skipped(position, result)
                    else:
                        index.append(position)
                        images.append(result.pixels)
            if self.strict:
                self._refuse_skipped()
            if index:
                found = np.array(index, dtype=np.intp)
                yield ImageChunk(np.stack(images), self.labels[found], found)

    def load(self, *, progress: bool | None = None) -> ImageData:
        """Decode all files; see `ImageSource.load`. With `strict`, files that cannot be read are an error."""
        images = self._allocate()
        with progress_bar(self.n_images, "Reading the images", progress) as bar:
            index, facts = self._decode(np.arange(self.n_images, dtype=np.intp), images, bar.update)
        if self.strict:
            self._refuse_skipped()
        data = self._gather(images[: len(index)], index)
        return replace(
            data,
            notes=(*data.notes, *self._notes_on(facts, data.labels)),
            original_sizes=np.array([each.size for each in facts], dtype=np.intp),
            original_modes=tuple(each.mode for each in facts),
        )

    def _decode(
        self, positions: Codes, images: Images, update: Callable[[], object]
    ) -> tuple[Codes, list[Facts]]:
        """Decode into the first rows of `images`; return which positions these are, and what was found."""
        index: list[int] = []
        facts: list[Facts] = []
        paths = [self._paths[i] for i in positions]
        with closing(in_threads(partial(decode, target=self._target), paths)) as results:
            for position, result in zip(positions.tolist(), results, strict=True):
                if isinstance(result, SkippedFile):
                    self._note_skipped(position, result)
                else:
                    images[len(index)] = result.pixels
                    index.append(position)
                    facts.append(result.facts)
                update()
        return np.array(index, dtype=np.intp), facts

    def _note_skipped(self, position: int, file: SkippedFile) -> None:
        # A source may be read several times.
        if position not in self._unreadable:
            self._unreadable.add(position)
            if file not in self.skipped:  # an earlier process may have listed it
                self.skipped.append(file)

    def _refuse_skipped(self) -> None:
        if self.skipped:
            lines = "\n".join(f"  {each}" for each in self.skipped)
            raise DataError(f"{self.name}: {counted(len(self.skipped))} cannot be read:\n{lines}")

    def _notes_on(self, facts: Sequence[Facts], labels: Codes) -> list[str]:
        def share(what: str, flags: Sequence[bool]) -> str:
            counts = np.bincount(labels[np.array(flags)], minlength=len(self.class_names))
            totals = np.bincount(labels, minlength=len(self.class_names))
            text = f"{what} in {sum(flags)} of {len(flags)} images"
            shares = counts / np.maximum(totals, 1)
            if np.ptp(shares) > 0.1 and len(self.class_names) <= 10:
                by_class = zip(self.class_names, counts, totals, strict=True)
                each = ", ".join(f"{name} {count} of {total}" for name, count, total in by_class)
                text += f" ({each}: the files themselves tell the classes apart)"
            return text

        alpha, deep = [each.alpha for each in facts], [each.deep for each in facts]
        transparent = sum(each.transparent for each in facts)
        notes = []
        if any(alpha):
            hidden = (
                f"; {transparent} had transparent pixels, whose stored colour is shown" if transparent else ""
            )
            notes.append(f"{share('Alpha channel dropped', alpha)}{hidden}.")
        if any(deep):
            notes.append(f"{share('16 bits brought to the scale 0–255, or values of 32 bits kept,', deep)}.")
        if any(each.turned for each in facts):
            notes.append(f"{share('Turned upright as EXIF says', [each.turned for each in facts])}.")
        if any(each.animated for each in facts):
            notes.append(f"{share('First of several frames taken', [each.animated for each in facts])}.")
        return notes


def _with_files(twin: FolderSource, named: bytes) -> FolderSource:
    source = copy.copy(twin)
    paths, source.image_names = json.loads(zlib.decompress(named))
    source._paths = [Path(each) for each in paths]
    source.skipped, source._unreadable = [], set()
    return source


def _median_size(headers: Sequence[Header]) -> tuple[int, int]:
    height, width = np.median([each.size for each in headers], axis=0)
    return max(1, round(float(height))), max(1, round(float(width)))
