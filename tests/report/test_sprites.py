"""Sheets of small pictures: each tile is its image, within the budget; and the data of the page's script."""

from __future__ import annotations

import base64
import io
import json

import numpy as np
import pytest
from PIL import Image

from wavelens.patterns import PatternAnalysis
from wavelens.report import image_table
from wavelens.report._image_browser import as_script_data
from wavelens.report._sprites import make_sprites


def tiles(sprites, n):
    """Cut the sheets as the script does."""
    (width, height), each = (sprites.width, sprites.height), sprites.columns * sprites.rows
    sheets = []
    for uri in sprites.sheets:
        sheets.append(np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.split(",")[1])))))
    for i in range(n):
        place = i % each
        across = min(sprites.columns, n - (i - place))
        top, left = place // across * sprites.cell_height, place % across * sprites.cell_width
        yield sheets[i // each][top : top + height, left : left + width]


def smooth(n, height, width, channels=None):
    rng = np.random.default_rng(0)
    shape = (n, 4, 5) if channels is None else (n, 4, 5, channels)
    small = rng.integers(30, 220, shape).astype(np.uint8)
    return np.stack(
        [
            np.asarray(Image.fromarray(each).resize((width, height), Image.Resampling.BICUBIC))
            for each in small
        ]
    )


@pytest.mark.parametrize(("n", "height", "width"), [(1, 8, 8), (3, 5, 9), (700, 8, 8), (2600, 28, 28)])
def test_small_images_are_exact(n, height, width):
    images = np.random.default_rng(0).integers(0, 256, (n, height, width)).astype(np.uint8)
    sprites = make_sprites(images, lambda batch: batch, 10**8)
    assert all(sheet.startswith("data:image/png;base64,") for sheet in sprites.sheets)
    assert len(sprites.sheets) == -(-n // (sprites.columns * sprites.rows))
    for tile, image in zip(tiles(sprites, n), images, strict=True):
        np.testing.assert_array_equal(tile, image)


@pytest.mark.parametrize("channels", [None, 3])
@pytest.mark.parametrize(("height", "width"), [(61, 47), (120, 200), (256, 256)])
def test_larger_images_are_nearly_so(height, width, channels):
    images = smooth(90, height, width, channels)
    sprites = make_sprites(images, lambda batch: batch, 10**8)
    assert max(sprites.width, sprites.height) <= 192
    size = (sprites.width, sprites.height)
    for tile, image in zip(tiles(sprites, 90), images, strict=True):
        expected = np.asarray(Image.fromarray(image).resize(size, Image.Resampling.LANCZOS)).astype(float)
        assert np.sqrt(np.mean((tile - expected) ** 2)) < 8


def test_the_budget_is_kept():
    images = np.random.default_rng(0).integers(0, 256, (400, 64, 64)).astype(np.uint8)
    before = 10**9
    for budget in (2_000_000, 600_000, 150_000):
        sprites = make_sprites(images, lambda batch: batch, budget)
        total = sum(map(len, sprites.sheets))
        assert total < 1.1 * budget + 2000
        assert total < before
        before = total
    assert make_sprites(images, lambda batch: batch, 10_000) is None


def test_script_data_cannot_end_the_script():
    text = "</script><!-- <script> & \u2028 \u2029 \" ' 名"
    written = str(as_script_data({"a": text}))
    assert not set("<>&\u2028\u2029") & set(written)
    assert json.loads(written) == {"a": text}


def test_nearest_images_by_brute_force():
    rng = np.random.default_rng(0)
    labels = np.array([0] * 20 + [1] * 9 + [2] * 3)
    images = rng.normal(size=(32, 8, 8)) + labels[:, None, None]
    analysis = PatternAnalysis(n_coefficients=3).fit(images, labels)
    table = image_table(analysis)
    rows = analysis.embedding_
    distance = np.linalg.norm(rows[:, None] - rows, axis=2)
    np.fill_diagonal(distance, np.inf)
    for i in range(32):
        for near, far, among in (
            (table.near_same[i], table.near_same_distance[i], labels == labels[i]),
            (table.near_other[i], table.near_other_distance[i], labels != labels[i]),
        ):
            order = np.argsort(np.where(among, distance[i], np.inf), kind="stable")
            k = min(4, np.count_nonzero(among & np.isfinite(distance[i])))
            np.testing.assert_array_equal(near[:k], order[:k])
            np.testing.assert_allclose(far[:k], distance[i, order[:k]])
            assert (near[k:] == -1).all()
            assert np.isnan(far[k:]).all()
    assert (table.near_other[:, 0] == table.nearest_other).all()
