"""The sections of a page of explanations that follow the images: trust, reading, method."""

from __future__ import annotations

from typing import Any

from wavelens.explain import Explanations
from wavelens.report._explain_blocks import MeasureRow, Measures
from wavelens.report._explain_story import ExplainStory
from wavelens.report._foreign_text import isolate, isolate_sentence
from wavelens.report._page import Heading, Section, Text
from wavelens.report._words import count, joined

__all__ = ["method", "reading", "trust"]

_warm = "; each search begins where the one before ended"


def trust(story: ExplainStory) -> Section | None:
    """Show the table of measures, and what is known of the search."""
    evaluation = story.evaluation
    if evaluation is None:
        return None
    blocks: list[Any] = [
        Text(
            (
                "An explanation is a claim: this part, and little else, makes the network say so. The table tests the "
                "claim, on noise that the search for it has not seen, and puts simpler methods and a mask of pure "
                "chance beside it. Bold is the best of each row.",
            ),
            "lead",
        ),
        _table(evaluation),
        Text((_fairness(evaluation),), "note"),
    ]
    sentences = [isolate_sentence(each) for each in evaluation.sentences()]
    if sentences:
        blocks += [Heading("search", "How good the search was"), Text(tuple(sentences))]
    return Section("trust", "How far to trust it", tuple(blocks))


def _table(evaluation: Any) -> Measures:
    lines = evaluation.cells()[1:]
    rows = []
    for k, column in enumerate(evaluation.columns):
        best = evaluation.best(column.key)
        cells = tuple(line[k + 1] for line in lines)
        if set(cells) == {"–"}:
            continue
        rows.append(
            MeasureRow(
                _capital(column.title),
                f"{column.better} is better",
                f"{_capital(column.meaning)}.",
                cells,
                -1 if best is None else evaluation.rows.index(best),
            )
        )
    n = len(evaluation.targets)
    kind = (
        "one image"
        if n == 1
        else f"means over {n:,} images ± half of the {100 * evaluation.confidence:g}% interval"
    )
    return Measures(
        tuple(map(isolate, evaluation.rows)),
        tuple(rows),
        f"Measures at the recommended λ: {kind}. – does not apply.",
    )


def _fairness(evaluation: Any) -> str:
    few = "; so few images say little about methods in general" if len(evaluation.targets) < 20 else ""
    return (
        "No single row decides. A mask of wavelets is made to hold the answer against noise in wavelets, and pixels "
        f"against noise in pixels, so each is judged on its own ground{few}."
    )


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _distortion(story: ExplainStory) -> str:
    kind = story.found(0, 0).distortion
    if kind not in ("relative", "probability"):
        return f"Distortion is the {story.distortion_words()}."
    share, itself = (" as a share of itself,", " of itself") if kind == "relative" else ("", "")
    return (
        f"Distortion is how far the probability of the explained class moves,{share} squared and averaged over noise: "
        f"0.0001 is a probability off by about 1%{itself}, 0.01 by 10%, 0.25 by 50%."
    )


def reading(story: ExplainStory) -> Section:
    """Explain the page to strangers."""
    both = story.n_paths > 1
    slider = ", and the slider goes through it" if story.n_steps > 1 else ""
    return Section(
        "reading",
        "How to read it",
        (
            Heading("words", "In plain words"),
            Text(
                (
                    "A classifier gives one answer for a whole image. Which part of the image made it give that "
                    "answer? Take the image apart into wavelets: soft spots and edges of all sizes, which added up "
                    "give the image again. Keep some, put noise of the same strength in place of all others, and ask "
                    "again. If the answer stays, whatever the noise, the kept ones were enough. The picture shows the "
                    "smallest set found that is enough, in grey; black is what the network can do without.",
                    "Where the picture is sharp, the network needs fine detail there. Where it is smooth, it needs no "
                    "more than a shade or an outline. This is why such a picture looks like a cartoon."
                    + (
                        " The same in pixels keeps or drops one pixel at a time, and so gives scattered points: they "
                        "show where, and hardly what."
                        if both
                        else ""
                    ),
                    "Below each picture are the network’s answers when noise takes the place of the rest. "
                    f"{_distortion(story)} The share kept is the rate. Less distortion costs a larger share; λ sets "
                    f"the price{slider}.",
                )
            ),
            Heading("limits", "What the picture does not say"),
            Text(
                (
                    "It does not say that the rest was of no use: another part may be enough by itself too. It says "
                    "that "
                    "this part is enough.",
                    "It does not say that the network understands the thing as a person does, nor that the answer is "
                    "right: a wrong answer is explained just as well. If what is kept is background, the network "
                    "looks "
                    "at the background.",
                    "It speaks of this image and this network alone. Other images of the same class may be decided "
                    "otherwise.",
                    "“Enough” means against this kind of noise. Noise makes images that the network never saw when it "
                    "was trained, so what it says of them deserves a doubt; other kinds of noise may ask for other "
                    "parts.",
                    "Noise may be an argument as well: where the probability rises with less of the image, or an "
                    "image "
                    "keeps its answer with next to nothing kept, the network says so of noise.",
                )
            ),
        ),
    )


_formulas = {
    "relative": "((p(z) − p(x))/p(x))², where p is the probability of y",
    "probability": "(p(z) − p(x))², where p is the probability of y",
    "l2": "Σ(p(z) − p(x))² over all classes, where p are their probabilities",
    "kl": "Σ p(x)·log(p(x)/p(z)) over all classes, where p are their probabilities",
    "maximize": "1 − p(z), where p is the probability of y",
}
_noises = {
    "gaussian": "Noise is Gaussian, with mean and deviation of each scale of the image.",
    "global": "Noise is Gaussian, with mean and deviation of all values of the image.",
    "zero": "In place of noise there is zero.",
    "blur": "In place of noise there is the blurred image.",
    "mean": "In place of noise there is the image’s mean colour.",
}


def _formula(explanations: Explanations) -> str:
    own = "a measure of its own of how far the answer to z is from that to x, where s is the mask"
    return _formulas.get(explanations.distortion, own)


def method(story: ExplainStory) -> Section:
    """Name the method and its sources."""
    transform = story.transform(0)
    basis = ""
    if transform is not None:
        basis = f" W is {transform.wavelet} with {count(transform.level, 'level')}, edges “{transform.mode}”."
    lams = []
    for p in range(story.n_paths):
        values = ", ".join(f"{each:.3g}" for each in reversed(story.lambdas(p)))
        lams.append(f"for {story.title(p).lower()} {values}")
    evaluations = sum(story.evaluations(p) for p in range(story.n_paths))
    first = story.found(0, 0)
    return Section(
        "method",
        "Method and sources",
        (
            Text(
                (
                    "For each image x and class y a mask s with values from 0 to 1 is sought that makes D(s) + "
                    "λ·mean(s) "
                    f"small. D(s) is the mean over noise v of {_formula(first)} and z = "
                    f"clamp(Wᵀ(s∘Wx + (1 − s)∘v)) is the image with noise where s is 0.{basis} One mask serves all "
                    f"colours. {_noises.get(first.noise, '')} For pixels the same without W.",
                    f"λ was {joined(lams)}{_warm * (story.n_steps > 1)}. All searches together "
                    f"showed the network {evaluations:,} images.",
                    f"The answers below the pictures are means over {count(story.n_samples, 'draw')} of noise that no "
                    "search has seen.",
                    "S. Kolek, D. A. Nguyen, R. Levie, J. Bruna, G. Kutyniok, “Cartoon explanations of image "
                    "classifiers”, ECCV (2022). J. Macdonald, S. Wäldchen, S. Hauch, G. Kutyniok, “A "
                    "rate-distortion framework for explaining neural network decisions” (2019). S. Kolek, R. "
                    "Windesheim, H. Andrade-Loarca, G. Kutyniok, R. Levie, “Explaining image classifiers with "
                    "multiscale directional image representation”, CVPR (2023).",
                )
            ),
        ),
    )
