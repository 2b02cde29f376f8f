"""Image files of every kind there is, made here with pillow, and what becomes of their pixels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from data_files import noise, write
from PIL import Image

from wavelens.data import load


def test_modes_become_what_their_pixels_are(tmp_path: Path) -> None:
    """Bilevel, palette, grey with alpha, 16 bits, CMYK and so on, each with known grey values."""
    grey = np.array([[0, 60, 120], [180, 240, 255]], np.uint8)
    rgb = np.repeat(grey[..., None], 3, axis=2)
    opaque = np.full((2, 3), 255, np.uint8)
    a, b = tmp_path / "a", tmp_path / "b"
    write(a / "grey.png", grey)
    write(a / "rgb.png", rgb)
    write(a / "rgba.png", np.dstack([rgb, opaque // 2]))
    write(a / "la.png", np.dstack([grey, opaque]))
    write(a / "sixteen.png", grey.astype(np.uint16) * 257)
    write(a / "sixteen.tif", grey.astype(np.uint16) * 257)
    write(a / "float.tiff", grey.astype(np.float32))
    write(a / "integers.tiff", grey.astype(np.int32))
    palette = Image.fromarray(grey).convert("P")
    palette.save(a / "palette.gif")
    palette.save(a / "palette.png", transparency=bytes(range(256)))
    Image.fromarray(rgb).save(a / "key.png", transparency=(0, 0, 0))
    Image.fromarray(rgb).convert("CMYK").save(a / "cmyk.tif")
    Image.fromarray(grey).save(a / "jpeg2000.jp2")
    Image.fromarray(grey).save(a / "bitmap.bmp")
    Image.fromarray(grey).save(a / "portable.pgm")
    bilevel = grey > 100
    write(b / "bilevel.png", bilevel)
    write(b / "bilevel 2.tif", bilevel)
    data = load(tmp_path)
    assert data.skipped == ()
    assert data.images.dtype == np.float32
    assert data.images.shape == (17, 2, 3)
    for image, name in zip(data.images, data.image_names, strict=True):
        expected = bilevel * 255 if name.startswith("b/") else grey
        np.testing.assert_array_equal(image, expected, err_msg=name)
    assert any(note.startswith("Alpha channel dropped in 4 of 17") for note in data.notes)
    # Of palette.png all pixels but one may be transparent, of rgba.png all are, of key.png one is.
    assert any("3 had transparent pixels" in note for note in data.notes)
    assert any("16 bits brought to the scale 0–255" in note for note in data.notes)


def test_modes_of_print(folder: Path) -> None:
    colours = noise(0, 6, 8, 3)
    Image.fromarray(colours).convert("CMYK").save(folder / "cat" / "print.tif")
    Image.fromarray(colours).convert("CMYK").save(folder / "dog" / "print.jpg", quality=95, subsampling=0)
    data = load(folder, color="rgb")
    place = {name: i for i, name in enumerate(data.image_names)}
    np.testing.assert_array_equal(data.images[place["cat/print.tif"]], colours)
    np.testing.assert_allclose(data.images[place["dog/print.jpg"]].astype(int), colours, atol=40)
    assert data.skipped == ()


def test_sixteen_bits_keep_their_precision(tmp_path: Path) -> None:
    deep = np.random.default_rng(0).integers(0, 1 << 16, (4, 5), dtype=np.uint16)
    for name in ("a/1.png", "a/2.png", "b/1.png", "b/2.tif"):
        write(tmp_path / name, deep)
    data = load(tmp_path)
    assert data.images.dtype == np.float32
    np.testing.assert_allclose(data.images, np.broadcast_to(deep / 257, (4, 4, 5)), rtol=1e-6)
    small = load(tmp_path, size=2)
    assert small.images.min() >= 0
    assert small.images.max() <= 255
    in_colour = load(tmp_path, color="rgb")
    np.testing.assert_array_equal(in_colour.images, np.repeat(data.images[..., None], 3, axis=3))


def test_slices_stored_as_colour_are_grey(folder: Path) -> None:
    for i in (1, 2, 10):
        write(folder / "dog" / f"dog ({i}).png", np.repeat(noise(i, 6, 8)[..., None], 3, axis=2))
    data = load(folder)
    assert data.image_shape == (6, 8)
    np.testing.assert_array_equal(data.images[:3], data.images[3:])
    assert any("Read as grey: 3 of 6" in note for note in data.notes)
    assert data.original_modes == ("L",) * 3 + ("RGB",) * 3


def test_colour_in_most_images_of_one_class_is_kept(folder: Path) -> None:
    for i in (1, 2):
        write(folder / "dog" / f"dog ({i}).png", noise(i, 6, 8, 3))
    data = load(folder)
    assert data.image_shape == (6, 8, 3)
    np.testing.assert_array_equal(data.images[3], noise(1, 6, 8, 3))
    np.testing.assert_array_equal(data.images[0], np.repeat(noise(1, 6, 8)[..., None], 3, axis=2))
    assert any("2 of 6 images looked at show colour" in note for note in data.notes)
    grey = load(folder, color="grey")
    with Image.open(folder / "dog" / "dog (1).png") as image:
        np.testing.assert_array_equal(grey.images[3], np.asarray(image.convert("L")))


def test_alpha_that_tells_the_classes_apart_is_said(folder: Path) -> None:
    for i in (1, 2, 10):
        image = Image.fromarray(noise(i, 6, 8)).convert("RGBA")
        image.save(folder / "dog" / f"dog ({i}).png")
    notes = load(folder).notes
    assert (
        "Alpha channel dropped in 3 of 6 images (cat 0 of 3, dog 3 of 3: the files themselves tell the "
        in notes[-1]
    )


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("ending", ["png", "jpg", "tif", "webp"])
def test_exif_turns_the_image_upright(tmp_path: Path, orientation: int, ending: str) -> None:
    upright = np.zeros((24, 48), np.uint8)
    upright[:12, :24] = 200
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.T,
        6: upright.T[::-1],
        7: upright.T[::-1, ::-1],
        8: upright.T[:, ::-1],
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    for i in range(4):
        write(tmp_path / "ab"[i % 2] / f"{i}.{ending}", np.ascontiguousarray(stored), exif=exif)
    data = load(tmp_path, color="grey")
    assert data.image_shape == (24, 48)
    assert data.original_sizes is not None
    assert data.original_sizes.tolist() == [[24, 48]] * 4
    np.testing.assert_allclose(data.images[0].astype(float), upright, atol=20)
    if ending != "tif":  # pillow turns these itself
        assert any("Turned upright" in note for note in data.notes) == (orientation != 1)


def test_sizes_become_the_median_or_what_is_asked(tmp_path: Path) -> None:
    for i, (height, width) in enumerate([(10, 20), (20, 20), (30, 40), (12, 60)]):
        write(tmp_path / "ab"[i % 2] / f"{i}.png", np.full((height, width), 40 * i, np.uint8))
    data = load(tmp_path)
    assert data.image_shape == (16, 30)
    assert data.original_sizes is not None
    assert data.original_sizes.tolist() == [[10, 20], [30, 40], [20, 20], [12, 60]]
    assert any("4 sizes, 10–30 × 20–60" in note for note in data.notes)
    assert load(tmp_path, size=(7, 9)).image_shape == (7, 9)
    assert load(tmp_path, size=8).image_shape == (8, 8)


def test_kept_aspect_repeats_the_border(tmp_path: Path) -> None:
    ramp = np.tile(np.arange(0, 200, 10, dtype=np.uint8), (10, 1))
    for name in ("a/1.png", "a/2.png", "b/1.png", "b/2.png"):
        write(tmp_path / name, ramp)
    kept = load(tmp_path, size=(20, 20), keep_aspect=True).images[0]
    np.testing.assert_array_equal(kept, np.tile(ramp[:1], (20, 1)))
    stretched = load(tmp_path, size=(10, 10)).images[0]
    with Image.open(tmp_path / "a" / "1.png") as image:
        np.testing.assert_array_equal(stretched, np.asarray(image.resize((10, 10), Image.Resampling.LANCZOS)))


def test_wrong_ending_and_animation(folder: Path) -> None:
    (folder / "cat" / "cat (1).png").rename(folder / "cat" / "cat (1).jpg")
    frames = [Image.fromarray(np.full((6, 8), value, np.uint8)) for value in (10, 200)]
    frames[0].save(folder / "dog" / "moving.gif", save_all=True, append_images=frames[1:])
    frames[0].save(folder / "dog" / "pages.tif", save_all=True, append_images=frames[1:])
    data = load(folder)
    np.testing.assert_array_equal(data.images[0], noise(1, 6, 8))
    assert (data.images[-2:] == 10).all()
    assert any("First of several frames taken in 2 of 8" in note for note in data.notes)


def test_large_jpegs_may_be_reduced_while_decoding(tmp_path: Path) -> None:
    y, x = np.mgrid[0:960, 0:1280]
    smooth = (127 + 100 * np.sin(x / 200) * np.cos(y / 150)).astype(np.uint8)
    for name in ("a/1.jpg", "a/2.jpg", "b/1.jpg", "b/2.jpg"):
        write(tmp_path / name, smooth, quality=95)
    data = load(tmp_path, size=(48, 64))
    with Image.open(tmp_path / "a" / "1.jpg") as image:
        whole = np.asarray(image.resize((64, 48), Image.Resampling.LANCZOS))
    np.testing.assert_allclose(data.images[0].astype(int), whole.astype(int), atol=2)
    assert data.original_sizes is not None
    assert data.original_sizes[0].tolist() == [960, 1280]
