"""An analysis whose rows of UΣ are in a file says what it says with them in memory, and keeps to its memory."""

from __future__ import annotations

import zipfile
from dataclasses import replace

import numpy as np
import pytest

from wavelens import _mapped
from wavelens._utils._archive import read_archive, write_archive
from wavelens.exceptions import DataError
from wavelens.linalg import class_similarity
from wavelens.patterns import PatternAnalysis, _association_problem
from wavelens.patterns import _image_similarity as image_similarity


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch):
    """Few rows at a time, so that classes and neighbours lie in several blocks."""
    monkeypatch.setattr(_mapped, "_block_bytes", 37 * 8 * 12)
    monkeypatch.setattr(_association_problem, "_block_bytes", 37 * 8 * 12)


def images(seed=0, n=400, n_classes=3, in_order=False):
    rng = np.random.default_rng(seed)
    labels = np.sort(rng.integers(0, n_classes, n)) if in_order else rng.integers(0, n_classes, n)
    found = rng.integers(0, 255, (n, 10, 12), dtype=np.uint8)
    for i in range(1, n_classes):
        found[labels == i, i : i + 4, 2:6] //= 3
    found[11] = found[7]
    return found, labels


def both(folder, n_classes=3, in_order=False, **options):
    """Return the same analysis with rows on disk and in memory."""
    given = images(n_classes=n_classes, in_order=in_order)
    disk = PatternAnalysis(n_coefficients=12, **options).fit(*given, work_dir=folder)
    memory = PatternAnalysis(n_coefficients=12, pivoting="sketch", **options).fit(*given)
    assert _mapped.is_mapped(disk.embedding_)
    return disk, memory


@pytest.mark.parametrize("method", ["exact", "landmarks"])
def test_similarity_to_classes(tmp_path, monkeypatch, method):
    monkeypatch.setattr(image_similarity, "_landmarks", 150)
    disk, memory = both(tmp_path, similarity_method=method)
    found, wanted = disk.class_similarity_, memory.class_similarity_
    assert found.method == wanted.method == method
    np.testing.assert_allclose(found.similarity, wanted.similarity, rtol=1e-6, atol=1e-9)
    for i, j in ((0, 1), (2, 0)):
        np.testing.assert_array_equal(disk.isolated(i, 20), memory.isolated(i, 20))
        np.testing.assert_allclose(disk.spectrum(i, j).values, memory.spectrum(i, j).values, atol=1e-6)
    if method == "landmarks":
        assert found.error.bound == pytest.approx(wanted.error.bound, rel=1e-3)


def test_similarity_of_a_mapped_array_to_itself_and_to_others(tmp_path):
    rng = np.random.default_rng(1)
    rows, labels = rng.standard_normal((300, 5)), rng.integers(0, 4, 300)
    np.save(tmp_path / "rows.npy", rows)
    mapped = np.load(tmp_path / "rows.npy", mmap_mode="r")
    for options in ({}, {"bandwidth": "per class"}, {"y": rows[:40] + 0.1}, {"method": "features"}):
        found, wanted = (class_similarity(each, labels, **options) for each in (mapped, rows))
        np.testing.assert_allclose(found.similarity, wanted.similarity, rtol=1e-9, atol=1e-12)
    shares: list[float] = []
    class_similarity(mapped, labels, method="landmarks", n_features=50, progress=shares.append)
    assert shares == sorted(shares)
    assert shares[-1] == 1
    rows[170, 3] = np.nan
    np.save(tmp_path / "holes.npy", rows)
    with pytest.raises(ValueError, match="row 170, column 3"):
        class_similarity(np.load(tmp_path / "holes.npy", mmap_mode="r"), labels)


def test_a_large_table_lies_beside_the_rows(tmp_path, monkeypatch):
    monkeypatch.setattr(_mapped, "_largest_table", 1000)
    disk, memory = both(tmp_path)
    similarity = disk.similarity_to_classes()
    assert _mapped.is_mapped(similarity)
    np.testing.assert_allclose(similarity, memory.similarity_to_classes(), rtol=1e-6)
    assert not list(tmp_path.glob("tmp*"))


@pytest.mark.parametrize("of", ["any", "same", "other"])
@pytest.mark.parametrize("in_order", [False, True])
def test_nearest_images(tmp_path, of, in_order):
    disk, memory = both(tmp_path, in_order=in_order)
    memory.embedding_ = np.array(disk.embedding_)  # of equal images the rows differ by rounding
    chosen = [399, 7, 11, 100, 250]
    found, wanted = disk.nearest_images(chosen, 6, of), memory.nearest_images(chosen, 6, of)
    np.testing.assert_allclose(found.distances, wanted.distances, rtol=1e-6, atol=1e-6)
    np.testing.assert_array_equal(found.indices, wanted.indices)


@pytest.mark.parametrize("n_classes", [2, 4])
@pytest.mark.parametrize("weights", [None, "size"])
def test_the_test_of_association(tmp_path, n_classes, weights):
    disk, memory = both(tmp_path, n_classes, weights=weights)
    found, wanted = disk.association_test(20), memory.association_test(20)
    np.testing.assert_allclose(found.statistic, wanted.statistic, rtol=1e-7)
    np.testing.assert_allclose(found.null, wanted.null, rtol=1e-7)
    assert found.pvalue == wanted.pvalue
    curves = [each.association_curve(n_repeats=2).statistic for each in (disk, memory)]
    np.testing.assert_allclose(curves[0], curves[1], rtol=1e-7)


def limited(analysis, memory_limit):
    result = analysis.result_
    analysis.result_ = replace(result, options=replace(result.options, memory_limit=memory_limit))


def test_what_does_not_fit_is_refused(tmp_path):
    disk, _ = both(tmp_path)
    limited(disk, 50_000_000)
    with pytest.raises(DataError, match="to shuffle the labels of 3 classes with 12 patterns would take"):
        disk.association_test(5)
    limited(disk, 1000)
    with pytest.raises(DataError, match=r"similarities of each two of .* images would take"):
        disk.similarity(0)


def test_a_saved_analysis_is_mapped(tmp_path):
    disk, _ = both(tmp_path / "work")
    path = tmp_path / "saved.npz"
    disk.save(path)
    again = PatternAnalysis.load(path)
    assert _mapped.is_mapped(again.embedding_)
    assert again.embedding_.flags.aligned
    np.testing.assert_array_equal(again.embedding_, disk.embedding_)
    assert again.association_test(5).statistic == pytest.approx(disk.association_test(5).statistic)
    np.testing.assert_array_equal(again.image_positions_, disk.image_positions_)
    with np.load(path) as archive:
        np.testing.assert_array_equal(archive["embedding"], disk.embedding_)
    again.save(path)
    np.testing.assert_array_equal(PatternAnalysis.load(path).embedding_, disk.embedding_)
    whole = bytearray(path.read_bytes())
    place = bytes(whole).index(np.asarray(disk.embedding_[200]).tobytes())
    whole[place] ^= 1
    path.write_bytes(whole)
    with pytest.raises(DataError, match="is damaged"):
        PatternAnalysis.load(path)


def test_arrays_of_archives_are_mapped_whatever_their_kind(tmp_path):
    arrays = {
        "a": np.arange(7.0),
        "bc": np.asfortranarray(np.arange(6).reshape(2, 3)),
        "empty": np.empty((0, 3)),
        "flags": np.array([True, False]),
    }
    write_archive(tmp_path / "some.npz", "kind", 1, {}, arrays)
    _, found = read_archive(tmp_path / "some.npz", "kind", 1, "test", lambda names: names[1:])
    for name, each in arrays.items():
        np.testing.assert_array_equal(found[name], each)
        assert found[name].dtype == each.dtype
    assert _mapped.is_mapped(found["bc"])
    with zipfile.ZipFile(tmp_path / "some.npz") as archive:
        assert archive.testzip() is None
