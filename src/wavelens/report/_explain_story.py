"""What a page of explanations tells: explanations at each λ, and what the network answers to each of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from wavelens._utils._names import visible
from wavelens.report._foreign_text import isolate

if TYPE_CHECKING:
    from wavelens.explain import Evaluation, ExplanationPath, Explanations
    from wavelens.wavelets import WaveletTransform

__all__ = ["METHODS", "ExplainStory", "Reply", "ask", "class_label", "probabilities"]

Array = npt.NDArray[Any]
FloatArray = npt.NDArray[np.float64]

METHODS = {"cartoonx": "Wavelets", "pixel_rde": "Pixels"}
KEPT_ANSWER = 0.5
"""An answer counts as kept if the network gives it for at least this share of the noise it is shown."""
_images_at_once = 256


@dataclass(frozen=True, eq=False)
class Reply:
    """What a network answers to one explanation of each image, the rest replaced with noise.

    `probabilities` are means over the noise, (n, classes); `same` counts of how often the target was the answer;
    `examples` one of the images shown, (n, h, w[, c]).
    """

    probabilities: FloatArray
    same: npt.NDArray[np.intp]
    n_samples: int
    examples: npt.NDArray[np.float32]


def probabilities(model: Any, images: Array) -> FloatArray:
    """Ask a model for the probabilities of images (n, h, w[, c]) on the scale 0–1."""
    planes = images[:, None] if images.ndim == 3 else np.moveaxis(images, 3, 1)
    found = []
    for start in range(0, len(planes), _images_at_once):
        part = np.ascontiguousarray(planes[start : start + _images_at_once], np.float32)
        values = np.asarray(model.predict(part), np.float64)
        if getattr(model, "outputs", "probabilities") == "logits":
            values = np.exp(values - values.max(axis=1, keepdims=True))
            values /= values.sum(axis=1, keepdims=True)
        found.append(values)
    return np.concatenate(found)


def ask(model: Any, explanations: Explanations, n_samples: int, random_state: int) -> Reply:
    """Show a model what explanations keep, with noise for the rest."""
    means, same, examples = [], [], []
    for i, target in enumerate(explanations.targets):
        # Image by image, as so many noisy copies of all would take much memory.
        one = replace(
            explanations, images=explanations.images[i : i + 1], masks=explanations.masks[i : i + 1]
        )
        shown = one.obfuscations(n_samples, random_state)[0]
        answers = probabilities(model, shown)
        means.append(answers.mean(axis=0))
        same.append(int((answers.argmax(axis=1) == target).sum()))
        examples.append(shown[0].copy())
    return Reply(np.stack(means), np.array(same, dtype=np.intp), n_samples, np.stack(examples))


def class_label(names: Sequence[str] | None, index: int) -> str:
    """Return the name of a class."""
    return visible(str(names[index])) if names is not None and index < len(names) else f"class {index}"


_changes = {
    "probability": "squared change of the probability",
    "relative": "squared change of the probability, as a share of what it is on the image,",
    "l2": "sum of the squared changes of all probabilities",
    "kl": "Kullback–Leibler divergence of the answer",
    "maximize": "probability of all other classes",
}


class ExplainStory:
    """Explanations of the same images in one way or several, and the network they are of."""

    def __init__(
        self,
        paths: Sequence[ExplanationPath],
        model: Any,
        *,
        image_names: Sequence[str],
        class_names: Sequence[str] | None,
        full_names: Sequence[str] | None,
        evaluation: Evaluation | None,
        n_samples: int,
        random_state: int,
    ) -> None:
        self.paths = tuple(paths)
        self.n_paths = len(paths)
        # The page goes from the smallest λ, where most is kept, to the largest.
        orders = [np.argsort(path.lambdas, kind="stable") for path in paths]
        self._found: list[list[Explanations]] = [
            [path.explanations[k] for k in order] for path, order in zip(paths, orders, strict=True)
        ]
        self._recommended = [
            np.argsort(order)[np.asarray(path.recommended)] for path, order in zip(paths, orders, strict=True)
        ]
        self.model = model
        self.image_names = tuple(map(isolate, image_names))
        self.class_names, self.full_names = class_names, full_names
        self.evaluation = evaluation
        self.n_samples, self.random_state = n_samples, random_state
        first = self._found[0][0]
        self.images = np.asarray(first.images, np.float32)
        self.targets = np.asarray(first.targets, np.intp)
        self.n = len(self.images)
        self.network = isolate(model.name) if hasattr(model, "name") else "the network"
        self._replies: dict[tuple[int, int], Reply] = {}
        self._pictures: dict[tuple[int, int], Array] = {}
        self._energies: dict[tuple[int, int], Array] = {}

    def distortion_words(self) -> str:
        """Return what the distortion of these explanations is."""
        what = _changes.get(self._found[0][0].distortion, "change of the answer, by a measure of its own,")
        return f"mean {what} when noise takes the place of the rest, on fresh noise, with a 95 % interval"

    @property
    def n_steps(self) -> int:
        """Places of the slider."""
        return len(self._found[0])

    def found(self, path: int, step: int) -> Explanations:
        """Return the explanations at one place of the slider."""
        return self._found[path][step]

    def lambdas(self, path: int) -> list[float]:
        """Return λ at each place of the slider."""
        return [float(each.lam) for each in self._found[path]]

    def method(self, path: int) -> str:
        """Return the method's name in the package."""
        return str(self._found[path][0].method)

    def title(self, path: int) -> str:
        """Return what a method keeps or drops: "Wavelets" or "Pixels"."""
        return METHODS.get(self.method(path), self.method(path))

    def transform(self, path: int) -> WaveletTransform | None:
        """Return the wavelet transform that masks lie on, if they lie on one."""
        return getattr(self._found[path][0].basis, "transform", None)

    def evaluations(self, path: int) -> int:
        """Return how many images the searches showed to the network."""
        return int(sum(np.asarray(each.n_evaluations).sum() for each in self._found[path]))

    def fails(self, image: int) -> str:
        """Return why an image could not be explained at all; empty if it could."""
        if not np.isfinite(self.answers[image]).all():
            return "the network gives no numbers for it"
        return ""

    def read(self, told: Callable[[float], None]) -> None:
        """Ask the network everything there is to ask."""
        total = self.n_paths * self.n_steps
        for p in range(self.n_paths):
            for step, explanations in enumerate(self._found[p]):
                self._replies[p, step] = ask(self.model, explanations, self.n_samples, self.random_state)
                told((p * self.n_steps + step + 1) / total)

    def reply(self, path: int, step: int) -> Reply:
        """Return what the network answered."""
        return self._replies[path, step]

    def picture(self, path: int, step: int, image: int) -> Array:
        """Return what is kept of an image, grey, on the scale 0–1."""
        if (path, step) not in self._pictures:
            self._pictures[path, step] = self._found[path][step].pictures()
        found: Array = self._pictures[path, step][image]
        return found

    def energies(self, path: int, step: int) -> Array:
        """Return the share of energy kept at each scale, (n, scales), the coarsest first."""
        if (path, step) not in self._energies:
            energy = self._found[path][step].energy_by_scale()
            empty = energy.image <= 0
            shares = np.where(empty, np.nan, energy.kept / np.where(empty, 1.0, energy.image))
            self._energies[path, step] = shares
        return self._energies[path, step]

    @cached_property
    def answers(self) -> FloatArray:
        """Probabilities on the images themselves."""
        return probabilities(self.model, self.images)

    @cached_property
    def predicted(self) -> npt.NDArray[np.intp]:
        """The network's answers."""
        return np.asarray(self.answers.argmax(axis=1), dtype=np.intp)

    def label(self, index: int) -> str:
        """Return the short name of a class."""
        known = self.class_names is not None and index < len(self.class_names)
        label = class_label(self.class_names, index)
        return isolate(label) if known else label

    def recommended(self, path: int, image: int) -> int:
        """Return the place of the recommended λ."""
        return int(self._recommended[path][image])

    def at_recommended(self, path: int, values: Callable[[Any], Any]) -> FloatArray:
        """Return one value of each image, from the explanations at its recommended λ."""
        found = self._found[path]
        return np.array([float(values(found[self.recommended(path, i)])[i]) for i in range(self.n)])

    def kept_answers(self, path: int) -> list[bool]:
        """Tell for each image whether its answer is kept at the recommended λ."""
        kept = []
        for i in range(self.n):
            reply = self.reply(path, self.recommended(path, i))
            kept.append(bool(reply.same[i] >= KEPT_ANSWER * reply.n_samples))
        return kept

    @property
    def crisp(self) -> bool:
        """Whether the images are so small that their pixels are shown as squares."""
        return bool(max(self.images.shape[1:3]) <= 64)
