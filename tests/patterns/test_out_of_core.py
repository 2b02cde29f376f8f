"""A fit in chunks finds what a fit in memory finds, from every kind of source, within the memory allowed."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from wavelens.data import ImageChunk, ImageSource, load, open_source
from wavelens.exceptions import DataError, WavelensWarning
from wavelens.patterns import PatternAnalysis
from wavelens.patterns.fit._ledger import row_checksums
from wavelens.patterns.fit._passes import Chunk, FactorState, SketchState, embed_rows
from wavelens.patterns.fit._plan import make_plan
from wavelens.patterns.fit._progress_estimate import ProgressEstimator


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    images = rng.integers(0, 255, (700, 12, 14), dtype=np.uint8)
    labels = rng.integers(0, 3, 700)
    images[labels == 1, 2:6, 2:6] //= 3
    images[labels == 2, :, 8:] //= 2
    return images, labels


def in_memory(data, **options):
    return PatternAnalysis(pivoting="sketch", **options).fit(*data)


def same(a, b, rtol=1e-9):
    np.testing.assert_array_equal(a.coefficients_, b.coefficients_)
    np.testing.assert_array_equal(a.labels_, b.labels_)
    np.testing.assert_allclose(a.sigma_, b.sigma_, rtol=rtol, atol=rtol * b.sigma_.max())
    scale = np.abs(b.embedding_).max()
    np.testing.assert_allclose(a.embedding_, b.embedding_, rtol=0, atol=rtol * scale)
    np.testing.assert_allclose(a.bandwidth_, b.bandwidth_, rtol=rtol)


@pytest.mark.parametrize(
    "options",
    [
        {"n_coefficients": 30},
        {},
        {"n_coefficients": 30, "weights": "size", "normalization": "csd", "basis": "pixel"},
        {"n_coefficients": 90, "rank": "any", "wavelet": "haar"},
    ],
)
@pytest.mark.parametrize("chunk_size", [37, 1000])
def test_chunks_give_what_memory_gives(data, tmp_path, options, chunk_size):
    found = PatternAnalysis(**options).fit(*data, work_dir=tmp_path / "work", chunk_size=chunk_size)
    same(found, in_memory(data, **options))
    assert isinstance(found.embedding_, np.memmap)
    assert not found.embedding_.flags.writeable
    assert found.out_of_core_.n_read == 700
    np.testing.assert_allclose(
        found.transform(data[0][:9]), found.embedding_[:9], atol=1e-9 * np.abs(found.embedding_).max()
    )


def test_digits_agree(tmp_path):
    digits = load("digits")
    found = PatternAnalysis(n_coefficients=40).fit("digits", work_dir=tmp_path)
    same(found, PatternAnalysis(n_coefficients=40, pivoting="sketch").fit(digits.images, digits.labels))
    assert found.classes_.tolist() == list(map(str, range(10)))


@pytest.mark.realdata
def test_mnist_agrees(real_data, tmp_path):
    source = open_source(real_data / "mnist.npz", limit=1000)
    found = PatternAnalysis(n_coefficients=200).fit(source, work_dir=tmp_path, chunk_size=512)
    same(found, PatternAnalysis(n_coefficients=200, pivoting="sketch").fit(source), rtol=1e-7)


def test_float32_stays_float32(data, tmp_path):
    images, labels = data[0].astype(np.float32), data[1]
    found = PatternAnalysis(n_coefficients=20).fit(images, labels, work_dir=tmp_path, chunk_size=100)
    assert found.embedding_.dtype == found.sigma_.dtype == np.float32
    same(found, in_memory((images, labels), n_coefficients=20), rtol=1e-3)


def test_classes_that_never_hold_a_coefficient_do_without_it(data, tmp_path):
    images, labels = data[0].copy(), data[1]
    images[labels == 2, :, :7] = 0
    options = {"basis": "pixel", "n_coefficients": 25}
    found = PatternAnalysis(**options).fit(images, labels, work_dir=tmp_path, chunk_size=64)
    assert (found.coefficients_ % 14 >= 7).all()
    same(found, in_memory((images, labels), **options))


def test_duplicates_lower_the_rank(tmp_path):
    rng = np.random.default_rng(1)
    images = rng.random((90, 8, 8))
    labels = np.arange(90) % 2
    images[::2] = images[:20:2].repeat(5, axis=0)[:45]
    found = PatternAnalysis().fit(images, labels, work_dir=tmp_path / "a", chunk_size=16)
    assert found.sigma_.shape[1] == in_memory((images, labels)).sigma_.shape[1] <= 10
    with pytest.raises(ValueError, match="numerical rank"):
        PatternAnalysis(n_coefficients=20).fit(images, labels, work_dir=tmp_path / "b", chunk_size=16)
    with pytest.warns(WavelensWarning, match="have a rank below"):
        PatternAnalysis(n_coefficients=20, rank="any").fit(images, labels, work_dir=tmp_path / "c")


def test_states_of_chunks_merge_to_that_of_the_whole(data):
    """What a cluster does: every chunk by itself, then a merge in any order."""
    images, labels = data
    whole = in_memory(data, n_coefficients=30)
    basis = whole.basis_
    positions = [np.arange(first, min(first + 90, 700)) for first in range(0, 700, 90)]

    def chunk(p, columns=slice(None)):
        return Chunk(basis.forward(images[p])[:, columns], labels[p], p, row_checksums(images[p]))

    def sketch(p):
        return SketchState.empty(basis.n_coefficients, 3, 60, 0).add(chunk(p))

    states = [sketch(p) for p in positions]
    first = states[5].copy()
    for i in (2, 0, 7, 1, 6, 3, 4):
        first.merge(SketchState.from_arrays(states[i].to_arrays(), basis.n_coefficients))
    at_once = sketch(np.arange(700))
    assert first.ledger.ranges == [[0, 700]]
    assert first.ledger.other_content(at_once.ledger) is None
    assert first.counts.tolist() == np.bincount(labels).tolist()
    np.testing.assert_allclose(first.sketch.matrix, at_once.sketch.matrix, atol=1e-8)
    with pytest.raises(ValueError, match=r"both|before"):
        first.merge(states[0])
    columns = whole.coefficients_
    factors = FactorState.empty(3)
    for p in positions:
        factors.merge(FactorState.empty(3).add(chunk(p, columns)))
    selected = basis.forward(images)[:, columns]
    for i, factor in enumerate(factors.factors):
        r, rows = np.asarray(factor.r), selected[labels == i]
        assert factor.n_rows == len(rows)
        np.testing.assert_allclose(r.T @ r, rows.T @ rows, rtol=1e-9, atol=1e-9 * np.abs(rows).max() ** 2)
    embedded = embed_rows(selected[:5], whole.gsvd_, np.float32)
    np.testing.assert_allclose(embedded, whole.embedding_[:5], rtol=1e-3, atol=1e-4)


def test_the_cache_changes_nothing(data, tmp_path):
    found = [
        PatternAnalysis(n_coefficients=30).fit(
            *data, work_dir=tmp_path / str(cache), cache=cache, chunk_size=64
        )
        for cache in (False, True)
    ]
    assert [each.out_of_core_.cached for each in found] == [False, True]
    np.testing.assert_array_equal(found[0].embedding_, found[1].embedding_)
    assert sorted(each.name for each in (tmp_path / "True").iterdir()) == [
        "decomposition.npz",
        "embedding.npy",
        "lock",
        "run.json",
    ]


def test_a_mapped_file_goes_out_of_core_where_memory_does_not_suffice(data, tmp_path):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 255, (3000, 64, 64), dtype=np.uint8)
    np.save(tmp_path / "x.npy", images)
    labels = np.arange(3000) % 3
    for given in (np.load(tmp_path / "x.npy", mmap_mode="r"), tmp_path / "x.npy"):
        found = PatternAnalysis(n_coefficients=20, memory_limit="600MB").fit(given, labels)
        assert found.out_of_core_ is None
    limited = PatternAnalysis(n_coefficients=20, memory_limit="255MB")
    with pytest.raises(DataError, match="Or give the images as a file or folder"):
        limited.fit(images, labels)


def test_saved_and_loaded(data, tmp_path):
    found = PatternAnalysis(n_coefficients=30).fit(*data, work_dir=tmp_path / "work", chunk_size=64)
    found.save(tmp_path / "a.npz")
    again = PatternAnalysis.load(tmp_path / "a.npz")
    np.testing.assert_array_equal(again.embedding_, found.embedding_)
    np.testing.assert_array_equal(again.transform(data[0][:3]), found.transform(data[0][:3]))
    np.testing.assert_array_equal(again.gsvd_.u[1], found.gsvd_.u[1])
    np.testing.assert_allclose(again.complexity(), in_memory(data, n_coefficients=30).complexity())


def test_without_a_folder_nothing_stays(data, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr("wavelens.patterns.fit._run.fits_in_memory", lambda *_: False)
    np.save(tmp_path / "x.npy", data[0])
    found = PatternAnalysis(n_coefficients=30).fit(tmp_path / "x.npy", data[1])
    assert len(list(tmp_path.glob("wavelens-*"))) == 1
    assert found.out_of_core_.work_dir is None
    del found
    assert not list(tmp_path.glob("wavelens-*"))


class Failing(ImageSource):
    """Images some of which cannot be read, every time or from the second on."""

    def __init__(self, data, missing, *, late=()) -> None:
        images, labels = data
        self.name, self.labelled = "failing", True
        self.labels, self.class_names = labels, ("a", "b", "c")
        self.image_names = [f"image {i}" for i in range(len(labels))]
        self.image_shape, self.dtype = images.shape[1:], images.dtype
        self.notes, self.skipped = [], []
        self._images, self._missing, self._late, self._reads = images, set(missing), set(late), 0

    def chunks(self, size, start=0):
        self._reads += 1
        gone = self._missing | (self._late if self._reads > 1 else set())
        for first in range(start, self.n_images, size):
            p = np.array(
                [i for i in range(first, min(first + size, self.n_images)) if i not in gone], np.intp
            )
            if len(p):
                yield ImageChunk(self._images[p], self.labels[p], p)


def test_images_that_cannot_be_read_are_left_out(data, tmp_path):
    missing = [0, 5, *range(100, 205), 699]
    found = PatternAnalysis(n_coefficients=20).fit(
        Failing(data, missing), work_dir=tmp_path, cache=True, chunk_size=50
    )
    left = np.setdiff1d(np.arange(700), missing)
    np.testing.assert_array_equal(found.image_positions_, left)
    assert (found.out_of_core_.n_read, found.out_of_core_.n_left_out) == (len(left), len(missing))
    np.testing.assert_allclose(
        found.embedding_, found.transform(data[0][left]), atol=1e-9 * np.abs(found.embedding_).max()
    )


@pytest.mark.parametrize("late", [[300], range(300, 350), range(600, 700)])
def test_a_source_that_changes_underway_is_refused(data, tmp_path, late):
    with pytest.raises(DataError, match="could be read in one pass and not in another"):
        PatternAnalysis(n_coefficients=20).fit(
            Failing(data, [3], late=late), work_dir=tmp_path, chunk_size=50
        )


def test_classes_without_readable_images_are_refused(data, tmp_path):
    gone = np.flatnonzero(data[1] == 2)[1:]
    with pytest.raises(DataError, match="'c' has 1 images that can be read"):
        PatternAnalysis(n_coefficients=5).fit(Failing(data, gone), work_dir=tmp_path, chunk_size=50)


def test_nan_is_refused_and_named(data, tmp_path):
    images = data[0].astype(float)
    images[123, 4, 5] = np.nan
    with pytest.raises(ValueError, match=r"'100' on.*got NaN in image 23 at"):
        PatternAnalysis(n_coefficients=5).fit(images, data[1], work_dir=tmp_path, chunk_size=50)


def test_a_folder_is_decoded_once_less_with_the_cache(tmp_path):
    rng = np.random.default_rng(0)
    for name in ("cat", "dog"):
        (tmp_path / "in" / name).mkdir(parents=True)
        for i in range(30):
            Image.fromarray(rng.integers(0, 255, (16, 16), dtype=np.uint8)).save(
                tmp_path / "in" / name / f"{i}.png"
            )
    (tmp_path / "in" / "cat" / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing")
    found = PatternAnalysis(n_coefficients=10).fit(tmp_path / "in", work_dir=tmp_path / "work", chunk_size=7)
    assert found.out_of_core_.cached
    assert found.classes_.tolist() == ["cat", "dog"]
    same(found, PatternAnalysis(n_coefficients=10, pivoting="sketch").fit(tmp_path / "in"))


def test_a_plan_keeps_to_its_limit_or_says_what_would_fit():
    sizes = {
        "n_images": 10**6,
        "n_classes": 10,
        "n_all": 4096,
        "image_bytes": 4096,
        "number_bytes": 8,
        "rows_of_sketch": lambda m: 2 * m,
    }
    for limit in (10**9, 2 * 10**9, 4 * 10**9):
        plan, base = make_plan(limit, None, n_selected=512, **sizes)
        assert base + plan.peak <= limit
        assert plan.chunk >= 16
        assert plan.n_selected == 512
    with pytest.raises(DataError, match=r"`n_coefficients`=(\d+)") as refused:
        make_plan(10**9, None, n_selected=4096, **sizes)
    fewer = int(re.search(r"`n_coefficients`=(\d+)", str(refused.value))[1])
    assert 500 < fewer < 4096
    make_plan(10**9, None, n_selected=fewer, **sizes)
    with pytest.raises(DataError, match="memory_limit"):
        make_plan(10**7, None, n_selected=5, **sizes)


LIMITED = """
import json, resource, sys
import numpy as np
from wavelens.patterns import PatternAnalysis
from wavelens.patterns.fit._plan import resident_memory
limit = 480_000_000
resource.setrlimit(resource.RLIMIT_DATA, (limit + 200_000_000, limit + 200_000_000))
labels = np.arange(100_000) % 4
found = PatternAnalysis(n_coefficients=32, memory_limit=limit).fit(sys.argv[1], labels)
found.complexity()
found.save(sys.argv[1] + ".result.npz")
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
print(json.dumps({"peak": 1024 * int(status["VmHWM"].split()[0]), "planned": found.out_of_core_.planned_memory}))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_the_limit_is_kept_though_the_file_is_larger(tmp_path):
    """410 MB of images and 820 MB of coefficients in chunks, in 480 MB with the programme; mapped pages count."""
    path = tmp_path / "x.npy"
    rng = np.random.default_rng(0)
    some = rng.integers(0, 255, (2500, 64, 64), dtype=np.uint8)
    images = np.lib.format.open_memmap(path, "w+", np.uint8, (100_000, 64, 64))
    for first in range(0, 100_000, 2500):
        images[first : first + 2500] = some
    del images
    run = subprocess.run([sys.executable, "-c", LIMITED, str(path)], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    told = json.loads(run.stdout.splitlines()[-1])
    assert told["peak"] <= told["planned"] <= 480_000_000


def test_the_time_left_is_near_the_truth(monkeypatch):
    now = [0.0]
    monkeypatch.setattr("wavelens.patterns.fit._progress_estimate.time.perf_counter", lambda: now[0])
    told = []
    # The passes take 1, 4 and 2 s an image; half as long was guessed for the last.
    clock = ProgressEstimator(10, {"a": 1.0, "b": 4.0, "c": 1.0}, lambda *each: told.append((now[0], *each)))
    for name, seconds in (("a", 1.0), ("b", 4.0), ("c", 2.0)):
        clock.begin(name)
        for i in range(10):
            now[0] += seconds
            clock.update(i + 1)
    assert told[-1][2:] == (1.0, 0.0)
    for when, _, share, left in told:
        assert 0.8 * (70 - when) <= left + 1e-9 <= 1.2 * (70 - when) or abs(left - (70 - when)) <= 11
        assert 0 <= share <= 1


def test_arguments_are_checked(data, tmp_path):
    with pytest.raises(ValueError, match="`resume` needs `work_dir`"):
        PatternAnalysis().fit(*data, resume=True)
    with pytest.raises(ValueError, match="`chunk_size` must be at least 1"):
        PatternAnalysis().fit(*data, work_dir=tmp_path, chunk_size=0)
    with pytest.raises(ValueError, match="`n_coefficients` must be between 1 and"):
        PatternAnalysis(n_coefficients=600).fit(*data, work_dir=tmp_path)
    with pytest.raises(ValueError, match="pass a function that makes a new one"):
        PatternAnalysis().fit(iter([data]))
    (tmp_path / "x.txt").write_text("mine")
    with pytest.raises(DataError, match="holds other things"):
        PatternAnalysis(n_coefficients=5).fit(*data, work_dir=tmp_path)
    assert Path(tmp_path / "x.txt").exists()


def test_a_class_that_lacks_rank_in_the_first_coefficients_takes_others(tmp_path):
    """With any executor every number is accepted up to the largest that works."""
    digits = load("digits")
    np.save(tmp_path / "x.npy", digits.images)
    options = {"wavelet": "haar", "n_coefficients": 20}
    memory = PatternAnalysis(**options).fit(digits.images, digits.labels)
    assert memory.sigma_.shape[1] == 20
    for cache in (False, True):
        chunks = PatternAnalysis(**options).fit(
            tmp_path / "x.npy",
            digits.labels,
            work_dir=tmp_path / f"work {cache}",
            cache=cache,
            chunk_size=256,
        )
        same(chunks, memory)
        np.testing.assert_allclose(
            chunks.transform(digits.images[:9]),
            chunks.embedding_[:9],
            atol=1e-9 * np.abs(chunks.embedding_).max(),
        )
