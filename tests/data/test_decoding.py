"""Threads, progress and interruption while files are decoded, and what importing costs."""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from wavelens._progress import progress_bar
from wavelens.data import ImageChunk, ImageSource, SkippedFile, load, open_source
from wavelens.data._decode import Header, decode, in_threads, read_header
from wavelens.data._resize import Target


def decoding_threads() -> list[threading.Thread]:
    return [each for each in threading.enumerate() if each.name.startswith("wavelens-decode")]


def test_results_come_in_order_and_not_all_at_once() -> None:
    begun: list[int] = []

    def work(i: int) -> int:
        begun.append(i)
        time.sleep(0.001 * (i % 3))
        return i * i

    results = in_threads(work, range(10_000))
    assert [next(results) for _ in range(10)] == [i * i for i in range(10)]
    results.close()
    assert len(begun) < 1000
    assert not decoding_threads()
    assert list(in_threads(work, [])) == []


def test_an_error_stops_the_rest() -> None:
    begun: list[int] = []

    def work(i: int) -> int:
        begun.append(i)
        if i == 5:
            raise RuntimeError("five")
        return i

    with pytest.raises(RuntimeError, match="five"):
        list(in_threads(work, range(10_000)))
    assert len(begun) < 1000
    assert not decoding_threads()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a/1.png", "a/2.png", "b/1.png", "b/2.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.fromarray(np.zeros((4, 4), np.uint8)).save(tmp_path / name)
    return tmp_path


def test_chunks_that_are_not_read_to_the_end_leave_no_threads(folder: Path) -> None:
    chunks = open_source(folder).chunks(1)
    next(chunks)
    chunks.close()  # type: ignore[attr-defined]
    assert not decoding_threads()


def test_two_python_threads_at_once(folder: Path) -> None:
    found: list[int] = []
    readers = [threading.Thread(target=lambda: found.append(load(folder).n_images)) for _ in range(4)]
    for each in readers:
        each.start()
    for each in readers:
        each.join()
    assert found == [4] * 4


def test_progress_is_off_without_a_terminal(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    load(folder)
    load(folder, progress=False)
    assert capfd.readouterr() == ("", "")
    assert progress_bar(3, "x", None).disable
    assert progress_bar(3, "x", False).disable
    with progress_bar(3, "x", True) as bar:
        assert bar.delay == 1
    assert capfd.readouterr() == ("", "")


FORMATS = ("png", "jpg", "gif", "tif", "bmp", "webp", "ppm", "jp2")


@settings(deadline=None, max_examples=200)
@given(
    data=st.data(), ending=st.sampled_from(FORMATS), mode=st.sampled_from(["L", "RGB", "RGBA", "P", "I;16"])
)
def test_damage_of_any_kind_is_a_reason_and_no_error(data: st.DataObject, ending: str, mode: str) -> None:
    """Cut or overwritten anywhere, a file is either still an image or is left out with a reason."""
    pixels = np.random.default_rng(0).integers(0, 256, (24, 20, 4), dtype=np.uint8)
    image = Image.fromarray(pixels).convert("RGB")
    if mode == "I;16":
        image = Image.fromarray(pixels.astype(np.uint16)[..., 0] * 257)
    elif mode != "RGB":
        image = image.convert(mode)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"x.{ending}"
        try:
            image.save(path)
        except (OSError, ValueError):
            return  # the format has no such mode
        content = bytearray(path.read_bytes())
        for _ in range(data.draw(st.integers(0, 4))):
            content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
        path.write_bytes(content[: data.draw(st.integers(0, len(content)))])
        target = Target((6, 5), keep_aspect=data.draw(st.booleans()), colour=data.draw(st.booleans()))
        header = read_header(path)
        found = decode(path, target)
    if isinstance(found, SkippedFile):
        assert found.reason
        assert folder not in found.reason
    else:
        assert isinstance(header, Header)
        assert found.pixels.shape == ((6, 5, 3) if target.colour else (6, 5))
        assert found.pixels.dtype == (np.float32 if found.facts.deep else np.uint8)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
def test_damaged_exif_is_no_reason_to_leave_out_an_image(tmp_path: Path) -> None:
    Image.fromarray(np.full((16, 16), 9, np.uint8)).save(
        tmp_path / "x.jpg", exif=b"Exif\0\0MM\0*\xff\xff\xff\xff"
    )
    found = decode(tmp_path / "x.jpg", Target((4, 4), keep_aspect=False, colour=False))
    assert not isinstance(found, SkippedFile)
    assert (found.pixels == 9).all()


class Countdown(ImageSource):
    """A kind of source that gives its images once, one after the other."""

    def __init__(self, n: int) -> None:
        self.name, self.class_names, self.labelled = "countdown", ("even", "odd"), True
        self.labels = np.arange(n, 0, -1) % 2
        self.image_names = [str(i) for i in range(n)]
        self.image_shape, self.dtype = (2, 3), np.dtype(np.int16)
        self.notes, self.skipped = [], []

    def chunks(self, size: int) -> Iterator[ImageChunk]:
        for start in range(0, self.n_images, size):
            positions = np.arange(start, min(start + size, self.n_images), dtype=np.intp)
            values = (self.n_images - positions).astype(np.int16)
            # Every third one is lost.
            keep = positions % 3 != 0
            images = np.broadcast_to(values[keep, None, None], (keep.sum(), 2, 3))
            yield ImageChunk(images, self.labels[positions[keep]], positions[keep])


def test_another_kind_of_source_only_has_to_give_chunks() -> None:
    data = load(Countdown(5000))
    assert data.n_images == 3333
    assert data.images.dtype == np.int16
    np.testing.assert_array_equal(
        data.images[:, 0, 0], 5000 - np.array([int(name) for name in data.image_names])
    )
    np.testing.assert_array_equal(data.labels, data.images[:, 0, 0] % 2)


INTERRUPTED = """
import sys, threading
from pathlib import Path
import wavelens.data._decode as decoding
from wavelens.data import load

decode, count = decoding.decode, 0

def slow(path, target):
    global count
    count += 1
    if count == 3:
        print("decoding", flush=True)
    threading.Event().wait(0.05)
    return decode(path, target)

import wavelens.data._folders as folders
folders.decode = slow
try:
    load(Path(sys.argv[1]))
except KeyboardInterrupt:
    print("left", [each.name for each in threading.enumerate() if each.name.startswith("wavelens")])
"""


@pytest.mark.skipif(sys.platform == "win32", reason="sends SIGINT")
def test_ctrl_c_stops_soon_and_leaves_no_threads(tmp_path: Path) -> None:
    for class_name in ("a", "b"):
        (tmp_path / class_name).mkdir()
        for i in range(1000):
            Image.fromarray(np.zeros((4, 4), np.uint8)).save(tmp_path / class_name / f"{i}.png")
    process = subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED, str(tmp_path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "decoding\n"
    process.send_signal(signal.SIGINT)
    begun = time.monotonic()
    out, err = process.communicate(timeout=30)
    assert time.monotonic() - begun < 5  # the whole would take 25 seconds
    assert out == "left []\n", err
    assert process.returncode == 0


def test_importing_is_cheap() -> None:
    code = (
        "import sys, wavelens.data; "
        "print([m for m in ('sklearn', 'matplotlib', 'numba', 'PIL.PngImagePlugin') if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert found == "[]\n"
