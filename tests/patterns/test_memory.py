"""Memory: estimated beforehand, kept to, and refused with advice."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from wavelens.exceptions import DataError
from wavelens.patterns import PatternAnalysis, estimate_memory
from wavelens.patterns._memory import parse_bytes, said_bytes

_measure = """
import re, sys
import numpy as np
from wavelens.patterns import PatternAnalysis, estimate_memory
n, side, m, dtype = int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
images = np.random.default_rng(0).integers(0, 255, (n, side, side), dtype=np.uint8).astype(dtype)
PatternAnalysis(n_coefficients=m).fit(images, np.arange(n) % 2)
# Not ru_maxrss, which a process inherits from the one that started it.
print(int(re.search(r"VmHWM:\\s*(\\d+)", open("/proc/self/status").read())[1]) * 1024)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak from /proc")
@pytest.mark.parametrize(("n", "side", "m", "dtype"), [(900, 128, 60, "uint8"), (1600, 32, 700, "float64")])
def test_the_estimate_is_near_what_is_measured(n, side, m, dtype):
    done = subprocess.run(
        [sys.executable, "-c", _measure, *map(str, (n, side, m, dtype))],
        capture_output=True,
        text=True,
        check=True,
    )
    measured = int(done.stdout)
    estimate = estimate_memory(n, (side, side), n_coefficients=m, dtype=dtype).total
    assert 0.6 * measured < estimate < 1.4 * measured


def test_more_of_anything_takes_more():
    base = {"n_images": 1000, "image_shape": (64, 64), "n_coefficients": 400}
    total = estimate_memory(**base).total
    for change in (
        {"n_images": 2000},
        {"image_shape": (64, 128)},
        {"image_shape": (64, 64, 3)},
        {"n_coefficients": 900},
    ):
        assert estimate_memory(**base | change).total >= total
    assert estimate_memory(**base, dtype="float32").selecting == estimate_memory(**base).selecting / 2
    with pytest.raises(ValueError, match="`n_images` must be at least 1"):
        estimate_memory(0, (4, 4), n_coefficients=1)


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    return rng.integers(0, 255, (400, 96, 96), dtype=np.uint8), np.arange(400) % 2


def test_what_fits_is_done_and_the_same(data):
    images, labels = data
    limited = PatternAnalysis(n_coefficients=50, memory_limit="1GB").fit(images, labels)
    free = PatternAnalysis(n_coefficients=50).fit(images, labels)
    np.testing.assert_array_equal(limited.sigma_, free.sigma_)


@pytest.mark.parametrize(("n_coefficients", "megabytes"), [(100, 210), (None, 200)])
def test_what_does_not_fit_is_refused_with_what_would(data, n_coefficients, megabytes):
    images, labels = data
    with pytest.raises(DataError) as caught:
        PatternAnalysis(n_coefficients=n_coefficients, memory_limit=megabytes * 1_000_000).fit(images, labels)
    message = str(caught.value)
    assert "400 images of 96 x 96 would take about 2" in message
    assert f"{megabytes} MB of `memory_limit`" in message
    assert "as float32" in message
    # What is advised does fit.
    side = int(message.split("images of ")[2].split(" x ")[0])
    assert 8 <= side < 96
    assert estimate_memory(400, (side, side), n_coefficients=n_coefficients or 200).total <= megabytes * 1e6
    PatternAnalysis(n_coefficients=n_coefficients and 50, memory_limit=megabytes * 1_000_000).fit(
        images[:, :side, :side], labels
    )


def test_nothing_fits_where_the_programme_does_not(data):
    with pytest.raises(DataError, match="Nothing useful would fit"):
        PatternAnalysis(n_coefficients=10, memory_limit="10 MB").fit(*data)


@pytest.mark.parametrize(
    ("text", "count"),
    [("2GB", 2 * 10**9), ("1.5 GiB", 3 * 2**29), ("500mb", 5 * 10**8), ("64k", 64000), ("123", 123), (7, 7)],
)
def test_amounts_are_read(text, count):
    assert parse_bytes(text, "memory_limit") == count


@pytest.mark.parametrize("text", ["much", "0GB", "-1GB", "", "2 parsecs", 0, -5, 1.5, True])
def test_amounts_that_are_none(text):
    with pytest.raises((ValueError, TypeError), match="`memory_limit` must be"):
        parse_bytes(text, "memory_limit")


def test_amounts_are_said_in_three_digits():
    assert [said_bytes(n) for n in (1500, 379_400_000, 8_780_000_000, 2 * 10**13)] == [
        "2 kB",
        "379 MB",
        "8.78 GB",
        "20.0 TB",
    ]
