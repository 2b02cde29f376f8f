"""Covariance of classes: equation 7 of the paper, in one pass, from anything that holds features."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference.class_covariance import class_covariance as by_definition

from wavelens.hierarchy import ClassMeans, _symmetric, class_covariance, mmf
from wavelens.hierarchy import _features as feature_reading


def problem(seed=0, n=40, d=6, m=4):
    rng = np.random.default_rng(seed)
    labels = np.concatenate([np.arange(m), rng.integers(m, size=n - m)])
    return rng.normal(size=(n, d)) + rng.normal(size=(m, d))[labels], labels


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    m=st.integers(2, 6),
    extra=st.integers(0, 30),
    d=st.integers(1, 9),
    center=st.booleans(),
    correlation=st.booleans(),
)
def test_it_is_the_mean_inner_product_of_all_pairs(seed, m, extra, d, center, correlation):
    features, labels = problem(seed, m + extra, d, m)
    found = class_covariance(features, labels, center=center, correlation=correlation)
    expected = by_definition(features, labels, center=center, correlation=correlation)
    tolerance = 1e-6 if correlation and center else 1e-12 * np.abs(expected).max()
    np.testing.assert_allclose(found.matrix, expected, atol=tolerance)
    np.testing.assert_array_equal(found.matrix, found.matrix.T)
    assert found.counts.sum() == len(labels)
    assert np.linalg.eigvalsh(found.matrix)[0] > -1e-12 * np.abs(found.matrix).max()


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.uint8, np.int32, bool, ">f4"])
def test_any_real_dtype_is_summed_in_float64(dtype):
    features, labels = problem()
    given = np.abs(features * 10).astype(dtype)
    found = class_covariance(given, labels)
    np.testing.assert_allclose(found.matrix, by_definition(given.astype(np.float64), labels), rtol=1e-13)
    assert found.matrix.dtype == np.float64


def test_many_small_numbers_on_a_large_one_are_not_lost():
    # In float16 the sum of 5,000 values of 100 overflows; in float32 the small part is lost.
    features = np.full((5000, 2), 100, dtype=np.float16)
    features[::2, 1] += 0.0625
    found = class_covariance(features, np.arange(5000) % 2)
    assert found.means.tolist() == [[100, 100.0625], [100, 100]]


def test_any_trailing_shape_is_flattened():
    features, labels = problem(d=12)
    flat = class_covariance(features, labels).matrix
    np.testing.assert_array_equal(class_covariance(features.reshape(-1, 2, 3, 2), labels).matrix, flat)
    # Strides cost no more than a chunk.
    np.testing.assert_array_equal(class_covariance(np.asfortranarray(features), labels).matrix, flat)


def test_labels_may_be_strings_or_numbers_with_gaps():
    features, labels = problem()
    plain = class_covariance(features, labels)
    gaps = class_covariance(features, np.array([-7, 3, 40, 1000])[labels])
    strings = class_covariance(features, np.array(["ant", "bee", "cat", "dog"])[labels].tolist())
    objects = class_covariance(features, np.array(["ant", "bee", "cat", "dog"], dtype=object)[labels])
    column = class_covariance(features, labels[:, None])
    for other in (gaps, strings, objects, column):
        np.testing.assert_array_equal(other.matrix, plain.matrix)
    assert gaps.classes.tolist() == [-7, 3, 40, 1000]
    assert objects.classes.tolist() == ["ant", "bee", "cat", "dog"]


def test_chunks_give_the_same_in_whatever_order_classes_come():
    features, labels = problem()
    names = np.array(["bee", "dog", "ant", "cat"])[labels]
    whole = class_covariance(features, names, center=True)
    for cuts in ([20], [1, 2, 3], [7, 7, 30]):
        chunks = zip(np.split(features, cuts), np.split(names, cuts), strict=True)
        found = class_covariance(chunks, center=True)
        assert found.classes.tolist() == ["ant", "bee", "cat", "dog"]
        np.testing.assert_array_equal(found.counts, whole.counts)
        np.testing.assert_allclose(found.matrix, whole.matrix, rtol=1e-12, atol=1e-13)


def test_files_are_read_a_chunk_at_a_time(tmp_path, monkeypatch):
    features, labels = problem(n=50)
    np.save(tmp_path / "features.npy", features.astype(np.float32))
    mapped = np.load(tmp_path / "features.npy", mmap_mode="r")
    monkeypatch.setattr(feature_reading, "_numbers_at_once", 30)

    class Sliced:
        """What HDF5 and zarr datasets offer."""

        shape, dtype, most = mapped.shape, mapped.dtype, 0

        def __getitem__(self, rows):
            self.most = max(self.most, rows.stop - rows.start)
            return mapped[rows]

    sliced = Sliced()
    expected = class_covariance(np.array(mapped), labels).matrix
    np.testing.assert_array_equal(class_covariance(mapped, labels).matrix, expected)
    np.testing.assert_array_equal(class_covariance(sliced, labels).matrix, expected)
    assert sliced.most == 5


def test_it_stands_for_its_matrix():
    covariance = class_covariance(*problem())
    assert mmf(covariance, order=2).shape == covariance.shape == (4, 4)
    assert len(covariance) == 4
    np.testing.assert_array_equal(np.asarray(covariance), covariance.matrix)
    assert np.asarray(covariance, dtype=np.float32).dtype == np.float32
    assert "n_classes=4" in repr(covariance)
    with pytest.raises(ValueError, match="read-only"):
        covariance.matrix[0, 0] = 1


def test_correlation_does_not_depend_on_the_size_of_features():
    features, labels = problem()
    scale = np.array([1e-200, 1.0, 1e3, 1e150])[labels][:, None]
    plain = class_covariance(features, labels, correlation=True).matrix
    np.testing.assert_allclose(class_covariance(features * scale, labels, correlation=True).matrix, plain)
    assert np.all(np.diag(plain) == 1)
    assert np.abs(plain).max() <= 1


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), cut=st.integers(1, 39))
def test_means_merge_to_rounding(seed, cut):
    features, labels = problem(seed)
    whole = ClassMeans().partial_fit(features, labels)
    first = ClassMeans().partial_fit(features[:cut], labels[:cut])
    second = ClassMeans().partial_fit(features[cut:], labels[cut:])
    merged = first.copy().merge(second).sorted()
    np.testing.assert_array_equal(merged.counts, whole.counts)
    np.testing.assert_allclose(
        merged.sums, whole.sums, rtol=0, atol=1e-12 * np.abs(features).sum(axis=0).max()
    )
    # The copy went its own way.
    assert first.counts.sum() == cut
    assert ClassMeans().merge(first).merge(ClassMeans()).counts.sum() == cut


def test_a_refused_chunk_leaves_means_as_they_were():
    features, labels = problem()
    means = ClassMeans().partial_fit(features, labels)
    before = means.copy()
    bad = features.copy()
    bad[-1, -1] = np.nan
    for chunk, names, error in (
        (bad, labels, ValueError),
        (features[:, :3], labels, ValueError),
        (features, labels[:-1], ValueError),
        (features, labels.astype(str), TypeError),
    ):
        with pytest.raises(error):
            means.partial_fit(chunk, names)
    np.testing.assert_array_equal(means.sums, before.sums)
    np.testing.assert_array_equal(means.classes, before.classes)
    np.testing.assert_array_equal(means.counts, before.counts)


def test_empty_chunks_and_new_wider_strings():
    means = ClassMeans().partial_fit(np.empty((0, 3)), [])
    assert means.n_features is None
    means.partial_fit(np.ones((1, 3)), ["a"]).partial_fit(np.ones((2, 3)), ["a", "hippopotamus"])
    assert means.classes.tolist() == ["a", "hippopotamus"]
    assert means.counts.tolist() == [2, 1]
    assert means.partial_fit(np.empty((0, 3)), []).counts.sum() == 3


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda x, y: (x, y[:-1]),
            r"`labels` must have one entry for each of the 40 images, got 39",
        ),
        (lambda x, y: (x[0], y[:1]), r"`features` must have at least 2 dimensions.*got 1"),
        (lambda x, y: (x[:, :0], y), r"`features` must not be empty, got shape \(40, 0\)"),
        (lambda x, y: (x[:0], y[:0]), r"`features` must not be empty, got no image"),
        (lambda x, y: (x, y * 0), "`labels` must hold at least two classes, got one class, 0"),
        (lambda x, y: (x, np.where(y == 1, np.nan, y)), "`labels` must not hold NaN.*position 1"),
        (lambda x, y: ([[1.0, 2.0], [1.0]], [0, 1]), "`features` must be a regular array"),
        (lambda x, y: (x, None), "`labels` must hold one label for each image; without it"),
        (lambda x, y: ([x, x], None), "as chunk 0"),
        (
            lambda x, y: ([(x, y), (x[:, :3], y)], None),
            "chunk 1: `features` must have 6 numbers an image.*got 3",
        ),
        (lambda x, y: ([], None), "`features` must not be empty, got no image"),
        (lambda x, y: (x * 1e200, y), "small enough to be multiplied"),
        (lambda x, y: (x * 1e100, y), "small enough to be multiplied"),
        (lambda x, y: (x * 1e-100, y), "large enough to be multiplied"),
        (lambda x, y: (x * 1e-200, y), "large enough to be multiplied"),
        (
            lambda x, y: (x, np.where(y == 1, np.inf, y)),
            "`labels` must not hold.*got inf at position 1",
        ),
        (lambda x, y: (np.full_like(x, 1e308), y), "small enough to be summed"),
    ],
)
def test_what_cannot_be_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        class_covariance(*change(*problem()))


@pytest.mark.parametrize(("value", "named"), [(np.nan, "NaN"), (np.inf, "inf"), (-np.inf, "-inf")])
def test_the_row_that_is_not_finite_is_named(value, named, monkeypatch):
    monkeypatch.setattr(feature_reading, "_numbers_at_once", 30)
    features, labels = problem()
    features[33, 2] = value
    with pytest.raises(ValueError, match=f"`features` must be finite, got {named} at row 33, feature 2"):
        class_covariance(features, labels)


@pytest.mark.parametrize(
    ("features", "labels", "message"),
    [
        (np.ones((2, 2), dtype=complex), [0, 1], "real numbers, got dtype complex"),
        (np.array([["a"], ["b"]]), [0, 1], "real numbers"),
        (np.ones((2, 2)), ["a", None], "got None at position 1"),
        (np.ones((2, 2)), np.array([1j, 2]), "got dtype complex"),
        (np.ma.masked_array(np.ones((2, 2))), [0, 1], "masked array"),
    ],
)
def test_other_kinds_are_refused(features, labels, message):
    with pytest.raises(TypeError, match=message):
        class_covariance(features, labels)


def test_declared_classes_have_to_have_images():
    features, labels = problem()
    names = np.array(["ant", "bee", "cat", "dog"])[labels]
    assert class_covariance(features, names, classes=["dog", "cat", "bee", "ant"]).classes[0] == "ant"
    with pytest.raises(ValueError, match="class 'elk' of `classes` has no images"):
        class_covariance(features, names, classes=["ant", "bee", "cat", "dog", "elk"])
    with pytest.raises(ValueError, match="`labels` must be among `classes`, got 'dog'"):
        class_covariance(features, names, classes=["ant", "bee", "cat"])
    with pytest.raises(ValueError, match="`classes` must have 1 dimension"):
        class_covariance(features, names, classes=[["ant"]])


def test_correlation_names_the_class_without_a_direction():
    features = np.array([[1.0, -1.0], [-1.0, 1.0], [1.0, 2.0], [2.0, 2.0]])
    with pytest.raises(ValueError, match="the mean of class 'a' is zero"):
        class_covariance(features, ["a", "a", "b", "c"], correlation=True)
    middle = np.array([[0.1, 0.2], [0.3, 0.4], [0.2, 0.3]])
    with pytest.raises(ValueError, match="the mean of class 'c' is that of all images"):
        class_covariance(middle, ["a", "b", "c"], center=True, correlation=True)


@pytest.mark.parametrize("m", [2, 5, 8, 17])
def test_the_lower_triangle_mirrors_the_upper_one_block_by_block(m, monkeypatch):
    monkeypatch.setattr(_symmetric, "_rows_at_once", 5)
    matrix = np.random.default_rng(m).standard_normal((m, m))
    upper = np.triu(matrix)
    _symmetric.mirror(matrix)
    assert np.array_equal(matrix, upper + np.triu(upper, 1).T)


def test_sums_are_not_copied_for_a_chunk_of_known_classes():
    means = ClassMeans().partial_fit(np.ones((4, 3)), [0, 1, 2, 3])
    sums, counts = means.sums, means.counts
    means.partial_fit(np.full((2, 3), 2.0), [3, 1])
    assert means.sums is sums
    assert means.sums[:, 0].tolist() == [1, 3, 1, 3]
    assert counts.tolist() == [1, 1, 1, 1]
    assert means.counts.tolist() == [1, 2, 1, 2]
