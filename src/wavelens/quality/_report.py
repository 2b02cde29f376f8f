"""What the checks found, as numbers and as sentences."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from wavelens._arguments import FloatArray

__all__ = ["Finding", "Leak", "QualityReport"]

LEAST_AGREEMENT = 0.3
_named = 3
_uneven = 3.0
_nearly_all = 0.95

Indices = npt.NDArray[np.intp]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Finding:
    """One thing to know about a dataset.

    Attributes
    ----------
    kind : str
        ``"duplicates"``, ``"near-duplicates"``, ``"labels"``, ``"constant"``, ``"saturated"``, ``"leak"`` or
        ``"imbalance"``.
    severity : {"warning", "note"}
        A warning asks for something to be done or explained; a note is good to know.
    text : str
        One sentence or two.
    """

    kind: str
    severity: str
    text: str

    def __str__(self) -> str:
        return f"{self.severity}: {self.text}"


@dataclass(frozen=True)
class Leak:
    """How well something other than the picture tells the class.

    Attributes
    ----------
    what : str
        ``"colour mode"``, ``"file type"``, ``"image size"``, ``"image height"``, ``"image width"``, the
        aspect ratio or the mean brightness.
    measure : {"Cramér’s V", "AUC"}
        Of categories, from 0 (nothing) to 1 (everything); of numbers, from 0.5 to 1, for the class that is
        told best from the rest.
    strength, pvalue : float
        The measure, and the probability of one as strong if there were no connection.
    found : bool
        Whether it is strong and sure enough to be told.
    severity : {"warning", "note", "none"}
        Of what is told. Brightness is a note: it may be part of what is shown.
    words : str
        What it is, with shares or medians.
    """

    what: str
    measure: str
    strength: float
    pvalue: float
    found: bool
    severity: str
    words: str


@dataclass(frozen=True, eq=False)
class QualityReport:
    """What `check_images` found. Images are named by their place in the data.

    Attributes
    ----------
    name : str
        Of the dataset.
    image_names, class_names : tuple of str
    labels : ndarray of int, shape (n,)
        Places in `class_names`.
    duplicate_groups : tuple of tuple of int
        Images with the same pixels, each group ascending.
    near_pairs : ndarray of int, shape (m, 2)
        Near-duplicates, nearest first; the smaller place first.
    near_distances : ndarray, shape (m,)
        Distances of their thumbnails, √(2 − 2r) with r the correlation.
    near_limit : float
        The share of the distance to the fifth neighbour that counts as near.
    typical_distance : float
        Median distance to the fifth neighbour; NaN for fewer than six images.
    label_doubts : ndarray of int, shape (d,)
        Images whose nearest images all carry another label, ascending.
    suspected_classes : ndarray of int, shape (d,)
        The class that most of those neighbours carry.
    label_agreement : ndarray, shape (n_classes,)
        For the images of each class, how far their neighbours share the label: 0 is chance, 1 always. NaN if
        it cannot be told. Below 0.3 no doubts are raised.
    constant, nearly_constant, saturated : ndarray of bool, shape (n,)
        One value throughout; a standard deviation below 1 % of the range of the set; more pixels at one end
        of the range, by half of the image, than is usual.
    black_share, white_share : ndarray, shape (n,)
        Shares of pixels at the lower and the upper end of the range of the set.
    leaks : tuple of Leak
        All that was measured, found or not.
    has_files : bool
        Whether size and colour mode of the files are known.
    n_checked : int or None
        How many images were checked where that is a sample; None: all.
    class_counts : ndarray of int, shape (n_classes,), or None
        Images of each class where only a sample of them is here.
    """

    name: str
    image_names: tuple[str, ...]
    class_names: tuple[str, ...]
    labels: Indices
    duplicate_groups: tuple[tuple[int, ...], ...]
    near_pairs: Indices
    near_distances: FloatArray
    near_limit: float
    typical_distance: float
    label_doubts: Indices
    suspected_classes: Indices
    label_agreement: FloatArray
    constant: Flags
    nearly_constant: Flags
    black_share: FloatArray
    white_share: FloatArray
    saturated: Flags
    leaks: tuple[Leak, ...]
    has_files: bool = False
    n_checked: int | None = None
    class_counts: Indices | None = None

    @property
    def n_images(self) -> int:
        """Number of images."""
        return len(self.labels)

    @property
    def is_sound(self) -> bool:
        """Whether there is no warning."""
        return all(each.severity != "warning" for each in self.findings())

    @property
    def duplicate_of(self) -> Indices:
        """For each image, the first one with the same pixels; −1 for those first and for all others."""
        found = np.full(self.n_images, -1, dtype=np.intp)
        for group in self.duplicate_groups:
            found[list(group[1:])] = group[0]
        return found

    @property
    def near_duplicate_of(self) -> Indices:
        """For each image of a near-duplicate pair, its nearest partner; −1 for all others."""
        found = np.full(self.n_images, -1, dtype=np.intp)
        # The nearest comes last and stays.
        for first, second in self.near_pairs[::-1]:
            found[first], found[second] = second, first
        return found

    @property
    def pairs_across(self) -> Flags:
        """For each near-duplicate pair, whether its images are of two classes."""
        across: Flags = self.labels[self.near_pairs[:, 0]] != self.labels[self.near_pairs[:, 1]]
        return across

    @property
    def suspected_class_of(self) -> Indices:
        """For each doubted image, the class of its neighbours; −1 for all others."""
        found = np.full(self.n_images, -1, dtype=np.intp)
        found[self.label_doubts] = self.suspected_classes
        return found

    def unchecked(self) -> tuple[str, ...]:
        """Return what could not be checked, and why, in words."""
        found = []
        weak = np.flatnonzero(~(self.label_agreement >= LEAST_AGREEMENT))
        if len(np.unique(self.labels)) < 2:
            found.append("Labels and leaks: there is only one class.")
        elif len(weak):
            which = (
                "of all classes"
                if len(weak) == len(self.class_names)
                else f"of {', '.join(self.class_names[i] for i in weak[:8])}{', …' if len(weak) > 8 else ''}"
            )
            found.append(f"Labels {which}: like images are too often of another class there to tell.")
        if np.isnan(self.typical_distance):
            found.append("Near-duplicates: fewer than six images can be compared.")
        if len(np.unique(self.labels)) > 1 and not self.has_files:
            found.append("Leaks through size or colour mode: an array does not tell what the files were.")
        return tuple(found)

    def across(self, images: Any) -> bool:
        """Return whether images, given by their places, are of more than one class."""
        return len(np.unique(self.labels[np.asarray(images, dtype=np.intp)])) > 1

    def findings(self) -> tuple[Finding, ...]:
        """Return what was found in words, warnings first; empty if there is nothing to tell."""
        found = [
            *self._copies(),
            *self._near_copies(),
            *self._doubts(),
            *self._empty(),
            *(Finding("leak", leak.severity, _sentence(leak)) for leak in self.leaks if leak.found),
            *self._imbalance(),
        ]
        return tuple(sorted(found, key=lambda each: each.severity != "warning"))

    def _copies(self) -> list[Finding]:
        groups = self.duplicate_groups
        if not groups:
            return []
        across = [group for group in groups if self.across(group)]
        n = sum(map(len, groups))
        where = (
            "all within a class"
            if not across
            else f"{len(across):,} of them with different labels ({self._named(across)})"
        )
        examples = "" if across or not self._has_names else f" ({self._named(groups)})"
        return [
            Finding(
                "duplicates",
                "warning",
                f"{n:,} images are exact copies of one another, in {_count(len(groups), 'group')}, "
                f"{where}{examples}.",
            )
        ]

    def _near_copies(self) -> list[Finding]:
        if not len(self.near_pairs):
            return []
        pairs = self.near_pairs
        across = pairs[self.pairs_across]
        told = f", {len(across):,} of them across classes" if len(across) else ""
        named = self._named(across if len(across) else pairs, " ≈ ")
        return [
            Finding(
                "near-duplicates",
                "warning",
                f"{_count(len(pairs), 'pair')} of images {'is' if len(pairs) == 1 else 'are'} nearly the "
                f"same, whatever their brightness{told} ({named}). If one of a pair is "
                "used to test what was learnt from the other, the test says too much.",
            )
        ]

    def _doubts(self) -> list[Finding]:
        d = len(self.label_doubts)
        if not d:
            return []
        examples = [
            f"{self.image_names[i]}: rather {self.class_names[c]}"
            for i, c in list(zip(self.label_doubts, self.suspected_classes, strict=True))[:_named]
        ]
        return [
            Finding(
                "labels",
                "warning",
                f"{_count(d, 'image')} {'looks' if d == 1 else 'look'} like another class: none of the five "
                f"nearest images carries {'its' if d == 1 else 'their'} label "
                f"({'; '.join(examples)}{'; …' if d > _named else ''}).",
            )
        ]

    def _empty(self) -> list[Finding]:
        found = []
        for kind, flags, text in (
            ("constant", self.constant, "of one value throughout"),
            ("constant", self.nearly_constant, "nearly of one value throughout"),
            ("saturated", self.saturated, "far more black or white than is usual in this set"),
        ):
            m = int(flags.sum())
            if m:
                names = ", ".join(self.image_names[i] for i in np.flatnonzero(flags)[:_named])
                more = ", …" if m > _named else ""
                verb = "is" if m == 1 else "are"
                found.append(Finding(kind, "warning", f"{_count(m, 'image')} {verb} {text} ({names}{more})."))
        return found

    def _imbalance(self) -> list[Finding]:
        counts = self._counts
        small, large = int(counts.argmin()), int(counts.argmax())
        if counts[large] < _uneven * counts[small] or len(counts) < 2:
            return []
        return [
            Finding(
                "imbalance",
                "note",
                f"The classes are uneven: {self.class_names[large]} has {counts[large]:,} images, "
                f"{self.class_names[small]} {counts[small]:,}.",
            )
        ]

    @property
    def _counts(self) -> Indices:
        if self.class_counts is not None:
            return self.class_counts
        return np.bincount(self.labels, minlength=len(self.class_names))

    @property
    def _has_names(self) -> bool:
        return any(name != str(i) for i, name in enumerate(self.image_names[:3]))

    def _named(self, groups: Any, sign: str = " = ") -> str:
        parts = [sign.join(self.image_names[i] for i in group[:4]) for group in groups[:_named]]
        return "; ".join(parts) + ("; …" if len(groups) > _named else "")

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain numbers, names and lists, ready for JSON."""
        names, classes = self.image_names, self.class_names
        counts = self._counts
        checked = {} if self.n_checked is None else {"n_checked": self.n_checked}
        return {
            "is_sound": self.is_sound,
            "findings": [
                {"kind": each.kind, "severity": each.severity, "text": each.text} for each in self.findings()
            ],
            "n_images": int(counts.sum()),
            **checked,
            "classes": {name: int(count) for name, count in zip(classes, counts, strict=True)},
            "duplicates": [
                {"images": [names[i] for i in group], "across_classes": self.across(group)}
                for group in self.duplicate_groups
            ],
            "near_duplicates": [
                {
                    "images": [names[i] for i in pair],
                    "distance": round(float(distance), 6),
                    "across_classes": bool(across),
                }
                for pair, distance, across in zip(
                    self.near_pairs, self.near_distances, self.pairs_across, strict=True
                )
            ],
            "near_limit": round(self.near_limit, 6),
            "label_doubts": [
                {"image": names[i], "label": classes[self.labels[i]], "neighbours": classes[c]}
                for i, c in zip(self.label_doubts, self.suspected_classes, strict=True)
            ],
            "label_agreement": {
                name: None if np.isnan(value) else round(float(value), 4)
                for name, value in zip(classes, self.label_agreement, strict=True)
            },
            "constant": [names[i] for i in np.flatnonzero(self.constant)],
            "nearly_constant": [names[i] for i in np.flatnonzero(self.nearly_constant)],
            "saturated": [names[i] for i in np.flatnonzero(self.saturated)],
            "leaks": [
                {
                    "what": each.what,
                    "measure": each.measure,
                    "strength": round(each.strength, 4),
                    "pvalue": each.pvalue,
                    "found": each.found,
                    "words": each.words,
                }
                for each in self.leaks
            ],
        }


def _sentence(leak: Leak) -> str:
    text = leak.words[0].upper() + leak.words[1:]
    if leak.severity == "note":
        return f"{text}. That may be part of what the images show, or of how they were made."
    measured = f" (Cramér’s V {leak.strength:.2f})" if leak.measure != "AUC" else ""
    known = "the class is known" if leak.strength >= _nearly_all else "something of the class is known"
    return f"{text}{measured}: {known} before anyone looks at the picture."


def _count(n: int, noun: str) -> str:
    return f"{n:,} {noun}{'' if n == 1 else 's'}"
