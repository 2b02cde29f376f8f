"""One small page of every kind, with given names of classes, images, layers, files and all else from outside."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from explained import digit_paths, digit_weights

from wavelens.data import ImageData
from wavelens.explain import evaluate
from wavelens.hierarchy import ClassHierarchy, composition_stability, layer_flow
from wavelens.models import NumpyMLP
from wavelens.patterns import PatternAnalysis, _image_similarity, compare_bases
from wavelens.quality import check_images
from wavelens.report import (
    image_table,
    usual_explanations,
    write_explain_report,
    write_hierarchy_report,
    write_patterns_report,
    write_spaces_report,
)
from wavelens.report._shown_images import seen_for_report
from wavelens.spaces import NetworkSpaces, ideal_inputs

__all__ = ["KINDS", "dataset", "write_page"]


def _distinct(names, n):
    """Return `n` distinct names that begin with those given."""
    return [f"{names[i % len(names)]}{i // len(names) or ''}" for i in range(n)]


def dataset(names, n_classes, n=48):
    """Return labelled images with copies and empty ones among them, and files that were left out."""
    rng = np.random.default_rng(0)
    labels = np.arange(n) % n_classes
    images = rng.uniform(0, 200, (n, 16, 16)) + 20 * labels[:, None, None]
    images[3] = images[1]
    images[9], images[10] = 7.0, images[11] * 0.5
    files = tuple(f"folder/{name}.png" for name in _distinct(names, n))
    return ImageData(
        images,
        labels,
        tuple(_distinct(names, n_classes)),
        files,
        names[0],
        skipped=[SimpleNamespace(path=name, reason=f"no image: {name}") for name in names],
        notes=tuple(f"A note on {name}." for name in names),
        original_modes=tuple("RGB" if label else "L" for label in labels),
    )


def _patterns(folder, names, n_classes):
    data = dataset(names, n_classes)
    analysis = PatternAnalysis(n_coefficients=8).fit(data.images, data.labels)
    return write_patterns_report(
        folder,
        analysis,
        data,
        table=image_table(analysis),
        quality=check_images(data),
        association=analysis.association_test(20),
        association_curve=analysis.association_curve((0.0, 1.0), 1),
        held_out=analysis.held_out_score(data.images, data.labels, n_splits=2),
        comparison=compare_bases(data.images, data.labels, analysis) if n_classes > 2 else None,
        command=f"wavelens analyze {names[0]}",
    )


def two_classes(folder, names):
    return _patterns(folder, names, 2)


def many_classes(folder, names):
    return _patterns(folder, names, 5)


def large(folder, names):
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 600)
    images = rng.integers(0, 255, (600, 10, 12), dtype=np.uint8)
    images[labels == 1, 1:5, 2:6] //= 3
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_image_similarity, "_landmarks", 150)
        analysis = PatternAnalysis(n_coefficients=12, similarity_method="landmarks", progress=False)
        analysis.fit(images, labels, work_dir=folder / "work")
        seen = seen_for_report(analysis, 300)
    places = seen.sampled_from_.places
    files = tuple(_distinct(names, len(places)))
    data = ImageData(images[places], seen.labels_, tuple(_distinct(names, 3)), files, names[0])
    return write_patterns_report(folder, seen, data, table=image_table(seen))


def hierarchy(folder, names):
    rng = np.random.default_rng(0)
    labels = np.repeat(np.array(_distinct(names, 8), dtype=object), 6)
    values = 1 + np.repeat(rng.normal(size=(8, 20)), 6, axis=0) + 0.1 * rng.normal(size=(48, 20))
    layers = {names[0]: np.abs(values), names[-1]: values}
    options = {"order": 3, "n_resamples": 2}
    return write_hierarchy_report(
        folder,
        ClassHierarchy(order=3).fit(values, labels),
        stability=composition_stability(values, labels, **options),
        flow=layer_flow(layers, labels, **options),
        layer=names[-1],
        source=names[0],
        notes=names,
        command=f"wavelens hierarchy {names[0]}",
    )


def explain(folder, names):
    paths = digit_paths(2)
    weights, biases = digit_weights()
    model = NumpyMLP(weights, biases, ["softmax"])
    model.name = model.kind = names[0]
    classes = _distinct(names, 10)
    found = evaluate([usual_explanations(path) for path in paths], model, n_samples=2, progress=False)
    return write_explain_report(
        folder,
        paths,
        model,
        image_names=_distinct(names, 2),
        class_names=classes,
        full_class_names=[f"{name} in full" for name in classes],
        evaluation=found,
        n_samples=2,
        notes=names,
        command=f"wavelens explain {names[0]}",
    )


def spaces(folder, names):
    rng = np.random.default_rng(0)
    weights = [rng.normal(size=(12, 64)), rng.normal(size=(6, 12)), rng.normal(size=(3, 6))]
    net = NetworkSpaces.from_arrays(weights, input_shape=(8, 8), name=names[0])
    codes, images = np.arange(60) % 3, rng.random((60, 64))
    classes = _distinct(names, 3)
    flow = net.energy_flow(images, np.array(classes, dtype=object)[codes])
    layers = _distinct(names, 3)
    named = [replace(each, name=name) for each, name in zip(net.weights, layers, strict=True)]
    net = NetworkSpaces(replace(net.weights, layers=tuple(named), notes=tuple(names)))
    flow = replace(flow, layers=tuple(layers), notes=tuple(names))
    model = NumpyMLP(
        [each.T for each in weights],
        [np.zeros(len(each)) for each in weights],
        input_shape=(1, 8, 8),
    )
    ideal = ideal_inputs(model, images.reshape(-1, 8, 8), codes, train="newton", max_steps=2)
    return write_spaces_report(
        folder,
        net,
        flow=flow,
        ideal=replace(ideal, class_names=tuple(classes), notes=tuple(names)),
        means=np.stack([images[codes == i].mean(axis=0) for i in range(3)]),
        source=names[0],
        notes=names,
        command=f"wavelens spaces {names[0]}",
    )


KINDS = {each.__name__: each for each in (two_classes, many_classes, large, hierarchy, explain, spaces)}


def write_page(kind, folder, names):
    """Write the page of a kind into a folder, with names that begin with those given."""
    return KINDS[kind](folder, list(names))
