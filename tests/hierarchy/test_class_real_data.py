"""Classes as a trained network and as pixels see them."""

from __future__ import annotations

import numpy as np
import pytest

from wavelens.hierarchy import ClassHierarchy, class_covariance, class_linkage, layer_flow, mmf

pytestmark = pytest.mark.realdata

NAMES = [
    "tench",
    "English springer",
    "cassette player",
    "chain saw",
    "church",
    "French horn",
    "garbage truck",
    "gas pump",
    "golf ball",
    "parachute",
]


@pytest.fixture(scope="module")
def imagenette():
    import os
    from pathlib import Path

    where = os.environ.get("WAVELENS_DATA")
    if not where:
        pytest.skip("WAVELENS_DATA does not name the folder of the real data")
    with np.load(Path(where) / "models" / "mobilenet_imagenette_features.npz") as archive:
        indices = archive["imagenet_index"]
        return archive["features"], np.array(NAMES)[np.searchsorted(np.unique(indices), indices)]


def test_machines_of_the_street_compose_first(imagenette):
    covariance = class_covariance(*imagenette, correlation=True)
    assert covariance.counts.sum() == 13394
    first = {covariance.classes[i] for i in mmf(covariance, order=3).tuples[0]}
    assert first == {"cassette player", "garbage truck", "gas pump"}


def test_half_precision_is_summed_as_well_as_double(imagenette):
    features, labels = imagenette
    single = class_covariance(features, labels)
    double = class_covariance(features.astype(np.float64), labels)
    np.testing.assert_array_equal(single.matrix, double.matrix)
    halves = [(features[::2], labels[::2]), (features[1::2], labels[1::2])]
    np.testing.assert_allclose(class_covariance(halves).matrix, double.matrix, rtol=1e-12)


def test_classes_that_come_one_by_one(imagenette):
    features, labels = imagenette
    hierarchy = ClassHierarchy(order=3)
    for name in NAMES:
        hierarchy.partial_fit(features[labels == name], labels[labels == name])
    batch = ClassHierarchy(order=3).fit(features, labels)
    assert hierarchy.classes_.tolist() == NAMES
    assert hierarchy.mmf_.relative_error < 0.1
    order = np.argsort(hierarchy.classes_)
    np.testing.assert_allclose(
        hierarchy.covariance_.matrix[np.ix_(order, order)], batch.covariance_.matrix, rtol=1e-12
    )


@pytest.mark.parametrize("center", [False, True])
def test_a_mixture_of_classes_is_not_novel_and_each_true_class_is(imagenette, center):
    features, labels = imagenette
    for name in ("tench", "church", "gas pump"):
        known = labels != name
        hierarchy = ClassHierarchy(order=3, center=center).fit(features[known], labels[known])
        assert hierarchy.novelty(features[~known], name=name).is_novel
    rng = np.random.default_rng(0)
    some = np.isin(labels, ["tench", "church"])
    half = some & (rng.random(len(labels)) < 0.5)
    hierarchy = ClassHierarchy(order=3, center=center).fit(features[~half], labels[~half])
    mixed = hierarchy.novelty(features[half], name="tench or church")
    assert not mixed.is_novel
    assert {mixed.names[i] for i in mixed.companions} == {"tench", "church"}


def test_other_images_of_the_same_classes_differ_little_and_strangers_much(imagenette):
    features, labels = imagenette
    order = np.argsort(labels, kind="stable")
    rows = np.concatenate([np.flatnonzero(labels[order] == name)[:1200] for name in NAMES])
    features, labels = features[order][rows].astype(np.float32), labels[order][rows]
    other = features.reshape(10, 2, 600, -1)
    layers = {"some": other[:, 0].reshape(6000, -1), "others": other[:, 1].reshape(6000, -1)}
    rng = np.random.default_rng(0)
    layers["strangers"] = rng.normal(size=(10, 50))[np.repeat(np.arange(10), 600)] + rng.normal(
        size=(6000, 50)
    )
    found = layer_flow(layers, np.repeat(NAMES, 600), order=3, center=True, n_resamples=12)
    assert found.verdicts[1] == "changes"
    # Two samples differ by more than one and its resamples do, by a factor near √2.
    assert found.transfer[0, 1] < 2 * np.quantile(found.transfer_resampled[1], 0.9)
    assert found.transfer[0, 1] < np.quantile(found.transfer_chance[1], 0.1)


def test_pixels_say_little_about_digits(real_data):
    with np.load(real_data / "mnist.npz") as archive:
        pixels, labels = archive["x_train"], archive["y_train"]
    covariance = class_covariance(pixels, labels)
    # All mean images have most in common: nothing of the kind a trained network shows.
    cosines = class_covariance(pixels, labels, correlation=True).matrix
    assert np.median(cosines[np.triu_indices(10, 1)]) > 0.6
    factors = mmf(covariance, order=3)
    assert factors.relative_error < 0.1
    assert class_linkage(covariance).shape == (9, 4)
    centred = ClassHierarchy(order=3, center=True).fit(pixels, labels)
    assert centred.transform(pixels[:100]).shape == (100, 10)
