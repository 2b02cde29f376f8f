"""Photos and a MobileNet in both its files, and a net that learns MNIST here: what is explained is what it says."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from classifiers import need_onnx, need_torch
from PIL import Image

from wavelens._threads import blas_threads
from wavelens.explain import CartoonX, PixelRDE
from wavelens.models import check_range, open_model

pytestmark = pytest.mark.realdata
networks = pytest.mark.networks
both = pytest.mark.parametrize("make", [CartoonX, PixelRDE])
# Nothing random: one sample a step, and few to judge masks by.
FEW: dict[str, Any] = {"n_steps": 10, "noise": "mean", "lam": 1.0}


def open_mobilenet(folder: Path, suffix: str, **options: Any) -> Any:
    models = folder / "models"
    file = models / f"mobilenet_v1_0.75_224{suffix}"
    return open_model(file, class_names=models / "imagenet_labels.json", **options)


@pytest.fixture
def photos(real_data: Path) -> np.ndarray[Any, Any]:
    """A tench and an English springer, as the network takes them."""
    files = [
        sorted((real_data / "photos" / "imagenette160" / "val" / wnid).iterdir())[3]
        for wnid in ("n01440764", "n02102040")
    ]
    model = open_mobilenet(real_data, ".onnx", gradient=False)
    planes = [model.prepare(np.asarray(Image.open(file).convert("RGB"))[None])[0] for file in files]
    return np.moveaxis(np.stack(planes), 1, 3)


@networks
@both
def test_one_network_in_two_files_explains_the_same(make: Any, real_data: Path, photos: Any) -> None:
    need_onnx(gradients=True)
    exported, graph = (open_mobilenet(real_data, suffix) for suffix in (".pt2", ".onnx"))
    assert check_range(exported, np.moveaxis(photos, 3, 1), targets=(0, 217)).trial.right == 1
    together = make(exported, **FEW).explain(photos)
    assert together.targets.tolist() == [0, 217]
    assert (together.rates > 0).all()
    alone = make(graph, **FEW).explain(photos[1:])
    # The same operators of torch; a batch of another size may round otherwise.
    assert np.abs(alone.masks[0] - together.masks[1]).mean() <= 1e-3
    np.testing.assert_allclose(alone.distortions[0], together.distortions[1], rtol=0.05, atol=1e-3)
    assert alone.n_evaluations[0] == together.n_evaluations[1]


@networks
@both
def test_the_answer_is_kept(make: Any, real_data: Path, photos: Any) -> None:
    need_torch()
    model = open_mobilenet(real_data, ".pt2")
    found = make(model, lam=1.0, n_steps=40, n_test=8).explain(photos[:1])
    assert 0 < found.rates[0] < 0.5
    assert found.distortions[0] < found.empty_distortions[0] / 2
    assert found.objectives[0] < 0.5  # the whole image has 1
    seen = model.predict(np.moveaxis(found.obfuscations(4)[0], 3, 1))
    assert (seen.argmax(axis=1) == 0).sum() >= 3
    assert found.pictures().shape == (1, 224, 224)


@pytest.fixture(scope="module")
def mnist_model() -> Any:
    """A net that learns MNIST in seconds, and images that it has not seen."""
    from sklearn.neural_network import MLPClassifier

    where = os.environ.get("WAVELENS_DATA") or pytest.skip("WAVELENS_DATA is not set")
    with np.load(Path(where) / "mnist.npz") as data:
        train, labels = data["x_train"][:6000], data["y_train"][:6000]
        test, answers = data["x_test"][:1000], data["y_test"][:1000]
    # Many threads of BLAS wait for one another where others work as well.
    with blas_threads(1), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it stops before the end
        net = MLPClassifier((64,), max_iter=12, random_state=0).fit(
            train.reshape(len(train), -1) / 255, labels
        )
    assert net.score(test.reshape(len(test), -1) / 255, answers) > 0.9
    return open_model(net, preprocessing={"value_range": (0, 1)}), test, answers


@both
def test_a_net_of_mnist(make: Any, real_data: Path, mnist_model: Any) -> None:
    model, images, answers = mnist_model
    assert check_range(model, model.prepare(images[:16]), targets=answers[:16]).trial.right > 0.8
    some = images[:2]
    path = make(model, n_steps=200).path(some, [0.2, 1.0, 5.0])
    np.testing.assert_array_equal(path[0].targets, model.predict(model.prepare(some)).argmax(axis=1))
    rates = np.array([each.rates for each in path])
    assert (np.diff(rates, axis=0) >= 0).all()
    best = path[-1]
    assert (best.rates < 0.5).all()
    assert (best.distortions < 0.1 * best.empty_distortions).all()
    shown = best.obfuscations(20)
    for i in range(2):
        kept = model.predict(shown[i][:, None]).argmax(axis=1) == best.targets[i]
        assert kept.mean() >= 0.8
    alone = make(model, n_steps=200).path(some[1:], [0.2, 1.0, 5.0])
    np.testing.assert_allclose(alone[-1].masks[0], best.masks[1], atol=1e-5)
