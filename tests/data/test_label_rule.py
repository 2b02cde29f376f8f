"""One rule for labels wherever they enter: different labels stay different, or are refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wavelens._utils._labels import as_labels, join_labels
from wavelens.data import load, open_source
from wavelens.data._labels import encode_labels
from wavelens.exceptions import DataError
from wavelens.hierarchy import ClassMeans
from wavelens.linalg import median_bandwidth
from wavelens.patterns import PatternAnalysis

N = 30
WHICH = np.arange(N) % 3
IMAGES = np.random.default_rng(0).random((N, 6, 6))
ROWS = IMAGES.reshape(N, -1)


def counted_by_load(labels: Any) -> int:
    return len(load(IMAGES, labels).class_names)


def counted_by_fit(labels: Any) -> int:
    return len(PatternAnalysis(n_coefficients=3, progress=False).fit(IMAGES, labels).classes_)


def counted_by_hierarchy(labels: Any) -> int:
    return len(ClassMeans().partial_fit(ROWS, labels).classes)


def counted_by_linalg(labels: Any) -> int:
    return len(median_bandwidth(ROWS, labels))


WAYS = (counted_by_load, counted_by_fit, counted_by_hierarchy, counted_by_linalg)


def spread(*values: Any, dtype: Any = None) -> Any:
    """Give each of three labels to ten images, as a list or as an array of a dtype."""
    if dtype is None:
        return [values[i] for i in WHICH]
    return np.array(values, dtype=dtype)[WHICH]


@pytest.mark.parametrize("count", WAYS)
@pytest.mark.parametrize(
    "labels",
    [
        pytest.param(spread(2**63, 2**63 + 1, 5, dtype="u8"), id="uint64"),
        pytest.param(spread(2**63, 2**63 + 1, 5), id="list of large integers"),
        pytest.param(spread(2**53, 2**53 + 1, -(2**53)), id="list of integers that floats merge"),
        pytest.param(spread("1", "1.0", "01"), id="strings of numbers"),
        pytest.param(spread("a", "A", "a "), id="strings that look alike"),
        pytest.param(spread("é", "e\u0301", "e"), id="composed and decomposed"),
        pytest.param(spread(b"1", b"2", b"\xc3\xa9"), id="bytes"),
        pytest.param(spread(1.0, 2.0, 2.0**53), id="floats"),
        pytest.param(spread(1, 2, 3, dtype=np.longdouble), id="longdouble"),
        pytest.param(spread(1, 2.0, 3), id="integers and floats"),
        pytest.param([[each] for each in spread(1, 2, 3)], id="a column"),
    ],
)
def test_different_labels_stay_different(count: Any, labels: Any) -> None:
    assert count(labels) == 3


@pytest.mark.parametrize("count", WAYS)
@pytest.mark.parametrize(
    ("labels", "named"),
    [
        pytest.param(spread(1, "1", "b"), "position", id="1 and '1' in a list"),
        pytest.param(spread(1, "1", "b", dtype=object), "position", id="1 and '1' in objects"),
        pytest.param(spread(True, 1, 0), "position", id="True and 1 in a list"),
        pytest.param(spread(True, 1, 0, dtype=object), "position", id="True and 1 in objects"),
        pytest.param(spread("a", b"a", "b", dtype=object), "position", id="strings and bytes"),
        pytest.param(spread("a", "b", None), "None at position 2", id="None"),
        pytest.param(spread("a", "b", np.nan, dtype=object), "position", id="NaN among strings"),
        pytest.param(np.ma.masked_array(WHICH, mask=WHICH == 2), "masked", id="masked"),
        pytest.param(spread(2**64, 2**64 + 1, 0), "position", id="beyond 64 bits"),
        pytest.param(spread(2**64, 1, 0, dtype=object), "position", id="beyond 64 bits in objects"),
        pytest.param(spread(-1, 2**63, 0), "position", id="of no one dtype"),
        pytest.param(spread(10**5000, 1, 0), "position", id="thousands of digits"),
        pytest.param(spread(2**53 + 1, 0.5, 1), "position", id="an integer that is no float"),
        pytest.param(spread(b"", b"a", b"b"), "position 0 is empty", id="empty bytes"),
        pytest.param(spread("", "a", "b"), "position 0 is empty", id="an empty string"),
        pytest.param(spread("a", "a\0", "b"), "position 1", id="a string with a final NUL"),
        pytest.param(
            spread(np.longdouble(2**53), np.longdouble(2**53) + 1, 0, dtype=np.longdouble),
            "position 1",
            id="longdouble",
            marks=pytest.mark.skipif(np.finfo(np.longdouble).nmant <= 52, reason="no wider than float64"),
        ),
        pytest.param(spread(np.inf, 1, 0), "position 0", id="infinity"),
        pytest.param(spread(1j, 2, 3), "position 0", id="complex"),
        pytest.param(spread({}, 2, 3), "position 0", id="others"),
    ],
)
def test_what_would_merge_or_change_is_refused(count: Any, labels: Any, named: str) -> None:
    with pytest.raises((TypeError, ValueError), match=named):
        count(labels)


@pytest.mark.parametrize("count", WAYS)
def test_large_floats_never_merge(count: Any) -> None:
    labels = spread(1e19, 1e20, 0.0)
    if count is counted_by_load:
        with pytest.raises(ValueError, match=r"2\*\*53"):
            count(labels)
    else:
        assert count(labels) == 3


values = st.one_of(
    st.booleans(),
    st.integers(-(2**65), 2**65),
    st.floats(),
    st.text(max_size=3),
    st.binary(max_size=3),
    st.none(),
)


@settings(deadline=None)
@given(st.lists(values, min_size=1, max_size=6), st.booleans())
def test_labels_keep_their_values_or_are_refused(entries: list[Any], as_objects: bool) -> None:
    labels: Any = entries
    if as_objects:
        labels = np.empty(len(entries), dtype=object)
        labels[:] = entries
    try:
        found = as_labels(labels, len(entries))
    except (TypeError, ValueError):
        return
    assert found.tolist() == entries
    assert {type(each) for each in entries} <= {int, float} or len({type(each) for each in entries}) == 1


def test_parts_are_joined_exactly() -> None:
    joined = join_labels([np.array([2**63 + 1], "u8"), np.array([5])])
    assert joined.tolist() == [2**63 + 1, 5]
    with pytest.raises(TypeError):
        join_labels([np.array([1]), np.array(["1"])])
    with pytest.raises(ValueError, match="64 bits"):
        join_labels([np.array([2**63], "u8"), np.array([-5])])


def test_splits_with_labels_of_two_kinds_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    np.savez(path, x_train=IMAGES, x_test=IMAGES, y_train=WHICH, y_test=WHICH.astype(str))
    assert load(path, split="test").n_images == N
    with pytest.raises(DataError, match="one kind"):
        load(path, split="all")


def test_names_that_are_made_distinct_are_distinct() -> None:
    codes, names, _ = encode_labels(np.array([0, 1, 2, 3]), ["a", "a", "a (0)", "a (4)"])
    assert len(set(names)) == 4
    assert [names[code][:1] for code in codes] == ["a"] * 4


def test_folders_whose_names_are_not_utf8_stay_apart(tmp_path: Path) -> None:
    from PIL import Image

    for name in (b"\xff", b"\xfe", b"\xef\xbf\xbd"):
        folder = Path(str(tmp_path) + "/" + name.decode("utf-8", "surrogateescape"))
        folder.mkdir()
        for i in range(2):
            Image.fromarray((IMAGES[i] * 255).astype(np.uint8)).save(folder / f"{i}.png")
    source = open_source(tmp_path)
    assert len(set(source.class_names)) == 3
    assert len(set(source.image_names)) == 6
    for name in source.class_names:
        name.encode("utf-8")


@pytest.mark.parametrize("value", [2**63, 2**70, -(2**70), 10**30])
def test_large_numbers_in_files_stay_apart(tmp_path: Path, value: int) -> None:
    path = tmp_path / "labels.txt"
    path.write_text("".join(f"{value + i % 2}\n" for i in range(N)))
    assert load(IMAGES, path).class_names == tuple(sorted((str(value), str(value + 1))))
