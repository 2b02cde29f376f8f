"""What the numbers of a classifier's outputs mean, and which of them a folder's name is."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wavelens.data._labels import read_text
from wavelens.data._npy_header import short_reason
from wavelens.exceptions import DataError

__all__ = ["ClassNames", "read_class_names"]


@dataclass(frozen=True)
class ClassNames:
    """Names of classes by their index.

    Attributes
    ----------
    names : tuple of str
        Short and distinct: the first of several synonyms; where two classes share one, the index follows it,
        as in ``"crane (134)"`` and ``"crane (517)"``.
    full_names : tuple of str
        As the file has them.
    ids : tuple of str
        Such as WordNet's ``"n01440764"``; empty where the file has none.
    """

    names: tuple[str, ...]
    full_names: tuple[str, ...]
    ids: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.names)

    def index_of(self, name: str) -> int | None:
        """Find the class that a name means.

        Parameters
        ----------
        name : str
            An id, or a name. A name that several classes share means none of them.

        Returns
        -------
        int or None
        """
        if name in self.ids:
            return self.ids.index(name)
        folded = name.replace("_", " ").casefold()
        for names in (self.names, self.full_names):
            found = [i for i, each in enumerate(names) if each.replace("_", " ").casefold() == folded]
            if len(found) == 1:
                return found[0]
        return None

    def translate(self, names: Sequence[str]) -> tuple[str, ...]:
        """Turn ids into words; other names stay as they are.

        Parameters
        ----------
        names : sequence of str
            Such as the folders of a dataset.

        Returns
        -------
        tuple of str
        """
        words = {key: self.names[i] for i, key in enumerate(self.ids)}
        translated = tuple(words.get(each, each) for each in names)
        # Never at the cost of two classes becoming one.
        return translated if len(set(translated)) == len(set(names)) else tuple(names)


def read_class_names(source: str | os.PathLike[str] | Sequence[str]) -> ClassNames:
    """Read names of classes.

    Parameters
    ----------
    source : path or sequence of str
        A ``.json`` file: a list of names; a list of pairs of id and name; a dictionary from the index to
        either; or one of these under a single key. Or a text file with one name a line. Or the names.

    Returns
    -------
    ClassNames

    Raises
    ------
    DataError
        If the file cannot be read as one of these.

    Examples
    --------
    >>> from wavelens.models import read_class_names
    >>> read_class_names(["tench, Tinca tinca", "crane", "crane"]).names
    ('tench', 'crane (1)', 'crane (2)')
    """
    if not isinstance(source, str | os.PathLike):
        return _class_names([("", str(each)) for each in source])
    path = Path(source).expanduser()
    text = read_text(path, "class names")
    try:
        content = (
            json.loads(text, object_pairs_hook=_without_repetitions)
            if path.suffix.lower() == ".json"
            else text.rstrip().split("\n")
        )
    except (ValueError, RecursionError, MemoryError) as error:
        raise DataError(f"{path}: cannot read the class names: {short_reason(error)}") from error
    if isinstance(content, Mapping) and len(content) == 1:
        inner = next(iter(content.values()))
        content = inner if isinstance(inner, list | dict) and not _is_pair(inner) else content
    entries = _in_order(content, path)
    pairs = [("", each) if isinstance(each, str) else each for each in entries]
    if not pairs or not all(_is_pair(each) and each[1].strip() for each in pairs):
        raise DataError(
            f"{path}: expected a list of names, of pairs (id, name), or a dictionary from the index to these"
        )
    return _class_names([(str(key), name.strip()) for key, name in pairs])


def _without_repetitions(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        twice = next(key for key, count in Counter(key for key, _ in pairs).items() if count > 1)
        raise ValueError(f"the key {twice!r} comes twice")
    return found


def _in_order(content: Any, path: Path) -> list[Any]:
    if isinstance(content, list):
        return list(content)
    if not isinstance(content, Mapping):
        raise DataError(f"{path}: expected a list or a dictionary of names, got {type(content).__name__}")
    try:
        by_index = {int(key): value for key, value in content.items()}
    except ValueError:
        raise DataError(
            f"{path}: expected indices as keys, got {next(iter(content))!r:.60}; names without an index may be "
            "shared by two classes"
        ) from None
    if len(by_index) != len(content):
        raise DataError(f"{path}: some indices are written in two ways")
    if sorted(by_index) != list(range(len(by_index))):
        raise DataError(f"{path}: the indices must run from 0 to {len(by_index) - 1} without gaps")
    return [by_index[i] for i in range(len(by_index))]


def _is_pair(value: Any) -> bool:
    return (
        isinstance(value, list | tuple) and len(value) == 2 and all(isinstance(each, str) for each in value)
    )


def _class_names(pairs: Sequence[tuple[str, str]]) -> ClassNames:
    short = [name.split(",")[0].strip() or name for _, name in pairs]
    counts = Counter(short)
    names = [f"{name} ({i})" if counts[name] > 1 else name for i, name in enumerate(short)]
    ids = tuple(key for key, _ in pairs)
    return ClassNames(tuple(names), tuple(name for _, name in pairs), ids if all(ids) else ())
