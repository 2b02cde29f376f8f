"""Every option is checked before an image is read, and means the same with every executor."""

from __future__ import annotations

import numpy as np
import pytest

from wavelens.data import ImageChunk, ImageSource
from wavelens.exceptions import DataError, WavelensWarning
from wavelens.patterns import PatternAnalysis


class Unread(ImageSource):
    """A source that must not be read."""

    def __init__(self):
        self.name, self.labelled = "unread", True
        self.labels, self.class_names = np.arange(60) % 2, ("a", "b")
        self.image_names = [str(i) for i in range(60)]
        self.image_shape, self.dtype = (8, 8), np.dtype(np.uint8)
        self.notes, self.skipped = [], []

    def chunks(self, size, start=0):
        raise AssertionError("an image was read")


@pytest.mark.parametrize("work", [False, True])
@pytest.mark.parametrize(
    ("option", "value", "error"),
    [
        ("wavelet", "nope", ValueError),
        ("wavelet", 3, TypeError),
        ("level", 0, ValueError),
        ("level", 99, ValueError),
        ("mode", "nope", ValueError),
        ("n_coefficients", 0, ValueError),
        ("n_coefficients", 31, ValueError),
        ("n_coefficients", 2.5, TypeError),
        ("ridge", -1, ValueError),
        ("ridge", np.nan, ValueError),
        ("ridge", "much", TypeError),
        ("normalization", "nope", ValueError),
        ("weights", "nope", ValueError),
        ("weights", [1.0], ValueError),
        ("weights", [1.0, 0.0], ValueError),
        ("bandwidth", 0, ValueError),
        ("random_state", -1, ValueError),
        ("random_state", None, TypeError),
        ("progress", "yes", TypeError),
        ("basis", "nope", ValueError),
        ("rank", "nope", ValueError),
        ("memory_limit", "much", ValueError),
        ("pivoting", "auto", ValueError),
        ("similarity_method", "nope", ValueError),
    ],
)
def test_refused_before_an_image_is_read(tmp_path, option, value, error, work):
    where = {"work_dir": tmp_path / "work"} if work else {}
    with pytest.raises(error, match=f"`{option}`"):
        PatternAnalysis(**{option: value}).fit(Unread(), **where)
    assert not (tmp_path / "work").exists()


@pytest.mark.parametrize(
    ("argument", "value", "error"),
    [
        ("chunk_size", 0, ValueError),
        ("chunk_size", 1.5, TypeError),
        ("cache", "yes", TypeError),
        ("resume", True, ValueError),
    ],
)
def test_arguments_are_refused_before_an_image_is_read(argument, value, error):
    with pytest.raises(error, match=f"`{argument}`"):
        PatternAnalysis().fit(Unread(), **{argument: value})


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(3)
    images = rng.integers(0, 255, (900, 10, 10), dtype=np.uint8)
    labels = rng.integers(0, 3, 900)
    images[labels == 1, 2:6] //= 3
    return images, labels


@pytest.mark.parametrize("pivoting", ["sketch", "full"])
@pytest.mark.parametrize("n_coefficients", [None, 40])
def test_the_memory_chooses_nothing(data, tmp_path, pivoting, n_coefficients):
    options = {"pivoting": pivoting, "n_coefficients": n_coefficients}
    memory = PatternAnalysis(**options).fit(*data)
    for limit in (None, "2GB", "1GB"):
        analysis = PatternAnalysis(**options, memory_limit=limit)
        chunks = analysis.fit(*data, work_dir=tmp_path / f"work {limit}")
        np.testing.assert_array_equal(chunks.coefficients_, memory.coefficients_)
        np.testing.assert_allclose(chunks.sigma_, memory.sigma_, rtol=1e-9, atol=1e-9 * memory.sigma_.max())
    with pytest.raises(DataError, match="memory_limit"):
        PatternAnalysis(**options, memory_limit="20MB").fit(*data, work_dir=tmp_path / "small")


def test_few_images_are_selected_from_all_of_them(data):
    images, labels = data[0][:90], np.arange(90) % 3
    sketch, full = (
        PatternAnalysis(pivoting=each, n_coefficients=30).fit(images, labels) for each in ("sketch", "full")
    )
    np.testing.assert_array_equal(sketch.coefficients_, full.coefficients_)


def test_another_instruction_set_is_noted(data, tmp_path, monkeypatch):
    import wavelens.patterns.fit._run as run

    found = PatternAnalysis(n_coefficients=20).fit(*data, work_dir=tmp_path)
    monkeypatch.setattr(run, "environment", lambda: {"instruction set": "another"})
    with pytest.warns(WavelensWarning, match="another"):
        again = PatternAnalysis(n_coefficients=20).fit(*data, work_dir=tmp_path, resume=True)
    np.testing.assert_array_equal(again.embedding_, found.embedding_)


class Rewritten(ImageSource):
    """A source whose pixels change after some passes: same names, sizes and times."""

    def __init__(self, data, change, after):
        self.name, self.labelled = "rewritten", True
        self.labels, self.class_names = data[1], ("a", "b", "c")
        self.image_names = [str(i) for i in range(len(data[1]))]
        self.image_shape, self.dtype = data[0].shape[1:], data[0].dtype
        self.notes, self.skipped = [], []
        self._images, self._change, self._after = data[0], change, after

    def chunks(self, size, start=0):
        self._after -= 1
        images = self._images if self._after >= 0 else self._change(self._images.copy())
        for first in range(start, self.n_images, size):
            positions = np.arange(first, min(first + size, self.n_images), dtype=np.intp)
            yield ImageChunk(images[positions], self.labels[positions], positions)


def one_bit(images):
    images[777, 5, 5] ^= 1
    return images


def exchanged(images):
    images[[10, 600]] = images[[600, 10]]
    return images


@pytest.mark.parametrize("after", [1, 2])
@pytest.mark.parametrize("change", [one_bit, exchanged, lambda images: images[::-1]])
def test_content_that_changes_between_passes_is_refused(data, tmp_path, change, after):
    with pytest.raises(DataError, match="not the same in two passes"):
        PatternAnalysis(n_coefficients=20).fit(
            Rewritten(data, change, after), work_dir=tmp_path, chunk_size=128, cache=False
        )


def test_files_that_change_underway_are_refused(data, tmp_path):
    source = Rewritten(data, lambda images: images, 9)
    before = source.fingerprint
    calls = []

    def fingerprint():
        calls.append(1)
        return before() | {"files": str(len(calls) > 2)}

    source.fingerprint = fingerprint
    with pytest.raises(DataError, match="files"):
        PatternAnalysis(n_coefficients=20).fit(source, work_dir=tmp_path / "work")
