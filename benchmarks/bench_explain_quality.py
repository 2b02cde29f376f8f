"""How good explanations are: CartoonX, Pixel RDE and baselines by all measures of `wavelens.explain.evaluate`.

The network is the MobileNet and the photos are Imagenette's (validation) in the folder that WAVELENS_DATA names;
``--quick`` trains a small network on scikit-learn's digits instead and needs neither torch nor data. The published
figures are areas under the rate–distortion curve of another network (MobileNetV3-small at 256 × 256, 100 photos of
ImageNet), for orders, not for digits. Time depends on the machine and is left to the other benchmarks; what counts
here is the number of model evaluations.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from _measure import arguments, print_table

from wavelens.explain import CartoonX, Evaluation, PixelRDE, evaluate
from wavelens.models import NumpyMLP, open_model

# S. Kolek et al., Cartoon Explanations of Image Classifiers, ECCV 2022.
PUBLISHED = {
    "CartoonX": 0.427,
    "Pixel RDE": 0.514,
    "integrated gradients": 0.518,
    "SmoothGrad": 0.398,
    "random wavelets": 0.494,
}
NETWORK = "mobilenet_v1_0.75_224.pt2"


def own_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--photos", type=int, default=100, help="number of photos (default: 100)")
    parser.add_argument("--steps", type=int, default=None, help="steps of the search (default: its own)")
    parser.add_argument("--samples", type=int, default=8, help="draws of noise at each share (default: 8)")
    parser.add_argument(
        "--again",
        type=int,
        default=20,
        help="photos explained again: random model and other seeds (default: 20)",
    )
    parser.add_argument("--at-once", type=int, default=10, help="photos explained side by side (default: 10)")


def digits(n: int) -> tuple[Any, np.ndarray, dict[str, Any]]:
    from sklearn.datasets import load_digits
    from sklearn.neural_network import MLPClassifier

    x, y = load_digits(return_X_y=True)
    x = x.astype(np.float32) / 16
    network = MLPClassifier((32,), max_iter=1000, random_state=0).fit(x[:1400], y[:1400])
    print(
        f"A perceptron with 32 hidden units, {network.score(x[1400:], y[1400:]):.1%} of the other digits right"
    )
    model = NumpyMLP(network.coefs_, network.intercepts_, input_shape=(1, 8, 8))
    return (
        model,
        x[1400 : 1400 + n].reshape(-1, 8, 8),
        {
            "wavelet": "haar",
            "level": 2,
        },
    )


def photos(n: int) -> tuple[Any, np.ndarray, dict[str, Any]]:
    from PIL import Image

    folder = os.environ.get("WAVELENS_DATA")
    if not folder:
        raise SystemExit("set WAVELENS_DATA to the folder with models/ and photos/, or use --quick")
    model = open_model(Path(folder) / "models" / NETWORK)
    classes = sorted((Path(folder) / "photos" / "imagenette160" / "val").iterdir())
    files = [sorted(each.glob("*.JPEG")) for each in classes]
    # One class after the other, so that few photos are of many classes.
    chosen = [
        files[i % len(files)][i // len(files)] for i in range(min(n, min(map(len, files)) * len(files)))
    ]
    pixels = [model.prepare(np.asarray(Image.open(path).convert("RGB"))[None])[0] for path in chosen]
    return model, np.moveaxis(np.stack(pixels), 1, 3), {}


def judged(
    model: Any, images: np.ndarray, options: argparse.Namespace, wavelets: dict[str, Any], again: bool
) -> Evaluation:
    """Explain a few images and evaluate."""
    steps: dict[str, Any] = {} if options.steps is None else {"n_steps": options.steps}
    if options.quick:
        # Of 64 coefficients one alone is a rate of 1/64: the λ for photos would keep none.
        steps["lam"] = 1.0
    explainers = [CartoonX(model, **wavelets, **steps), PixelRDE(model, **steps)]
    explanations = [explainers[0].explain(images)]
    explanations.append(explainers[1].explain(images, explanations[0].targets))
    return evaluate(
        explanations,
        model,
        explainers=explainers,
        n_samples=options.samples,
        n_seeds=int(again),
        random_model=again,
        # Whole searches on all photos: a benchmark has the time.
        n_again=None,
        again_share=1.0,
    )


def joined(found: list[Evaluation]) -> Evaluation:
    """Put evaluations of different images, by the same methods, into one."""
    first = found[0]
    absent = [np.full((len(first.rows), len(each.targets)), np.nan) for each in found]
    return replace(
        first,
        values={
            key: np.concatenate(
                [each.values.get(key, a) for each, a in zip(found, absent, strict=True)], axis=1
            )
            for key in first.values
        },
        curves={
            name: replace(curve, values=np.concatenate([each.curves[name].values for each in found], axis=1))
            for name, curve in first.curves.items()
        },
        optimality={
            row: tuple(one for each in found for one in each.optimality[row]) for row in first.optimality
        },
        targets=np.concatenate([each.targets for each in found]),
        probabilities=np.concatenate([each.probabilities for each in found]),
        n_evaluations=sum(each.n_evaluations for each in found),
    )


def show(found: Evaluation, model: Any, quick: bool) -> None:
    """Print the table of the images so far."""
    n = len(found.targets)
    print(f"\n## Quality of explanations, {n} {'digits' if quick else 'photos'}, {model.name}\n")
    published = ["rate–distortion AUC, published ↓", *(str(PUBLISHED.get(row, "–")) for row in found.rows)]
    lines = [list(line) for line in zip(*found.cells(), strict=True)]
    print_table(lines[0], lines[1:] if quick else [*lines[1:], published])
    print("\n" + "\n".join(found.sentences()), flush=True)


def main() -> None:
    options = arguments(__doc__.splitlines()[0], own_arguments)
    load: Callable[[int], tuple[Any, np.ndarray, dict[str, Any]]] = digits if options.quick else photos
    model, images, wavelets = load(min(options.photos, 10) if options.quick else options.photos)
    found: list[Evaluation] = []
    for begin in range(0, len(images), options.at_once):
        some = images[begin : begin + options.at_once]
        found.append(judged(model, some, options, wavelets, begin < options.again))
        # The table so far after each group, since all of them take long.
        show(joined(found), model, options.quick)


if __name__ == "__main__":
    main()
