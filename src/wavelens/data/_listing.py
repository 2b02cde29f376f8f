"""Which files of a folder are the images, and of which class: names only, nothing is opened."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from wavelens.data._decode import ENDINGS
from wavelens.data._source import listed, natural_key, printable
from wavelens.exceptions import DataError

__all__ = ["Listing", "counted", "list_folder"]

SPLIT_FOLDERS = {
    "train": ("train", "training"),
    "val": ("val", "valid", "validation"),
    "test": ("test", "testing"),
}
CLUTTER = frozenset(("thumbs.db", "desktop.ini", "__macosx"))


@dataclass
class Listing:
    """The files of a folder, in natural order, before any is opened."""

    root: Path
    paths: list[Path] = field(default_factory=list)
    classes: list[str | None] = field(default_factory=list)
    other: Counter[str] = field(default_factory=Counter)
    empty: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def name(self, path: Path) -> str:
        """Name of a file relative to the folder."""
        return printable(path.relative_to(self.root).as_posix())

    def add(self, paths: Iterable[Path], class_name: str | None) -> int:
        """Add the images among `paths` and count the others."""
        before = len(self.paths)
        for path in paths:
            if path.suffix.lower() in ENDINGS:
                self.paths.append(path)
                self.classes.append(class_name)
            else:
                self.other[_ending(path)] += 1
        return len(self.paths) - before


def list_folder(root: Path, split: str | None, *, by_class: bool) -> Listing:
    """List the images of a folder.

    Parameters
    ----------
    root : Path
        The folder. If its sub-folders are called train, val and test, those named by `split` are taken
        (``"train"`` by default).
    split : str, optional
        One of ``"train"``, ``"val"``, ``"test"``, ``"all"``.
    by_class : bool
        Whether sub-folders are classes; otherwise everything below is one list.
    """
    try:
        return _listed(root, split, by_class=by_class)
    except RecursionError:
        raise DataError(f"{root}: its folders lie too deeply within one another") from None


def _listed(root: Path, split: str | None, *, by_class: bool) -> Listing:
    listing = Listing(root)
    tops, divided = _split_folders(root, split, listing)
    if not by_class:
        for top in tops:
            listing.add(_files_below(top), None)
        return listing
    loose = 0
    found: Counter[str] = Counter()
    for top in tops:
        entries = _entries(top)
        for folder in (each for each in entries if each.is_dir()):
            found[printable(folder.name)] += listing.add(_files_below(folder), printable(folder.name))
        here = [each for each in entries if not each.is_dir()]
        if any(each.is_dir() for each in entries):
            loose += sum(each.suffix.lower() in ENDINGS for each in here)
            listing.other.update(_ending(each) for each in here if each.suffix.lower() not in ENDINGS)
        else:
            listing.add(here, None)
    listing.empty = [name for name, count in found.items() if not count]
    if loose:
        listing.notes.append(f"{counted(loose)} beside the class folders left out: no class.")
    if divided:
        listing.notes.append(f"Of the folder's parts, {listed([each.name for each in tops])} taken.")
    return listing


def _split_folders(root: Path, split: str | None, listing: Listing) -> tuple[list[Path], bool]:
    folders = [each for each in _entries(root) if each.is_dir()]
    part_of = {name: part for part, names in SPLIT_FOLDERS.items() for name in names}
    parts = {part_of[each.name.lower()]: each for each in folders if each.name.lower() in part_of}
    divided = len(parts) == len(folders) and "train" in parts
    if not divided:
        if split not in (None, "all"):
            raise DataError(f"{root}: no split {split!r}; the folder is not divided into train, val and test")
        return [root], False
    if split == "all":
        return [parts[each] for each in SPLIT_FOLDERS if each in parts], True
    if (split or "train") not in parts:
        raise DataError(f"{root}: no split {split!r}; it has {listed(sorted(parts))}")
    return [parts[split or "train"]], True


def _entries(folder: Path) -> list[Path]:
    """List what is visible in a folder, in natural order."""
    try:
        visible = [each for each in folder.iterdir() if not _hidden(each.name)]
    except OSError as error:
        raise DataError(f"{folder}: cannot be read: {error.strerror or error}") from error
    return sorted(visible, key=lambda each: natural_key(each.name))


def _files_below(folder: Path) -> Iterator[Path]:
    """Walk through a folder and all below it; links are followed, but no folder is entered twice."""
    seen: set[Path] = set()

    def walk(here: Path) -> Iterator[Path]:
        real = here.resolve()
        if real in seen:
            return
        seen.add(real)
        for each in _entries(here):
            if each.is_dir():
                yield from walk(each)
            else:
                yield each

    return walk(folder)


def _hidden(name: str) -> bool:
    return name.startswith(".") or name.lower() in CLUTTER


def _ending(path: Path) -> str:
    return path.suffix.lower() or "without ending"


def counted(count: int) -> str:
    """Write a number of files."""
    return f"{count} {'file' if count == 1 else 'files'}"
