"""Files of features, ours and foreign ones; names of classes; pooling. No network is needed."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from wavelens.exceptions import DataError, ModelError
from wavelens.models import LabelledFeatures, load_features, read_class_names
from wavelens.models._features_file import FeaturesWriter
from wavelens.models._pooling import Pooling
from wavelens.models._predictions import check_predictions

rng = np.random.default_rng(0)


def some() -> LabelledFeatures:
    return LabelledFeatures(
        layers={
            "conv/1:0": rng.normal(size=(5, 12)).astype(np.float32),
            "labels": np.ones((5, 2), np.float16),
        },
        labels=np.array([0, 1, 1, 0, 1]),
        class_names=("cat", "Hündin"),
        file_names=tuple("abcde"),
        source="pets",
        shapes={"conv/1:0": (3, 2, 2), "labels": (2,)},
        info={"model": "net"},
        notes=("One.",),
    )


def test_a_file_of_ours_comes_back(tmp_path: Path) -> None:
    before = some()
    before.save(tmp_path / "f.npz")
    after = load_features(tmp_path / "f.npz")
    assert list(after.layers) == ["conv/1:0", "labels"]
    for name, values in before.layers.items():
        np.testing.assert_array_equal(after.layers[name], values)
        assert after.layers[name].dtype == values.dtype
        assert isinstance(after.layers[name], np.memmap)
    np.testing.assert_array_equal(after.labels, before.labels)
    for name in ("class_names", "file_names", "source", "shapes", "info", "notes"):
        assert getattr(after, name) == getattr(before, name)
    assert after.class_counts == {"cat": 2, "Hündin": 3}
    with np.load(tmp_path / "f.npz", allow_pickle=False) as plain:
        assert json.loads(str(plain["header"]))["format"] == "wavelens-features"
        np.testing.assert_array_equal(plain["conv/1:0"], before.layers["conv/1:0"])
    assert [each.name for each in tmp_path.iterdir()] == ["f.npz"]


def test_nothing_is_left_where_writing_fails(tmp_path: Path) -> None:
    some().save(tmp_path / "f.npz")
    before = (tmp_path / "f.npz").read_bytes()

    def interrupted() -> None:
        with FeaturesWriter(tmp_path / "f.npz") as writer:
            writer.append("a", np.ones((3, 4)))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert [each.name for each in tmp_path.iterdir()] == ["f.npz"]
    assert (tmp_path / "f.npz").read_bytes() == before


def test_foreign_files(tmp_path: Path) -> None:
    x, y = rng.normal(size=(4, 3)), rng.normal(size=(4, 6))
    np.savez(tmp_path / "a.npz", features=x, logits=y, imagenet_index=[2, 0, 0, 2], file_names=list("pqrs"))
    found = load_features(tmp_path / "a.npz")
    assert list(found.layers) == ["features", "logits"]
    assert found.class_names == ("0", "2")
    assert found.labels.tolist() == [1, 0, 0, 1]
    assert found.file_names == tuple("pqrs")
    assert load_features(tmp_path / "a.npz", class_names=["tench", "crane", "crane"]).class_names == (
        "tench",
        "crane (2)",
    )
    np.savez(tmp_path / "b.npz", deep=x.reshape(4, 1, 3), who=["x", "y", "x", "y"], other=np.ones((9, 2)))
    with pytest.raises(DataError, match=r"none of the arrays is recognised as features: deep \(4, 1, 3\)"):
        load_features(tmp_path / "b.npz")
    found = load_features(tmp_path / "b.npz", key="deep", labels_key="who")
    assert found.shapes == {"deep": (1, 3)}
    assert found.class_names == ("x", "y")
    np.testing.assert_array_equal(found.layers["deep"], x)
    for arguments, message in [
        ({"key": "none"}, "no array 'none'"),
        ({"key": ["deep", "other"]}, "different numbers of rows"),
        ({"key": "who"}, "must be features of shape"),
        ({"key": "other", "labels_key": "who"}, "one entry for each of the 9 rows, got 4"),
    ]:
        with pytest.raises(DataError, match=message):
            load_features(tmp_path / "b.npz", **arguments)


def test_rows_that_are_classes(tmp_path: Path) -> None:
    np.savez(tmp_path / "m.npz", features=np.eye(3))
    found = load_features(tmp_path / "m.npz")
    assert found.labels is None
    assert found.rows_as_classes().class_names == ("0", "1", "2")
    named = found.rows_as_classes(["a", "b", "b"])
    assert named.class_names == ("a", "b (1)", "b (2)")
    assert named.labels.tolist() == [0, 1, 2]
    with pytest.raises(ValueError, match="must name each of the 3 rows, got 2"):
        found.rows_as_classes(["a", "b"])


def test_files_from_the_future_or_damaged(tmp_path: Path) -> None:
    header = {"format": "wavelens-features", "format_version": 99}
    np.savez(tmp_path / "f.npz", header=json.dumps(header), features=np.eye(2))
    with pytest.raises(DataError, match="written by a newer Wavelens"):
        load_features(tmp_path / "f.npz")
    np.savez(tmp_path / "f.npz", header=json.dumps(header | {"format_version": 1}), features=np.eye(2))
    with pytest.raises(DataError, match="source"):
        load_features(tmp_path / "f.npz")
    (tmp_path / "f.npz").write_bytes(b"nothing")
    with pytest.raises(DataError, match=r"not a readable \.npz"):
        load_features(tmp_path / "f.npz")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"layers": {}}, "at least one layer"),
        ({"layers": {"a": np.ones((3, 2)), "b": np.ones((2, 2))}}, "as many rows each"),
        ({"layers": {"a": np.ones((3, 2, 2))}}, r"must have shape \(n, d\)"),
        ({"layers": {"a": np.ones((3, 2))}, "labels": np.zeros(2, int)}, "`labels` must have one entry"),
    ],
)
def test_features_that_do_not_fit_together(changes, message) -> None:
    with pytest.raises(ValueError, match=message):
        LabelledFeatures(**changes)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.json", {"index_to_wnid_name": [["n1", "tench, Tinca"], ["n2", "crane"], ["n3", "crane"]]}),
        ("b.json", {"2": ["n3", "crane"], "0": ["n1", "tench"], "1": ["n2", "crane"]}),
        ("c.json", [["n1", "tench"], ["n2", "crane"], ["n3", "crane"]]),
        ("d.json", ["tench", "crane", "crane"]),
        ("e.json", {"0": "tench", "1": "crane", "2": "crane"}),
        ("f.txt", "tench\ncrane\ncrane\n"),
    ],
)
def test_names_of_classes_are_keyed_by_index(tmp_path: Path, name: str, content: object) -> None:
    text = content if isinstance(content, str) else json.dumps(content)
    (tmp_path / name).write_text(text, encoding="utf-8")
    names = read_class_names(tmp_path / name)
    assert names.names == ("tench", "crane (1)", "crane (2)")
    assert names.index_of("Tench") == 0
    assert names.index_of("crane") is None
    assert names.index_of("crane (2)") == 2
    if names.ids:
        assert names.index_of("n3") == 2
        assert names.translate(["n3", "n1", "other"]) == ("crane (2)", "tench", "other")
        assert names.translate(["n1", "tench"]) == ("n1", "tench")


@pytest.mark.parametrize(
    "text", ["{", "3", "[]", '{"a": 1, "b": 2}', '{"0": "a", "2": "b"}', '[["a", "b", "c"]]', '["a", ""]']
)
def test_names_that_cannot_be_read(tmp_path: Path, text: str) -> None:
    (tmp_path / "n.json").write_text(text)
    with pytest.raises(DataError, match=r"n\.json"):
        read_class_names(tmp_path / "n.json")


def test_pooling() -> None:
    maps = rng.normal(size=(3, 5, 6, 8))
    np.testing.assert_allclose(Pooling("average")(maps, "a"), maps.mean(axis=(2, 3)))
    np.testing.assert_array_equal(Pooling("max")(maps, "a"), maps.max(axis=(2, 3)))
    np.testing.assert_array_equal(Pooling("none")(maps, "a"), maps)
    grid = Pooling("grid:2")(maps, "a")
    np.testing.assert_allclose(grid[:, :, 1, 0], maps[:, :, 3:, :4].mean(axis=(2, 3)))
    np.testing.assert_allclose(Pooling("grid:1")(maps, "a")[..., 0, 0], maps.mean(axis=(2, 3)))
    # Where fields do not divide the map they share a line: rows 0–1, 1–3 (of four, in three) and so on.
    uneven = Pooling("grid:3")(np.arange(4.0).reshape(1, 1, 4, 1).repeat(3, axis=3), "a")
    np.testing.assert_allclose(uneven[0, 0, :, 0], [0.5, 1.5, 2.5])
    last = Pooling("average", channels_last=True)(maps.transpose(0, 2, 3, 1), "a")
    np.testing.assert_allclose(last, maps.mean(axis=(2, 3)))
    tokens = rng.normal(size=(2, 7, 4))
    np.testing.assert_allclose(Pooling("average")(tokens, "a"), tokens.mean(axis=1))
    assert Pooling("average")(np.ones(3), "a").shape == (3, 1)
    half = np.full((1, 1, 300, 300), 60000, np.float16)
    assert Pooling("average")(half, "a") == pytest.approx(60000)
    with pytest.raises(ModelError, match="'a' has no maps"):
        Pooling("grid:2")(tokens, "a")
    with pytest.raises(ModelError, match="take a grid of at most 6"):
        Pooling("grid:7")(maps, "a")
    for bad in ("mean", "grid:0", "grid:x", "grid", 3):
        with pytest.raises(ValueError, match="`pool` must be"):
            Pooling(bad)


def test_predictions_are_judged() -> None:
    names = [str(i) for i in range(40)]
    labels = np.repeat([0, 1], 20)
    right = np.eye(12)[np.repeat([3, 7], 20)]
    known = read_class_names([f"class {i}" for i in range(12)])
    check = check_predictions("logits", right, labels, ["class 3", "class 7"], names, known)
    assert (check.top1, check.top5, check.n_judged, check.suspicion) == (1.0, 1.0, 40, "")
    assert check.examples[0] == ("0", "class 3", "class 3")
    assert "100.0% of 40 images are predicted right" in check.describe()
    wrong = check_predictions("logits", right[::-1], labels, ["class 3", "class 7"], names, known)
    assert wrong.top1 == 0
    assert "fed wrongly" in wrong.describe()
    # Nothing says which outputs the classes are, but all images look alike to the network.
    alike = check_predictions("logits", np.eye(12)[[4] * 40], labels, ["a", "b", "c"], names)
    assert alike.top1 is None
    assert "100% of the images are taken for '4'" in alike.describe()
    assert "fed wrongly" in alike.describe()
