"""The loader on real sets."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from wavelens.data import load, open_source

pytestmark = pytest.mark.realdata


def test_ct_set(real_data: Path) -> None:
    data = load(real_data / "sars_cov2_ct.npz")
    assert data.images.shape == (2481, 91, 90)
    assert data.images.dtype == np.uint8
    assert data.class_counts == {"COVID": 1252, "non-COVID": 1229}
    names = {name: i for i, name in enumerate(data.image_names)}
    for one, other in ((128, 129), (134, 135)):
        same = [data.images[names[f"COVID/Covid ({i}).png"]] for i in (one, other)]
        np.testing.assert_array_equal(*same)


def test_ct_originals(real_data: Path) -> None:
    data = load(real_data / "sars_cov2_ct_originals", size=(91, 90))
    assert data.class_counts == {"COVID": 186, "non-COVID": 186}
    assert data.images.shape == (372, 91, 90)
    assert data.skipped == ()
    assert data.original_sizes is not None
    assert data.original_modes is not None
    assert len(np.unique(data.original_sizes, axis=0)) > 350
    assert set(data.original_modes) == {"RGB", "RGBA"}
    assert set(data.original_modes[186:]) == {"RGBA"}
    assert any("Alpha channel dropped" in note and "non-COVID 186 of 186" in note for note in data.notes)
    assert any("Read as grey" in note for note in data.notes)
    # The set of the paper was made from these files by the same filter.
    paper = load(real_data / "sars_cov2_ct.npz")
    place = {name: i for i, name in enumerate(paper.image_names)}
    theirs = paper.images[[place[name] for name in data.image_names]]
    assert np.abs(data.images.astype(int) - theirs).max() <= 1


def test_ct_originals_at_their_median_size(real_data: Path) -> None:
    source = open_source(real_data / "sars_cov2_ct_originals", keep_aspect=True)
    sizes = source.load().original_sizes
    assert sizes is not None
    assert source.image_shape == tuple(round(float(each)) for each in np.median(sizes, axis=0))


def test_mnist(real_data: Path) -> None:
    data = load(real_data / "mnist.npz")
    assert data.images.shape == (60000, 28, 28)
    assert data.class_names == tuple("0123456789")
    assert load(real_data / "mnist.npz", split="all").n_images == 70000
    assert load(real_data / "mnist.npz", split="test", limit=30).n_images == 300


def test_cifar_subset(real_data: Path) -> None:
    data = load(real_data / "cifar10_subset.npz")
    assert data.images.shape == (3000, 32, 32, 3)
    assert data.class_names[0] == "airplane"
    assert len(data.class_names) == 10
    assert data.image_names[0].endswith(".jpg")


def test_photos(real_data: Path) -> None:
    data = load(real_data / "photos" / "imagenette160", size=64)
    assert data.images.shape == (900, 64, 64, 3)
    assert set(data.class_counts.values()) == {90}
    assert data.skipped == ()
    assert any(note.startswith("Read in colour") for note in data.notes)
