"""``.npy`` and ``.npz`` files: recognised names, mapped members, damage."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from wavelens.data import load, open_source
from wavelens.data._npz_archive import Archive
from wavelens.exceptions import DataError

IMAGES = np.random.default_rng(0).integers(0, 256, (6, 5, 7), dtype=np.uint8)
LABELS = np.array([0, 1, 2, 2, 1, 0])


def is_mapped(array: Any) -> bool:
    while array is not None:
        if isinstance(array, np.memmap):
            return True
        array = getattr(array, "base", None)
    return False


@pytest.mark.parametrize(
    ("images", "labels"),
    [
        ("images", "labels"),
        ("X", "y"),
        ("x", "y"),
        ("data", "target"),
        ("x_train", "y_train"),
        ("X_train", "Y_train"),
        ("train_images", "train_labels"),
        ("val_images", "val_labels"),
        ("images_train", "labels_train"),
    ],
)
@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_names_are_recognised(tmp_path: Path, images: str, labels: str, save: Any) -> None:
    path = tmp_path / "set.npz"
    save(path, **{images: IMAGES, labels: LABELS[:, None]})
    data = load(path)
    assert data.name == "set"
    np.testing.assert_array_equal(data.images, IMAGES)
    np.testing.assert_array_equal(data.labels, LABELS)
    assert is_mapped(data.images) == (save is np.savez)
    assert not data.images.flags.writeable or not is_mapped(data.images)


def test_class_and_file_names_are_used(tmp_path: Path) -> None:
    path = tmp_path / "set.npz"
    files = [f"x/{i}.png" for i in range(6)]
    np.savez(path, images=IMAGES, labels=LABELS, class_names=["c", "a", "b", "none"], file_names=files)
    data = load(path)
    assert data.class_names == ("c", "a", "b")
    assert data.image_names == tuple(files)
    assert data.notes == ("No image belongs to none.",)
    table = tmp_path / "labels.csv"
    table.write_text(
        "file,label\n" + "".join(f"{i}.png,{'even' if i % 2 == 0 else 'odd'}\n" for i in range(6))
    )
    again = load(path, table)
    assert again.class_names == ("even", "odd")
    assert again.labels.tolist() == [0, 1] * 3
    assert load(path, LABELS % 2).class_names == ("0", "1")
    np.savez(path, images=IMAGES, labels=LABELS, class_names=np.array([b"c", b"a"]))
    with pytest.raises(DataError, match="positions in the 2 class names"):
        load(path)


def test_splits(tmp_path: Path) -> None:
    path = tmp_path / "set.npz"
    parts: dict[str, Any] = {f"x_{part}": IMAGES + i for i, part in enumerate(("train", "test"))}
    parts |= {f"y_{part}": LABELS for part in ("train", "test")}
    np.savez(path, **parts, files_train=[f"t{i}" for i in range(6)])
    np.testing.assert_array_equal(load(path).images, IMAGES)
    assert "The part 'train'" in load(path).notes[0]
    np.testing.assert_array_equal(load(path, split="test").images, IMAGES + 1)
    both = load(path, split="all")
    assert both.n_images == 12
    assert both.image_names[5:7] == ("t5", "test/0")
    np.testing.assert_array_equal(load(path, key="x_test").images, IMAGES + 1)
    with pytest.raises(DataError, match="no split 'val'; it has train, test"):
        load(path, split="val")
    with pytest.raises(ValueError, match="`split` is given, but `key` names the array"):
        load(path, key="x_test", split="test")


def test_unrecognised_names_are_listed(tmp_path: Path) -> None:
    path = tmp_path / "set.npz"
    np.savez(path, scans=IMAGES, findings=LABELS)
    with pytest.raises(DataError) as raised:
        load(path)
    text = str(raised.value)
    assert "scans (6, 5, 7) uint8" in text
    assert "findings (6,) int64" in text
    assert "key='...', labels_key='...'" in text
    data = load(path, key="scans", labels_key="findings")
    np.testing.assert_array_equal(data.images, IMAGES)
    with pytest.raises(DataError, match="no array 'scan'; it holds findings"):
        load(path, key="scan")
    with pytest.raises(DataError, match="no array 'finding'; it holds findings"):
        load(path, key="scans", labels_key="finding")
    with pytest.raises(DataError, match="nothing says which class"):
        load(path, key="scans")
    with pytest.raises(ValueError, match="`labels_key` is given, but so are `labels`"):
        load(path, LABELS, key="scans", labels_key="findings")
    assert load(path, LABELS, key="scans").n_images == 6
    with pytest.raises(DataError, match="it is not divided"):
        load(path, split="train")


@pytest.mark.parametrize("dtype", ["u1", ">u2", "f4", ">f8"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_stored_members_are_mapped_wherever_they_lie(tmp_path: Path, dtype: str, order: Any) -> None:
    path = tmp_path / "set.npz"
    for pad in range(8):
        np.savez(
            path,
            **{"a" * (pad + 1): LABELS, "images": np.asarray(IMAGES.astype(dtype), order=order)},
            y=LABELS,
        )
        mapped = Archive(path).read("images")
        assert isinstance(mapped, np.memmap)
        np.testing.assert_array_equal(mapped, IMAGES)
        data = load(path)
        np.testing.assert_array_equal(data.images, IMAGES)
        assert data.images.flags.aligned
        assert data.images.dtype.isnative
        chunk = next(open_source(path).chunks(4))
        np.testing.assert_array_equal(chunk.images, IMAGES[:4])
        assert chunk.images.flags.aligned


def test_npy_is_mapped(tmp_path: Path) -> None:
    path = tmp_path / "scans.npy"
    np.save(path, IMAGES)
    np.save(tmp_path / "labels.npy", LABELS)
    data = load(path, tmp_path / "labels.npy")
    assert is_mapped(data.images)
    assert data.name == "scans"
    assert is_mapped(load(path, tmp_path / "labels.npy", color="grey").images)
    with pytest.raises(DataError, match="nothing says which class"):
        load(path)
    with pytest.raises(ValueError, match="`key` is given"):
        load(path, LABELS, key="images")
    np.save(tmp_path / "short.npy", LABELS[:5])
    with pytest.raises(DataError, match="one entry for each of the 6 images, got 5"):
        load(path, tmp_path / "short.npy")


def test_nothing_is_unpickled(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> Any:
            return (pytest.fail, ("unpickled",))

    objects = np.empty(6, object)
    objects[:] = [Trap() for _ in range(6)]
    np.savez(tmp_path / "labels.npz", images=IMAGES, labels=objects)
    np.savez(tmp_path / "images.npz", images=objects, labels=LABELS)
    np.save(tmp_path / "images.npy", objects)
    for name in ("labels.npz", "images.npz"):
        with pytest.raises(DataError, match="pickled Python objects, which are never loaded"):
            load(tmp_path / name)
    with pytest.raises(DataError, match="pickled Python objects"):
        load(tmp_path / "images.npy", LABELS)


def test_damage(tmp_path: Path) -> None:
    whole = tmp_path / "whole.npz"
    np.savez_compressed(whole, images=IMAGES, labels=LABELS)
    content = whole.read_bytes()
    broken = tmp_path / "broken.npz"
    for damaged in (content[:100], b"", b"text" * 100, content[: len(content) - 30]):
        broken.write_bytes(damaged)
        with pytest.raises(DataError, match="not a readable"):
            load(broken)
    middle = bytearray(content)
    middle[200:220] = bytes(20)
    broken.write_bytes(bytes(middle))
    with pytest.raises(DataError, match=r"damaged|not a readable"):
        load(broken)
    with zipfile.ZipFile(broken, "w") as archive:
        archive.writestr("readme.txt", "no arrays")
    with pytest.raises(DataError, match="holds no arrays"):
        load(broken)
    with zipfile.ZipFile(broken, "w") as archive:
        archive.writestr("images.npy", "no array")
    with pytest.raises(DataError, match="not a readable"):
        load(broken)
    npy = tmp_path / "x.npy"
    np.save(npy, IMAGES)
    content = npy.read_bytes()
    for damaged, message in (
        (content[:-5], "cannot be read"),
        (b"", "empty"),
        (b"text", "not an array written by"),
    ):
        npy.write_bytes(damaged)
        with pytest.raises(DataError, match=message):
            load(npy, LABELS)
    npy.write_bytes(whole.read_bytes())
    with pytest.raises(DataError, match=r"archive under the name of a .npy"):
        load(npy, LABELS)


def test_a_member_that_promises_more_than_is_there(tmp_path: Path) -> None:
    path = tmp_path / "set.npz"
    header = b"{'descr': '|u1', 'fortran_order': False, 'shape': (1000000, 1000, 1000)}"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(
            "images.npy", b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + bytes(99)
        )
    with pytest.raises(DataError, match=r"'images'.*1,000,000,000,"):
        load(path, LABELS)


def test_what_is_wrong_with_the_content_is_a_data_error(tmp_path: Path) -> None:
    path = tmp_path / "set.npz"
    bad = IMAGES.astype(float)
    bad[1, 2, 3] = np.nan
    np.savez(path, images=bad, labels=LABELS)
    with pytest.raises(DataError, match="got nan in image '1' at row 2, column 3"):
        load(path)
    np.savez(path, images=IMAGES, labels=LABELS[:4])
    with pytest.raises(DataError, match="`labels` must have one entry for each of the 6 images, got 4"):
        load(path)
    np.savez(path, images=IMAGES[:, None], labels=LABELS)
    with pytest.raises(DataError, match="layout of networks"):
        load(path)
    np.savez(path, images=IMAGES[0], labels=LABELS)
    with pytest.raises(DataError, match="reshape flat images"):
        load(path)
    np.savez(path, x_train=IMAGES, y_train=LABELS, x_test=IMAGES[:, 1:], y_test=LABELS)
    with pytest.raises(DataError, match=r"different shapes, \(4, 7\), \(5, 7\)"):
        load(path, split="all")
    (tmp_path / "x.mat").write_text("x")
    with pytest.raises(DataError, match=r"expected a folder of images, a .npz or a .npy file"):
        load(tmp_path / "x.mat")
    with pytest.raises(DataError, match=r"no such file or folder .*'digits'"):
        load("digit")
