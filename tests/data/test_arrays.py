"""Arrays: taken as they are where possible, brought to size and colour where asked, refused with a reason."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from wavelens.data import ImageData, load, open_source
from wavelens.data._resize import Target, convert_images, lanczos_matrix, to_grey
from wavelens.exceptions import DataError

LABELS = [0, 1, 1, 0]
DTYPES = ["u1", "u2", "i4", "i8", "f2", "f4", "f8", "?"]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(4, 6, 5), (4, 6, 5, 3)])
def test_arrays_are_taken_as_they_are(dtype: str, shape: tuple[int, ...]) -> None:
    images = np.ones(shape, dtype)
    data = load(images, LABELS)
    assert isinstance(data, ImageData)
    assert data.images is images
    assert data.image_names == ("0", "1", "2", "3")
    assert data.class_names == ("0", "1")
    assert data.labels.tolist() == LABELS
    assert data.original_sizes is None


def test_read_only_strided_and_mapped_arrays_are_not_copied(tmp_path: Any) -> None:
    images = np.random.default_rng(0).random((8, 6, 5))
    images.setflags(write=False)
    assert load(images, LABELS * 2).images is images
    strided = images[::2, ::-1, 1:]
    assert np.shares_memory(load(strided, LABELS).images, images)
    np.save(tmp_path / "x.npy", images)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    assert np.shares_memory(load(mapped, LABELS * 2).images, mapped)


def test_other_byte_orders_become_native() -> None:
    images = np.arange(4 * 6 * 5, dtype=">f4").reshape(4, 6, 5)
    data = load(images, LABELS)
    assert data.images.dtype == np.dtype("f4")
    assert data.images.dtype.isnative
    np.testing.assert_array_equal(data.images, images)


def test_one_channel_and_alpha_are_views() -> None:
    single = np.ones((4, 6, 5, 1), np.uint8)
    assert load(single, LABELS).image_shape == (6, 5)
    assert np.shares_memory(load(single, LABELS).images, single)
    alpha = np.random.default_rng(0).integers(0, 255, (4, 6, 5, 4), dtype=np.uint8)
    data = load(alpha, LABELS)
    np.testing.assert_array_equal(data.images, alpha[..., :3])
    assert np.shares_memory(data.images, alpha)
    assert data.notes == ("The alpha channel was dropped in all 4 images.",)


def test_colour_and_grey() -> None:
    rgb = np.random.default_rng(0).integers(0, 256, (4, 6, 5, 3), dtype=np.uint8)
    grey = load(rgb, LABELS, color="grey").images
    for image, pixels in zip(grey, rgb, strict=True):
        np.testing.assert_array_equal(image, np.asarray(Image.fromarray(pixels).convert("L")))
    back = load(grey, LABELS, color="rgb").images
    np.testing.assert_array_equal(back, np.repeat(grey[..., None], 3, axis=3))
    assert any("show no colour" in note for note in load(back, LABELS).notes)
    for dtype in ("f4", "f8"):
        floats = to_grey(rgb.astype(dtype))
        assert floats.dtype == dtype
        np.testing.assert_allclose(floats, rgb @ np.array([0.299, 0.587, 0.114]), rtol=1e-6)
    assert to_grey(rgb.astype("u2") * 257).max() <= 65535
    assert to_grey(rgb > 100).dtype == np.float32


@settings(deadline=None)
@given(value=st.integers(0, 255))
def test_grey_stays_what_it_is(value: int) -> None:
    assert to_grey(np.full((1, 1, 3), value, np.uint8))[0, 0] == value


@settings(deadline=None)
@given(n_in=st.integers(1, 60), n_out=st.integers(1, 60))
def test_lanczos_keeps_constants_and_mirrors(n_in: int, n_out: int) -> None:
    weights = lanczos_matrix(n_in, n_out)
    np.testing.assert_allclose(weights.sum(axis=1), 1, rtol=1e-13)
    np.testing.assert_allclose(weights, weights[::-1, ::-1], atol=1e-13)
    if n_in == n_out:
        np.testing.assert_allclose(weights, np.eye(n_in), atol=1e-15)


@settings(deadline=None)
@given(
    sizes=st.tuples(*[st.integers(1, 40)] * 4),
    dtype=st.sampled_from(["f4", "f8"]),
    seed=st.integers(0, 1000),
)
def test_lanczos_is_pillows(sizes: tuple[int, int, int, int], dtype: str, seed: int) -> None:
    image = np.random.default_rng(seed).random((1, sizes[0], sizes[1]), np.float32)
    ours = convert_images(image.astype(dtype), Target((sizes[2], sizes[3]), keep_aspect=False, colour=False))
    theirs = Image.fromarray(image[0]).resize((sizes[3], sizes[2]), Image.Resampling.LANCZOS)
    assert ours.dtype == dtype
    np.testing.assert_allclose(ours[0], np.asarray(theirs), atol=3e-6)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("channels", [(), (3,)])
@pytest.mark.parametrize("keep_aspect", [False, True])
def test_size_is_brought_about_in_every_dtype(
    dtype: str, channels: tuple[int, ...], keep_aspect: bool
) -> None:
    images = np.ones((4, 6, 12, *channels), dtype)
    source = open_source(images, LABELS, size=(8, 5), keep_aspect=keep_aspect)
    data = source.load()
    assert source.image_shape == data.image_shape == (8, 5, *channels)
    assert source.dtype == data.images.dtype == (np.float32 if dtype == "?" else np.dtype(dtype))
    np.testing.assert_allclose(data.images.astype(float), 1, rtol=1e-3)
    assert "resized from 6 × 12 to 8 × 5" in data.notes[0]


def test_bytes_are_resized_as_files_are() -> None:
    images = np.random.default_rng(0).integers(0, 256, (4, 20, 30, 3), dtype=np.uint8)
    data = load(images, LABELS, size=(9, 7))
    expected = Image.fromarray(images[2]).resize((7, 9), Image.Resampling.LANCZOS)
    np.testing.assert_array_equal(data.images[2], np.asarray(expected))


def test_integers_stay_in_their_range() -> None:
    images = np.zeros((4, 16, 16), np.uint16)
    images[:, :, 8:] = 65535
    data = load(images, LABELS, size=20)
    assert data.images.min() == 0
    assert data.images.max() == 65535


def test_chunks_and_limit() -> None:
    images = np.arange(30 * 4 * 4, dtype=np.float32).reshape(30, 4, 4)
    labels = np.repeat(["x", "y", "z"], 10)
    source = open_source(images, labels, limit=6, random_state=3)
    data = source.load()
    chunks = list(source.chunks(7))
    assert [len(each.images) for each in chunks] == [7, 7, 4]
    np.testing.assert_array_equal(np.concatenate([each.images for each in chunks]), data.images)
    np.testing.assert_array_equal(np.concatenate([each.positions for each in chunks]), np.arange(18))
    assert data.class_counts == {"x": 6, "y": 6, "z": 6}
    np.testing.assert_array_equal(data.images, images[[int(name) for name in data.image_names]])
    assert "18 of 30 images taken" in data.notes[0]
    with pytest.raises(ValueError, match="`size` must be at least 1, got 0"):
        next(source.chunks(0))
    with pytest.raises(ValueError, match="`limit` must be at least 1, got 0"):
        open_source(images, labels, limit=0)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", ["f2", "f4", "f8"])
def test_nan_and_infinity_are_named_with_their_place(value: float, dtype: str) -> None:
    images = np.zeros((4, 6, 5), dtype)
    images[2, 3, 4] = value
    where = "in image '2' at row 3, column 4"
    with pytest.raises(ValueError, match=f"`images` must be finite, got {value} {where}$"):
        load(images, LABELS)
    with pytest.raises(ValueError, match=where):
        load(images, LABELS, size=9)
    chunks = open_source(images, LABELS).chunks(2)
    next(chunks)
    with pytest.raises(ValueError, match=where):
        next(chunks)
    coloured = np.zeros((4, 6, 5, 3), dtype)
    coloured[1, 0, 2, 1] = value
    with pytest.raises(ValueError, match="in image '1' at row 0, column 2, channel 1"):
        load(coloured, LABELS)


@pytest.mark.parametrize(
    ("images", "kind", "message"),
    [
        (np.zeros((4, 30)), ValueError, "reshape flat images"),
        (np.zeros(4), ValueError, r"got \(4,\)"),
        (np.zeros((4, 3, 6, 5)), ValueError, r"layout of networks.*transpose\(0, 2, 3, 1\)"),
        (np.zeros((4, 6, 5, 2)), ValueError, "1, 3 or 4 channels"),
        (np.zeros((0, 6, 5)), ValueError, r"must not be empty, got shape \(0, 6, 5\)"),
        (np.zeros((4, 0, 5)), ValueError, "must not be empty"),
        (np.zeros((4, 6, 5), complex), TypeError, "got dtype complex128"),
        (np.zeros((4, 6, 5), object), TypeError, "got dtype object"),
        (np.zeros((4, 6, 5), "M8[s]"), TypeError, "got dtype datetime64"),
        (np.ma.masked_array(np.zeros((4, 6, 5))), TypeError, "masked"),
        ([np.zeros((6, 5)), np.zeros((5, 6))], ValueError, "one size"),
        (None, TypeError, "got dtype object"),
    ],
)
def test_what_is_no_array_of_images_is_refused(images: object, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        load(images, LABELS)


def test_sparse_is_refused() -> None:
    import scipy.sparse

    with pytest.raises(TypeError, match="dense"):
        load(scipy.sparse.csr_array(np.zeros((4, 5))), LABELS)


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        ({"size": 0}, ValueError, "`size` must be at least 1, got 0"),
        ({"size": (3, 4, 5)}, TypeError, r"`size` must be an integer or \(height, width\)"),
        ({"size": "91x90"}, TypeError, "`size`"),
        ({"size": (3.5, 4)}, TypeError, "`size` must be an integer"),
        ({"color": "blue"}, ValueError, "`color` must be one of 'grey', 'rgb'"),
        ({"split": "train"}, ValueError, "`split` is given, but the source has no named parts"),
        ({"key": "x"}, ValueError, "`key` is given"),
        ({"random_state": -1}, ValueError, "`random_state`"),
        ({"limit": 2.0}, TypeError, "`limit` must be an integer"),
        ({"limit": 1}, DataError, "only one image in classes '0', '1'"),
    ],
)
def test_bad_options(options: dict[str, Any], kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        load(np.zeros((4, 6, 5)), LABELS, **options)


def test_classes_that_cannot_be_analysed() -> None:
    images = np.zeros((4, 6, 5))
    with pytest.raises(DataError, match="all 4 images belong to the one class '7'"):
        load(images, [7] * 4)
    with pytest.raises(DataError, match="only one image in class 'b'"):
        load(images, ["a", "a", "b", "a"])
    with pytest.raises(DataError, match=r"nothing says which class .*; give `labels` \(--labels\)"):
        load(images)
    assert open_source(images).load().class_names == ("unlabelled",)


def test_an_open_source_cannot_be_changed() -> None:
    source = open_source(np.zeros((4, 6, 5)), LABELS)
    assert open_source(source) is source
    with pytest.raises(ValueError, match="`size` is given, but the source is open already"):
        open_source(source, size=3)
    with pytest.raises(ValueError, match="`keep_aspect` is given"):
        open_source(source, keep_aspect=True)


def test_digits() -> None:
    data = load("digits")
    assert data.images.shape == (1797, 8, 8)
    assert data.class_names == tuple("0123456789")
    assert data.name == "digits"
    assert load("digits", limit=5).n_images == 50
    with pytest.raises(ValueError, match="`split` is given"):
        load("digits", split="test")
    parity = load("digits", labels=data.labels % 2)
    assert parity.class_names == ("0", "1")
