"""What files tell of their class before anyone looks at the picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr
from scipy.stats import rankdata

from wavelens._arguments import FloatArray
from wavelens.data import ImageData
from wavelens.quality._report import Leak

__all__ = ["category_leak", "find_leaks", "number_leak"]

_permutations = 999
_surely = 0.005
_least_cramer = 0.1
_least_auc = 0.6
_least_auc_brightness = 0.75
_named = 3

Codes = npt.NDArray[np.intp]


def find_leaks(data: ImageData, brightness: FloatArray, seed: int) -> tuple[Leak, ...]:
    """Measure all that is known of the files against the labels."""
    labels = np.asarray(data.labels, dtype=np.intp)
    names = tuple(data.class_names)
    if len(np.unique(labels)) < 2:
        return ()
    found: list[Leak | None] = []
    modes = getattr(data, "original_modes", None)
    sizes = getattr(data, "original_sizes", None)
    if modes is not None:
        found.append(category_leak("colour mode", list(modes), labels, names, seed))
    kinds = [PurePosixPath(str(name)).suffix.lower().lstrip(".") for name in data.image_names]
    if all(kinds) and not all(kind.isdecimal() for kind in kinds):
        found.append(category_leak("file type", kinds, labels, names, seed))
    if sizes is not None:
        text = [f"{height} × {width}" for height, width in np.asarray(sizes)]
        found.append(category_leak("image size", text, labels, names, seed))
        height, width = np.asarray(sizes, dtype=np.float64).T
        found.append(number_leak("image height", height, labels, names))
        found.append(number_leak("image width", width, labels, names))
        found.append(number_leak("aspect ratio (width / height)", width / height, labels, names))
    found.append(number_leak("mean brightness", brightness, labels, names, least=_least_auc_brightness))
    return tuple(each for each in found if each is not None)


def category_leak(
    what: str, values: Sequence[str], labels: Codes, class_names: Sequence[str], seed: int
) -> Leak | None:
    """Measure how a category goes with the class; None if all are of the same one."""
    kinds, codes = np.unique(np.asarray(values, dtype=str), return_inverse=True)
    if len(kinds) < 2:
        return None
    present, classes = np.unique(labels, return_inverse=True)
    shape = (len(kinds), len(present))

    def table(of: npt.NDArray[np.intp]) -> FloatArray:
        counts = np.bincount(codes.ravel() * shape[1] + of.ravel(), minlength=shape[0] * shape[1])
        return counts.reshape(shape).astype(np.float64)

    counts = table(classes)
    expected = counts.sum(axis=1, keepdims=True) * counts.sum(axis=0) / len(labels)
    observed = float(((counts - expected) ** 2 / expected).sum())
    rng = np.random.default_rng(seed)
    order = classes.copy()
    as_strong = 0
    for _ in range(_permutations):
        rng.shuffle(order)
        as_strong += float(((table(order) - expected) ** 2 / expected).sum()) >= observed * (1 - 1e-12)
    pvalue = (1 + as_strong) / (1 + _permutations)
    strength = _cramer(observed / len(labels), shape, len(labels))
    leaks = pvalue < _surely and strength >= _least_cramer
    words = f"{what}: {_shares(counts, kinds, present, class_names)}"
    return Leak(what, "Cramér’s V", strength, pvalue, leaks, "warning" if leaks else "none", words)


def _cramer(square: float, shape: tuple[int, int], n: int) -> float:
    """Return Cramér's V without the bias that many categories of few members bring (Bergsma 2013)."""
    r, c = shape
    if n < 2:
        return 0.0
    corrected = max(0.0, square - (r - 1) * (c - 1) / (n - 1))
    least = min(r - (r - 1) ** 2 / (n - 1), c - (c - 1) ** 2 / (n - 1)) - 1
    return float(np.sqrt(min(1.0, corrected / least))) if least > 0 else 0.0


def _shares(counts: FloatArray, kinds: npt.NDArray[np.str_], present: Codes, names: Sequence[str]) -> str:
    """Say for each class what its files are; of many classes, those that differ most from the rest."""
    share = counts / counts.sum(axis=0)
    overall = counts.sum(axis=1) / counts.sum()
    odd = np.abs(share - overall[:, np.newaxis]).sum(axis=0)
    shown = np.sort(np.argsort(-odd, kind="stable")[:_named])
    parts = []
    for j in shown:
        order = [int(i) for i in np.argsort(-counts[:, j], kind="stable") if counts[i, j]]
        if len(order) == 1:
            said = f"all {int(counts[order[0], j]):,} are {kinds[order[0]]}"
        else:
            said = ", ".join(f"{_percent(share[i, j])} {kinds[i]}" for i in order[:_named])
            said += f", the rest of {len(order) - _named} other kinds" if len(order) > _named else ""
        parts.append(f"of {names[present[j]]}, {said}")
    rest = len(present) - len(shown)
    return "; ".join(parts) + (f"; and {rest} more {'class' if rest == 1 else 'classes'}" if rest else "")


def _percent(share: float) -> str:
    text = f"{100 * share:.0f}"
    return "under 1%" if text == "0" else "over 99%" if text == "100" and share < 1 else f"{text}%"


def number_leak(
    what: str, values: FloatArray, labels: Codes, class_names: Sequence[str], *, least: float = _least_auc
) -> Leak | None:
    """Measure how well one number tells a class from the rest; None if all have the same."""
    values = np.asarray(values, dtype=np.float64)
    if values.min() == values.max():
        return None
    n = len(labels)
    ranks = rankdata(values)
    ties = np.unique(values, return_counts=True)[1].astype(np.float64)
    tied = 1 - float((ties**3 - ties).sum()) / (float(n) ** 3 - n)
    present = np.unique(labels)
    best, best_p, best_code = 0.5, 1.0, int(present[0])
    for code in present:
        inside = labels == code
        a = int(inside.sum())
        b = n - a
        auc = (float(ranks[inside].sum()) - a * (a + 1) / 2) / (a * b)
        error = np.sqrt(tied * (n + 1) / (12.0 * a * b))
        pvalue = 2 * float(ndtr(-abs(auc - 0.5) / error))
        if abs(auc - 0.5) > abs(best - 0.5):
            best, best_p, best_code = auc, pvalue, int(code)
    best_p = min(1.0, best_p * (1 if len(present) == 2 else len(present)))
    strength = max(best, 1 - best)
    leaks = best_p < _surely and strength >= least
    inside = labels == best_code
    rest = str(class_names[present[present != best_code][0]]) if len(present) == 2 else "the rest"
    words = (
        f"{what} alone tells {class_names[best_code]} from {rest} with an area under the ROC curve of "
        f"{strength:.2f} (median {np.median(values[inside]):.4g} against {np.median(values[~inside]):.4g})"
    )
    severity = "none" if not leaks else "note" if least > _least_auc else "warning"
    return Leak(what, "AUC", float(strength), best_p, leaks, severity, words)
