"""What an analysis by patterns found, as numbers and as sentences."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from itertools import combinations

import numpy as np
import numpy.typing as npt

from wavelens._arguments import FloatArray
from wavelens.patterns import PatternAnalysis
from wavelens.plotting._pattern_images import residual_curves
from wavelens.report._words import count, joined, number, percent, pvalue

__all__ = ["OWN_ANGLE", "Findings", "Pair"]

# A pattern belongs to a class from here on: its σ there is tan(π/4 + π/8) = 2.4 times that of any other class.
OWN_ANGLE = np.pi / 8
_most_pairs = 400
_curve_sample = 24


@dataclass(frozen=True)
class Pair:
    """Two classes, and how many of their images lie on the side of the other."""

    first: int
    second: int
    similarity: float
    crossed: tuple[int, int]
    sizes: tuple[int, int]

    @property
    def overlap(self) -> float:
        """Share of the images of both classes that lie beyond the border."""
        return sum(self.crossed) / sum(self.sizes)


@dataclass
class Findings:
    """Numbers that several parts of the report use, each computed once.

    `names` are those of the classes, in the order of `analysis.classes_`.
    """

    analysis: PatternAnalysis
    names: tuple[str, ...]
    sizes: npt.NDArray[np.intp] = field(init=False)

    def __post_init__(self) -> None:
        self.sizes = np.bincount(self.analysis.labels_, minlength=len(self.names))

    @property
    def n_patterns(self) -> int:
        """Number of patterns."""
        return int(self.analysis.sigma_.shape[1])

    # Strength

    @cached_property
    def own_patterns(self) -> npt.NDArray[np.intp]:
        """Number of patterns that belong to each class."""
        labels = self.analysis.classes_
        return np.array([int((self.analysis.angles(label) > OWN_ANGLE).sum()) for label in labels])

    def ownership(self) -> str:
        """Say how many patterns belong to a class."""
        own, r = self.own_patterns, self.n_patterns
        shared = r - int(own.sum())
        if not own.any():
            return (
                f"None of the {r:,} patterns belongs to one class: none is 2.4 times as strong in a class as in "
                "every other."
            )
        order = np.argsort(-own, kind="stable")
        parts = [f"{own[i]:,} to {self.names[i]}" for i in order if own[i]]
        tail = "all are claimed" if shared == 0 else f"{shared:,} {'is' if shared == 1 else 'are'} shared"
        return (
            f"Of {r:,} patterns, {joined(parts, 6)} belong{'s' if own.sum() == 1 else ''} to a class of their "
            f"own (at least 2.4 times as strong there as in any other class); {tail}."
        ).replace(" belong to a class of their own", " belong")

    def association(self) -> str:
        """Say whether patterns strong in one class are weak in another."""
        pairs = list(combinations(range(len(self.names)), 2))
        pairs.sort(key=lambda pair: -int(self.sizes[list(pair)].sum()))
        labels = self.analysis.classes_
        found = [
            (self.analysis.sigma_association(labels[i], labels[j]), i, j) for i, j in pairs[:_most_pairs]
        ]
        found = [each for each in found if np.isfinite(each[0].spearman)]
        if not found:
            return "There are too few patterns to tell whether strength in one class goes with weakness in another."
        if len(self.names) == 2:
            result, i, j = found[0]
            strength = f"rank correlation {number(result.spearman)}, {pvalue(result.pvalue)}"
            a, b = self.names[i], self.names[j]
            if result.pvalue > 0.05 or abs(result.spearman) < 0.1:
                return (
                    f"A pattern’s strength in {a} tells little about its strength in {b} ({strength}): being "
                    "strong in the one does not make it weak in the other."
                )
            if result.spearman < 0:
                return f"Patterns that are strong in {a} tend to be weak in {b} ({strength})."
            return f"Patterns that are strong in {a} tend to be strong in {b} as well ({strength})."
        values = np.array([each[0].spearman for each in found])
        low, high = found[int(values.argmin())], found[int(values.argmax())]
        text = (
            f"Over all pairs of classes, the rank correlation of a pattern’s strengths lies between "
            f"{number(values.min())} ({self.names[low[1]]}, {self.names[low[2]]}) and {number(values.max())} "
            f"({self.names[high[1]]}, {self.names[high[2]]}); "
        )
        negative = int((values < -0.1).sum())
        if not negative:
            return text + "in no pair do patterns strong in one class tend to be weak in the other."
        return (
            text
            + f"in {negative:,} of {count(len(values), 'pair')}, patterns strong in one are weak in the other."
        )

    # Reconstruction

    @cached_property
    def sample(self) -> npt.NDArray[np.intp]:
        """Places of some images, spread evenly over the classes, that stand for all."""
        rng = np.random.default_rng(0)
        labels = self.analysis.labels_
        each = max(1, _curve_sample // len(self.names))
        chosen = [
            rng.choice(members, min(each, len(members)), replace=False)
            for members in (np.flatnonzero(labels == i) for i in range(len(self.names)))
        ]
        return np.sort(np.concatenate(chosen))[:100]

    @cached_property
    def curves(self) -> FloatArray:
        """Residuals of the sample with 0, 1, … patterns."""
        return residual_curves(self.analysis, self.analysis.embedding_[self.sample])

    def typical(self, class_: int | None = None) -> int:
        """Return the place of the image whose residuals are the middle ones of the sample (of a class)."""
        among = np.arange(len(self.sample))
        if class_ is not None:
            among = among[self.analysis.labels_[self.sample] == class_]
        total = self.curves[among].mean(axis=1)
        return int(self.sample[among[np.argsort(total, kind="stable")[(len(among) - 1) // 2]]])

    def rebuilding(self) -> str:
        """Say how many patterns an image needs."""
        middle = np.median(self.curves, axis=0)
        r = self.n_patterns
        tenth, hundredth = (int(np.argmax(middle < limit)) for limit in (0.1, 0.01))
        text = (
            f"A typical image needs {count(tenth, 'pattern')} of {r:,} until less than 10% of it is missing and "
            f"{hundredth:,} until less than 1% is."
        )
        shown = [n for n in (400, 1000) if n < r]
        if shown:
            parts = [f"{percent(float(middle[n]))} is missing with {n:,}" for n in shown]
            text += f" In particular, {joined(parts)}."
        return text

    # Complexity

    @cached_property
    def complexity(self) -> FloatArray:
        """Complexity of each image, as a multiple of the median."""
        values = self.analysis.complexity()
        middle = float(np.median(values))
        return values / middle if middle > 0 else np.ones_like(values)

    def complexities(self) -> str:
        """Say how much complexity differs over images and classes."""
        values = self.complexity
        middles = np.array([np.median(values[self.analysis.labels_ == i]) for i in range(len(self.names))])
        low, high = int(middles.argmin()), int(middles.argmax())
        text = (
            f"The most complex image is {values.max():.1f} times as complex as the median one, the simplest "
            f"{number(float(values.min()))} times."
        )
        if middles[high] < 1.02 * middles[low]:
            return text + " On average the classes are equally complex."
        return text + (
            f" Images of {self.names[high]} are the more complex ones (median {number(middles[high])}), those of "
            f"{self.names[low]} the simpler ones ({number(middles[low])})."
            if len(self.names) == 2
            else f" {self.names[high]} is the most complex class (median {number(middles[high])}), "
            f"{self.names[low]} the simplest ({number(middles[low])})."
        )

    # Similarity

    @cached_property
    def class_similarity(self) -> FloatArray:
        """Mean similarity of the images of each class (rows) to each class."""
        to_classes = self.analysis.similarity_to_classes()
        labels = self.analysis.labels_
        return np.stack([to_classes[labels == i].mean(axis=0) for i in range(len(self.names))])

    @cached_property
    def pairs(self) -> list[Pair]:
        """Pairs of classes, those that overlap most first; of very many, the most similar ones."""
        mean = (self.class_similarity + self.class_similarity.T) / 2
        labels, codes = self.analysis.classes_, self.analysis.labels_
        indices = sorted(combinations(range(len(self.names)), 2), key=lambda ij: -mean[ij])[:_most_pairs]
        pairs = []
        for i, j in indices:
            spectrum = self.analysis.spectrum(labels[j], labels[i])
            side = codes[spectrum.indices]
            crossed = (
                int((spectrum.values[side == i] > 0).sum()),
                int((spectrum.values[side == j] < 0).sum()),
            )
            sizes = (int(self.sizes[i]), int(self.sizes[j]))
            pairs.append(Pair(i, j, float(mean[i, j]), crossed, sizes))
        return sorted(pairs, key=lambda pair: (-pair.overlap, -pair.similarity))

    def likeness(self) -> str:
        """Say how alike images of the same class and of different classes are."""
        own = np.diagonal(self.class_similarity)
        if len(self.names) == 2:
            between = float(self.pairs[0].similarity)
            parts = [f"{number(float(own[i]))} within {self.names[i]}" for i in (0, 1)]
            return (
                f"On a scale from 0 to 1, the mean similarity of two images is {joined(parts)}, and "
                f"{number(between)} across the two classes."
            )
        tight, loose = int(own.argmax()), int(own.argmin())
        near = max(self.pairs, key=lambda pair: pair.similarity)
        return (
            f"Images of {self.names[tight]} are most like each other (mean similarity "
            f"{number(float(own[tight]))} on a scale from 0 to 1), those of {self.names[loose]} least "
            f"({number(float(own[loose]))}); the most similar different classes are {self.names[near.first]} and "
            f"{self.names[near.second]} ({number(near.similarity)})."
        )

    def overlap(self) -> str:
        """Say how far the classes reach into each other."""
        pair = self.pairs[0]
        first, second = self.names[pair.first], self.names[pair.second]
        sides = (
            f"{percent(pair.crossed[0] / pair.sizes[0])} of the images of {first} lie on the side of {second}, "
            f"and {percent(pair.crossed[1] / pair.sizes[1])} of those of {second} on the side of {first}"
        )
        if len(self.names) == 2:
            return f"By similarity, {sides}."
        if pair.overlap == 0:
            return "By similarity, every image lies on the side of its own class, for every pair of classes."
        return (
            f"The classes that reach into each other most are {first} and {second}: by similarity, {sides}."
        )
