"""A mapped result that is truncated or changed later is a sentence, not a signal that kills the process."""

from __future__ import annotations

import multiprocessing
import os
import sys

import numpy as np
import pytest

from wavelens._mapped import check_whole, is_mapped, picked_rows, row_blocks
from wavelens.exceptions import DataError
from wavelens.hierarchy import ClassHierarchy
from wavelens.models import LabelledFeatures, load_features
from wavelens.patterns import PatternAnalysis

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="mapped files cannot be truncated there")


@pytest.fixture(scope="module")
def analysis_file(tmp_path_factory):
    rng = np.random.default_rng(0)
    folder = tmp_path_factory.mktemp("analysis")
    images = rng.random((4000, 8, 8), dtype=np.float32)
    analysis = PatternAnalysis(n_coefficients=20, progress=False)
    analysis.fit(images, np.arange(4000) % 3, work_dir=folder / "work")
    analysis.save(folder / "results.npz")
    return folder / "results.npz"


@pytest.fixture
def features_file(tmp_path):
    values = np.random.default_rng(0).random((3000, 40), dtype=np.float32)
    path = tmp_path / "features.npz"
    LabelledFeatures({"layer": values}, np.arange(3000) % 4, tuple("abcd")).save(path)
    return path


def similarity(analysis):
    return analysis.class_similarity_


def save_again(analysis):
    analysis.save("again.npz")


def association(analysis):
    return analysis.association_test(5, progress=False)


def hierarchy(features):
    return ClassHierarchy(order=2).fit(features.layers["layer"], features.labels)


def write_again(features):
    features.save("again.npz")


def use_truncated(load, path, use, results):
    found = load(path)
    os.truncate(path, os.stat(path).st_size // 8)
    try:
        use(found)
    except DataError as error:
        results.put(str(error))
    else:
        results.put("no error")


def outcome(load, path, use):
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    process = context.Process(target=use_truncated, args=(load, path, use, results))
    process.start()
    process.join()
    assert process.exitcode == 0
    return results.get(timeout=10)


@pytest.mark.parametrize("use", [similarity, save_again, association])
def test_an_analysis_whose_file_is_truncated(analysis_file, tmp_path, monkeypatch, use):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "results.npz"
    path.write_bytes(analysis_file.read_bytes())
    assert is_mapped(PatternAnalysis.load(path).embedding_)
    assert "results.npz" in outcome(PatternAnalysis.load, path, use)


@pytest.mark.parametrize("use", [hierarchy, write_again])
def test_features_whose_file_is_truncated(features_file, tmp_path, monkeypatch, use):
    monkeypatch.chdir(tmp_path)
    assert is_mapped(load_features(features_file).layers["layer"])
    assert "features.npz" in outcome(load_features, features_file, use)


def rows_on_disk(folder, n=100):
    np.save(folder / "rows.npy", np.arange(3.0 * n).reshape(n, 3))
    return np.load(folder / "rows.npy", mmap_mode="r")


def test_a_file_changed_in_place_is_refused(tmp_path):
    rows = rows_on_disk(tmp_path)
    check_whole(rows)
    with (tmp_path / "rows.npy").open("r+b") as file:
        file.seek(-8, os.SEEK_END)
        file.write(b"12345678")
    os.utime(tmp_path / "rows.npy", ns=(1, 1))
    with pytest.raises(DataError, match=r"rows\.npy"):
        list(row_blocks(rows))
    with pytest.raises(DataError, match=r"rows\.npy"):
        picked_rows(rows, np.array([1, 2]))


def test_truncated_between_two_blocks(tmp_path):
    rows = rows_on_disk(tmp_path, 100_000)
    blocks = row_blocks(rows, 1000)
    next(blocks)
    os.truncate(tmp_path / "rows.npy", 1000)
    with pytest.raises(DataError, match=r"rows\.npy"):
        list(blocks)


def test_a_replaced_file_leaves_the_map_as_it_was(tmp_path):
    rows = rows_on_disk(tmp_path)
    check_whole(rows)
    np.save(tmp_path / "other.npy", np.zeros(2))
    os.replace(tmp_path / "other.npy", tmp_path / "rows.npy")
    assert np.array_equal(np.concatenate(list(row_blocks(rows))), np.arange(300.0).reshape(100, 3))
    (tmp_path / "rows.npy").unlink()
    assert np.array_equal(np.concatenate(list(row_blocks(rows))), np.arange(300.0).reshape(100, 3))


def test_a_map_that_may_be_written_to_may_change(tmp_path):
    rows_on_disk(tmp_path)
    rows = np.load(tmp_path / "rows.npy", mmap_mode="r+")
    check_whole(rows)
    rows[0] = -1
    rows.flush()
    os.utime(tmp_path / "rows.npy", ns=(1, 1))
    assert next(row_blocks(rows))[0, 0] == -1
