"""CartoonX and Pixel RDE: model evaluations to a given objective, and where an image's time goes.

The published schedule (Adam with rate 0.001, 2,000 steps of 64 samples from all ones) against the default, on the
same model, images, noise, distortion (as published) and λ; objectives are measured after the search on samples that
neither has seen. The published schedule takes 128,000 model evaluations an image: `--published-samples` takes fewer
samples a step (default 2), which the table says; its step does not depend on the gradient's size, so that fewer
samples make it noisier and hardly slower. The time is split into what the model takes, timed inside its calls, and
the rest, ours.

Without torch, or with --quick, the model is a small net on scikit-learn's digits; with torch and WAVELENS_DATA it is
the MobileNet on photos.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
from _measure import print_header, print_table, verdict

import wavelens
from wavelens.explain import CartoonX, PixelRDE


class Timed:
    """A model that knows how long it took."""

    def __init__(self, model: Any) -> None:
        self.model = model
        self.outputs, self.has_gradient = model.outputs, model.has_gradient
        self.input_shape = model.input_shape
        self.seconds = 0.0

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Return logits."""
        start = time.perf_counter()
        try:
            return self.model.predict(x)
        finally:
            self.seconds += time.perf_counter() - start

    def forward(self, x: np.ndarray) -> tuple[np.ndarray, Any]:
        """Return logits and the pullback."""
        start = time.perf_counter()
        outputs, pullback = self.model.forward(x)
        self.seconds += time.perf_counter() - start

        def timed(cotangent: np.ndarray) -> np.ndarray:
            start = time.perf_counter()
            try:
                return pullback(cotangent)
            finally:
                self.seconds += time.perf_counter() - start

        return outputs, timed


class DigitsNet:
    """A ReLU net of scikit-learn on its digits, with its gradient."""

    outputs, has_gradient, input_shape = "logits", True, (1, 8, 8)

    def __init__(self) -> None:
        import warnings

        from sklearn.datasets import load_digits
        from sklearn.neural_network import MLPClassifier

        data, labels = load_digits(return_X_y=True)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            net = MLPClassifier((32,), max_iter=40, random_state=0, learning_rate_init=0.01)
            net.fit(data[:1200] / 16, labels[:1200])
        (self.a, self.b), (self.p, self.q) = net.coefs_, net.intercepts_
        self.images = (data[1200:] / 16).reshape(-1, 8, 8).astype(np.float32)

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Return logits."""
        return self.forward(x)[0]

    def forward(self, x: np.ndarray) -> tuple[np.ndarray, Any]:
        """Return logits and the pullback."""
        hidden = np.maximum(x.reshape(len(x), -1) @ self.a + self.p, 0)

        def pullback(g: np.ndarray) -> np.ndarray:
            return (((g @ self.b.T) * (hidden > 0)) @ self.a.T).reshape(x.shape).astype(np.float32)

        return (hidden @ self.b + self.q).astype(np.float32), pullback


class MobileNet:
    """The MobileNet of the shared data, in torch."""

    outputs, has_gradient, input_shape = "logits", True, (3, 224, 224)

    def __init__(self, folder: Path) -> None:
        import torch

        self.torch = torch
        self.net = torch.export.load(folder / "models/mobilenet_v1_0.75_224.pt2").module()

    def _run(self, x: Any) -> Any:
        found = self.net(x * 255)
        return found[0] if isinstance(found, tuple | list) else found

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Return logits."""
        with self.torch.no_grad():
            parts = [self._run(self.torch.from_numpy(x[i : i + 8])).numpy() for i in range(0, len(x), 8)]
        return np.concatenate(parts)

    def forward(self, x: np.ndarray) -> tuple[np.ndarray, Any]:
        """Return logits and the pullback."""
        inputs = self.torch.from_numpy(x).requires_grad_(True)
        found = self._run(inputs)

        def pullback(g: np.ndarray) -> np.ndarray:
            return self.torch.autograd.grad(found, inputs, self.torch.from_numpy(g))[0].numpy()

        return found.detach().numpy(), pullback


def photos(folder: Path, n: int) -> np.ndarray:
    """Return n photos as the network takes them, one of each class in turn."""
    from PIL import Image

    files = sorted((folder / "photos/imagenette160/val").glob("*/*.JPEG"))
    found = []
    for path in files[:: max(1, len(files) // n)][:n]:
        image = Image.open(path).convert("RGB")
        scale = 256 / min(image.size)
        image = image.resize(
            (round(image.width * scale), round(image.height * scale)), Image.Resampling.BILINEAR
        )
        left, top = (image.width - 224) // 2, (image.height - 224) // 2
        found.append(np.asarray(image.crop((left, top, left + 224, top + 224))))
    return np.stack(found)


def row(
    name: str, make: Any, model: Timed, images: np.ndarray, lam: float, options: dict[str, Any]
) -> list[Any]:
    model.seconds = 0.0
    start = time.perf_counter()
    found = make(model, lam=lam, distortion="probability", **options).explain(images)
    seconds = (time.perf_counter() - start) / len(images)
    theirs = model.seconds / len(images)
    return [
        f"{make.__name__} λ={lam:g}",
        name,
        float(np.mean(found.n_evaluations)),
        float(np.mean(found.objectives)),
        float(np.mean(found.distortions)),
        float(np.mean(found.rates)),
        seconds,
        theirs,
        100 * (seconds - theirs) / seconds,
        found,
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a small net, without torch: takes seconds")
    parser.add_argument("--images", type=int, default=2, help="photos (default: 2)")
    parser.add_argument("--lambdas", type=float, nargs="+", default=[20.0, 4.0, 1.0])
    parser.add_argument(
        "--published-samples", type=int, default=2, help="of 64 (default: 2); 0 leaves it out"
    )
    parser.add_argument("--threads", type=int, default=None, help="engine threads (default: all)")
    options = parser.parse_args()
    if options.threads is not None:
        wavelens.set_num_threads(options.threads)
    folder = os.environ.get("WAVELENS_DATA")
    quick = options.quick or not folder
    if quick:
        net = DigitsNet()
        model, images, pairs = Timed(net), net.images[:2], [(CartoonX, 1.0), (PixelRDE, 1.0)]
    else:
        model, images = Timed(MobileNet(Path(folder))), photos(Path(folder), options.images)
        pairs = [(CartoonX, lam) for lam in options.lambdas] + [(PixelRDE, 4.0)]
    print_header(f"Explanations ({'digits net' if quick else 'MobileNet'}, {len(images)} images)")
    table = []
    for make, lam in pairs:
        ours = row("default", make, model, images, lam, {})
        lines = [
            [
                *ours[:-1],
                verdict(128_000 / ours[2], 100.0),
                "" if quick else verdict(ours[8], 15, at_most=True),
            ]
        ]
        if options.published_samples:
            n = options.published_samples
            theirs = row(
                f"published, {n} of 64 samples",
                make,
                model,
                images,
                lam,
                {"preset": "published", "n_samples": n},
            )
            ratio = float(np.mean(ours[-1].objectives / theirs[-1].objectives))
            lines.append(
                [*theirs[:-1], f"objective ratio {ratio:.3f} {verdict(ratio, 1.0, at_most=True)}", ""]
            )
        table += lines
    print_table(
        [
            "work",
            "schedule",
            "evaluations",
            "objective",
            "distortion",
            "rate",
            "s/image",
            "model s",
            "ours %",
            "128,000 / evaluations",
            "ours",
        ],
        table,
    )


if __name__ == "__main__":
    main()
