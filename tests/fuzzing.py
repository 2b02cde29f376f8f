"""Damaged files, and reading them; also run as a program, whose crash tells its parent which example it was."""

from __future__ import annotations

import json
import sys
import warnings
import zipfile
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from wavelens.data import load, open_source
from wavelens.exceptions import WavelensError
from wavelens.models import open_network, read_layers

N = 12
IMAGES = np.random.default_rng(0).integers(0, 256, (N, 9, 7), dtype=np.uint8)
LABELS = np.arange(N) % 3
LARGEST = 1_000_000  # pixels of an image that a damaged header may ask for
NUMBERS = [0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 2**31 - 1, 2**31, 2**32 - 1, 2**63 - 1, 2**64 - 1]


def damaged(content: bytes, example: int) -> bytes:
    """Return a file with one to four damages."""
    rng = np.random.default_rng(example)
    data = bytearray(content)
    for _ in range(int(rng.integers(1, 5))):
        if not data:
            break
        place = int(rng.integers(len(data)))
        length = int(min(len(data) - place, rng.integers(1, 64)))
        match int(rng.integers(8)):
            case 0:
                data[place] ^= 1 << int(rng.integers(8))
            case 1:
                data[place : place + length] = bytes(length)
            case 2:
                data[place : place + length] = rng.bytes(length)
            case 3:
                del data[place:]
            case 4:
                other = int(rng.integers(len(data)))
                data[place : place + length] = data[other : other + length]
            case 5:
                del data[place : place + length]
            case 6:
                data[place:place] = data[place : place + length]
            case 7:
                size, order = [1, 2, 4, 8][int(rng.integers(4))], ["little", "big"][int(rng.integers(2))]
                number = NUMBERS[int(rng.integers(len(NUMBERS)))] % 2 ** (8 * size)
                data[place : place + size] = number.to_bytes(size, order)  # type: ignore[arg-type]
    return bytes(data)


def checked_images(images: Any, n_labels: int) -> None:
    images = np.asarray(images)
    assert images.ndim in (3, 4)
    assert len(images) == n_labels > 0
    assert images.dtype.kind in "fiub"
    assert np.isfinite(images).all()


def read_images(source: Any, labels: object = None, **options: Any) -> None:
    """Read as a whole, and in chunks."""
    data = load(source, labels, **options)
    checked_images(data.images, len(data.labels))
    assert len(data.image_names) == len(data.labels)
    assert data.labels.min() >= 0
    assert data.labels.max() < len(data.class_names)
    found = list(open_source(source, labels, **options).chunks(5))
    assert sum(len(each.positions) for each in found) == len(data.labels)


def read_network(path: Path) -> None:
    network = open_network(path)
    images = np.random.default_rng(0).random((2, 1, 4, 4)).astype(network.input.dtype)
    for each in network.run(images, network.outputs).values():
        assert isinstance(each, np.ndarray)
    read_layers(path)


def read_by_ending(path: Path) -> None:
    if path.suffix == ".h5":
        source = open_source(path)
        if np.prod(source.image_shape) * source.n_images <= LARGEST:
            read_images(path)
    else:
        read_network(path)


def place(folder: Path, file_name: str, content: bytes) -> Path:
    """Write a damaged file; where `folder` has parts.json, as one member of an archive."""
    path = folder / file_name
    parts = folder / "parts.json"
    if not parts.exists():
        path.write_bytes(content)
        return path
    member, others = json.loads(parts.read_text())
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for key, value in others.items():
            archive.writestr(key, bytes.fromhex(value))
        archive.writestr(member, content)
    return path


def main(folder: Path, file_name: str, first: int, total: int) -> None:
    good = (folder / "good").read_bytes()
    if not first:
        read_by_ending(place(folder, file_name, good))
    outcome: Counter[str] = Counter()
    for example in range(first, total):
        (folder / "state.json").write_text(json.dumps({"example": example, "outcome": outcome}))
        path = place(folder, file_name, damaged(good, example))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                read_by_ending(path)
            except WavelensError as error:
                outcome["errors"] += bool(str(error).strip())
            else:
                outcome["results"] += 1
    (folder / "state.json").write_text(json.dumps({"example": total, "outcome": outcome}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
