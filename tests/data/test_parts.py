"""A part of a source travels to another process as a description, and holds the same images there."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from PIL import Image

from wavelens._mapped import is_mapped, map_again
from wavelens.data import ImageChunk, ImageSource, open_source
from wavelens.exceptions import DataError

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 255, (60, 32, 40), dtype=np.uint8)
COLOUR = RNG.integers(0, 255, (60, 32, 40, 4), dtype=np.uint8)
LABELS = np.arange(60) % 3


def npy(folder, images=GREY):
    np.save(folder / "x.npy", images)
    return folder / "x.npy"


def npz(folder, images=GREY):
    np.savez(folder / "x.npz", images=images)
    return folder / "x.npz"


def packed(folder, images=GREY):
    np.savez_compressed(folder / "x.npz", images=images)
    return folder / "x.npz"


def divided(folder, images=GREY):
    np.savez_compressed(folder / "x.npz", x_train=images[:40], x_test=images[40:])
    return folder / "x.npz"


def fortran(folder, images=GREY):
    return npy(folder, np.asfortranarray(images))


def zarr(folder, images=GREY):
    library = pytest.importorskip("zarr")
    library.open_group(str(folder / "x.zarr"), mode="w").create_array(
        "images", data=images, chunks=(7, *images.shape[1:])
    )
    return folder / "x.zarr"


def hdf5(folder, images=GREY):
    library = pytest.importorskip("h5py")
    with library.File(folder / "x.h5", "w") as file:
        file["images"] = images
    return folder / "x.h5"


def files(folder, images=GREY):
    root = folder / "files"
    root.mkdir()
    for i, image in enumerate(images):
        Image.fromarray(image).save(root / f"{i}.png")
    return root


KINDS = [npy, npz, packed, divided, fortran, zarr, hdf5, files]


def there(part) -> ImageSource:
    """Open a part as another process would."""
    data = pickle.dumps(part)
    assert len(data) < 6000, "pixels in it"
    return pickle.loads(data)()


def whole(source):
    chunks = list(source.chunks(1000))
    return chunks[0].images


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("options", [{}, {"limit": 7}, {"size": (16, 20), "keep_aspect": True}])
def test_a_part_holds_the_same_images(kind, options, tmp_path):
    if kind is divided:
        options = options | {"split": "all"}
    source = open_source(kind(tmp_path), LABELS, **options)
    images = whole(source)
    n = source.n_images
    for first, last in ((0, 5), (n // 3, n // 3 + 7), (n - 3, n)):
        codes = np.arange(last - first, dtype=np.uint8)
        part = there(source.part(first, last, codes))
        chunks = list(part.chunks(4))
        np.testing.assert_array_equal(np.concatenate([each.images for each in chunks]), images[first:last])
        np.testing.assert_array_equal(
            np.concatenate([each.positions for each in chunks]), np.arange(last - first)
        )
        np.testing.assert_array_equal(np.concatenate([each.labels for each in chunks]), codes)
        assert part.n_images == last - first
        assert part.image_shape == source.image_shape
        assert list(part.image_names) == list(source.image_names[first:last])
        assert [len(each.images) for each in part.chunks(4, 4)] == [len(each.images) for each in chunks[1:]]


@pytest.mark.parametrize("kind", [npy, packed, zarr])
@pytest.mark.parametrize("channels", [slice(0, 1), slice(0, 3), slice(0, 4)])
def test_channels(kind, channels, tmp_path):
    source = open_source(kind(tmp_path, COLOUR[..., channels]), LABELS)
    part = there(source.part(10, 20, LABELS[10:20]))
    np.testing.assert_array_equal(whole(part), whole(source)[10:20])


def test_bundled_images():
    source = open_source("digits")
    np.testing.assert_array_equal(whole(there(source.part(5, 30, source.labels[5:30]))), whole(source)[5:30])


def test_a_file_that_cannot_be_read_is_listed_or_refused(tmp_path):
    root = files(tmp_path)
    (root / "12.png").write_bytes((root / "12.png").read_bytes()[:80])
    part = there(open_source(root, LABELS).part(10, 20, LABELS[10:20]))
    (chunk,) = part.chunks(100)
    assert chunk.positions.tolist() == [0, 1, 3, 4, 5, 6, 7, 8, 9]
    assert [each.path.name for each in part.skipped] == ["12.png"]
    strict = there(open_source(root, LABELS, strict=True).part(10, 20, LABELS[10:20]))
    with pytest.raises(DataError, match=r"12\.png"):
        list(strict.chunks(100))


def test_a_file_that_is_shorter_there(tmp_path):
    source = open_source(npy(tmp_path), LABELS)
    part = source.part(50, 60, LABELS[50:])
    np.save(tmp_path / "x.npy", GREY[:20])
    with pytest.raises(DataError, match="shorter"):
        there(part)


class Kept(ImageSource):
    """Some kind of source that is somebody's own."""

    def __init__(self, images):
        self.name, self.labelled = "kept", True
        self.labels, self.class_names = np.zeros(len(images), dtype=int), ("a",)
        self.image_names = [str(i) for i in range(len(images))]
        self.image_shape, self.dtype = images.shape[1:], images.dtype
        self.notes, self.skipped, self._images = [], [], images

    def chunks(self, size, start=0):
        for first in range(start, self.n_images, size):
            index = np.arange(first, min(first + size, self.n_images))
            index = index[np.arange(len(index)) != 1]
            yield ImageChunk(self._images[index], self.labels[index], index)


@pytest.mark.parametrize(("first", "last"), [(0, 8), (3, 17), (24, 30)])
def test_other_kinds_of_source_send_themselves(first, last):
    images = RNG.random((30, 2, 2))
    part = there(Kept(images).part(first, last, np.arange(last - first)))
    chunks = list(part.chunks(5))
    places = np.concatenate([each.positions for each in chunks])
    np.testing.assert_array_equal(np.concatenate([each.images for each in chunks]), images[places + first])
    assert set(range(last - first)) - set(places.tolist()) == set(range(1, last - first, 5))


def test_what_is_in_this_process_alone_is_refused(tmp_path):
    with pytest.raises(DataError, match="in the memory of this process"):
        open_source(GREY, LABELS).part(0, 5, LABELS[:5])
    with pytest.raises(DataError, match="cannot be divided among processes"):
        open_source(lambda: [(GREY, LABELS)]).part(0, 5, LABELS[:5])
    changed = np.load(npy(tmp_path), mmap_mode="c")
    with pytest.raises(DataError, match="save it to a file"):
        open_source(changed, LABELS).part(0, 5, LABELS[:5])


@pytest.mark.parametrize(
    "view",
    [
        lambda a: a,
        lambda a: a[5:9],
        lambda a: a[3:30:4],
        lambda a: a[::-1],
        lambda a: a[2:20, ::2, 1:].transpose(0, 2, 1),
        lambda a: a[1:2, 3:3],
    ],
)
@pytest.mark.parametrize("kind", [npy, npz, fortran])
def test_every_view_of_a_map_is_found_again(view, kind, tmp_path):
    path = kind(tmp_path)
    opened = open_source(path)._images if kind is npz else np.load(path, mmap_mode="r")
    seen = view(opened)
    again = pickle.loads(pickle.dumps(map_again(seen)))()
    np.testing.assert_array_equal(again, seen)
    assert is_mapped(again)
