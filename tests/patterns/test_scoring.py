"""Evidence of classes for new images, and scores of held-out images by groups."""

from __future__ import annotations

import os
import re
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.discriminant_analysis import QuadraticDiscriminantAnalysis
from sklearn.metrics import balanced_accuracy_score, confusion_matrix
from sklearn.model_selection import train_test_split

from wavelens.data import image_groups
from wavelens.exceptions import DataError
from wavelens.patterns import PatternAnalysis


def digits(n_class=10):
    images, labels = load_digits(n_class=n_class, return_X_y=True)
    return images.reshape(-1, 8, 8), labels


def grouped(seed=0, n_groups=24, size=10):
    """Images that look like their group and not at all like their class."""
    rng = np.random.default_rng(seed)
    groups = np.repeat(np.arange(n_groups), size)
    looks = rng.standard_normal((n_groups, 4, 4))
    images = looks[groups] + 0.05 * rng.standard_normal((len(groups), 4, 4))
    return images, groups % 2, groups


@pytest.fixture(scope="module", params=[2, 10])
def fitted(request):
    images, labels = digits(request.param)
    names = np.array([f"digit {i}" for i in range(10)])[labels]
    train, test, known, held = train_test_split(images, names, test_size=0.3, random_state=0, stratify=labels)
    return PatternAnalysis(n_coefficients=25).fit(train, known), train, known, test, held


def test_new_digits_are_told(fitted):
    analysis, _, _, test, held = fitted
    assert analysis.score(test, held) > 0.93
    predicted = analysis.predict(test)
    assert predicted.dtype == analysis.classes_.dtype
    assert analysis.score(test, held) == np.mean(predicted == held)
    balanced = analysis.score(test, held, balanced=True)
    assert balanced == pytest.approx(balanced_accuracy_score(held, predicted))


def test_evidence_adds_up(fitted):
    analysis, train, *_ = fitted
    evidence = analysis.class_evidence(train[:40])
    assert evidence.shape == (40, len(analysis.classes_))
    np.testing.assert_allclose(evidence.sum(axis=1), 1)
    np.testing.assert_allclose(np.exp(analysis.class_evidence(train[:40], log=True)), evidence)
    # Each image is judged by itself.
    np.testing.assert_allclose(analysis.class_evidence(train[5:6]), evidence[5:6], rtol=1e-6)


def test_evidence_is_the_gaussian_likelihood(fitted):
    analysis, train, known, test, _ = fitted
    chosen = analysis.coefficients_
    transform = analysis.basis_
    for shrinkage in (0.1, 1.0):
        means, covariances = [], []
        rows = transform.forward(train)[:, chosen]
        for label in analysis.classes_:
            own = rows[known == label]
            means.append(own.mean(axis=0))
            covariances.append(np.cov(own.T, bias=True))
        sizes = [np.sum(known == label) for label in analysis.classes_]
        pooled = np.average(covariances, axis=0, weights=sizes)
        new = transform.forward(test[:30])[:, chosen]
        wanted = np.empty((30, len(means)))
        for i, (mean, covariance) in enumerate(zip(means, covariances, strict=True)):
            mixed = (1 - shrinkage) * covariance + shrinkage * pooled
            distance = np.einsum("ij,ij->i", (new - mean) @ np.linalg.inv(mixed), new - mean)
            wanted[:, i] = -0.5 * (distance + np.linalg.slogdet(mixed)[1])
        wanted -= wanted.max(axis=1, keepdims=True)
        found = analysis.class_evidence(test[:30], shrinkage=shrinkage, log=True)
        np.testing.assert_allclose(found - found.max(axis=1, keepdims=True), wanted, rtol=0.02, atol=0.1)


@pytest.mark.parametrize("options", [{"normalization": "csd"}, {"weights": "size"}, {"weights": [3.0, 0.5]}])
def test_evidence_does_not_depend_on_scales(options):
    images, labels = digits(2)
    plain = PatternAnalysis(n_coefficients=15).fit(images, labels)
    other = PatternAnalysis(n_coefficients=15, **options).fit(images, labels)
    a, b = (each.class_evidence(images[:50], log=True) for each in (plain, other))
    np.testing.assert_allclose(a, b, rtol=1e-2, atol=1e-2)


def test_near_quadratic_discriminant_analysis():
    images, labels = digits()
    train, test, known, held = train_test_split(images, labels, test_size=0.3, random_state=1)
    ours = PatternAnalysis(n_coefficients=30).fit(train, known).score(test, held)
    peer = QuadraticDiscriminantAnalysis(reg_param=0.01)
    theirs = peer.fit(train.reshape(len(train), -1), known).score(test.reshape(len(test), -1), held)
    assert ours > theirs - 0.03


def test_saved_and_loaded_analyses_agree(fitted, tmp_path):
    analysis, _, _, test, _ = fitted
    analysis.save(tmp_path / "a.npz")
    again = PatternAnalysis.load(tmp_path / "a.npz")
    np.testing.assert_allclose(again.class_evidence(test), analysis.class_evidence(test), atol=1e-9)


def test_groups_never_straddle_a_split():
    images, labels, groups = grouped()
    names = np.array([f"patient {i}" for i in groups])
    result = PatternAnalysis(wavelet="haar", n_coefficients=6).held_out_score(images, labels, names)
    assert result.n_groups == 24
    assert result.n_splits == 5
    for group in np.unique(groups):
        assert len(np.unique(result.split[groups == group])) == 1
    assert set(result.split) == set(range(5))
    assert (result.predicted >= 0).all()
    np.testing.assert_array_equal(result.confusion, confusion_matrix(labels, result.predicted))
    for i in range(5):
        held = result.split == i
        assert result.accuracy[i] == np.mean(result.predicted[held] == labels[held])
        told = result.predicted[held]
        assert result.balanced_accuracy[i] == pytest.approx(balanced_accuracy_score(labels[held], told))


def test_images_of_a_group_leak_unless_it_is_held_out_whole():
    images, labels, groups = grouped(n_groups=16, size=16)
    analysis = PatternAnalysis(wavelet="haar", n_coefficients=16)
    apart = analysis.held_out_score(images, labels)
    together = analysis.held_out_score(images, labels, groups)
    assert apart.accuracy.mean() > 0.75
    assert together.accuracy.mean() < 0.65
    assert apart.accuracy.mean() > together.accuracy.mean() + 0.15
    assert "too high" in apart.in_words()
    assert "No group is on both sides" in together.in_words()


def test_the_analysis_itself_is_left_alone():
    images, labels, groups = grouped()
    analysis = PatternAnalysis(wavelet="haar", n_coefficients=6)
    first = analysis.held_out_score(images, labels, groups, random_state=3)
    assert not hasattr(analysis, "sigma_")
    assert analysis.get_params()["n_coefficients"] == 6
    again = analysis.held_out_score(images, labels, groups, random_state=3)
    np.testing.assert_array_equal(first.split, again.split)
    np.testing.assert_array_equal(first.predicted, again.predicted)


def test_coefficients_are_fewer_where_the_part_bears_no_more():
    images, labels = digits(2)
    keep = np.r_[np.flatnonzero(labels == 0)[:30], np.flatnonzero(labels == 1)[:30]]
    result = PatternAnalysis(n_coefficients=25).held_out_score(images[keep], labels[keep], n_splits=3)
    assert (result.n_coefficients <= 20).all()
    assert result.accuracy.mean() > 0.8


def test_bad_input(fitted):
    analysis, train, known, *_ = fitted
    with pytest.raises(ValueError, match="`shrinkage` must be between 0 and 1, got 2"):
        analysis.class_evidence(train[:3], shrinkage=2)
    with pytest.raises(TypeError, match="`shrinkage` must be a number"):
        analysis.class_evidence(train[:3], shrinkage="much")
    with pytest.raises(ValueError, match="got cat"):
        analysis.score(train[:2], ["cat", known[0]])
    with pytest.raises(ValueError, match="`y` must hold one label"):
        analysis.score(train[:2], known[:3])
    images, labels, groups = grouped()
    fresh = PatternAnalysis(wavelet="haar", n_coefficients=4)
    with pytest.raises(ValueError, match="`n_splits` must be between 2 and 12"):
        fresh.held_out_score(images, labels, groups, 13)
    with pytest.raises(ValueError, match="`n_splits` must be at least 2, got 1"):
        fresh.held_out_score(images, labels, n_splits=1)
    with pytest.raises(ValueError, match="`groups` must have one entry for each"):
        fresh.held_out_score(images, labels, groups[1:])
    with pytest.raises(ValueError, match="`labels` must hold one label for each"):
        fresh.held_out_score(images, labels[1:])
    with pytest.raises(ValueError, match="at least two classes"):
        fresh.held_out_score(images, np.zeros(len(labels)))


# Groups from tables and names


names = ("sick/p1 (1).png", "sick/p1 (2).png", "well/p23 (1).png")


def test_groups_from_names():
    assert image_groups(r"p(\d+)", names).tolist() == ["1", "1", "23"]
    with pytest.raises(ValueError, match="needs parentheses"):
        image_groups(r"p\d+", names)
    with pytest.raises(ValueError, match="is no regular expression"):
        image_groups("p(", names)
    with pytest.raises(DataError, match=r"finds no group in 2 of 3 file names: .*sick"):
        image_groups("(well)", names)


def test_groups_from_a_table(tmp_path):
    table = tmp_path / "who.csv"
    table.write_text("file,patient,site\np1 (2).png,a,x\nsick/p1 (1).png,a,y\nwell/p23 (1).png,b,x\n")
    with pytest.raises(DataError, match=r"say which of the columns .*as .*who\.csv:COLUMN"):
        image_groups(str(table), names)
    table.write_text("file,patient,site\nsick/p1 (2).png,a,x\nsick/p1 (1).png,a,y\nwell/p23 (1).png,b,x\n")
    assert image_groups(f"{table}:patient", names).tolist() == ["a", "a", "b"]
    assert image_groups(f"{table}:Site", names).tolist() == ["y", "x", "x"]
    with pytest.raises(DataError, match="there is no column 'age'"):
        image_groups(f"{table}:age", names)
    with pytest.raises(DataError, match=r"one image has no group: .*other"):
        image_groups(f"{table}:site", (*names, "other.png"))
    table.write_text("patient,image\na,p1 (1)\na,p1 (2)\nb,p23 (1)\n")
    assert image_groups(str(table), names).tolist() == ["a", "a", "b"]
    table.write_text("patient,image\na,p1 (1)\nb,p1 (1)\n")
    with pytest.raises(DataError, match="in two groups, 'a' and 'b'"):
        image_groups(str(table), names)
    table.write_text("a,b\n1,2\n")
    with pytest.raises(DataError, match="none holds file names"):
        image_groups(str(table), names)
    with pytest.raises(DataError, match="cannot read the groups"):
        image_groups(str(tmp_path / "absent.csv"), names)


@pytest.mark.realdata
def test_neighbouring_slices_leak():
    from wavelens.data import load

    where = os.environ.get("WAVELENS_DATA")
    if not where:
        pytest.skip("WAVELENS_DATA does not name the folder of the real data")
    data = load(Path(where) / "sars_cov2_ct.npz")
    number = [int(re.findall(r"\d+", name)[-1]) // 20 for name in data.image_names]
    groups = np.array(number) + 1000 * data.labels
    analysis = PatternAnalysis(n_coefficients=100)
    apart = analysis.held_out_score(data.images, data.labels, n_splits=4).accuracy.mean()
    together = analysis.held_out_score(data.images, data.labels, groups, n_splits=4).accuracy.mean()
    assert apart > 0.85
    assert 0.65 < together < apart - 0.05
