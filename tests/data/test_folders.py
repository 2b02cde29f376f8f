"""Folders as people have them: every kind of file there is, made here with pillow."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from wavelens.data import load, open_source
from wavelens.exceptions import DataError


def noise(seed: int, *shape: int, high: int = 256) -> np.ndarray[Any, Any]:
    return np.random.default_rng(seed).integers(0, high, shape, dtype=np.uint8)


def write(path: Path, pixels: np.ndarray[Any, Any], **options: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **options)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two classes of three grey images of 6 × 8 pixels."""
    root = tmp_path / "animals"
    for class_name in ("cat", "dog"):
        for i in (1, 2, 10):
            write(root / class_name / f"{class_name} ({i}).png", noise(i, 6, 8))
    return root


def test_classes_and_images_are_in_natural_order(folder: Path) -> None:
    data = load(folder)
    assert data.name == "animals"
    assert data.class_names == ("cat", "dog")
    assert data.image_names == tuple(f"{c}/{c} ({i}).png" for c in ("cat", "dog") for i in (1, 2, 10))
    assert data.labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert data.images.dtype == np.uint8
    np.testing.assert_array_equal(data.images[2], noise(10, 6, 8))
    assert data.notes == ()
    assert data.skipped == ()
    assert data.original_modes == ("L",) * 6
    assert data.class_counts == {"cat": 3, "dog": 3}
    assert "6 images of 6 × 8" in repr(data)


def test_a_string_and_a_relative_path_will_do(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    assert load(".").name == "animals"
    assert load(str(folder)).n_images == 6


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


def damage(folder: Path) -> dict[str, str]:
    """Put bad files among the good ones; return a part of the reason expected for each."""
    jpeg = write(folder / "cat" / "cut.jpg", noise(0, 64, 64))
    jpeg.write_bytes(jpeg.read_bytes()[:-800])
    (folder / "cat" / "empty.png").write_bytes(b"")
    (folder / "cat" / "text.jpg").write_text("this is no image")
    png = write(folder / "dog" / "broken.png", noise(1, 64, 64))
    data = bytearray(png.read_bytes())
    data[60:80] = bytes(20)
    png.write_bytes(bytes(data))
    (folder / "dog" / "link.png").symlink_to(folder / "nowhere.png")
    return {
        "cut.jpg": "damaged",
        "empty.png": "the file is empty",
        "text.jpg": "not an image",
        "broken.png": "damaged",
        "link.png": "leads nowhere",
    }


def test_bad_files_are_listed_and_left_out(folder: Path) -> None:
    reasons = damage(folder)
    data = load(folder)
    assert data.n_images == 6
    assert {each.path.name for each in data.skipped} == set(reasons)
    for each in data.skipped:
        assert reasons[each.path.name] in each.reason
        assert str(folder) not in each.reason
        assert str(each.path) in str(each)
    assert data.images.dtype == np.uint8
    assert data.image_shape == (6, 8)
    np.testing.assert_array_equal(data.images, open_source(folder).load().images)


def test_strict_refuses_and_names_them_all(folder: Path) -> None:
    reasons = damage(folder)
    with pytest.raises(DataError) as raised:
        load(folder, strict=True)
    assert "5 files cannot be read" in str(raised.value)
    assert all(name in str(raised.value) for name in reasons)
    with pytest.raises(DataError, match="cannot be read"):
        list(open_source(folder, strict=True).chunks(4))


def test_decompression_bombs_are_bad_files(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(folder / "cat" / "large.png", np.zeros((40, 40), np.uint8))
    write(folder / "cat" / "huge.png", np.zeros((400, 400), np.uint8))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    data = load(folder)
    assert data.n_images == 6
    assert [each.path.name for each in data.skipped] == ["huge.png", "large.png"]
    assert all("pillow's limit" in each.reason for each in data.skipped)


def test_foreign_and_hidden_files_are_no_images(folder: Path) -> None:
    for name in (".DS_Store", "Thumbs.db", "desktop.ini", "._cat (1).png"):
        (folder / "cat" / name).write_bytes(b"x")
    write(folder / ".cache" / "x.png", noise(0, 6, 8))
    write(folder / "__MACOSX" / "x.png", noise(0, 6, 8))
    (folder / "cat" / "readme.txt").write_text("x")
    (folder / "cat" / "paper.pdf").write_text("x")
    (folder / "labels.csv").write_text("x")
    write(folder / "overview.png", noise(0, 60, 80))
    data = load(folder)
    assert data.n_images == 6
    assert data.skipped == ()
    assert any("3 files of other kinds left out" in note and ".pdf × 1" in note for note in data.notes)
    assert any(note.startswith("1 file beside the class folders") for note in data.notes)


def test_nested_folders_belong_to_their_class(folder: Path) -> None:
    write(folder / "dog" / "small" / "Größe 1.png", noise(7, 6, 8))
    (folder / "dog" / "again").symlink_to(folder / "dog", target_is_directory=True)
    (folder / "dog" / "linked.png").symlink_to(folder / "cat" / "cat (1).png")
    data = load(folder)
    assert data.class_counts == {"cat": 3, "dog": 5}
    assert "dog/small/Größe 1.png" in data.image_names
    assert "dog/linked.png" in data.image_names


def test_names_that_are_no_unicode_can_be_printed(folder: Path) -> None:
    target = os.fsencode(folder / "dog") + b"/caf\xe9.png"
    try:
        with open(target, "wb") as file:
            Image.fromarray(noise(3, 6, 8)).save(file, format="PNG")
    except OSError:
        pytest.skip("this file system has only Unicode names")
    data = load(folder)
    assert data.n_images == 7
    " ".join(data.image_names).encode("utf-8")


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


def test_limit_takes_some_of_each_class_the_same_each_time(tmp_path: Path) -> None:
    for i in range(12):
        for class_name in ("a", "b"):
            write(tmp_path / class_name / f"{i}.png", np.full((4, 4), i, np.uint8))
    data = load(tmp_path, limit=4)
    assert data.class_counts == {"a": 4, "b": 4}
    assert data.image_names == load(tmp_path, limit=4).image_names
    assert data.image_names != load(tmp_path, limit=4, random_state=1).image_names
    assert [int(name[2:-4]) for name in data.image_names] == data.images[:, 0, 0].tolist()
    assert any("8 of 24 images taken" in note for note in data.notes)


def test_a_divided_folder_gives_the_part_asked_for(tmp_path: Path) -> None:
    for part, count in (("train", 3), ("val", 2), ("test", 2)):
        for i in range(count):
            write(tmp_path / part / "a" / f"{i}.png", noise(i, 4, 4))
            write(tmp_path / part / "b" / f"{i}.png", noise(i, 4, 4))
    assert load(tmp_path).class_counts == {"a": 3, "b": 3}
    assert load(tmp_path, split="test").image_names[0] == "test/a/0.png"
    assert load(tmp_path, split="all").class_counts == {"a": 7, "b": 7}
    assert load(tmp_path / "val").class_counts == {"a": 2, "b": 2}
    with pytest.raises(DataError, match="no split 'test'; the folder is not divided"):
        load(tmp_path / "val", split="test")


def test_the_number_of_threads_changes_nothing(folder: Path, threads: int) -> None:
    damage(folder)
    data = load(folder, size=(5, 5))
    for image, name in zip(data.images, data.image_names, strict=True):
        with Image.open(folder / name) as file:
            expected = file.resize((5, 5), Image.Resampling.LANCZOS)
        np.testing.assert_array_equal(image, np.asarray(expected))


def test_chunks_are_the_whole_in_pieces(folder: Path) -> None:
    damage(folder)
    source = open_source(folder, size=(5, 7))
    assert source.n_images == 8  # two are found out only when they are decoded
    assert source.image_shape == (5, 7)
    chunks = list(source.chunks(3))
    data = source.load()
    assert len(data.skipped) == 5  # each once, though read twice
    np.testing.assert_array_equal(np.concatenate([each.images for each in chunks]), data.images)
    np.testing.assert_array_equal(np.concatenate([each.labels for each in chunks]), data.labels)
    names = [source.image_names[i] for each in chunks for i in each.positions]
    assert tuple(names) == data.image_names
    assert load(source).n_images == 6


def test_no_folder_no_images_one_class_one_image(tmp_path: Path, folder: Path) -> None:
    with pytest.raises(DataError, match="no such file or folder"):
        load(tmp_path / "nothing")
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(DataError, match="no images in this folder"):
        load(empty)
    (empty / "x.dcm").write_text("x")
    with pytest.raises(DataError, match=r"only files of other kinds \(\.dcm × 1\)"):
        load(empty)
    (folder / "mouse").mkdir()
    with pytest.raises(DataError, match="no images in the class folder 'mouse'"):
        load(folder)
    (folder / "mouse" / "bad.png").write_text("x")
    with pytest.raises(
        DataError, match=r"no readable image in class 'mouse' \(1 file left out: .*not an image"
    ):
        load(folder)
    write(folder / "mouse" / "good.png", noise(0, 6, 8))
    with pytest.raises(DataError, match="only one image in class 'mouse'"):
        load(folder)
    with pytest.raises(DataError, match="nothing says which class"):
        load(folder / "cat")
    assert not open_source(folder / "cat").labelled
    assert open_source(folder / "cat").load().n_images == 3
    one = tmp_path / "one"
    (folder / "cat").rename(tmp_path / "cat")
    one.mkdir()
    (tmp_path / "cat").rename(one / "cat")
    for path in (one / "cat").iterdir():
        cut = write(path, noise(0, 64, 64)).read_bytes()[:-2000]
        path.write_bytes(cut)
    # Found out without decoding, which would find that none can be read.
    with pytest.raises(DataError, match="all 3 images belong to the one class 'cat'"):
        load(one)


def test_a_class_that_loses_its_images_while_they_are_decoded(folder: Path) -> None:
    for i in (1, 2, 10):
        path = write(folder / "dog" / f"dog ({i}).png", noise(i, 64, 64))
        path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(DataError, match=r"no readable image in class 'dog' \(3 files left out: .*damaged"):
        load(folder)


def test_a_folder_of_bad_files_only(tmp_path: Path) -> None:
    for name in ("a/1.png", "a/2.png", "b/1.png", "b/2.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x")
    with pytest.raises(DataError, match=r"none of the 4 image files can be read: .*not an image"):
        load(tmp_path)
    for name in ("a/1.png", "a/2.png", "b/1.png", "b/2.png"):
        path = write(tmp_path / name, noise(0, 64, 64))
        path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(DataError, match="none of the images could be read"):
        load(tmp_path)


def test_labels_of_a_flat_folder_by_file_name(tmp_path: Path) -> None:
    for i in range(1, 11):
        write(tmp_path / "images" / f"scan ({i}).png", np.full((4, 4), i, np.uint8))
    table = tmp_path / "labels.csv"
    table.write_text(
        "file,label\n" + "".join(f"scan ({i}).png,{'odd' if i % 2 else 'even'}\n" for i in range(10, 0, -1))
    )
    data = load(tmp_path / "images", table)
    assert data.class_names == ("even", "odd")
    assert data.labels.tolist() == [1, 0] * 5
    by_position = load(tmp_path / "images", labels=["odd", "even"] * 5)
    assert by_position.labels.tolist() == data.labels.tolist()
    with pytest.raises(ValueError, match="one entry for each of the 10 image files, got 3"):
        load(tmp_path / "images", labels=[1, 2, 3])
    with pytest.raises(ValueError, match=r"`key` is given, but .* is a folder"):
        load(tmp_path / "images", table, key="x")


def test_more_than_the_memory_is_refused(folder: Path) -> None:
    with pytest.raises(
        DataError, match=r"6 images of 1000000 × 1000000 need 6000\.0 GB of memory; give a smaller"
    ):
        load(folder, size=1_000_000)
