"""The estimator: fitted at once, or as images and classes come."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.exceptions import NotFittedError
from sklearn.neighbors import NearestCentroid
from sklearn.pipeline import make_pipeline
from sklearn.utils import get_tags
from sklearn.utils.estimator_checks import parametrize_with_checks

from wavelens.exceptions import DataError, WavelensError
from wavelens.hierarchy import MMF, ClassHierarchy, class_covariance, mmf

FITTED = ("classes_", "counts_", "means_", "covariance_", "mmf_", "n_features_in_")


class OfLowOrder(ClassHierarchy):
    """Order 2 by default: scikit-learn's checks have two or three classes."""

    def __init__(self, order=2, *, method="topk", center=False, correlation=False):
        super().__init__(order, method=method, center=center, correlation=correlation)


_of_wording = {
    "check_complex_data": "refused, with TypeError as everywhere in wavelens, not ValueError",
    "check_dtype_object": "objects are refused even where each holds a number: features are numeric arrays",
    "check_estimators_empty_data_messages": "refused, in words about images",
}


@parametrize_with_checks([OfLowOrder()], expected_failed_checks=lambda estimator: _of_wording)
def test_scikit_learn_checks(estimator, check):
    check(estimator)


@pytest.fixture(scope="module")
def digits():
    return load_digits(return_X_y=True)


@pytest.fixture(scope="module")
def fitted(digits):
    return ClassHierarchy(order=3).fit(*digits)


def assert_same(a, b, *, rtol=0.0):
    for name in FITTED[:3]:
        np.testing.assert_allclose(getattr(a, name), getattr(b, name), rtol=rtol) if name == "means_" else (
            np.testing.assert_array_equal(getattr(a, name), getattr(b, name))
        )
    np.testing.assert_array_equal(a.mmf_.tuples, b.mmf_.tuples)
    np.testing.assert_allclose(a.mmf_.level_errors, b.mmf_.level_errors, rtol=max(rtol, 1e-9))


def test_it_is_the_factorization_of_the_class_covariance(digits, fitted):
    covariance = class_covariance(*digits)
    np.testing.assert_array_equal(fitted.covariance_.matrix, covariance.matrix)
    np.testing.assert_array_equal(fitted.mmf_.tuples, mmf(covariance, 3).tuples)
    assert fitted.classes_.tolist() == list(range(10))
    assert fitted.n_features_in_ == 64
    assert fitted.means_.shape == (10, 64)


def test_chunks_images_and_names(digits, fitted):
    pixels, labels = digits
    chunks = [(pixels[i : i + 500].reshape(-1, 8, 8), labels[i : i + 500]) for i in range(0, 1797, 500)]
    assert_same(ClassHierarchy(order=3).fit(iter(chunks)), fitted, rtol=1e-12)
    names = np.array([f"digit {i}" for i in range(10)])
    assert ClassHierarchy(order=3).fit(pixels, names[labels]).classes_.tolist() == names.tolist()


@pytest.mark.parametrize("options", [{}, {"center": True}, {"center": True, "correlation": True}])
def test_transform_turns_similarities_to_classes(digits, options):
    pixels, labels = digits
    hierarchy = ClassHierarchy(order=3, **options).fit(pixels, labels)
    found = hierarchy.transform(pixels)
    rows = pixels - pixels.mean(axis=0) if options.get("center") else pixels
    means = hierarchy.means_ - pixels.mean(axis=0) if options.get("center") else hierarchy.means_
    if options.get("correlation"):
        means = means / np.linalg.norm(means, axis=1)[:, None]
    expected = hierarchy.mmf_.transform(means @ rows.T).T
    np.testing.assert_allclose(found, expected, atol=1e-9 * np.abs(expected).max())
    np.testing.assert_allclose(hierarchy.transform(pixels.reshape(-1, 8, 8)), found)
    # Over the class means, the columns are those of Q C.
    turned = hierarchy.mmf_.transform(hierarchy.covariance_.matrix).T
    over_means = hierarchy.transform(hierarchy.means_) * (
        1 / np.linalg.norm(rows_of(hierarchy), axis=1)[:, None] if options.get("correlation") else 1
    )
    np.testing.assert_allclose(over_means, turned, atol=1e-9 * np.abs(turned).max())


def rows_of(hierarchy):
    total = hierarchy.counts_ @ hierarchy.means_ / hierarchy.counts_.sum()
    return hierarchy.means_ - (total if hierarchy.center else 0)


def test_names_of_the_columns(fitted):
    names = fitted.get_feature_names_out()
    assert len(names) == 10
    assert names[fitted.mmf_.wavelets[0]] == f"wavelet1_{fitted.mmf_.wavelets[0]}"
    assert sum(name.startswith("core_") for name in names) == fitted.mmf_.core_size


def test_in_a_pipeline(digits):
    pixels, labels = digits
    pipeline = make_pipeline(ClassHierarchy(order=3, center=True), NearestCentroid())
    assert pipeline.fit(pixels[::2], labels[::2]).score(pixels[1::2], labels[1::2]) > 0.8


def test_new_classes_are_inserted_as_they_come(digits):
    pixels, labels = digits
    hierarchy = ClassHierarchy(order=3)
    known = labels < 7
    hierarchy.partial_fit(pixels[known], labels[known])
    assert_same(hierarchy, ClassHierarchy(order=3).fit(pixels[known], labels[known]))
    before = hierarchy.mmf_
    for new in (9, 7):
        hierarchy.partial_fit(pixels[labels == new], labels[labels == new])
    assert hierarchy.classes_.tolist() == [0, 1, 2, 3, 4, 5, 6, 9, 7]
    assert before.shape == (7, 7)
    c = class_covariance(pixels[labels != 8], labels[labels != 8]).matrix
    order = np.argsort(np.argsort(hierarchy.classes_))
    np.testing.assert_allclose(hierarchy.covariance_.matrix, c[np.ix_(order, order)])
    factors = hierarchy.mmf_
    np.testing.assert_array_equal(factors.matrix, hierarchy.covariance_.matrix)
    assert np.linalg.norm(factors.reconstruct() - factors.matrix) == pytest.approx(factors.error, rel=1e-6)
    # The first of the two insertions is that of the factorization itself.
    once = before.insert(hierarchy.covariance_.matrix[7, :8])
    np.testing.assert_array_equal(factors.tuples, once.insert(hierarchy.covariance_.matrix[8]).tuples)


@pytest.mark.parametrize("center", [False, True])
def test_images_of_known_classes_move_the_means(digits, center):
    pixels, labels = digits
    hierarchy = ClassHierarchy(order=3, center=center).fit(pixels[::2], labels[::2])
    hierarchy.partial_fit(pixels[1::2], labels[1::2])
    whole = ClassHierarchy(order=3, center=center).fit(pixels, labels)
    np.testing.assert_allclose(hierarchy.means_, whole.means_, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(
        hierarchy.mmf_.matrix, whole.mmf_.matrix, atol=1e-10 * np.abs(whole.mmf_.matrix).max()
    )
    replayed = ClassHierarchy(order=3, center=center).fit(pixels[::2], labels[::2]).mmf_
    np.testing.assert_array_equal(hierarchy.mmf_.tuples, replayed.refit(hierarchy.mmf_.matrix).tuples)


def test_known_and_new_classes_in_one_chunk(digits):
    pixels, labels = digits
    half = (labels < 8) & (np.arange(len(labels)) % 2 == 0)
    hierarchy = ClassHierarchy(order=3).fit(pixels[half], labels[half])
    hierarchy.partial_fit(pixels[~half], labels[~half])
    assert hierarchy.mmf_.shape == (10, 10)
    np.testing.assert_array_equal(hierarchy.mmf_.matrix, hierarchy.covariance_.matrix)
    assert hierarchy.counts_.sum() == len(labels)


def test_no_new_image_changes_nothing(digits, fitted):
    pixels, labels = digits
    same = pickle.loads(pickle.dumps(fitted)).partial_fit(pixels[:0], labels[:0])
    assert_same(same, fitted)


def test_it_waits_for_as_many_classes_as_the_order(digits):
    pixels, labels = digits
    hierarchy = ClassHierarchy(order=5)
    for digit in range(4):
        hierarchy.partial_fit(pixels[labels == digit], labels[labels == digit])
        assert len(hierarchy.classes_) == digit + 1
        assert not hasattr(hierarchy, "mmf_")
        with pytest.raises(WavelensError, match=f"there are {digit + 1} classes so far, too few .* order 5"):
            hierarchy.graph()
    hierarchy.partial_fit(pixels[labels == 4], labels[labels == 4])
    assert isinstance(hierarchy.mmf_, MMF)
    assert_same(hierarchy, ClassHierarchy(order=5).fit(pixels[labels < 5], labels[labels < 5]))


@pytest.mark.parametrize(("options", "needed"), [({"n_levels": 4}, 6), ({"core_size": 7}, 7)])
def test_it_waits_for_levels_and_core_too(digits, options, needed):
    pixels, labels = digits
    hierarchy = ClassHierarchy(order=3, **options)
    for digit in range(8):
        hierarchy.partial_fit(pixels[labels == digit], labels[labels == digit])
        assert hasattr(hierarchy, "mmf_") == (digit + 1 >= needed)
    assert hierarchy.mmf_.core_size == options.get("core_size", 2)


def test_novelty_of_a_class_that_is_not_there(digits):
    pixels, labels = digits
    known = labels < 9
    for options in ({}, {"center": True}, {"correlation": True}):
        hierarchy = ClassHierarchy(order=3, **options).fit(pixels[known], labels[known])
        found = hierarchy.novelty(pixels[~known].reshape(-1, 8, 8), name="nine")
        assert found.before is hierarchy.mmf_
        assert found.name == "nine"
        assert found.names[:9] == tuple(range(9))
        assert 0 < found.share < 1
        assert 0 <= found.quantile <= 1
        assert len(hierarchy.classes_) == 9
        # A class that is there already adds nothing, whatever its name.
        assert hierarchy.novelty(pixels[labels == 3], name="three").share < 1e-9


def test_novelty_of_a_mixture_and_of_something_else():
    rng = np.random.default_rng(0)
    means = rng.normal(size=(6, 50)) * 3
    labels = np.repeat(np.arange(6), 400)
    hierarchy = ClassHierarchy(order=3).fit(means[labels] + rng.normal(size=(2400, 50)), labels)
    noise = rng.normal(size=(400, 50))
    mixed = hierarchy.novelty(0.5 * (means[0] + means[1]) + noise)
    other = hierarchy.novelty(3 * rng.normal(size=50) + noise)
    assert not mixed.is_novel
    assert set(mixed.companions.tolist()) == {0, 1}
    np.testing.assert_allclose(mixed.companion_weights, 0.5, atol=0.05)
    assert "mainly a composition of what is there" in mixed.words()[0]
    assert other.is_novel


def test_the_graph_is_named_by_the_classes(digits):
    names = np.array([f"digit {i}" for i in range(10)])
    hierarchy = ClassHierarchy(order=3).fit(digits[0], names[digits[1]])
    graph = hierarchy.graph()
    assert list(graph.names) == names.tolist()
    found = hierarchy.novelty(np.full((1, 64), 3.0), name="grey")
    assert list(found.after.graph(found.names).names) == [*names.tolist(), "grey"]


def test_it_comes_back_from_a_file(digits, fitted, tmp_path):
    fitted.save(tmp_path / "hierarchy.npz")
    back = ClassHierarchy.load(tmp_path / "hierarchy.npz")
    assert back.get_params() == fitted.get_params()
    assert_same(back, fitted)
    np.testing.assert_array_equal(back.transform(digits[0]), fitted.transform(digits[0]))
    extra = np.full((3, 64), 2.0)
    assert_same(
        back.partial_fit(extra, [11] * 3), pickle.loads(pickle.dumps(fitted)).partial_fit(extra, [11] * 3)
    )
    names = ClassHierarchy(order=4, center=True).partial_fit(digits[0][:5], ["a", "b", "c", "a", "b"])
    names.save(tmp_path / "waiting.npz")
    waiting = ClassHierarchy.load(tmp_path / "waiting.npz")
    assert waiting.classes_.tolist() == ["a", "b", "c"]
    assert not hasattr(waiting, "mmf_")


def test_other_files_are_refused(fitted, tmp_path):
    path = tmp_path / "hierarchy.npz"
    fitted.save(path)
    with np.load(path) as archive:
        arrays = dict(archive)
    for name, value in (
        ("counts", arrays["counts"][:-1]),
        ("classes", arrays["classes"][:-1]),
        ("sums", None),
    ):
        damaged = {**arrays, name: value}
        np.savez(path, **{key: each for key, each in damaged.items() if each is not None})
        with pytest.raises(DataError, match=rf"hierarchy\.npz.*('{name}'|counts)"):
            ClassHierarchy.load(path)
    fitted.mmf_.save(path)
    with pytest.raises(
        DataError, match=r"holds a wavelens.hierarchy.MMF, expected a wavelens.hierarchy.Class"
    ):
        ClassHierarchy.load(path)
    path.write_bytes(b"nonsense")
    with pytest.raises(DataError, match="was not written by ClassHierarchy"):
        ClassHierarchy.load(path)
    with pytest.raises(NotFittedError):
        ClassHierarchy().save(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x, y: (x, y[:-1]), "one entry for each of the 1797 images"),
        (lambda x, y: (x, None), "requires y to be passed, but the target y is None"),
        (lambda x, y: (np.where(x == 16, np.nan, x), y), r"must be finite, got NaN at row"),
        (lambda x, y: (x, np.where(y == 1, np.nan, y)), "must not hold NaN.*position 1"),
        (lambda x, y: (x[y == 0], y[y == 0]), "at least two classes, got one class, 0"),
        (
            lambda x, y: (x[y < 2], y[y < 2]),
            r"`order` must be between 2 and 2 \(there are 2 classes\), got 3",
        ),
        (
            lambda x, y: ([(x, y), (x[:, 1:], y)], None),
            "chunk 1: .* 64 numbers an image, as those before, got 63",
        ),
        (lambda x, y: ([], None), "got no image"),
    ],
)
def test_what_fails_leaves_what_was_fitted(digits, change, message):
    hierarchy = ClassHierarchy(order=3).fit(*digits)
    before = {name: getattr(hierarchy, name) for name in FITTED}
    with pytest.raises(ValueError, match=message):
        hierarchy.fit(*change(*digits))
    for name in FITTED:
        assert getattr(hierarchy, name) is before[name]


@pytest.mark.parametrize(
    ("features", "labels", "error", "message"),
    [
        (
            np.ones((2, 63)),
            [1, 2],
            ValueError,
            "X has 63 features, but ClassHierarchy is expecting 64 features",
        ),
        (np.ones((2, 64)), [1], ValueError, "one entry for each of the 2 images"),
        (np.full((2, 64), np.nan), [1, 2], ValueError, "must be finite, got NaN at row 0"),
        (np.ones((2, 64)), ["a", "b"], TypeError, "labels must be numbers, as those before, got strings"),
        (np.ones((2, 64)), [1, np.nan], ValueError, "must not hold NaN"),
        (np.ones((2, 64)), None, ValueError, "requires y to be passed"),
        (np.full((2, 64), 1e200), [3, 77], ValueError, "small enough to be multiplied"),
    ],
)
def test_a_refused_chunk_leaves_the_factorization_untouched(digits, features, labels, error, message):
    hierarchy = ClassHierarchy(order=3).fit(*digits)
    before = {name: getattr(hierarchy, name) for name in FITTED}
    sums = hierarchy._means.sums.copy()
    with pytest.raises(error, match=message):
        hierarchy.partial_fit(features, labels)
    for name in FITTED:
        assert getattr(hierarchy, name) is before[name]
    np.testing.assert_array_equal(hierarchy._means.sums, sums)


def test_novelty_refuses_what_is_no_image_of_this_kind(fitted):
    with pytest.raises(ValueError, match="X has 3 features, but ClassHierarchy is expecting 64"):
        fitted.novelty(np.ones((2, 3)))
    with pytest.raises(ValueError, match="at least one image"):
        fitted.novelty(np.ones((0, 64)))
    with pytest.raises(ValueError, match="must be finite"):
        fitted.novelty(np.full((1, 64), np.inf))
    with pytest.raises(NotFittedError):
        ClassHierarchy().novelty(np.ones((2, 3)))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"order": 11}, r"`order` must be between 2 and 10 \(there are 10 classes\), got 11"),
        ({"order": 1}, "`order` must be between 2 and 10"),
        ({"order": 3, "n_levels": 9}, "`n_levels` must be between 0 and 8"),
        ({"order": 3, "method": "best"}, "`method` must be one of"),
        ({"order": 3, "rotation": "best"}, "`rotation` must be one of"),
    ],
)
def test_options_are_checked(digits, options, message):
    with pytest.raises(ValueError, match=message):
        ClassHierarchy(**options).fit(*digits)


def test_parameters_and_tags(fitted):
    parameters = fitted.get_params()
    assert ClassHierarchy(**parameters).get_params() == parameters
    other = clone(fitted).set_params(order=4, center=True)
    assert (other.order, other.center) == (4, True)
    assert not hasattr(other, "mmf_")
    assert get_tags(fitted).target_tags.required
    assert repr(fitted) == "ClassHierarchy(order=3)"


def test_novelty_names_its_argument():
    rng = np.random.default_rng(0)
    hierarchy = ClassHierarchy(3).fit(rng.normal(size=(30, 6)), np.repeat(np.arange(5), 6))
    with pytest.raises(ValueError, match="`X` must be finite, got NaN at row 1, feature 0"):
        hierarchy.novelty(np.where(np.arange(4)[:, None] == 1, np.nan, np.ones((4, 6))))
