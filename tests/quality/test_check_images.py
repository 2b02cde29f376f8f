"""The checks of a dataset find what was planted in it, and nothing where nothing is."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from wavelens.data import ImageData, load, open_source
from wavelens.quality import check_images
from wavelens.quality._leaks import category_leak, number_leak


def data_of(images, labels=None, class_names=None, **more) -> ImageData:
    images = np.asarray(images)
    labels = np.zeros(len(images), int) if labels is None else np.asarray(labels)
    names = class_names or tuple(f"class {i}" for i in range(labels.max() + 1))
    return ImageData(images, labels, names, tuple(f"image {i}.png" for i in range(len(images))), **more)


def textures(n, size=(24, 28), seed=0, smooth=1.0, dtype=np.uint8):
    noise = np.random.default_rng(seed).normal(size=(n, *size))
    noise = gaussian_filter(noise, (0, smooth, smooth))
    noise *= 40 / noise.std()
    values = np.clip(128 + noise, 0, 255)
    return np.rint(values).astype(dtype) if np.dtype(dtype).kind in "iu" else values.astype(dtype)


def shapes(n_per_class, n_classes=2, seed=0, size=20):
    """Give images of classes that their neighbours tell: a picture for each class, and noise over it."""
    rng = np.random.default_rng(seed)
    bases = textures(n_classes, (size, size), seed=seed + 1, smooth=2.0, dtype=np.float64)
    labels = np.repeat(np.arange(n_classes), n_per_class)
    return np.clip(bases[labels] + rng.normal(0, 20, (len(labels), size, size)), 0, 255), labels


def kinds(report):
    return {finding.kind for finding in report.findings()}


# Copies


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32, np.float64, ">f4"])
@pytest.mark.parametrize("colour", [False, True])
def test_exact_copies_are_grouped(dtype, colour):
    images = textures(30, dtype=np.dtype(dtype).newbyteorder("="))
    if colour:
        images = np.stack([images, images[::-1], np.roll(images, 3, 0)], axis=3)
    images = images.astype(dtype)
    images[9] = images[21] = images[4]
    images[17] = images[16]
    report = check_images(data_of(images, np.arange(30) >= 15))
    assert report.duplicate_groups == ((4, 9, 21), (16, 17))
    assert [report.across(group) for group in report.duplicate_groups] == [True, False]
    expected = np.full(30, -1)
    expected[[9, 21, 17]] = [4, 4, 16]
    np.testing.assert_array_equal(report.duplicate_of, expected)
    # What is a copy is not told once more as nearly one.
    assert len(report.near_pairs) == 0
    assert "5 images are exact copies" in str(report.findings()[0])
    assert "1 of them with different labels" in str(report.findings()[0])
    assert not report.is_sound


def test_zeros_of_either_sign_are_the_same_pixels():
    images = textures(12, dtype=np.float64) - 128
    images[:, 0, 0] = 0.0
    images[5] = images[2]
    images[5, 0, 0] = -0.0
    assert check_images(data_of(images)).duplicate_groups == ((2, 5),)


def test_one_pixel_of_one_level_makes_a_near_copy():
    images = textures(30)
    images[12] = images[3]
    images[12, 0, 0] ^= 1
    report = check_images(data_of(images))
    assert report.duplicate_groups == ()
    np.testing.assert_array_equal(report.near_pairs, [[3, 12]])


@pytest.mark.parametrize(
    "change",
    [
        lambda x: x + 30,
        lambda x: 0.6 * x,
        lambda x: 255 * (x / 255) ** 0.8,
        lambda x: x + np.random.default_rng(1).normal(0, 6, x.shape),
        lambda x: np.rint(x / 16) * 16,
        lambda x: x * np.linspace(0.9, 1.1, x.shape[1]),
    ],
    ids=["brighter", "less contrast", "gamma", "noise", "16 levels", "shade"],
)
def test_near_copies_are_found_whatever_was_done_to_them(change):
    images = textures(80, dtype=np.float64)
    images[70] = change(images[3])
    images[41] = change(images[40])
    report = check_images(data_of(images, np.arange(80) >= 40))
    assert {tuple(pair) for pair in report.near_pairs} == {(3, 70), (40, 41)}
    assert [report.across(pair) for pair in report.near_pairs] in ([True, False], [False, True])
    assert report.near_duplicate_of[70] == 3
    assert report.near_duplicate_of[3] == 70
    assert report.near_duplicate_of[0] == -1
    assert "1 of them across classes" in str(report.findings()[0])


def test_a_shift_of_bytes_with_clipping_is_found():
    images = textures(60)
    images[50] = np.clip(images[7].astype(int) + 60, 0, 255)
    np.testing.assert_array_equal(check_images(data_of(images)).near_pairs, [[7, 50]])


def test_more_copies_than_neighbours_are_found_across_classes():
    images = textures(100, dtype=np.float64)
    for i in range(10):
        images[20 + i] = images[20] * (1 + 0.01 * i)
    images[90] = images[20] * 0.5
    report = check_images(data_of(images, np.arange(100) >= 50))
    assert {i for pair in report.near_pairs for i in pair.tolist()} == {*range(20, 30), 90}
    assert any(report.across(pair) for pair in report.near_pairs)


def test_every_image_may_have_its_near_copy():
    images = textures(60, dtype=np.float64)
    images[30:] = 0.7 * images[:30] + 10
    report = check_images(data_of(images))
    assert {tuple(pair) for pair in report.near_pairs} == {(i, i + 30) for i in range(30)}


@pytest.mark.parametrize("copies", [2, 3, 4])
def test_the_set_may_be_made_of_groups(copies):
    images = textures(40, dtype=np.float64).repeat(copies, axis=0)
    images += np.random.default_rng(0).normal(0, 2, images.shape)
    report = check_images(data_of(images))
    assert {i for pair in report.near_pairs for i in pair.tolist()} == set(range(40 * copies))
    assert (report.near_pairs // copies == report.near_pairs[:, :1] // copies).all()


def test_near_says_how_near():
    images = textures(60, dtype=np.float64)
    images[50] = images[7] + np.random.default_rng(0).normal(0, 12, images[7].shape)
    data = data_of(images)
    assert len(check_images(data, near=0).near_pairs) == 0
    found = [len(check_images(data, near=near).near_pairs) for near in (0.01, 0.3, 0.6)]
    assert found == sorted(found)
    assert found[-1] >= 1
    for bad in (-0.1, 1.5, float("nan"), "near", None):
        with pytest.raises(ValueError, match="`near` must be a number between 0 and 1"):
            check_images(data, near=bad)


# Nothing where nothing is


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    n=st.integers(8, 120),
    size=st.tuples(st.integers(8, 40), st.integers(8, 40)),
    smooth=st.sampled_from([0.0, 0.7, 1.5]),
    n_classes=st.integers(1, 4),
    dtype=st.sampled_from([np.uint8, np.float32]),
)
def test_no_false_alarm_on_clean_textures(seed, n, size, smooth, n_classes, dtype):
    images = textures(n, size, seed, smooth, dtype)
    report = check_images(data_of(images, np.arange(n) % n_classes))
    assert report.is_sound, [str(each) for each in report.findings()]
    assert not len(report.label_doubts)


def test_few_degrees_of_freedom_give_no_near_copies():
    # Blobs at random places: images that lie on a surface, where many are near one another by chance.
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:24, :24]
    places = rng.uniform(6, 18, (400, 2))
    images = np.exp(-((y - places[:, 0, None, None]) ** 2 + (x - places[:, 1, None, None]) ** 2) / 20)
    assert len(check_images(data_of(images)).near_pairs) <= 4


def test_classes_that_neighbours_do_not_tell_are_not_doubted():
    report = check_images(data_of(textures(400), np.arange(400) % 2))
    assert not len(report.label_doubts)
    assert any("Labels of all classes" in text for text in report.unchecked())


# Labels


@pytest.mark.parametrize("n_classes", [2, 5])
def test_swapped_labels_are_found(n_classes):
    images, truth = shapes(40, n_classes)
    labels = truth.copy()
    swapped = np.array([3, 17, 55])
    labels[swapped] = (labels[swapped] + 1) % n_classes
    report = check_images(data_of(images, labels))
    np.testing.assert_array_equal(report.label_doubts, swapped)
    np.testing.assert_array_equal(report.suspected_classes, truth[swapped])
    assert (report.label_agreement > 0.8).all()
    assert f"rather class {truth[3]}" in str(report.findings()[0])


def test_a_copy_is_doubted_with_the_image_it_copies():
    images, labels = shapes(40)
    labels[3] = labels[60] = 1
    labels[61] = 1
    images[60] = images[3]
    report = check_images(data_of(images, labels))
    np.testing.assert_array_equal(report.label_doubts, [3, 60])


def test_unlabelled_and_single_classes():
    images, _ = shapes(20)
    for data in (open_source(images).load(), data_of(images)):
        report = check_images(data)
        assert not len(report.label_doubts)
        assert report.leaks == ()
        assert any("only one class" in text for text in report.unchecked())


# Empty and saturated images


def test_empty_images_are_found_and_kept_out_of_the_rest():
    images = textures(40)
    images[3], images[8], images[9] = 0, 77, 77
    images[12] = 100
    images[12, 0, :5] = 104
    images[20, 4:] = 255
    images[21, :20] = 0
    report = check_images(data_of(images))
    np.testing.assert_array_equal(np.flatnonzero(report.constant), [3, 8, 9])
    np.testing.assert_array_equal(np.flatnonzero(report.nearly_constant), [12])
    np.testing.assert_array_equal(np.flatnonzero(report.saturated), [20, 21])
    assert report.white_share[20] == pytest.approx(20 / 24, abs=0.01)
    assert report.duplicate_groups == ((8, 9),)
    assert len(report.near_pairs) == 0
    assert {"constant", "saturated", "duplicates"} <= kinds(report)


def test_a_dark_ground_that_all_images_have_is_no_fault():
    images = textures(40)
    images[:, :20] = 0
    assert check_images(data_of(images)).is_sound


# Leaks


def files(labels, modes=None, sizes=None, **more):
    return data_of(
        textures(len(labels)),
        labels,
        original_modes=modes,
        original_sizes=None if sizes is None else np.asarray(sizes),
        **more,
    )


def test_a_colour_mode_that_tells_the_class():
    labels = np.repeat([0, 1], 60)
    modes = tuple("RGB" if i % 3 == 0 and i < 60 else "RGBA" for i in range(120))
    report = check_images(files(labels, modes, class_names=("COVID", "non-COVID")))
    (leak,) = (each for each in report.leaks if each.what == "colour mode")
    assert leak.found
    assert leak.words == "colour mode: of COVID, 67% RGBA, 33% RGB; of non-COVID, all 60 are RGBA"
    assert leak.pvalue == pytest.approx(0.001)
    assert kinds(report) == {"leak"}


def test_modes_at_random_leak_nothing():
    rng = np.random.default_rng(0)
    for seed in range(5):
        labels = rng.permutation(np.repeat([0, 1, 2], 50))
        modes = tuple(rng.choice(["L", "RGB", "P"], 150))
        sizes = rng.integers(100, 500, (150, 2))
        report = check_images(files(labels, modes, sizes), random_state=seed)
        assert report.is_sound
        assert len(report.leaks) == 6


def test_sizes_that_tell_the_class():
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1], 60)
    height = rng.integers(100, 500, 120)
    wide = np.stack([height, np.where(labels == 1, 2 * height, height + rng.integers(-9, 9, 120))], axis=1)
    report = check_images(files(labels, sizes=wide))
    found = {each.what: each for each in report.leaks}
    assert found["aspect ratio (width / height)"].strength == 1
    assert found["aspect ratio (width / height)"].found
    assert not found["image height"].found
    # Every size occurs once or so, which by itself tells nothing.
    assert found["image size"].strength < 0.3
    two = np.where(labels[:, None] == 1, [[300, 200]], [[200, 200]])
    found = {each.what: each for each in check_images(files(labels, sizes=two)).leaks}
    assert found["image size"].strength == pytest.approx(1)
    assert "all 60 are 300 × 200" in found["image size"].words
    assert "image width" not in found


def test_types_of_file_and_brightness():
    labels = np.repeat([0, 1], 50)
    images = textures(100).astype(int)
    images[50:] += 60
    names = tuple(f"{i}.{'png' if i < 50 else 'JPG'}" for i in range(100))
    data = replace(data_of(np.clip(images, 0, 255).astype(np.uint8), labels), image_names=names)
    report = check_images(data)
    leaks = {each.what: each for each in report.leaks}
    assert leaks["file type"].found
    assert "all 50 are jpg" in leaks["file type"].words
    assert leaks["mean brightness"].severity == "note"
    assert [each.severity for each in report.findings()] == ["warning", "note"]


def test_measures_are_what_they_are_called():
    rng = np.random.default_rng(0)
    labels = np.arange(200) % 2
    values = rng.normal(size=200) + labels
    leak = number_leak("x", values, labels, ("a", "b"))
    wins = (values[labels == 1][:, None] > values[labels == 0]).mean()
    assert leak.strength == pytest.approx(wins)
    from scipy.stats import mannwhitneyu

    expected = mannwhitneyu(values[labels == 1], values[labels == 0], use_continuity=False).pvalue
    assert leak.pvalue == pytest.approx(expected, rel=1e-6)
    assert number_leak("x", np.ones(200), labels, ("a", "b")) is None
    assert category_leak("x", ["a"] * 200, labels, ("a", "b"), 0) is None
    perfect = category_leak("x", list(labels.astype(str)), labels, ("a", "b"), 0)
    assert perfect.strength == pytest.approx(1, abs=1e-12)


def test_uneven_classes_are_noted():
    report = check_images(data_of(textures(50), np.arange(50) < 8, ("many", "few")))
    assert kinds(report) == {"imbalance"}
    assert report.is_sound
    assert "many has 42 images, few 8" in str(report.findings()[0])


# All of it


@pytest.mark.parametrize("n", [1, 2, 3, 5, 6])
@pytest.mark.parametrize("size", [(1, 1), (1, 5), (2, 2), (17, 3)])
def test_small_sets(n, size):
    images = np.random.default_rng(0).random((n, *size))
    for labels in (np.zeros(n, int), np.arange(n) % 2):
        report = check_images(data_of(images, labels))
        json.dumps(report.to_dict(), allow_nan=False)
        report.unchecked()


@pytest.mark.parametrize("value", [0, 255])
def test_nothing_but_empty_images(value):
    report = check_images(data_of(np.full((10, 8, 8), value, np.uint8), np.arange(10) % 2))
    assert report.constant.all()
    assert report.duplicate_groups == (tuple(range(10)),)
    json.dumps(report.to_dict(), allow_nan=False)


def test_two_images_nearly_the_same():
    images = textures(2, dtype=np.float64)
    images[1] = images[0] + 20
    np.testing.assert_array_equal(check_images(data_of(images)).near_pairs, [[0, 1]])


@pytest.mark.parametrize(
    ("scale", "dtype"),
    [(1e-200, "f8"), (1e-30, "f8"), (1e-30, "f4"), (1e30, "f4"), (1e200, "f8"), (10, "u2")],
)
@pytest.mark.parametrize("offset", [0, 1000])
def test_units_do_not_matter(scale, dtype, offset):
    images = textures(40, dtype=np.float64)
    images[30] = 0.8 * images[2] + 5
    report = check_images(data_of(((images + offset) * scale).astype(dtype)))
    np.testing.assert_array_equal(report.near_pairs, [[2, 30]])
    assert kinds(report) == {"near-duplicates"}


def test_bad_pixels_are_refused():
    images = textures(10, dtype=np.float64)
    images[3, 2, 1] = np.nan
    with pytest.raises(ValueError, match="must be finite, got NaN in image 3"):
        check_images(data_of(images))


def test_the_same_for_any_number_of_threads(threads):
    data = load("digits")
    report = check_images(data)
    np.testing.assert_array_equal(report.label_doubts, [5, 1553, 1658])
    assert report.duplicate_groups == ()


def test_everything_survives_json():
    images, labels = shapes(20)
    labels[2] = 1
    images[7] = images[30]
    images[9] = images[8] * 0.9
    images[11] = 3
    said = json.loads(json.dumps(check_images(data_of(images, labels)).to_dict(), allow_nan=False))
    assert said["duplicates"] == [{"images": ["image 7.png", "image 30.png"], "across_classes": True}]
    assert said["near_duplicates"][0]["images"] == ["image 8.png", "image 9.png"]
    assert {"image": "image 2.png", "label": "class 1", "neighbours": "class 0"} in said["label_doubts"]
    assert said["constant"] == ["image 11.png"]
    assert said["classes"] == {"class 0": 19, "class 1": 21}
    assert not said["is_sound"]
