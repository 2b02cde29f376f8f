"""Odd texts and numbers: a right result, or a sentence that names the file or the argument."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from wavelens.data import image_groups, load, open_source
from wavelens.data._labels import read_rows
from wavelens.exceptions import DataError
from wavelens.models import LabelledFeatures, load_features, read_class_names

IMAGES = np.random.default_rng(0).random((4, 5, 5))


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (b"a\0\nb\nc\nd\n", "NUL"),
        ("a\nb\na\nb\n".encode("utf-16"), "UTF-16"),
        ("a\nb\na\nb\n".encode("utf-16-le"), "NUL"),
        (b"\xff" * 100, "UTF-8"),
        (b'a\nb\n"' + b"x" * 10_000_000 + b'"\nb\n', "row 3"),
        (b"x" * 10_000_000, "labels.csv"),
        (b'"a\n' * 1000, "labels.csv"),
        (b",,,,\n" * 4, "row 1"),
        (b"file,a,b", "name them"),
        (b"file,label", "no label"),
        (b"", "empty"),
        (b"\n\n \n", "empty"),
    ],
)
def test_files_of_labels(tmp_path: Path, content: bytes, named: str) -> None:
    path = tmp_path / "labels.csv"
    path.write_bytes(content)
    with pytest.raises(DataError, match=named) as raised:
        load(IMAGES, path)
    assert "labels.csv" in str(raised.value)
    assert len(str(raised.value)) < 1000


def test_separators_of_unicode_do_not_end_a_row(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    path.write_text('"a\u2028b"\n"c\x0bd"\n"a\u2028b"\n"c\x0bd"\n', encoding="utf-8")
    assert load(IMAGES, path).class_names == ("a\u2028b", "c\x0bd")
    path.write_text('file,"two\nlines"\n1,2\n', encoding="utf-8")
    assert read_rows(path) == [["file", "two\nlines"], ["1", "2"]]


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        '{"a":' * 100_000,
        "1e999",
        '{"0": "a", "0": "b"}',
        '{"0": "a", "00": "b", "1": "c"}',
        '{"' + "9" * 5000 + '": "a"}',
        '["a", ["b"]]',
        '"\\ud800',
        "\0",
        "nonsense",
    ],
)
def test_files_of_class_names(tmp_path: Path, text: str) -> None:
    path = tmp_path / "names.json"
    path.write_text(text)
    with pytest.raises(DataError, match=r"names\.json") as raised:
        read_class_names(path)
    assert len(str(raised.value)) < 1000


@pytest.mark.parametrize("source", ["a\0b", "~nobody-of-this-name/x", "x" * 5000])
def test_paths_that_cannot_be(source: str) -> None:
    with pytest.raises(DataError):
        load(source)
    with pytest.raises(DataError):
        load(IMAGES, source)


@pytest.fixture
def deep_folder(tmp_path: Path) -> Iterator[Path]:
    """Folders within folders, too many for functions that call themselves; so is what removes them."""
    before, depth = Path.cwd(), 0
    os.chdir(tmp_path)
    try:
        while depth < 1500:
            os.mkdir("d")
            os.chdir("d")
            depth += 1
        os.chdir(before)
        yield tmp_path
    except OSError:
        pytest.skip("the file system has no folders so deep")
    finally:
        os.chdir(tmp_path)
        for _ in range(depth):
            os.chdir("d")
        for _ in range(depth):
            os.chdir("..")
            os.rmdir("d")
        os.chdir(before)


def test_folders_that_lie_too_deeply_within_one_another(deep_folder: Path) -> None:
    with pytest.raises(DataError):
        open_source(deep_folder)


@pytest.mark.parametrize("pattern", ["(a{99999999999})", "(", "(" * 5000 + "a" + ")" * 5000])
def test_patterns_of_groups(pattern: str) -> None:
    with pytest.raises((ValueError, DataError), match="regular expression"):
        image_groups(pattern, ["a"])


@pytest.mark.parametrize("scale", [1e151, 1e300, 1e-151, 1e-250, 5e-324])
@pytest.mark.parametrize("kind", ["array", "npy", "chunks"])
def test_numbers_whose_products_leave_the_range(tmp_path: Path, scale: float, kind: str) -> None:
    images = IMAGES * scale
    images[0, 0, 0] = scale
    source: Any = images
    if kind != "array":
        source = tmp_path / "x.npy"
        np.save(source, images)

    def read() -> Any:
        if kind == "chunks":
            return list(open_source(source, [0, 1, 0, 1]).chunks(2))
        return load(source, [0, 1, 0, 1])

    with pytest.raises((ValueError, DataError), match=r"float64.*2\.0\*\*"):
        read()


@pytest.mark.parametrize("scale", [1e149, 1e-149, 0.0])
def test_numbers_within_the_range(scale: float) -> None:
    images = IMAGES * scale
    assert load(images, [0, 1, 0, 1]).images is images
    assert load(IMAGES.astype(np.float32) * np.float32(1e-40), [0, 1, 0, 1]).n_images == 4


def change_header(path: Path, change: Any) -> None:
    with np.load(path) as archive:
        arrays = dict(archive)
    header = json.loads(str(arrays["header"]))
    change(header, arrays)
    arrays["header"] = np.array(json.dumps(header) if isinstance(header, dict) else header)
    np.savez(path, **arrays)


@pytest.mark.parametrize(
    "change",
    [
        lambda header, arrays: header.update(layers=5),
        lambda header, arrays: header.update(layers=[[]]),
        lambda header, arrays: header["layers"][0].update(shape=[7]),
        lambda header, arrays: header["layers"][0].update(key="nothing"),
        lambda header, arrays: header["layers"][0].update(shape="abc"),
        lambda header, arrays: header.update(info=[1]),
        lambda header, arrays: header.update(notes=3),
        lambda header, arrays: header.update(format_version=0),
        lambda header, arrays: header.update(format_version=99),
        lambda header, arrays: header.update(format_version=True),
        lambda header, arrays: arrays.update(labels=np.array([0, 1, 2, 9])),
        lambda header, arrays: arrays.update(labels=np.array([0, -1, 1, 1])),
        lambda header, arrays: arrays.update(labels=np.array([0.0, np.nan, 1, 1])),
        lambda header, arrays: arrays.update(labels=np.array([0, 1])),
        lambda header, arrays: arrays.update(class_names=np.array("a")),
        lambda header, arrays: arrays.update(file_names=np.array(["a"])),
        lambda header, arrays: arrays.update(deep=np.array(["a"] * 4)),
    ],
)
def test_features_whose_parts_do_not_fit(tmp_path: Path, change: Any) -> None:
    path = tmp_path / "features.npz"
    features = LabelledFeatures(
        {"deep": np.ones((4, 3))}, np.array([0, 1, 1, 0]), ("a", "b"), ("1", "2", "3", "4")
    )
    features.save(path)
    assert load_features(path).n_images == 4
    change_header(path, change)
    with pytest.raises(DataError, match=r"features\.npz"):
        load_features(path)


@pytest.mark.parametrize(
    "address", ["tcp://", "tcp://:", "nonsense", "tcp://x:99999999", "tcp://x:0", "", "x:٣", "tcp://x:1e3"]
)
def test_addresses_that_are_none(address: str) -> None:
    pytest.importorskip("dask")
    from wavelens.distributed._client import _check_address

    with pytest.raises(DataError, match="host and a port"):
        _check_address(address)
    _check_address("tcp://10.0.0.1:8786")
    _check_address("10.0.0.1:8786")
    _check_address("tls://[::1]:8786")
