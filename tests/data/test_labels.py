"""Labels by position and by name, in arrays and in files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wavelens.data import load
from wavelens.data._labels import encode_labels, labels_for
from wavelens.data._source import natural_key
from wavelens.exceptions import DataError

IMAGES = np.zeros((4, 5, 5))
NAMES = ("a/x 1.png", "a/x 2.png", "b/y (1).png", "b/y,2.png")


@pytest.mark.parametrize(
    ("labels", "names"),
    [
        ([3, -1, 3, -1], ("-1", "3")),
        (np.array([[1], [2], [1], [2]], np.uint8), ("1", "2")),
        (["b", "a", "b", "a"], ("a", "b")),
        (["class 10", "class 9", "class 10", "class 9"], ("class 9", "class 10")),
        (np.array([b"x", b"y", b"x", b"y"]), ("x", "y")),
        (np.array(["x", "y", "x", "y"], object), ("x", "y")),
        (np.array([5, 6, 5, 6], object), ("5", "6")),
        ([True, False, True, False], ("False", "True")),
        ([1.0, 2.0, 1.0, 2.0], ("1", "2")),
        pytest.param(
            np.array(["x", "y", "x", "y"], getattr(np.dtypes, "StringDType", lambda: "U")()),
            ("x", "y"),
            id="T",
        ),
        ((1, 2, 1, 2), ("1", "2")),
    ],
)
def test_labels_of_all_kinds(labels: Any, names: tuple[str, ...]) -> None:
    data = load(IMAGES, labels)
    assert data.class_names == names
    assert data.labels.dtype == np.intp
    assert data.labels[0] == data.labels[2] != data.labels[1] == data.labels[3]


@pytest.mark.parametrize(
    ("labels", "kind", "message"),
    [
        ([1, 2, 3], ValueError, "`labels` must have one entry for each of the 4 images, got 3"),
        (np.eye(4), ValueError, r"one-hot labels pass `labels.argmax\(axis=1\)`"),
        (np.zeros((2, 2, 2)), ValueError, r"must have shape \(4,\)"),
        (5, ValueError, r"must have shape \(4,\)"),
        ([1, 2, np.nan, 1], ValueError, "got NaN at position 2"),
        ([1, 2, 1.5, 1], ValueError, "got 1.5 at position 2"),
        (["a", " ", "a", "b"], ValueError, "the label at position 1 is empty"),
        (np.array(["a", None, "a", "b"], object), TypeError, "got None at position 1"),
        ([1j, 2, 1, 2], TypeError, "got 1j at position 0"),
        ([[1], [2, 3], [1], [1]], ValueError, "`labels` must be one label for each"),
    ],
)
def test_labels_that_are_none(labels: Any, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        load(IMAGES, labels)


@settings(deadline=None)
@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1), min_size=1))
def test_codes_point_to_the_names(values: list[str]) -> None:
    codes, names, _ = encode_labels(np.array(values))
    assert [names[code] for code in codes] == values
    assert len(set(names)) == len(names)
    assert list(names) == sorted(names, key=natural_key)


def test_class_names_of_integers() -> None:
    codes, names, notes = encode_labels(np.array([4, 1, 4]), ["a", "b", "c", "d", "b"])
    assert codes.tolist() == [1, 0, 1]
    assert names == ("b (0)", "b (1)")
    assert notes == ["No image belongs to a, c, d."]
    with pytest.raises(ValueError, match="positions in the 2 class names, got values between 0 and 2"):
        encode_labels(np.array([0, 2]), ["a", "b"])


def write(path: Path, text: str, encoding: str = "utf-8") -> Path:
    path.write_text(text, encoding=encoding)
    return path


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("plain.txt", "dog\ncat\ndog\ncat\n\n"),
        ("header.csv", "label\ndog\ncat\ndog\ncat"),
        ("windows.txt", "\ufeffdog\r\ncat\r\ndog\r\ncat\r\n"),
        ("columns.csv", 'b/y (1).png,dog\na/x 1.png,dog\na/x 2.png,cat\n"b/y,2.png",cat\n'),
        (
            "headed.csv",
            'label,split,file\ndog,t,a/x 1.png\ncat,t,a/x 2.png\ndog,v,b/y (1).png\ncat,v,"b/y,2.png"\n',
        ),
        ("unusual.csv", 'scan,finding\na/x 1.png,dog\na/x 2.png,cat\nb/y (1).png,dog\n"b/y,2.png",cat\n'),
        ("semicolons.csv", "file;label\nx 1.png;dog\nx 2.png;cat\ny (1).png;dog\ny,2.png;cat\n"),
        ("tabs.tsv", "x 1\tdog\nx 2\tcat\ny (1)\tdog\ny,2\tcat\nanother\tcat"),
        ("backslashes.tsv", "a\\x 1.png\tdog\na\\x 2.png\tcat\nb\\y (1).png\tdog\nb\\y,2.png\tcat"),
    ],
)
def test_files_of_labels(tmp_path: Path, name: str, text: str) -> None:
    found = labels_for(write(tmp_path / name, text), NAMES)
    assert found.tolist() == ["dog", "cat", "dog", "cat"]


def test_numbers_in_files_are_numbers(tmp_path: Path) -> None:
    np.save(tmp_path / "labels.npy", np.array([[2], [1], [2], [1]]))
    for path in (tmp_path / "labels.npy", write(tmp_path / "l.txt", "2\n1\n2\n1\n")):
        assert labels_for(path, NAMES).tolist() == [2, 1, 2, 1]
    assert labels_for(write(tmp_path / "zeros.txt", "02\n1\n02\n1"), NAMES).tolist() == ["02", "1", "02", "1"]
    by_position = write(tmp_path / "i.csv", "index,label\n1,b\n0,a\n2,a\n3,b\n")
    assert load(IMAGES, by_position).labels.tolist() == [0, 1, 0, 1]


def test_names_are_compared_as_text_not_as_bytes(tmp_path: Path) -> None:
    composed, decomposed = "Gr\u00f6\u00dfe.png", "Gro\u0308\u00dfe.png"
    assert labels_for(write(tmp_path / "l.csv", f"{composed},a\n"), [decomposed]).tolist() == ["a"]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("empty.txt", "\n\n", "the file of labels is empty"),
        ("short.txt", "a\nb\n", "one entry for each of the 4 images, got 2"),
        ("gap.txt", "a\n\nb\na\n", "row 2 is empty"),
        ("ragged.csv", "x,1\ny\n", "row 2 has 1 columns, the first has 2"),
        ("missing.csv", "x 1.png,a\ny (1).png,b\n", "2 of 4 images have no label: a/x 2.png, b/y,2.png"),
        ("twice.csv", "x 1.png,a\nx 1.png,b\n", "'x 1.png' has two labels, 'a' and 'b'"),
        ("blank.csv", "x 1.png,a\nx 2.png,\n", "'x 2.png' has an empty label"),
        ("unclear.csv", "p,q,r\n1,2,3\n", "name them `file` and `label`"),
        ("quotes.csv", 'a,"b\n', "unexpected end"),
    ],
)
def test_files_of_labels_that_do_not_fit(tmp_path: Path, name: str, text: str, message: str) -> None:
    path = write(tmp_path / name, text)
    with pytest.raises(DataError, match=message) as raised:
        labels_for(path, NAMES)
    assert str(path) in str(raised.value)


def test_files_of_labels_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot read the labels: No such file"):
        load(IMAGES, tmp_path / "nothing.csv")
    with pytest.raises(DataError, match="not a text in UTF-8"):
        load(IMAGES, write(tmp_path / "latin.csv", "é\n" * 4, encoding="latin-1"))
    np.save(tmp_path / "objects.npy", np.array([None] * 4), allow_pickle=True)
    with pytest.raises(DataError, match="pickled Python objects"):
        load(IMAGES, tmp_path / "objects.npy")


def test_one_name_in_two_folders_needs_its_path(tmp_path: Path) -> None:
    names = ["a/1.png", "b/1.png"]
    with pytest.raises(DataError, match="some file names occur in several folders"):
        labels_for(write(tmp_path / "l.csv", "1.png,x\n"), names)
    assert labels_for(write(tmp_path / "m.csv", "a/1.png,x\nb/1.png,y\n"), names).tolist() == ["x", "y"]
