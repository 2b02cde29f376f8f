"""What an analysis by patterns found, as numbers and as sentences."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from itertools import combinations

import numpy as np
import numpy.typing as npt

from wavelens._arguments import FloatArray
from wavelens._mapped import picked_rows
from wavelens.patterns import PatternAnalysis
from wavelens.plotting._pattern_images import residual_curves
from wavelens.report._words import count, joined, number, percent, pvalue, said, times

__all__ = ["OWN_ANGLE", "Findings", "Pair"]

# A pattern belongs to a class from here on: its σ is tan(π/4 + π/8) = 2.4 times that of any other class.
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
        self.sizes = np.bincount(self.whole.labels_, minlength=len(self.names))

    @property
    def whole(self) -> PatternAnalysis:
        """The analysis of all images, where `analysis` sees some of them."""
        sampled = self.analysis.sampled_from_
        return self.analysis if sampled is None else sampled.whole

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

    def said(self, i: int) -> str:
        """Return the name of a class as sentences say it."""
        return said(self.names[i])

    def ownership(self) -> str:
        """Say how many patterns belong to a class."""
        own, r = self.own_patterns, self.n_patterns
        if not own.any():
            labels = self.analysis.classes_
            leads = np.stack([self.analysis.angles(label) for label in labels])
            i, k = np.unravel_index(int(leads.argmax()), leads.shape)
            most = times(float(np.tan(leads[i, k] + np.pi / 4))).rstrip(" ×")
            return (
                f"The classes share {'all of' if r > 1 else 'the only one of'} the {count(r, 'pattern')}: "
                "none is 2.4 times as strong in one class as in every other. The most one-sided, pattern "
                f"{k}, is {most} times as strong in {self.said(int(i))} as in any other class."
            )
        order = [int(i) for i in np.argsort(-own, kind="stable") if own[i]]
        parts = [f"{own[i]:,} {'belong' if own[i] != 1 else 'belongs'} to {self.said(i)}" for i in order[:1]]
        parts += [f"{own[i]:,} to {self.said(i)}" for i in order[1:6]]
        if order[6:]:
            parts.append(f"{int(own[order[6:]].sum()):,} to other classes")
        shared = r - int(own.sum())
        tail = "none is shared" if shared == 0 else f"{shared:,} {'is' if shared == 1 else 'are'} shared"
        return (
            f"Of {count(r, 'pattern')}, {joined(parts)} (at least 2.4 times as strong there as in any other "
            f"class); {tail}."
        )

    def by_chance(self) -> str:
        """Say that patterns can belong to a class by chance, where there are few images for that many.

        For two classes of n images each without any difference, the ratios of strength follow Wachter's law
        (Annals of Statistics 8 (1980) 937): with r patterns they reach 2.4 from r = 0.29 n on.
        """
        r, least = self.n_patterns, int(self.sizes.min())
        if r < 0.3 * least or not self.own_patterns.any():
            return ""
        few = f"for the {count(least, 'image')} of the smallest class"
        many = f"With {r:,} patterns {few}, some"
        if r >= 0.8 * least:
            many = f"With {r:,} patterns {few}, nearly as many, a good part"
        return (
            f"{many} would be one-sided by chance alone, whatever the labels: their number by itself proves "
            "no difference."
        )

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
            return (
                "There are too few patterns to tell whether strength in one class means weakness in another."
            )
        if len(self.names) == 2:
            result = found[0][0]
            strength = f"rank correlation {number(result.spearman)}, {pvalue(result.pvalue)}"
            a, b = self.said(0), self.said(1)
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
        negative = sum(each[0].spearman < -0.1 and each[0].pvalue < 0.05 for each in found)
        pairs_said = (
            f"the {len(values):,} largest pairs" if len(pairs) > _most_pairs else f"{len(values):,} pairs"
        )
        if not negative:
            start = "In no pair of classes do patterns strong in one tend to be weak in the other"
        else:
            start = (
                f"In {negative:,} of {pairs_said} of classes, patterns strong in one tend to be weak in the "
            )
            start += "other"
        return (
            f"{start}: the rank correlation of the strengths lies between {number(values.min())} "
            f"({self.said(low[1])} and {self.said(low[2])}) and {number(values.max())} ({self.said(high[1])} "
            f"and {self.said(high[2])})."
        )

    def strongest_elsewhere(self) -> str:
        """Say, for two classes, how strong the strongest patterns of one are in the other."""
        if len(self.names) != 2:
            return ""
        labels = self.analysis.classes_
        ranks = [self.analysis.sigma_association(labels[i], labels[1 - i]).strong_elsewhere for i in (0, 1)]
        if not np.isfinite(ranks).all():
            return ""
        return (
            f"Of the tenth of the patterns that are strongest in {self.said(0)}, the middle one is stronger "
            f"in {self.said(1)} than {percent(ranks[0])} of all patterns; the other way round it is "
            f"{percent(ranks[1])}. By chance it would be 50%."
        )

    # Reconstruction

    @cached_property
    def sample(self) -> npt.NDArray[np.intp]:
        """Places of some images, spread evenly over the classes, that stand for all."""
        rng = np.random.default_rng(0)
        labels = self.analysis.labels_
        sampled = self.analysis.sampled_from_
        usable = np.ones(len(labels), dtype=bool) if sampled is None else sampled.drawn
        each = max(1, _curve_sample // len(self.names))
        chosen = [
            rng.choice(members, min(each, len(members)), replace=False)
            for members in (np.flatnonzero((labels == i) & usable) for i in range(len(self.names)))
        ]
        return np.sort(np.concatenate(chosen))[:100]

    @cached_property
    def curves(self) -> FloatArray:
        """Residuals of the sample with 0, 1, … patterns."""
        return residual_curves(self.analysis, picked_rows(self.analysis.embedding_, self.sample))

    def typical(self, class_: int | None = None) -> int:
        """Return the place of the image whose residuals are the middle ones of the sample (of a class)."""
        among = np.arange(len(self.sample))
        if class_ is not None:
            among = among[self.analysis.labels_[self.sample] == class_]
        total = self.curves[among].mean(axis=1)
        return int(self.sample[among[np.argsort(total, kind="stable")[(len(among) - 1) // 2]]])

    def rebuilding(self, outside: float) -> str:
        """Say how many patterns an image needs, and how much of it, `outside`, none of them holds."""
        middle = np.median(self.curves, axis=0)
        r = self.n_patterns
        tenth, hundredth = (int(np.argmax(middle < limit)) for limit in (0.1, 0.01))
        text = (
            f"A typical image takes {count(tenth, 'pattern')} of {r:,} until less than 10% of it is missing, "
            f"and {hundredth:,} until less than 1% is."
        )
        shown = [n for n in (400, 1000) if n < r]
        if shown:
            parts = [f"{percent(float(middle[n]))} is missing with {n:,}" for n in shown]
            text += f" Of a typical image, {joined(parts)}."
        if outside > 0.3:
            return text + (
                f" But the coefficients that were not chosen hold {percent(outside)} of it, so that even all "
                "patterns together look little like it: more coefficients would help."
            )
        return text + f" The coefficients that were not chosen hold {percent(outside)} of it."

    # Complexity

    @cached_property
    def complexity(self) -> FloatArray:
        """Complexity of each image, as a multiple of the median."""
        values = self._complexity
        return values / self.middle_complexity if np.median(values) > 0 else np.ones_like(values)

    @cached_property
    def _complexity(self) -> FloatArray:
        return self.whole.complexity()

    @property
    def middle_complexity(self) -> float:
        """The median complexity of all images; 1 where it is 0."""
        return float(np.median(self._complexity)) or 1.0

    def complexities(self) -> str:
        """Say how much complexity differs over images and classes."""
        values = self.complexity
        labels = self.whole.labels_
        middles = np.array([np.median(values[labels == i]) for i in range(len(self.names))])
        low, high = int(middles.argmin()), int(middles.argmax())
        text = (
            f"The most complex image has {values.max():.1f} times the complexity of the median image, the "
            f"simplest {number(float(values.min()))} times."
        )
        if middles[high] < 1.02 * middles[low]:
            return text + " The classes are about equally complex."
        if len(self.names) == 2:
            return text + (
                f" Images of {self.said(high)} are more complex (median {number(middles[high])}) than those "
                f"of {self.said(low)} ({number(middles[low])})."
            )
        return text + (
            f" The most complex class is {self.said(high)} (median {number(middles[high])}), the simplest "
            f"{self.said(low)} ({number(middles[low])})."
        )

    # Similarity

    @cached_property
    def class_similarity(self) -> FloatArray:
        """Mean similarity of the images of each class (rows) to each class."""
        to_classes = self.whole.similarity_to_classes()
        labels = self.whole.labels_
        return np.stack([to_classes[labels == i].mean(axis=0) for i in range(len(self.names))])

    @cached_property
    def usual_similarity(self) -> FloatArray:
        """Median similarity of the images of each class to it."""
        to_classes, labels = self.whole.similarity_to_classes(), self.whole.labels_
        return np.array([np.median(to_classes[labels == i, i]) for i in range(len(self.names))])

    @cached_property
    def pairs(self) -> list[Pair]:
        """Pairs of classes, those that overlap most first; of very many, the most similar ones."""
        mean = (self.class_similarity + self.class_similarity.T) / 2
        labels, codes = self.analysis.classes_, self.whole.labels_
        indices = sorted(combinations(range(len(self.names)), 2), key=lambda ij: -mean[ij])[:_most_pairs]
        pairs = []
        for i, j in indices:
            spectrum = self.whole.spectrum(labels[j], labels[i])
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
        scale = "on a scale from 0 to 1"
        if len(self.names) == 2:
            between = float(self.pairs[0].similarity)
            parts = [f"{number(float(own[i]))} within {self.said(i)}" for i in (0, 1)]
            text = (
                f"The mean similarity of two images, {scale}, is {joined(parts)}, and {number(between)} "
                "across the classes"
            )
            gap = float(own.mean()) - between
            if gap < 0.03:
                return (
                    text
                    + ": images of different classes are hardly less alike than images of the same class."
                )
            return text + "."
        outside = float(np.mean([pair.similarity for pair in self.pairs]))
        tight, loose = int(own.argmax()), int(own.argmin())
        if own[tight] - own[loose] < 0.005:
            return (
                f"The mean similarity of two images of the same class is {number(float(own.mean()))} "
                f"{scale}, of different classes {number(outside)}."
            )
        return (
            f"The mean similarity of two images of the same class is {number(float(own.mean()))} {scale}, of "
            f"different classes {number(outside)}. Images of {self.said(tight)} are most like each other "
            f"({number(float(own[tight]))}), those of {self.said(loose)} least ({number(float(own[loose]))})."
        )

    def overlap(self) -> str:
        """Say how far the classes reach into each other."""
        pair = self.pairs[0]
        first, second = self.said(pair.first), self.said(pair.second)
        if pair.overlap == 0:
            return "By similarity, every image lies on the side of its own class."
        shares = [percent(n / of) for n, of in zip(pair.crossed, pair.sizes, strict=True)]
        sides = (
            f"{shares[0]} of the images of {first} lie on the side of {second}, and {shares[1]} of those of "
            f"{second} on the side of {first}"
        )
        if len(self.names) == 2:
            return f"By similarity, {sides}."
        return (
            f"The classes that reach into each other most are {first} and {second}: by similarity, {sides}."
        )

    def loneliest(self, name_of: Callable[[int], str]) -> str:
        """Name the image that is least like its class, compared with what is usual there."""
        to_classes = self.analysis.similarity_to_classes()
        labels = self.analysis.labels_
        own = to_classes[np.arange(len(labels)), labels]
        middle = self.usual_similarity
        place = int((own / np.where(middle[labels] > 0, middle[labels], 1)).argmin())
        label = int(labels[place])
        return (
            f"The image least like its class is {name_of(place)} (of {self.said(label)}): its mean "
            f"similarity there is {number(float(own[place]))}, where {number(float(middle[label]))} is usual."
        )
