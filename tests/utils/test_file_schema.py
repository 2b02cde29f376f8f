"""The schema of a file refuses what could not have been written, and names the file, the array and the value."""

from __future__ import annotations

import io
import json
import re
import zipfile

import numpy as np
import pytest
from explained import digit_paths

from wavelens._utils._archive import read_archive, write_archive
from wavelens._utils._file_schema import (
    AnyOf,
    Booleans,
    Flag,
    Floats,
    Indices,
    Integer,
    Labels,
    ListOf,
    Real,
    Record,
    Text,
    check_arrays,
    check_header,
)
from wavelens.exceptions import DataError
from wavelens.explain import Explanations
from wavelens.hierarchy import MMF, ClassHierarchy, mmf
from wavelens.patterns import PatternAnalysis

NAN, INF = np.nan, np.inf


@pytest.mark.parametrize(
    ("expected", "values", "token"),
    [
        (Floats(("n",)), [0.0, NAN], "nan at position 1"),
        (Floats(("n",)), [INF], "inf"),
        (Floats(("n",), low=0), [1.0, -0.5], "-0.5"),
        (Floats(("n",), above=0), [0.0], "0.0"),
        (Floats(("n",), high=1), [2.0], "2.0"),
        (Floats(("n",), ascending=True), [1.0, 3.0, 2.0], "2.0 at position 2"),
        (Floats(("n",)), [1, 2], "int64"),
        (Floats(("n", 2)), [[1.0, 2.0, 3.0]], "(1, 3)"),
        (Floats(("n",)), np.ones(2, "f2"), "float16"),
        (Indices(("n",), below="m"), [0, 5], "5 at position 1"),
        (Indices(("n",), below="m"), [-1], "-1"),
        (Indices(("n",), below=3, distinct=True), [1, 1], "twice"),
        (Indices(("n",), ascending=True), [2, 1], "ascending"),
        (Indices(("n",)), np.array([2**63], np.uint64), "2**63"),
        (Indices(("n",)), [1.0], "float64"),
        (Booleans(("n",)), np.array([2], np.uint8).view(bool), "True and False"),
        (Labels(("n",)), [1.0, NAN], "nan"),
        (Labels(("n",), ascending=True), ["b", "a"], "sorted"),
        (Labels(("n",), text=True), [1, 2], "int64"),
        (Labels(("m",)), ["a"], "m = 5"),
    ],
)
def test_arrays_that_are_refused(expected, values, token):
    with pytest.raises(DataError, match=r"f\.npz") as caught:
        check_arrays({"a": np.asarray(values)}, {"a": expected}, "f.npz", {"m": 5})
    assert "'a'" in str(caught.value)
    assert token in str(caught.value)


def test_arrays_that_are_accepted_come_native_and_in_their_dtype():
    schema = {
        "x": Floats(("n", "k"), dtype=np.float64),
        "i": Indices(("n",), below="k"),
        "names": Labels(("n",), ascending=True),
        "rest": Floats(("n", "*more"), optional=True, nan=True),
        "missing": Floats(("n",), optional=True),
    }
    arrays = {
        "x": np.ones((2, 3), ">f4"),
        "i": np.array([0, 2], np.uint8),
        "names": np.array(["a", "b"]),
        "rest": np.full((2, 1, 4), NAN),
        "unknown": np.ones(9),
    }
    found, sizes = check_arrays(arrays, schema, "f.npz")
    assert sizes == {"n": 2, "k": 3}
    assert list(found) == ["x", "i", "names", "rest"]
    assert found["x"].dtype == np.dtype(np.float64)
    assert found["x"].dtype.isnative
    assert found["i"].dtype == np.intp


def test_large_arrays_are_checked_to_their_end():
    values = np.zeros((300_000, 10))
    values[-1, -1] = NAN
    with pytest.raises(DataError, match=re.escape("(299999, 9)")):
        check_arrays({"a": values}, {"a": Floats(("n", "k"))}, "f.npz")


@pytest.mark.parametrize(
    ("expected", "value"),
    [
        (Text(), 1),
        (Text(choices=("a",)), "b"),
        (Text(), None),
        (Integer(), 1.0),
        (Integer(), True),
        (Integer(low=1), 0),
        (Integer(), 2**70),
        (Real(), "1"),
        (Real(), NAN),
        (Real(), True),
        (Real(low=0), -1),
        (Real(), 10**400),
        (Flag(), 1),
        (ListOf(item=Integer()), [1, "a"]),
        (ListOf(item=Integer(), length=2), [1]),
        (ListOf(item=Integer()), {}),
        (Record(fields={"x": Integer()}), {}),
        (Record(fields={"x": Integer()}), {"x": "1"}),
        (AnyOf(options=(Integer(), Text())), []),
    ],
)
def test_headers_that_are_refused(expected, value):
    with pytest.raises(DataError, match=r"f\.npz.*'entry'"):
        check_header({"entry": value}, {"entry": expected}, "f.npz")


def test_headers_that_are_accepted():
    header = {"n": 3, "x": 2, "none": None, "list": [1, 2], "other": "as it is"}
    schema = {
        "n": Integer(low=1),
        "x": Real(),
        "none": Text(nullable=True),
        "list": ListOf(item=Integer()),
        "absent": Flag(optional=True),
    }
    assert check_header(header, schema, "f.npz") == header
    with pytest.raises(DataError, match="table"):
        check_header([1], schema, "f.npz")


# Archives

ARRAYS = {
    "a": np.arange(6.0).reshape(2, 3),
    "b": np.array(["x", "yy"]),
    "c": np.asfortranarray(np.eye(3)),
    "d": np.empty(0),
}


def rewritten(path, change):
    """Write the members of an archive again, after a change, with valid checksums."""
    with zipfile.ZipFile(path) as archive:
        members = {each: archive.read(each) for each in archive.namelist()}
    change(members)
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)


def test_archives_come_back(tmp_path):
    write_archive(tmp_path / "f.npz", "kind", 1, {"x": np.int64(3)}, ARRAYS)
    header, arrays = read_archive(tmp_path / "f.npz", "kind", 1, "test")
    assert header["x"] == 3
    assert arrays.keys() == ARRAYS.keys()
    for name, each in ARRAYS.items():
        assert arrays[name].dtype == each.dtype
        assert np.array_equal(arrays[name], each)
    assert arrays["c"].flags.f_contiguous


def test_claimed_sizes_are_refused_before_memory_is_taken(tmp_path, monkeypatch):
    path = tmp_path / "f.npz"
    write_archive(path, "kind", 1, {}, ARRAYS)

    def claim(members):
        members["a.npy"] = members["a.npy"].replace(b"(2, 3), }" + b" " * 15, b"(99999999999, 3), }     ")

    rewritten(path, claim)
    monkeypatch.setattr(np, "empty", lambda *_: pytest.fail("memory was taken"))
    with pytest.raises(DataError, match=r"f\.npz.*a\.npy"):
        read_archive(path, "kind", 1, "test")


def test_compressed_arrays_are_refused(tmp_path):
    header = np.array(json.dumps({"format": "kind", "format_version": 1}))
    np.savez_compressed(tmp_path / "bomb.npz", header=header, zeros=np.zeros(10_000_000))
    assert (tmp_path / "bomb.npz").stat().st_size < 100_000
    with pytest.raises(DataError, match=r"bomb\.npz"):
        read_archive(tmp_path / "bomb.npz", "kind", 1, "test")


def test_members_that_share_their_bytes_are_refused(tmp_path):
    """Many entries of the table of contents that point at one member would take more memory than the file has."""
    write_archive(tmp_path / "f.npz", "kind", 1, {}, {"a": np.zeros(5000)})
    data = (tmp_path / "f.npz").read_bytes()
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        infos = archive.infolist()
    with zipfile.ZipFile(tmp_path / "f.npz", "a") as archive:
        member = next(each for each in infos if each.filename == "a.npy")
        for i in range(20):
            copy = zipfile.ZipInfo(f"a{i:03}.npy"[:5])
            for name in ("header_offset", "file_size", "compress_size", "CRC", "extra"):
                setattr(copy, name, getattr(member, name))
            copy.filename = copy.orig_filename = f"a{i:03}.npy"
            archive.filelist.append(copy)
            archive.NameToInfo[copy.filename] = copy
        archive._didModify = True
    with pytest.raises(DataError, match=r"f\.npz"):
        read_archive(tmp_path / "f.npz", "kind", 1, "test")


# What each class refuses


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder, rng = tmp_path_factory.mktemp("files"), np.random.default_rng(0)
    images = rng.random((12, 8, 8))
    PatternAnalysis(n_coefficients=5, progress=False).fit(images, np.arange(12) % 2).save(
        folder / "analysis.npz"
    )
    mmf(np.cov(rng.random((7, 30))), 3).save(folder / "mmf.npz")
    ClassHierarchy(order=2).fit(rng.random((20, 6)), np.arange(20) % 4).save(folder / "hierarchy.npz")
    digit_paths(2)[0].explanations[0].save(folder / "explanations.npz")
    return folder


LOADERS = {
    "analysis": PatternAnalysis.load,
    "mmf": MMF.load,
    "hierarchy": ClassHierarchy.load,
    "explanations": Explanations.load,
}
# Labels of classes and targets of other models may be any number.
UNBOUNDED = {
    ("analysis", "classes"),
    ("hierarchy", "classes"),
    ("explanations", "targets"),
    ("explanations", "n_evaluations"),
}
UNKNOWN_ALLOWED = {"residuals", "residual_errors", "history"}


@pytest.mark.parametrize("kind", LOADERS)
def test_every_index_is_checked(files, tmp_path, kind):
    """Read an index beyond its array and the engine would read, or write, other memory."""
    with np.load(files / f"{kind}.npz") as archive:
        arrays = dict(archive)
    checked = 0
    for name, array in arrays.items():
        if array.dtype.kind not in "iu" or (kind, name) in UNBOUNDED:
            continue
        for at in {0, array.size - 1}:
            for value in (-(2**40), -7, 2**40, 10_000_000):
                if name == "counts" and value > 0:
                    continue  # of images, of which there may be many
                changed = array.copy()
                changed.reshape(-1)[at] = value
                np.savez(tmp_path / "changed.npz", **arrays | {name: changed})
                with pytest.raises(DataError, match=r"changed\.npz"):
                    LOADERS[kind](tmp_path / "changed.npz")
                checked += 1
    assert checked >= (0 if kind == "explanations" else 4)


@pytest.mark.parametrize("kind", LOADERS)
@pytest.mark.parametrize("value", [NAN, INF, -INF])
def test_every_number_is_finite(files, tmp_path, kind, value):
    with np.load(files / f"{kind}.npz") as archive:
        arrays = dict(archive)
    checked = 0
    for name, array in arrays.items():
        if array.dtype.kind != "f" or not array.size or (np.isnan(value) and name in UNKNOWN_ALLOWED):
            continue
        changed = array.copy()
        changed.reshape(-1)[array.size // 2] = value
        np.savez(tmp_path / "changed.npz", **arrays | {name: changed})
        with pytest.raises(DataError, match=rf"changed\.npz.*{name.removeprefix('mmf_')}"):
            LOADERS[kind](tmp_path / "changed.npz")
        checked += 1
    assert checked >= 1


@pytest.mark.parametrize("kind", LOADERS)
def test_every_array_must_be_there_and_of_its_shape(files, tmp_path, kind):
    with np.load(files / f"{kind}.npz") as archive:
        arrays = dict(archive)
    optional = {"class_ranks", "class_pictures", "matrix"}
    for name, array in arrays.items():
        if name == "header":
            continue
        for change in (array[:-1] if len(array) else np.ones(3, array.dtype), array[None]):
            np.savez(tmp_path / "changed.npz", **arrays | {name: change})
            with pytest.raises(DataError, match=r"changed\.npz"):
                LOADERS[kind](tmp_path / "changed.npz")
        if name in optional:
            continue
        np.savez(tmp_path / "changed.npz", **{key: each for key, each in arrays.items() if key != name})
        with pytest.raises(DataError, match=rf"changed\.npz.*{name.removeprefix('mmf_')}"):
            LOADERS[kind](tmp_path / "changed.npz")
