"""Sizes and checksums of ``.npy`` and ``.npz`` files: a wrong byte is an error however it is read."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from wavelens.data import _npz_archive as archives
from wavelens.data import load, open_source
from wavelens.exceptions import DataError
from wavelens.models import load_features

IMAGES = np.random.default_rng(0).integers(0, 256, (60, 16, 16), dtype=np.uint8)
LABELS = np.arange(60) % 2


def flip(path: Path, values: bytes, within: int) -> None:
    content = bytearray(path.read_bytes())
    content[content.find(values) + within] ^= 0x80
    path.write_bytes(content)


def npy(array: np.ndarray[Any, Any], shape: tuple[int, ...]) -> bytes:
    file = io.BytesIO()
    header = {"descr": array.dtype.str, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)
    return file.getvalue() + array.tobytes()


@pytest.fixture(params=[False, True], ids=["at once", "while streaming"])
def streamed(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    if request.param:
        monkeypatch.setattr(archives, "VERIFIED_AT_ONCE", 1000)
    return bool(request.param)


def used(how: str, path: Path) -> Any:
    if how == "load":
        return load(path)
    if how == "resized":
        return load(path, size=4)
    source = open_source(path, limit=20 if how == "limit" else None)
    if how == "read":
        return source.read(np.array([0, 59]))
    if how == "part":
        return source.part(0, 2, LABELS[:2])()
    return list(source.chunks(7, 3 if how == "later" else 0))


@pytest.mark.parametrize("how", ["load", "resized", "read", "part", "chunks", "later", "limit"])
@pytest.mark.parametrize("within", [5, 59 * 256])
@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_a_flipped_byte_is_never_silent(
    tmp_path: Path, streamed: bool, how: str, within: int, save: Any
) -> None:
    path = tmp_path / "set.npz"
    save(path, images=IMAGES, labels=LABELS)
    used(how, path)
    if save is np.savez:
        flip(path, IMAGES.tobytes(), within)
    else:
        with zipfile.ZipFile(path) as archive:
            member = archive.getinfo("images.npy")
        content = bytearray(path.read_bytes())
        content[member.header_offset + member.compress_size // 2] ^= 0x80
        path.write_bytes(content)
    with pytest.raises(DataError, match="images"):
        used(how, path)


def test_no_chunk_of_a_pass_that_failed_is_the_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "VERIFIED_AT_ONCE", 1000)
    path = tmp_path / "set.npz"
    np.savez(path, images=IMAGES, labels=LABELS)
    flip(path, IMAGES.tobytes(), 100)
    seen: list[int] = []
    with pytest.raises(DataError, match="'images' is damaged"):
        seen.extend(len(chunk.positions) for chunk in open_source(path).chunks(16))
    assert sum(seen) == 48


def test_the_file_is_read_once_in_a_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "set.npz"
    np.savez(path, images=IMAGES, labels=LABELS)
    sums: list[int] = []
    real = archives.zlib.crc32
    monkeypatch.setattr(archives.zlib, "crc32", lambda *given: (sums.append(1), real(*given))[1])
    load(path)
    count = len(sums)
    assert count > 0
    load(path)
    assert len(sums) - count < count


def test_labels_are_verified_as_well(tmp_path: Path) -> None:
    path = tmp_path / "set.npz"
    np.savez(path, images=IMAGES, labels=LABELS)
    flip(path, LABELS.tobytes(), 80)
    with pytest.raises(DataError, match="labels"):
        load(path)


@pytest.mark.parametrize("claimed", [13, 9, 0])
def test_a_header_must_fit_the_member(tmp_path: Path, claimed: int) -> None:
    path = tmp_path / "set.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("images.npy", npy(IMAGES[:10], (claimed, 16, 16)))
        archive.writestr("labels.npy", npy(LABELS[:claimed], (claimed,)))
        archive.writestr("other.npy", npy(np.arange(200.0), (200,)))
    with pytest.raises(DataError, match="'images' of shape"):
        load(path)


@pytest.mark.parametrize("claimed", [13, 9])
def test_a_header_must_fit_the_file(tmp_path: Path, claimed: int) -> None:
    path = tmp_path / "set.npy"
    path.write_bytes(npy(IMAGES[:10], (claimed, 16, 16)))
    with pytest.raises(DataError, match="header says"):
        load(path, LABELS[:claimed])
    labels = tmp_path / "labels.npy"
    labels.write_bytes(npy(LABELS[:10], (claimed,)))
    with pytest.raises(DataError, match="header says"):
        load(IMAGES[:claimed], labels)


@pytest.mark.parametrize(
    "header",
    [
        "{'descr': '|u1', 'fortran_order': False, 'shape': (2, 3, 4",
        "{'descr': '|u1', 'fortran_order': False, 'shape': (-2, 3, 4)}",
        "{'descr': '|U0', 'fortran_order': False, 'shape': (2, 3, 4)}",
        "{'descr': [('a', '|u1', (99999999999999999999,))], 'fortran_order': False, 'shape': (1,)}",
        "(" * 3000,
        "-" * 9000 + "1",
        "0L" * 20 + "'",
    ],
)
def test_damaged_headers_become_a_sentence(tmp_path: Path, header: str) -> None:
    content = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode() + bytes(24)
    (tmp_path / "x.npy").write_bytes(content)
    with pytest.raises(DataError, match=r"x\.npy"):
        load(tmp_path / "x.npy", LABELS[:2])
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
        archive.writestr("images.npy", content)
    with pytest.raises(DataError, match=r"x\.npz"):
        load(tmp_path / "x.npz", LABELS[:2])


def test_features_are_verified(tmp_path: Path) -> None:
    path = tmp_path / "features.npz"
    features = np.random.default_rng(0).standard_normal((5000, 8))
    np.savez(path, features=features, labels=np.arange(5000) % 5)
    np.testing.assert_array_equal(load_features(path).layers["features"], features)
    flip(path, features.tobytes(), 200_007)
    with pytest.raises(DataError, match="'features' is damaged"):
        load_features(path)


def test_two_members_of_one_name_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "set.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("images.npy", npy(IMAGES[:10], (10, 16, 16)))
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("images.npy", npy(IMAGES[10:20], (10, 16, 16)))
    with pytest.raises(DataError, match=r"2 members called 'images\.npy'"):
        load(path, LABELS[:10])
