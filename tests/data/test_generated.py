from __future__ import annotations

import numpy as np
import pytest

from wavelens.data import load, open_source
from wavelens.exceptions import DataError


def chunks_of(images, labels, sizes):
    def make():
        first = 0
        for size in sizes:
            yield images[first : first + size], labels[first : first + size]
            first += size

    return make


@pytest.fixture
def data():
    rng = np.random.default_rng(0)
    return rng.integers(0, 255, (50, 6, 7), dtype=np.uint8), np.array(["a", "b"] * 25)


@pytest.mark.parametrize("size", [1, 7, 50, 64])
@pytest.mark.parametrize("start", [0, 14])
def test_chunks_are_cut_anew(data, size, start):
    source = open_source(chunks_of(*data, [20, 1, 29]))
    assert (source.n_images, source.image_shape, source.class_names) == (50, (6, 7), ("a", "b"))
    chunks = list(source.chunks(size, start))
    assert all(len(chunk.images) == size for chunk in chunks[:-1])
    np.testing.assert_array_equal(np.concatenate([chunk.images for chunk in chunks]), data[0][start:])
    np.testing.assert_array_equal(np.concatenate([chunk.positions for chunk in chunks]), np.arange(start, 50))
    np.testing.assert_array_equal(load(source).images, data[0])
    np.testing.assert_array_equal(source.read(np.array([3, 21, 49])).images, data[0][[3, 21, 49]])


def test_the_fingerprint_knows_the_pixels(data):
    first = open_source(chunks_of(*data, [50])).fingerprint()
    assert open_source(chunks_of(*data, [25, 25])).fingerprint() == first
    data[0][7, 3, 3] ^= 1
    changed = open_source(chunks_of(*data, [50])).fingerprint()
    assert {name for name in first if first[name] != changed[name]} == {"images"}


@pytest.mark.parametrize(
    ("chunk", "message"),
    [
        (
            (np.zeros((3, 6, 8), np.uint8), ["a"] * 3),
            r"chunk 1 \(from image 20 on\) holds images of 6 x 8 pixels",
        ),
        ((np.zeros((3, 6, 7), np.float32), ["a"] * 3), "holds float32, those before are uint8"),
        ((np.zeros((3, 6, 7), np.uint8), ["a"] * 2), "one entry for each of the 3 images, got 2"),
        ((np.zeros((3, 6, 7), np.uint8), None), "has no labels"),
        ((np.zeros((3, 6, 7), np.uint8), ["a", None, "b"]), "got None at position 1"),
        ((np.zeros((3, 6, 7), np.uint8), [1, 2, 3]), "labels of one kind"),
        (np.zeros((3, 6, 7), np.uint8), "must be a pair of images and labels"),
    ],
)
def test_bad_chunks_are_refused(data, chunk, message):
    def make():
        yield data[0][:20], data[1][:20]
        yield chunk

    with pytest.raises(DataError, match=message):
        open_source(make)


def test_used_up_and_changing_functions_are_refused(data):
    once = chunks_of(*data, [50])()
    with pytest.raises(ValueError, match="pass a function that makes a new one"):
        open_source(once)
    given = chunks_of(*data, [50])()
    source = open_source(lambda: given)
    with pytest.raises(DataError, match="used up"):
        list(source.chunks(10))
    sizes = [20]
    source = open_source(lambda: chunks_of(*data, sizes)())
    sizes.append(5)
    with pytest.raises(DataError, match="another number now"):
        list(source.chunks(10))
    with pytest.raises(DataError, match="gives no images"):
        open_source(lambda: iter(()))
    with pytest.raises(ValueError, match="`size` is given, but the source is a function"):
        open_source(chunks_of(*data, [50]), size=5)
