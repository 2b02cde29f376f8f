"""Image files for the tests of `wavelens.data`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image


def noise(seed: int, *shape: int, high: int = 256) -> np.ndarray[Any, Any]:
    return np.random.default_rng(seed).integers(0, high, shape, dtype=np.uint8)


def write(path: Path, pixels: np.ndarray[Any, Any], **options: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **options)
    return path
