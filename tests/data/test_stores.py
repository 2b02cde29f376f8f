from __future__ import annotations

import numpy as np
import pytest

from wavelens.data import load, open_source
from wavelens.exceptions import DataError
from wavelens.patterns import PatternAnalysis


@pytest.fixture
def data():
    rng = np.random.default_rng(0)
    return rng.integers(0, 255, (40, 8, 9, 3), dtype=np.uint8), np.arange(40) % 2


def write(kind, path, images, labels):
    if kind == "zarr":
        zarr = pytest.importorskip("zarr")
        group = zarr.open_group(str(path), mode="w")
        group.create_array("images", data=images, chunks=(10, *images.shape[1:]))
        group.create_array("labels", data=labels)
    else:
        h5py = pytest.importorskip("h5py")
        with h5py.File(path, "w") as file:
            file.create_dataset("images", data=images, chunks=(10, *images.shape[1:]), compression="gzip")
            file["labels"] = labels
    return path


@pytest.mark.parametrize("kind", ["zarr", "h5"])
def test_read_in_chunks(data, tmp_path, kind):
    path = write(kind, tmp_path / f"x.{kind}", *data)
    source = open_source(path)
    assert (source.n_images, source.image_shape, source.decodes) == (40, (8, 9, 3), True)
    found = np.concatenate([chunk.images for chunk in source.chunks(7)])
    np.testing.assert_array_equal(found, data[0])
    np.testing.assert_array_equal(load(path).images, data[0])
    np.testing.assert_array_equal(source.read(np.array([2, 39])).images, data[0][[2, 39]])
    assert open_source(path, limit=3).n_images == 6
    assert load(path, color="grey", size=(4, 4)).images.shape == (40, 4, 4)
    assert source.fingerprint() == open_source(path).fingerprint()
    with pytest.raises(DataError, match="no array 'other'"):
        open_source(path, key="other")


@pytest.mark.parametrize("kind", ["zarr", "h5"])
def test_fitted_out_of_core(data, tmp_path, kind):
    path = write(kind, tmp_path / f"x.{kind}", *data)
    found = PatternAnalysis(n_coefficients=8).fit(path, work_dir=tmp_path / "work", chunk_size=16)
    want = PatternAnalysis(n_coefficients=8, pivoting="sketch").fit(path)
    np.testing.assert_allclose(found.sigma_, want.sigma_, rtol=1e-9)


def test_parts_that_cannot_be_read_are_left_out_or_refused(data, tmp_path):
    path = write("h5", tmp_path / "x.h5", *data)
    content = bytearray(path.read_bytes())
    h5py = pytest.importorskip("h5py")
    with h5py.File(path) as file:
        damaged = file["images"].id.get_chunk_info(2)
    content[damaged.byte_offset : damaged.byte_offset + damaged.size] = bytes(damaged.size)
    path.write_bytes(content)
    source = open_source(path)
    positions = np.concatenate([chunk.positions for chunk in source.chunks(16)])
    np.testing.assert_array_equal(positions, np.delete(np.arange(40), np.s_[20:30]))
    assert len(source.skipped) == 10
    with pytest.raises(DataError, match="cannot be read from"):
        list(open_source(path, strict=True).chunks(16))


@pytest.mark.parametrize("name", ["x.h5", "x.zarr"])
def test_what_is_no_store_is_refused(tmp_path, name):
    if name.endswith("h5"):
        (tmp_path / name).write_bytes(b"nothing")
    else:
        (tmp_path / name).mkdir()
    with pytest.raises(DataError, match=r"cannot be read by|needs (zarr|h5py)|it holds nothing"):
        open_source(tmp_path / name)
