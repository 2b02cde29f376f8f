"""What scikit-learn asks of an estimator holds, as far as it can for one that takes images."""

from __future__ import annotations

import pickle
import warnings

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.exceptions import NotFittedError, SkipTestWarning
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.utils import estimator_html_repr, get_tags
from sklearn.utils.estimator_checks import check_estimator, parametrize_with_checks

from wavelens.exceptions import WavelensWarning
from wavelens.patterns import PatternAnalysis


class OfRows(PatternAnalysis):
    """Takes the tables that scikit-learn's checks are made of for images, a row for an image."""

    def fit(self, X, y=None):
        return super().fit(self._images(X), y)

    def transform(self, X):
        return super().transform(self._images(X))

    def _images(self, X):
        rows = np.asarray(X)
        if rows.ndim != 2:
            return X
        if self.basis == "pixel":
            return rows[:, :, None]
        # A transform in two dimensions needs two rows and two columns.
        return np.repeat(np.repeat(rows[:, None], 2, axis=1), 2, axis=2)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = True
        return tags


_of_wording = {
    "check_n_features_in_after_fitting": "names the shape of the images expected, not a number of features",
    "check_complex_data": "refused, with TypeError as everywhere in wavelens, not ValueError",
    "check_dtype_object": "objects are refused even where each holds a number: images are numeric arrays",
    "check_estimators_empty_data_messages": "refused, in words about images and not about features",
}


def expected_failures(estimator):
    if estimator.basis == "pixel":
        return _of_wording
    return _of_wording | {"check_n_features_in": "the images made of the rows have four times the pixels"}


@pytest.mark.filterwarnings("ignore::wavelens.exceptions.WavelensWarning")
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
@parametrize_with_checks(
    [OfRows(basis="pixel"), OfRows(wavelet="haar")], expected_failed_checks=expected_failures
)
def test_scikit_learn_checks_on_rows_as_images(estimator, check):
    check(estimator)


def test_scikit_learn_checks_on_the_estimator_itself():
    # Without two-dimensional input, scikit-learn has but one check to make.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SkipTestWarning)
        results = check_estimator(PatternAnalysis(), on_skip=None)
    assert all(each["status"] == "passed" for each in results)


@pytest.fixture(scope="module")
def digits():
    images, labels = load_digits(n_class=3, return_X_y=True)
    return images.reshape(-1, 8, 8), labels


@pytest.fixture(scope="module")
def fitted(digits):
    return PatternAnalysis(n_coefficients=12).fit(*digits)


def test_tables_are_refused(digits, fitted):
    images, labels = digits
    with pytest.raises(ValueError, match=r"`X` must have shape \(n_images, height, width\)"):
        PatternAnalysis().fit(images.reshape(-1, 64), labels)
    with pytest.raises(ValueError, match=r"\(n_images, 8, 8\), got \(8, 8\). Reshape your data"):
        fitted.transform(images[0])
    with pytest.raises(ValueError, match="requires y to be passed, but the target y is None"):
        PatternAnalysis().fit(images, None)


def test_tags_tell_what_it_takes():
    tags = get_tags(PatternAnalysis())
    assert tags.input_tags.three_d_array
    assert not tags.input_tags.two_d_array
    assert not tags.input_tags.sparse
    assert tags.target_tags.required
    assert tags.transformer_tags is not None


def test_names_of_the_columns(fitted):
    names = fitted.get_feature_names_out()
    assert list(names[:2]) == ["pattern0", "pattern1"]
    assert len(names) == fitted.sigma_.shape[1]
    assert fitted.n_features_in_ == 64
    with pytest.raises(NotFittedError):
        PatternAnalysis().get_feature_names_out()


def test_fit_transform_is_fit_then_transform(digits, fitted):
    rows = PatternAnalysis(n_coefficients=12).fit_transform(*digits)
    np.testing.assert_allclose(rows, fitted.transform(digits[0]), rtol=1e-12)
    np.testing.assert_allclose(rows, fitted.embedding_, atol=1e-9 * np.abs(rows).max())


def test_in_a_pipeline(digits):
    images, labels = digits
    pipeline = make_pipeline(
        FunctionTransformer(np.sqrt), PatternAnalysis(n_coefficients=12), StandardScaler()
    )
    rows = pipeline.fit_transform(images, labels)
    assert rows.shape == (len(images), 12)
    assert list(pipeline[1:].get_feature_names_out()) == [f"pattern{i}" for i in range(12)]
    np.testing.assert_allclose(pipeline.transform(images[:5]), rows[:5], rtol=1e-9, atol=1e-9)
    clone(pipeline).set_params(patternanalysis__n_coefficients=5).fit(images, labels)


def test_output_as_a_data_frame(digits):
    pandas = pytest.importorskip("pandas")
    images, labels = digits
    table = PatternAnalysis(n_coefficients=12).set_output(transform="pandas").fit_transform(images, labels)
    assert isinstance(table, pandas.DataFrame)
    assert list(table.columns[:2]) == ["pattern0", "pattern1"]


def test_output_can_be_set(digits, fitted):
    same = clone(fitted).set_output(transform="default").fit(*digits)
    assert isinstance(same.transform(digits[0]), np.ndarray)


def test_text_and_html(fitted):
    assert repr(PatternAnalysis(wavelet="haar", basis="pixel")) == (
        "PatternAnalysis(basis='pixel', wavelet='haar')"
    )
    assert "PatternAnalysis" in estimator_html_repr(fitted)
    assert "n_coefficients" in fitted._repr_html_()


def test_parameters_come_back(fitted):
    parameters = fitted.get_params()
    assert PatternAnalysis(**parameters).get_params() == parameters
    other = clone(fitted).set_params(basis="pixel", rank="any", memory_limit="2GB")
    assert (other.basis, other.rank, other.memory_limit) == ("pixel", "any", "2GB")
    assert not hasattr(other, "sigma_")


def test_a_pickle_is_the_same(digits, fitted):
    back = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(back.transform(digits[0]), fitted.transform(digits[0]))
    np.testing.assert_array_equal(back.patterns_, fitted.patterns_)


def test_fitting_again_forgets_the_first_time(digits, fitted):
    images, labels = digits
    again = clone(fitted).fit(images[:, :6], labels)
    again.similarity_to_classes()
    again.fit(images, labels)
    np.testing.assert_array_equal(again.sigma_, fitted.sigma_)
    np.testing.assert_array_equal(again.similarity_to_classes(), fitted.similarity_to_classes())


def test_data_given_is_left_alone(digits):
    images, labels = digits[0].copy(), digits[1].copy()
    analysis = PatternAnalysis(n_coefficients=40, rank="any", basis="pixel", weights="size")
    with pytest.warns(WavelensWarning):
        analysis.fit(images[:100], labels[:100])
    analysis.transform(images)
    np.testing.assert_array_equal(images, digits[0])
    np.testing.assert_array_equal(labels, digits[1])
