"""A small folder of images."""

from __future__ import annotations

from pathlib import Path

import pytest
from data_files import noise, write


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two classes of three grey images of 6 × 8 pixels."""
    root = tmp_path / "animals"
    for class_name in ("cat", "dog"):
        for i in (1, 2, 10):
            write(root / class_name / f"{class_name} ({i}).png", noise(i, 6, 8))
    return root
