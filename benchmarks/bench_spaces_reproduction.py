"""The published study of layers as spaces, done again: MNIST with one layer and with five, and a deep network.

R. Pattichis and M. S. Pattichis, Understanding Neural Network Systems for Image Analysis Using Vector Spaces. Its two
fully connected networks are trained here as it says (learning rate 0.001, momentum 0.9, 20 epochs; batches of 32 are
assumed); its ResNet18 is not at hand, the MobileNet stands for a deep network. Each figure is put beside what the
paper says of its own. MNIST and the MobileNet are in the folder that WAVELENS_DATA names; ``--quick`` takes
scikit-learn's digits and fewer epochs instead. Needs the extra ``torch``. ``--pictures`` draws the three figures.
"""

from __future__ import annotations

import argparse
import itertools
import os
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from _measure import arguments, print_table

from wavelens.models import NumpyMLP, read_layers
from wavelens.spaces import SignalSpaces, ideal_inputs, ideal_outputs, invert

HIDDEN = (256, 256, 128, 32)
NETWORK = "mobilenet_v1_0.75_224.onnx"


def own_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--epochs", type=int, default=None, help="of training (default: 20, quick: 60)")
    parser.add_argument("--batch", type=int, default=32, help="images a step of training (default: 32)")
    parser.add_argument("--pictures", type=Path, default=None, help="folder for the figures (default: none)")


def load(quick: bool) -> tuple[Any, Any, Any, Any]:
    """Return training images, their labels, and the same of testing; images from 0 to 1."""
    if quick:
        from sklearn.datasets import load_digits

        x, y = load_digits(return_X_y=True)
        x = (x / 16).astype(np.float32).reshape(-1, 8, 8)
        return x[:1400], y[:1400], x[1400:], y[1400:]
    folder = os.environ.get("WAVELENS_DATA")
    if not folder:
        raise SystemExit("set WAVELENS_DATA to the folder with mnist.npz, or use --quick")
    with np.load(Path(folder) / "mnist.npz") as data:
        arrays = [data[each] for each in ("x_train", "y_train", "x_test", "y_test")]
    scaled = [each.astype(np.float32) / 255 if each.ndim == 3 else each.astype(np.int64) for each in arrays]
    return scaled[0], scaled[1], scaled[2], scaled[3]


def train(sizes: tuple[int, ...], x: Any, y: Any, epochs: int, rate: float, batch: int) -> NumpyMLP:
    """Train a network of linear layers with SELU between them, by stochastic gradient descent with momentum."""
    import torch
    from torch import nn

    torch.manual_seed(0)
    torch.set_num_threads(1)
    layers: list[nn.Module] = []
    for i, (a, b) in enumerate(itertools.pairwise(sizes)):
        layers += ([nn.SELU()] if i else []) + [nn.Linear(a, b)]
    net = nn.Sequential(*layers)
    images, labels = torch.from_numpy(x.reshape(len(x), -1)), torch.from_numpy(y.astype(np.int64))
    optimizer = torch.optim.SGD(net.parameters(), lr=rate, momentum=0.9)
    loss = nn.CrossEntropyLoss()
    for _ in range(epochs):
        order = torch.randperm(len(images))
        for part in order.split(batch):
            optimizer.zero_grad()
            loss(net(images[part]), labels[part]).backward()
            optimizer.step()
    linear = [each for each in net if isinstance(each, nn.Linear)]
    weights = [each.weight.detach().numpy().T.copy() for each in linear]
    biases = [each.bias.detach().numpy().copy() for each in linear]
    names = ["selu"] * (len(linear) - 1) + ["identity"]
    side = x.shape[1]
    return NumpyMLP(weights, biases, names, input_shape=(1, side, side), name=f"{len(linear)} layers")


def outputs_of(model: NumpyMLP, x: Any) -> Any:
    return model.predict(model.prepare(x))


def roughness(images: Any) -> Any:
    """Energy of the differences between neighbours, as a share of the most that it can be (8 ‖x‖²)."""
    flat = (images**2).sum(axis=(1, 2))
    steps = [(np.diff(images, axis=axis) ** 2).sum(axis=(1, 2)) for axis in (1, 2)]
    return (steps[0] + steps[1]) / (8 * flat)


def first_figure(model: NumpyMLP, x: Any, y: Any) -> list[Any]:
    """Weights, signal images and residuals of the class means, in numbers; return the three rows of pictures."""
    w = model.weights[0].T.astype(np.float64)
    spaces = SignalSpaces(w, input_shape=x.shape[1:])
    means = np.stack([x[y == c].mean(axis=0) for c in range(10)]).astype(np.float64)
    seen = [spaces.project(c, means[c : c + 1]) for c in range(10)]
    residuals = np.concatenate([each.residual for each in seen]).reshape(10, -1)
    energy = [float(each.energy[0]) for each in seen]
    flat, signals = means.reshape(10, -1), spaces.signal_images()
    print("\n### Figure 1: weights, signal images, residuals of class means (1 layer)")
    print(f"condition {spaces.condition:.2f} (paper: 7.22); {spaces.against_chance().words()}")
    rough = roughness(signals)
    print(
        f"roughness of the signal images: first three {np.round(rough[:3], 3)}, last {rough[-1]:.3f} "
        "(white noise: 0.5); paper: the last is mostly noise"
    )
    common = abs(spaces.signal_out[:, -1].sum()) / np.sqrt(10)
    print(
        f"the last of signal_out has the cosine {common:.4f} with (1, …, 1): a constant added to all logits, which "
        "softmax does not see; its weights are still those of the start, so that the condition depends on the length "
        "of training (batches of 64, in half as many steps: 6.85)"
    )
    # A residual darker than the mean image where the digit is: the neuron has taken its own digit out.
    dark = [np.corrcoef(a, b)[0, 1] for a, b in zip(residuals, flat, strict=True)]
    taken = [
        float((wi @ fi) / np.linalg.norm(wi) / np.linalg.norm(fi)) for wi, fi in zip(w, flat, strict=True)
    ]
    print_table(
        ["digit", "rejected energy of its mean", "cosine weights to mean", "residual like mean"],
        [[c, energy[c], taken[c], dark[c]] for c in range(10)],
    )
    print(
        "paper: the residuals of 8 and 0 are dark, those of the others (of 1 above all) still show the digit"
    )
    return [w.reshape(-1, *x.shape[1:]), signals, residuals.reshape(-1, *x.shape[1:])]


def inverse_maps(models: list[NumpyMLP], x: Any, y: Any, quick: bool) -> None:
    """How often there is an inverse layer by layer, and what Gauss–Newton reaches."""
    print("\n### Inverse maps")
    rng = np.random.default_rng(0)
    n_in = models[0].weights[0].shape[0]
    rows = []
    sizes = (n_in, *HIDDEN, 10)
    n_nets = 40
    none, errors, steps = 0, [], []
    for _ in range(n_nets):
        ws = [rng.standard_normal((b, a)) / np.sqrt(a) for a, b in itertools.pairwise(sizes)]
        net = (ws, None, ["selu"] * 4 + ["identity"])
        image = rng.random((1, n_in))
        target = chain_outputs(net, image)
        none += not quietly(net, target).exists[0]
        found = invert(net, target)
        errors.append(found.distances.max())
        steps.append(found.steps.max())
    print(f"{n_nets} synthetic networks are asked for what they give for an image of noise")
    rows.append(
        [
            f"{n_nets} synthetic networks, 5 layers",
            f"{none} of {n_nets}",
            max(errors),
            np.median(steps),
            max(steps),
        ]
    )
    for model in models:
        logits = outputs_of(model, x)
        some = rng.choice(len(x), 10, replace=False)
        for what, targets in (("ideal outputs", ideal_outputs(logits)), ("10 images' outputs", logits[some])):
            before = quietly(model, targets)
            found = invert(model, targets)
            failed = f"{int((~before.reached).sum())} of {len(targets)}"
            rows.append(
                [
                    f"{model.name}, {what}",
                    failed,
                    found.distances.max(),
                    np.median(found.steps),
                    found.steps.max(),
                ]
            )
            if not before.exists.all() and not quick:
                print(before.report())
    print_table(
        ["outputs", "not inverted layer by layer", "Newton: largest error", "steps, median", "most"], rows
    )
    print("design: 39 of 40 synthetic networks without an inverse; Newton at 1e-11 in 4 to 5 steps")


def chain_outputs(net: Any, x: Any) -> Any:
    """Return what a network of arrays gives, by another one with the weights transposed."""
    weights, _, names = net
    side = int(np.sqrt(x.shape[1]))
    model = NumpyMLP([w.T for w in weights], [np.zeros(len(w)) for w in weights], names)
    return model.predict(x.reshape(-1, 1, side, side))


def quietly(network: Any, targets: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return invert(network, targets, "layerwise")


def ideal_pictures(models: list[NumpyMLP], x: Any, y: Any) -> list[Any]:
    """Distances of all candidates; return rows of pictures."""
    rows = []
    for model in models:
        for train_by, bounds in (("adam", None), ("newton", None), ("newton", "data")):
            start = time.perf_counter()
            found = ideal_inputs(model, x, y, train=train_by, bounds=bounds)
            seconds = time.perf_counter() - start
            where = "free" if bounds is None else "within the data's range"
            print(f"\n### Figure 3: ideal inputs, {model.name}, {train_by}, {where} ({seconds:.1f} s)")
            print(found.table())
            print("\n".join(found.notes[:-1]))
            seen = int((found.predicted == np.arange(10)).sum())
            print(
                f"{seen} of 10 chosen pictures are seen as their digit, {int(found.reached.sum())} reach the ideal"
            )
            rows.append((f"{model.name}\n{train_by}, {where}", found.images[:, 0]))
    print(
        "\npaper: 1 layer: trained avg-img best for 0 1 4 5 6 8 9, trained min-img for 2 3 7; 5 layers: trained "
        "avg-img for 1 2 6 7, trained min-img for 0 3 4 5 8 9"
    )
    return rows


def deep_network() -> None:
    """Conditions of the MobileNet's layers beside those of random matrices of the same shape."""
    print("\n### Figure 2: a deep network (paper: 4096 kernels 3 × 3 of ResNet18, condition 1.07)")
    found = read_layers(Path(os.environ["WAVELENS_DATA"]) / "models" / NETWORK)
    layers = [each for each in found.layers if not each.is_depthwise]
    pointwise = [each for each in layers[1:] if each.is_pointwise and each is not layers[-1]]
    first, last = layers[0].weights, layers[-1].weights
    chosen = {
        "first convolution": first.reshape(len(first), -1),
        "its kernels 3 × 3": first.reshape(-1, 9),
        **{f"pointwise {each.name}": each.weights for each in (pointwise[0], pointwise[5], pointwise[-1])},
        "classifier": last,
    }
    rows = []
    for name, weights in chosen.items():
        spaces = SignalSpaces(weights.reshape(len(weights), -1))
        chance = spaces.against_chance()
        low, high = chance.chance_condition_interval
        rows.append(
            [
                name,
                f"{spaces.shape[0]} × {spaces.shape[1]}",
                spaces.rank,
                float(spaces.condition),
                f"{low:.4g} to {high:.4g}",
                f"{chance.share_outside:.0%}",
            ]
        )
    noise = SignalSpaces(np.random.default_rng(0).standard_normal((4096, 9)))
    low, high = noise.against_chance().chance_condition_interval
    rows.append(["the paper's", "4096 × 9", 9, "1.07", f"{low:.4g} to {high:.4g}", ""])
    columns = ["layer", "shape", "rank", "condition", "of random matrices", "directions beyond chance"]
    print_table(columns, rows)


def draw(folder: Path, first: list[Any], ideal: list[Any]) -> None:
    """Draw figure 1 and figure 3."""
    from matplotlib.figure import Figure

    folder.mkdir(parents=True, exist_ok=True)
    titled = list(zip(("weights", "signal images σᵢvᵢ", "residuals of\nclass means"), first, strict=True))
    for name, rows in (("figure1", titled), ("figure3", ideal)):
        figure = Figure(figsize=(12, 1.2 * len(rows)), layout="constrained")
        axes = figure.subplots(len(rows), 10)
        for row, (title, pictures) in zip(axes, rows, strict=True):
            for ax, picture in zip(row, pictures, strict=True):
                ax.imshow(picture, cmap="gray")
                ax.set(xticks=[], yticks=[])
            row[0].set_ylabel(title, rotation=0, ha="right", va="center", fontsize=8)
        figure.savefig(folder / f"{name}.png", dpi=110)


def main() -> None:
    options = arguments(__doc__.splitlines()[0], own_arguments)
    x, y, x_test, y_test = load(options.quick)
    epochs = options.epochs or (60 if options.quick else 20)
    rate = 0.01 if options.quick else 0.001
    n_in = x[0].size
    models = []
    print("## Networks: accuracy on images that they have not seen")
    for sizes, paper in (((n_in, 10), "92 %"), ((n_in, *HIDDEN, 10), "97 %")):
        start = time.perf_counter()
        model = train(sizes, x, y, epochs, rate, options.batch)
        right = (outputs_of(model, x_test).argmax(axis=1) == y_test).mean()
        print(f"{model.name}: {right:.1%} (paper: {paper}); trained in {time.perf_counter() - start:.0f} s")
        models.append(model)
    first = first_figure(models[0], x, y)
    inverse_maps(models, x, y, options.quick)
    ideal = ideal_pictures(models, x, y)
    if not options.quick:
        deep_network()
    if options.pictures is not None:
        draw(options.pictures, first, ideal)


if __name__ == "__main__":
    main()
