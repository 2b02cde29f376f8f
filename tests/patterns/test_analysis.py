from __future__ import annotations

import json

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from wavelens.exceptions import DataError
from wavelens.patterns import PatternAnalysis
from wavelens.wavelets import WaveletTransform


def planted(n=40, size=8, seed=0, dtype=np.float64):
    """Two classes that share a background; class "b" has a pattern of its own."""
    rng = np.random.default_rng(seed)
    shared = rng.standard_normal((6, size, size))
    own = np.zeros((size, size))
    own[2:5, 2:5] = 1
    images = np.tensordot(rng.standard_normal((2 * n, 6)), shared, 1) + 1e-3 * rng.standard_normal(
        (2 * n, size, size)
    )
    labels = np.repeat(["a", "b"], n)
    images[n:] += 10 * rng.standard_normal((n, 1, 1)) * own
    return images.astype(dtype), labels, own


@pytest.fixture(scope="module")
def fitted():
    images, labels, own = planted()
    return PatternAnalysis(wavelet="haar", n_coefficients=20).fit(images, labels), images, labels, own


def test_images_are_their_rows_times_the_patterns(fitted):
    analysis, images, *_ = fitted
    coefficients = analysis.basis_.forward(images)
    kept = np.zeros_like(coefficients)
    kept[:, analysis.coefficients_] = coefficients[:, analysis.coefficients_]
    projected = analysis.basis_.inverse(kept)
    scale = np.abs(images).max()
    np.testing.assert_allclose(analysis.inverse_transform(analysis.embedding_), projected, atol=1e-9 * scale)
    np.testing.assert_allclose(analysis.transform(images), analysis.embedding_, atol=1e-7 * scale)
    from_patterns = np.tensordot(analysis.embedding_, analysis.patterns_, 1)
    np.testing.assert_allclose(from_patterns, projected, atol=1e-9 * scale)


def test_a_planted_pattern_is_found_in_its_class():
    images, labels, own = planted(n=200)
    analysis = PatternAnalysis(wavelet="haar", n_coefficients=64).fit(images, labels)
    top = analysis.dominant_patterns("b", 1)
    image = top.images[0] / np.linalg.norm(top.images[0])
    assert abs(np.vdot(image, own / np.linalg.norm(own))) > 0.95
    assert top.angle[0] > np.pi / 4 - 0.01
    assert np.all(np.diff(analysis.dominant_patterns("a", 64).angle) <= 0)


def test_norms_of_left_basis(fitted):
    analysis, images, labels, _ = fitted
    for class_, sigma in zip(analysis.classes_, analysis.sigma_, strict=True):
        rows = analysis.embedding_[labels == class_]
        np.testing.assert_allclose(np.linalg.norm(rows, axis=0), sigma, rtol=1e-7)
    # The left basis of all classes has columns of norm 1: squared complexities add to the number of patterns.
    complexity = analysis.complexity()
    np.testing.assert_allclose((complexity**2).sum(), analysis.sigma_.shape[1], rtol=1e-7)
    np.testing.assert_allclose(analysis.complexity(images), complexity, rtol=1e-5)


def test_reconstruction_ends_at_the_image(fitted):
    analysis, images, *_ = fitted
    result = analysis.reconstruct(images[:3], [0, 5, 20])
    np.testing.assert_allclose(result.residuals[:, 0], 1, rtol=1e-6)
    np.testing.assert_allclose(result.residuals[:, 2], 0, atol=1e-6)
    assert np.all(result.residuals[:, 1] < 1)
    assert result.images.shape == (3, 3, 8, 8)
    np.testing.assert_allclose(
        result.images[:, 2],
        analysis.inverse_transform(analysis.embedding_[:3]),
        atol=1e-6 * np.abs(images).max(),
    )
    assert np.all((result.truncation >= 0) & (result.truncation <= 1))


def test_similarity_to_classes_is_the_mean_of_similarities(fitted):
    analysis, _, labels, _ = fitted
    means = analysis.similarity_to_classes()
    for i, class_ in enumerate(analysis.classes_):
        matrix = analysis.similarity(class_)
        np.testing.assert_array_equal(matrix, matrix.T)
        np.testing.assert_array_equal(np.diagonal(matrix), 1)
        n = len(matrix)
        np.testing.assert_allclose(means[labels == class_, i], (matrix.sum(axis=1) - 1) / (n - 1), rtol=1e-6)


def test_an_outlier_is_isolated():
    images, labels, _ = planted()
    images[3] *= 30
    analysis = PatternAnalysis(wavelet="haar", n_coefficients=20).fit(images, labels)
    assert analysis.isolated("a", 1)[0] == 3


def test_the_spectrum_runs_from_class_to_class(fitted):
    analysis, _, labels, _ = fitted
    spectrum = analysis.spectrum("a", "b")
    assert np.all(np.diff(spectrum.values) >= 0)
    assert np.all(np.abs(spectrum.values) <= 1)
    assert sorted(spectrum.indices) == list(range(len(labels)))
    own = spectrum.values[labels[spectrum.indices] == "a"]
    other = spectrum.values[labels[spectrum.indices] == "b"]
    assert np.median(own) > 0 > np.median(other)
    mirrored = analysis.spectrum("b", "a")
    np.testing.assert_allclose(np.sort(-mirrored.values), spectrum.values, atol=1e-12)
    assert set(labels[analysis.borderline("a", "b", 5)]) == {"a"}
    assert analysis.borderline("a", "b", 1)[0] == analysis.extremes("a", "b", 1000)[-1]


def test_coefficients_leave_every_class_with_full_rank():
    images, labels, _ = planted(n=12)
    analysis = PatternAnalysis().fit(images, labels)
    coefficients = WaveletTransform((8, 8)).forward(images)[:, analysis.coefficients_]
    for class_ in "ab":
        block = coefficients[labels == class_]
        assert np.linalg.matrix_rank(block) == len(analysis.coefficients_)
    assert len(analysis.coefficients_) == 12


def test_too_many_coefficients_name_the_class():
    images, labels, _ = planted(n=12)
    images[14] = images[13]
    with pytest.raises(ValueError, match=r"b.*11"):
        PatternAnalysis(n_coefficients=12).fit(images, labels)


@pytest.mark.parametrize("dtype", ["uint8", "float32", "float64"])
def test_dtypes(dtype):
    images, labels, _ = planted(dtype=np.float64)
    images = (40 * images + 128).clip(0, 255).astype(dtype)
    analysis = PatternAnalysis(n_coefficients=15).fit(images, labels)
    expected = np.float32 if dtype == "float32" else np.float64
    assert analysis.embedding_.dtype == expected
    assert analysis.inverse_transform(analysis.embedding_).dtype == expected


def test_colour_images_and_three_classes():
    rng = np.random.default_rng(0)
    images = rng.random((60, 7, 9, 3))
    labels = np.arange(60) % 3
    analysis = PatternAnalysis(n_coefficients=12, normalization="csd").fit(images, labels)
    assert analysis.patterns_.shape == (12, 7, 9, 3)
    assert analysis.influence_map_.shape == (7, 9)
    np.testing.assert_allclose((analysis.sigma_**2).sum(axis=0), 1, rtol=1e-9)
    assert analysis.angles(2).shape == (12,)


def test_order_of_images_does_not_matter():
    images, labels, _ = planted()
    shuffle = np.random.default_rng(1).permutation(len(labels))
    straight = PatternAnalysis(n_coefficients=10).fit(images, labels)
    shuffled = PatternAnalysis(n_coefficients=10).fit(images[shuffle], labels[shuffle])
    if list(straight.coefficients_) == list(shuffled.coefficients_):
        np.testing.assert_allclose(shuffled.sigma_, straight.sigma_, rtol=1e-6)


def test_fit_twice_gives_the_same_bits(threads):
    images, labels, _ = planted()
    first = PatternAnalysis(n_coefficients=10).fit(images, labels)
    second = clone(first).fit(images, labels)
    np.testing.assert_array_equal(first.embedding_, second.embedding_)


def test_a_single_coefficient_and_the_smallest_dataset():
    images = np.random.default_rng(0).random((4, 2, 2))
    analysis = PatternAnalysis(n_coefficients=1).fit(images, [0, 0, 1, 1])
    assert analysis.embedding_.shape == (4, 1)
    assert np.isfinite(analysis.similarity_to_classes()).all()
    association = analysis.sigma_association(0, 1)
    assert np.isnan(association.spearman)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"y": np.zeros(79)}, ValueError, "`y` must have one entry for each of the 80 images"),
        ({"y": np.zeros(80)}, ValueError, "at least two classes"),
        ({"y": np.r_[1, np.zeros(79)]}, ValueError, "at least two images"),
        ({"y": np.r_[np.nan, np.zeros(79)]}, ValueError, "must not hold NaN"),
        ({"n_coefficients": 65}, ValueError, "`n_coefficients` must be between 1 and 40"),
        ({"n_coefficients": 0}, ValueError, "`n_coefficients` must be at least 1"),
        ({"n_coefficients": 1.5}, TypeError, "`n_coefficients` must be an integer"),
        ({"wavelet": "nope"}, ValueError, "`wavelet` must be"),
        ({"X": np.ones((80, 64))}, ValueError, "`X` must have shape"),
        ({"X": np.ones((80, 8, 8), dtype=complex)}, TypeError, "`X` must hold real numbers"),
        ({"X": np.ones((80, 8, 8), dtype=object)}, TypeError, "`X` must hold real numbers"),
        ({"X": np.ones((0, 8, 8))}, ValueError, "`X` must not be empty"),
        ({"X": np.full((80, 8, 8), np.inf)}, ValueError, "`X` must be finite, got inf in image 0"),
    ],
)
def test_bad_input(change, error, message):
    images, labels, _ = planted()
    parameters = {name: value for name, value in change.items() if name not in ("X", "y")}
    with pytest.raises(error, match=message):
        PatternAnalysis(**parameters).fit(change.get("X", images), change.get("y", labels))


def test_bad_calls_on_a_fitted_analysis(fitted):
    analysis, images, *_ = fitted
    with pytest.raises(ValueError, match="`class_` must be one of a, b, got 'c'"):
        analysis.dominant_patterns("c")
    with pytest.raises(ValueError, match="`other` must be a class other than"):
        analysis.spectrum("a", "a")
    with pytest.raises(ValueError, match="`n_patterns` must be between 0 and 20"):
        analysis.reconstruct(images[:1], 21)
    with pytest.raises(ValueError, match="`X` must have shape"):
        analysis.transform(images[:, :4])
    with pytest.raises(ValueError, match="`rows` must have shape"):
        analysis.inverse_transform(np.ones((1, 3)))


def test_read_only_images_are_accepted_and_untouched():
    images, labels, _ = planted()
    before = images.copy()
    images.flags.writeable = False
    PatternAnalysis(n_coefficients=10).fit(images, labels)
    np.testing.assert_array_equal(images, before)


def test_a_saved_analysis_comes_back(tmp_path, fitted):
    analysis, images, _labels, _ = fitted
    path = tmp_path / "analysis.npz"
    analysis.save(path)
    back = PatternAnalysis.load(path)
    assert back.get_params() == analysis.get_params()
    np.testing.assert_array_equal(back.embedding_, analysis.embedding_)
    np.testing.assert_array_equal(back.transform(images), analysis.transform(images))
    np.testing.assert_array_equal(back.patterns_, analysis.patterns_)
    for own, other in zip(back.gsvd_.u, analysis.gsvd_.u, strict=True):
        np.testing.assert_allclose(own, other, rtol=1e-12, atol=1e-15)
    np.testing.assert_array_equal(back.spectrum("a", "b").values, analysis.spectrum("a", "b").values)
    assert [each.name for each in tmp_path.iterdir()] == ["analysis.npz"]


def test_weights_are_kept_in_the_file(tmp_path):
    images, labels, _ = planted()
    for weights in ("size", [1.0, 3.0]):
        analysis = PatternAnalysis(n_coefficients=10, weights=weights).fit(images[10:], labels[10:])
        rows = analysis.transform(images[10:])
        np.testing.assert_allclose(rows, analysis.embedding_, atol=1e-9 * np.abs(rows).max())
        analysis.save(tmp_path / "analysis.npz")
        back = PatternAnalysis.load(tmp_path / "analysis.npz")
        for own, other in zip(back.gsvd_.u, analysis.gsvd_.u, strict=True):
            np.testing.assert_allclose(own, other, rtol=1e-9, atol=1e-15)


def test_damaged_foreign_and_newer_files_are_refused(tmp_path, fitted):
    analysis, *_ = fitted
    path = tmp_path / "analysis.npz"
    analysis.save(path)
    whole = path.read_bytes()
    with np.load(path) as archive:
        arrays = dict(archive)

    def refused(message):
        with pytest.raises(DataError, match=message):
            PatternAnalysis.load(path)

    path.write_bytes(whole[: len(whole) // 2])
    refused("damaged")
    path.write_bytes(b"")
    refused("damaged")
    np.savez(path, header=np.array(json.dumps({"format": "else", "format_version": 1})))
    refused("holds a else")
    header = json.loads(str(arrays["header"]))
    np.savez(path, **arrays | {"header": np.array(json.dumps(header | {"format_version": 99}))})
    refused("format version 99")
    del arrays["sigma"]
    np.savez(path, **arrays)
    refused("damaged")
    with pytest.raises(FileNotFoundError):
        PatternAnalysis.load(tmp_path / "missing.npz")


def test_methods_need_a_fit():
    with pytest.raises(NotFittedError):
        PatternAnalysis().transform(np.ones((1, 8, 8)))
