"""Folders as people have them: what is in them, what is wrong with them, what is taken."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from data_files import noise, write
from PIL import Image

from wavelens.data import load, open_source
from wavelens.exceptions import DataError


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
