"""What the checks find in real sets."""

from __future__ import annotations

import pytest

from wavelens.data import load
from wavelens.quality import check_images

pytestmark = pytest.mark.realdata

_copies = {
    ("COVID/Covid (128).png", "COVID/Covid (129).png"),
    ("COVID/Covid (134).png", "COVID/Covid (135).png"),
}


def copies(report):
    return {tuple(report.image_names[i] for i in group) for group in report.duplicate_groups}


def test_ct_set(real_data):
    report = check_images(load(real_data / "sars_cov2_ct.npz"))
    assert copies(report) == _copies
    # Neighbouring slices of a patient.
    assert 5 <= len(report.near_pairs) <= 40
    assert 10 <= len(report.label_doubts) <= 40
    assert not report.constant.any()
    assert not report.saturated.any()


@pytest.mark.parametrize("size", [None, (91, 90)])
def test_ct_originals(real_data, size):
    report = check_images(load(real_data / "sars_cov2_ct_originals", size=size))
    assert copies(report) == _copies
    (mode,) = (each for each in report.leaks if each.what == "colour mode")
    assert mode.found
    assert mode.words == "colour mode: of COVID, 66% RGBA, 34% RGB; of non-COVID, all 186 are RGBA"
    assert len(report.near_pairs) <= 3


def test_mnist(real_data):
    report = check_images(load(real_data / "mnist.npz", limit=600))
    assert report.duplicate_groups == ()
    assert len(report.near_pairs) <= 3
    assert len(report.label_doubts) < 0.02 * report.n_images


def test_cifar(real_data):
    report = check_images(load(real_data / "cifar10_subset.npz"))
    found = {tuple(report.image_names[i] for i in pair) for pair in report.near_pairs}
    assert ("train/frog/0178.jpg", "train/frog/0204.jpg") in found
    assert ("train/airplane/1821.jpg", "train/airplane/2051.jpg") in found
    assert len(found) <= 5
