"""`build_hierarchy` on planted pairs of classes."""

from __future__ import annotations

import json
from dataclasses import FrozenInstanceError

import numpy as np
import pytest
from steps import Steps

from wavelens.cli import main
from wavelens.exceptions import DataError, WavelensError
from wavelens.hierarchy import ClassHierarchy
from wavelens.models import LabelledFeatures
from wavelens.workflows import HierarchyReport, build_hierarchy

NAMES = ["red", "crimson", "cat", "tiger", "car", "van", "oak", "elm"]


def make_features(n=12, d=20):
    rng = np.random.default_rng(0)
    means = np.repeat(rng.normal(size=(4, d)), 2, axis=0)
    means = 2 + means + 0.3 * rng.normal(size=means.shape)
    labels = np.repeat(np.arange(8), n)
    return means[labels] + 0.2 * rng.normal(size=(8 * n, d)), labels


def write(path, **more):
    values, labels = make_features()
    np.savez(path, **{"features": values, "labels": labels, "class_names": NAMES} | more)
    return path


def files(folder):
    return {str(each.relative_to(folder)) for each in folder.rglob("*") if each.is_file()}


@pytest.fixture(scope="module")
def report():
    values, labels = make_features()
    return build_hierarchy(values, np.array(NAMES)[labels], order=2, center=True, resamples=2, progress=False)


def test_the_result_holds_what_the_estimator_finds(report):
    values, labels = make_features()
    alone = ClassHierarchy(order=2, center=True).fit(values, np.array(NAMES)[labels])
    assert isinstance(report, HierarchyReport)
    np.testing.assert_array_equal(report.hierarchy.covariance_.matrix, alone.covariance_.matrix)
    first = report.to_dict()["first_compositions"][0]["classes"]
    assert {NAMES.index(each) // 2 for each in first} in [{0}, {1}, {2}, {3}]
    assert report.stability.n_resamples == 2
    assert report.flow is None
    with pytest.raises(FrozenInstanceError):
        report.layer = "other"


def test_the_summary_has_the_findings(report):
    text = " ".join(report.summary().split())
    found = report.to_dict()
    assert found["findings"]
    for each in (*found["findings"], *found["remarks"]):
        assert " ".join(each.split()) in text


def test_save_writes_what_the_command_writes(tmp_path):
    source = write(tmp_path / "some.npz")
    command = ["hierarchy", str(source), "--order", "3", "--resamples", "2", "--classes", "red,cat,oak,elm"]
    assert main([*command, "--out", str(tmp_path / "command"), "--quiet"]) == 0
    found = build_hierarchy(
        source, order=3, resamples=2, classes=["red", "cat", "oak", "elm"], progress=False
    )
    found.save(tmp_path / "function", progress=False)
    assert files(tmp_path / "command") == files(tmp_path / "function")
    pair = [json.loads((tmp_path / each / "summary.json").read_text()) for each in ("command", "function")]
    assert pair[1].pop("command") is None
    del pair[0]["command"]
    assert pair[0] == pair[1]
    for name in ("levels.csv", "classes.csv", "graph.json"):
        assert (tmp_path / "command" / name).read_bytes() == (tmp_path / "function" / name).read_bytes()
    with pytest.raises(WavelensError, match="`force=True`"):
        found.save(tmp_path / "function", progress=False)
    found.save(tmp_path / "function", force=True, progress=False)


def test_layers_are_compared():
    values, labels = make_features()
    turn = np.linalg.qr(np.random.default_rng(1).normal(size=(20, 20)))[0]
    layers = {"conv": values, "dense": values @ turn, "logits": values[:, :8]}
    steps = Steps()
    found = build_hierarchy(layers, labels, order=3, resamples=2, progress=steps)
    assert found.layer == "dense"
    assert found.flow.layers == ("conv", "dense")
    assert any("logits" in note for note in steps.notes)
    alone = build_hierarchy(layers, labels, layers=(), layer="conv", order=3, resamples=2, progress=False)
    assert alone.layer == "conv"
    assert alone.flow is None


def test_rows_may_be_classes_and_have_names():
    values, labels = make_features()
    means = np.array([values[labels == i].mean(axis=0) for i in range(8)])
    found = build_hierarchy(means, rows_are_classes=True, class_names=NAMES, resamples=0, progress=False)
    assert sorted(found.hierarchy.classes_.tolist()) == sorted(NAMES)
    features = LabelledFeatures({"x": values}, labels, tuple(map(str, range(8))))
    named = build_hierarchy(features, class_names=NAMES, limit_classes=4, resamples=0, progress=False)
    assert len(named.hierarchy.classes_) == 4
    assert set(named.hierarchy.classes_.tolist()) <= set(NAMES)


@pytest.mark.parametrize(
    ("arguments", "error", "name"),
    [
        ({"order": 1}, ValueError, "`order`"),
        ({"order": 9}, ValueError, "`order=8`"),
        ({"resamples": 1}, ValueError, "`resamples`"),
        ({"method": "best"}, ValueError, "`method`"),
        ({"rotation": "best"}, ValueError, "`rotation`"),
        ({"layer": "feature"}, WavelensError, "`layer`.*'features'"),
        ({"layers": ["features"]}, WavelensError, "`layers`"),
        ({"classes": ["9"]}, WavelensError, "`classes`"),
        ({"classes": ["1"]}, DataError, "two classes"),
        ({"labels": None}, DataError, "`rows_are_classes=True`"),
        ({"labels": [1, 2]}, ValueError, "`labels`"),
        ({"source": np.zeros((4, 3, 2)), "labels": [0, 0, 1, 1]}, ValueError, "`source`"),
        ({"source": {}}, ValueError, "`source`"),
        ({"source": "some.npz"}, ValueError, "`labels`"),
    ],
)
def test_errors_name_the_argument(arguments, error, name):
    values, labels = make_features()
    with pytest.raises(error, match=name):
        build_hierarchy(**{"source": values, "labels": labels, "progress": False} | arguments)


def test_an_error_in_the_data_names_the_file_and_the_layer(tmp_path):
    values, _ = make_features()
    values[7, 3] = np.nan
    source = write(tmp_path / "broken.npz", features=values)
    with pytest.raises(DataError, match=r"broken\.npz.*'features'.*row 7"):
        build_hierarchy(source, progress=False)
