"""Stores with holes and stores that reach outside: never zeros or other people's files without a word."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from wavelens.data import load, open_source
from wavelens.exceptions import DataError
from wavelens.patterns import PatternAnalysis

N = 40
IMAGES = np.random.default_rng(0).integers(1, 255, (N, 8, 9), dtype=np.uint8)
LABELS = np.arange(N) % 2


@pytest.fixture
def h5py() -> Any:
    return pytest.importorskip("h5py")


@pytest.fixture
def zarr() -> Any:
    return pytest.importorskip("zarr")


def hdf5(path: Path, h5py: Any, written: int = 20, **options: Any) -> Path:
    with h5py.File(path, "w") as file:
        images = file.create_dataset("images", IMAGES.shape, "u1", **options)
        if written:
            images[:written] = IMAGES[:written]
        file["labels"] = LABELS
    return path


def zarr_group(path: Path, zarr: Any, zarr_format: int = 3, **options: Any) -> Path:
    group = zarr.open_group(str(path), mode="w", zarr_format=zarr_format)
    images = group.create_array("images", shape=IMAGES.shape, dtype="u1", **options)
    images[:] = IMAGES
    labels = group.create_array("labels", shape=LABELS.shape, chunks=LABELS.shape, dtype=LABELS.dtype)
    labels[:] = LABELS
    return path


def check_holes(path: Path, missing: np.ndarray[Any, Any], **options: Any) -> None:
    """Images of the rows `missing` are left out and listed wherever they are read, and no other is."""
    good = np.setdiff1d(np.arange(N), missing)
    source = open_source(path, **options)
    chunks = list(source.chunks(7))
    np.testing.assert_array_equal(np.concatenate([each.positions for each in chunks]), good)
    np.testing.assert_array_equal(np.concatenate([each.images for each in chunks]), IMAGES[good])
    assert len(source.skipped) == len(missing)
    data = load(path, **options)
    np.testing.assert_array_equal(data.images, IMAGES[good])
    assert len(data.skipped) == len(missing)
    read = open_source(path, **options).read(np.arange(0, N, 3))
    np.testing.assert_array_equal(read.positions, np.setdiff1d(np.arange(0, N, 3), missing))
    part = open_source(path, **options).part(5, 35, LABELS[5:35])()
    found = np.concatenate([each.positions for each in part.chunks(10)])
    np.testing.assert_array_equal(found + 5, good[(good >= 5) & (good < 35)])
    some = load(path, limit=15, **options)
    wanted = [int(name) for name in some.image_names]
    np.testing.assert_array_equal(some.images, IMAGES[wanted])
    assert not set(wanted) & set(missing.tolist())
    if len(missing):
        with pytest.raises(DataError, match=r"cannot be read from"):
            list(open_source(path, strict=True, **options).chunks(7))


@pytest.mark.parametrize("chunks", [(10, 8, 9), (10, 4, 3), (3, 8, 9), (1, 8, 9)])
def test_hdf5_chunks_never_written(tmp_path: Path, h5py: Any, chunks: tuple[int, ...]) -> None:
    path = hdf5(tmp_path / "x.h5", h5py, chunks=chunks)
    whole_chunks = -(-20 // chunks[0]) * chunks[0]
    source = open_source(path)
    assert sum(len(each.positions) for each in source.chunks(7)) == whole_chunks
    if whole_chunks == 20:
        check_holes(path, np.arange(20, N))


def test_hdf5_contiguous_storage_never_written(tmp_path: Path, h5py: Any) -> None:
    path = hdf5(tmp_path / "x.h5", h5py, written=0)
    with pytest.raises(DataError, match="40 files left out"):
        load(path)


def test_a_fill_value_that_was_set_is_meant(tmp_path: Path, h5py: Any) -> None:
    path = hdf5(tmp_path / "x.h5", h5py, chunks=(10, 8, 9), fillvalue=7)
    data = load(path)
    assert data.n_images == N
    assert (data.images[20:] == 7).all()


def test_missing_chunks_are_filled_if_asked(tmp_path: Path, h5py: Any, zarr: Any) -> None:
    path = hdf5(tmp_path / "x.h5", h5py, chunks=(10, 8, 9))
    store = zarr_group(tmp_path / "x.zarr", zarr, chunks=(10, 8, 9))
    shutil.rmtree(store / "images" / "c" / "2")
    for each, first in ((path, 20), (store, 20)):
        data = load(each, fill_missing=True)
        assert data.n_images == N
        assert not data.images[first : first + 10].any()
        np.testing.assert_array_equal(data.images[:20], IMAGES[:20])


@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize("chunks", [(10, 8, 9), (10, 4, 3)])
def test_zarr_with_a_lost_chunk(tmp_path: Path, zarr: Any, zarr_format: int, chunks: tuple[int, ...]) -> None:
    path = zarr_group(tmp_path / "x.zarr", zarr, zarr_format, chunks=chunks)
    check_holes(path, np.array([], dtype=np.intp))
    (path / "images" / ("c/1/0/0" if zarr_format == 3 else "1.0.0")).unlink()
    check_holes(path, np.arange(10, 20))


def test_zarr_with_a_lost_shard(tmp_path: Path, zarr: Any) -> None:
    path = zarr_group(tmp_path / "x.zarr", zarr, chunks=(5, 8, 9), shards=(20, 8, 9))
    (path / "images" / "c" / "0" / "0" / "0").unlink()
    check_holes(path, np.arange(20))


def test_a_chunk_that_is_lost_after_opening(tmp_path: Path, zarr: Any) -> None:
    path = zarr_group(tmp_path / "x.zarr", zarr, chunks=(10, 8, 9))
    source = open_source(path)
    (path / "images" / "c" / "3" / "0" / "0").unlink()
    assert sum(len(each.positions) for each in source.chunks(7)) == 30
    assert len(source.skipped) == 10


def test_holes_in_labels_are_an_error(tmp_path: Path, zarr: Any, h5py: Any) -> None:
    path = zarr_group(tmp_path / "x.zarr", zarr, chunks=(10, 8, 9))
    shutil.rmtree(path / "labels" / "c")
    with pytest.raises(DataError, match="'labels' lacks 40 entries"):
        load(path)
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["images"] = IMAGES
        file.create_dataset("labels", (N,), "i8", chunks=(10,))[:20] = LABELS[:20]
    with pytest.raises(DataError, match="'labels' lacks 20 entries"):
        load(tmp_path / "x.h5")


def test_a_fit_out_of_core_leaves_holes_out(tmp_path: Path, h5py: Any) -> None:
    path = hdf5(tmp_path / "x.h5", h5py, chunks=(10, 8, 9), written=30)
    whole = tmp_path / "whole.npz"
    np.savez(whole, images=IMAGES[:30], labels=LABELS[:30])
    options: dict[str, Any] = {"n_coefficients": 8, "pivoting": "sketch"}
    found = PatternAnalysis(**options).fit(path, work_dir=tmp_path / "work", chunk_size=16)
    want = PatternAnalysis(**options).fit(whole)
    np.testing.assert_allclose(found.sigma_, want.sigma_, rtol=1e-9)


def virtual(path: Path, h5py: Any, sources: list[tuple[str, int, int]], **options: Any) -> Path:
    """Put images first to last of the files together, each of which holds them as `part`."""
    layout = h5py.VirtualLayout(IMAGES.shape, "u1")
    for name, first, last in sources:
        layout[first:last] = h5py.VirtualSource(name, "part", (last - first, 8, 9))
    with h5py.File(path, "w") as file:
        file.create_virtual_dataset("images", layout, **options)
        file["labels"] = LABELS
    return path


def test_virtual_datasets(tmp_path: Path, h5py: Any) -> None:
    for name, first in (("a.h5", 0), ("b.h5", 20)):
        with h5py.File(tmp_path / name, "w") as file:
            file["part"] = IMAGES[first : first + 20]
    path = virtual(tmp_path / "x.h5", h5py, [("a.h5", 0, 20), ("b.h5", 20, 40)])
    with pytest.raises(DataError, match=r"'images' reads other files .*a\.h5, b\.h5.*trust_external"):
        open_source(path)
    check_holes(path, np.array([], dtype=np.intp), trust_external=True)
    (tmp_path / "b.h5").unlink()
    check_holes(path, np.arange(20, 40), trust_external=True)
    with h5py.File(tmp_path / "b.h5", "w") as file:
        file.create_dataset("part", (20, 8, 9), "u1", chunks=(5, 8, 9))[:10] = IMAGES[20:30]
    check_holes(path, np.arange(20, 40), trust_external=True)
    uncovered = virtual(tmp_path / "y.h5", h5py, [("a.h5", 0, 20)])
    check_holes(uncovered, np.arange(20, 40), trust_external=True)
    meant = virtual(tmp_path / "z.h5", h5py, [("a.h5", 0, 20)], fillvalue=3)
    assert load(meant, trust_external=True).n_images == N


def test_a_virtual_dataset_of_its_own_file_needs_no_trust(tmp_path: Path, h5py: Any) -> None:
    layout = h5py.VirtualLayout(IMAGES.shape, "u1")
    for first in (0, 20):
        layout[first : first + 20] = h5py.VirtualSource(".", f"part{first}", (20, 8, 9))
    with h5py.File(tmp_path / "x.h5", "w") as file:
        for first in (0, 20):
            file[f"part{first}"] = IMAGES[first : first + 20]
        file.create_virtual_dataset("images", layout)
        file["labels"] = LABELS
    check_holes(tmp_path / "x.h5", np.array([], dtype=np.intp))
    (tmp_path / "secret.bin").write_bytes(IMAGES.tobytes())
    with h5py.File(tmp_path / "x.h5", "a") as file:
        del file["part20"]
        secret = [(str(tmp_path / "secret.bin"), 0, 20 * 72)]
        file.create_dataset("part20", (20, 8, 9), "u1", external=secret)
    with pytest.raises(DataError, match=r"secret\.bin"):
        open_source(tmp_path / "x.h5")


def test_external_storage(tmp_path: Path, h5py: Any) -> None:
    secret = tmp_path / "secret.bin"
    secret.write_bytes(IMAGES.tobytes())
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file.create_dataset("images", IMAGES.shape, "u1", external=[(str(secret), 0, IMAGES.nbytes)])
        file["labels"] = LABELS
    with pytest.raises(DataError, match=r"'images' reads other files .*secret\.bin.*trust_external"):
        load(tmp_path / "x.h5")
    check_holes(tmp_path / "x.h5", np.array([], dtype=np.intp), trust_external=True)
    secret.write_bytes(IMAGES[:25].tobytes())
    check_holes(tmp_path / "x.h5", np.arange(25, N), trust_external=True)


@pytest.mark.parametrize("how", ["link", "soft link", "group"])
def test_external_links(tmp_path: Path, h5py: Any, how: str) -> None:
    with h5py.File(tmp_path / "inner.h5", "w") as file:
        file["group/secret"] = IMAGES
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["labels"] = LABELS
        if how == "link":
            file["images"] = h5py.ExternalLink("inner.h5", "group/secret")
        else:
            file["there"] = h5py.ExternalLink("inner.h5", "group")
            file["images"] = h5py.SoftLink("/there/secret")
    key = "there/secret" if how == "group" else None
    if how == "group":
        with pytest.raises(DataError, match=r"no array 'there/secret'.*there \(an external link\)"):
            load(tmp_path / "x.h5", key=key)
    else:
        with pytest.raises(DataError, match=r"'images' reads other files .*inner\.h5.*trust_external"):
            load(tmp_path / "x.h5", key=key)
    data = load(tmp_path / "x.h5", key=key, trust_external=True)
    np.testing.assert_array_equal(data.images, IMAGES)
    (tmp_path / "inner.h5").unlink()
    with pytest.raises(DataError, match=r"x\.h5"):
        load(tmp_path / "x.h5", key=key, trust_external=True)


def test_external_labels_are_refused_and_not_passed_over(tmp_path: Path, h5py: Any) -> None:
    np.testing.assert_array_equal(LABELS[:2], [0, 1])
    with h5py.File(tmp_path / "inner.h5", "w") as file:
        file["labels"] = LABELS
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["images"] = IMAGES
        file["labels"] = h5py.ExternalLink("inner.h5", "labels")
    with pytest.raises(DataError, match=r"'labels' reads other files .*inner\.h5"):
        open_source(tmp_path / "x.h5")
    assert load(tmp_path / "x.h5", trust_external=True).n_images == N


def test_soft_links_within_the_file_are_followed(tmp_path: Path, h5py: Any) -> None:
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["group/one"] = IMAGES
        file["images"] = h5py.SoftLink("/group/one")
        file["group/up"] = h5py.SoftLink("/group")
        file["labels"] = LABELS
    np.testing.assert_array_equal(load(tmp_path / "x.h5").images, IMAGES)


@pytest.mark.parametrize("what", ["chunk", "folder"])
def test_links_out_of_a_zarr_store(tmp_path: Path, zarr: Any, what: str) -> None:
    path = zarr_group(tmp_path / "x.zarr", zarr, chunks=(10, 8, 9))
    inside = path / "images" / "c" / "1" / ("0/0" if what == "chunk" else "")
    outside = tmp_path / "elsewhere"
    shutil.move(inside, outside)
    os.symlink(outside, inside)
    with pytest.raises(DataError, match=r"symbolic links: .*elsewhere.*trust_external"):
        load(path)
    check_holes(path, np.array([], dtype=np.intp), trust_external=True)


class Marker:
    """Writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.write_text, (self.path, "code ran")


@pytest.mark.parametrize("where", ["filters", "compressor", "codecs", "objects"])
def test_no_codec_of_a_zarr_store_runs_code(tmp_path: Path, zarr: Any, where: str) -> None:
    marker = tmp_path / "marker"
    path = zarr_group(tmp_path / "x.zarr", zarr, 3 if where == "codecs" else 2, chunks=(10, 8, 9))
    about = path / "images" / ("zarr.json" if where == "codecs" else ".zarray")
    content = json.loads(about.read_text())
    if where == "codecs":
        content["codecs"] = [{"name": "numcodecs.pickle", "configuration": {}}]
    elif where == "compressor":
        content["compressor"] = {"id": "pickle", "protocol": 5}
    else:
        content |= {"filters": [{"id": "pickle", "protocol": 5}], "compressor": None}
        content["dtype"] = "|O" if where == "objects" else content["dtype"]
    about.write_text(json.dumps(content))
    for each in (path / "images").rglob("*"):
        if each.is_file() and each != about:
            each.write_bytes(pickle.dumps(Marker(marker)))
    with pytest.raises(DataError, match="Python objects"):
        load(path)
    assert not marker.exists()


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_texts_in_a_zarr_store_are_read(tmp_path: Path, zarr: Any, zarr_format: int) -> None:
    path = zarr_group(tmp_path / "x.zarr", zarr, zarr_format, chunks=(10, 8, 9))
    group = zarr.open_group(str(path), mode="a")
    names = group.create_array("class_names", shape=(2,), dtype=str)
    names[:] = np.array(["cat", "dog"])
    assert load(path).class_names == ("cat", "dog")


def test_damaged_metadata_becomes_a_sentence(tmp_path: Path, zarr: Any) -> None:
    path = zarr_group(tmp_path / "x.zarr", zarr, chunks=(10, 8, 9))
    for text in ("", "{", "[" * 100_000, "1e999", '{"zarr_format": 7}'):
        (path / "images" / "zarr.json").write_text(text)
        with pytest.raises(DataError, match=r"x\.zarr"):
            load(path)


@pytest.mark.parametrize("size", [0, 3, 2**31])
def test_hdf5_chunks_of_impossible_sizes_are_never_read(tmp_path: Path, h5py: Any, size: int) -> None:
    """HDF5 itself crashes on a chunk with a checksum and no bytes."""
    path = hdf5(tmp_path / "x.h5", h5py, written=N, chunks=(10, 8, 9), fletcher32=True)
    content = bytearray(path.read_bytes())
    # The key of the chunk of the images 10 to 19 in the index: stored bytes, filters left out, offsets.
    key = struct.pack("<IIQQQQ", 724, 0, 10, 0, 0, 0)
    assert content.count(key) == 1
    content[content.find(key) : content.find(key) + 4] = struct.pack("<I", size)
    path.write_bytes(content)
    check_holes(path, np.arange(10, 20))
    check_holes(path, np.arange(10, 20), fill_missing=True)


def test_an_array_that_is_no_images_becomes_a_sentence(tmp_path: Path, h5py: Any) -> None:
    for name, value in (("a.h5", 5), ("b.h5", [1, 2]), ("c.h5", h5py.Empty("f4"))):
        with h5py.File(tmp_path / name, "w") as file:
            file["images"] = value
        with pytest.raises(DataError, match=name):
            load(tmp_path / name)
