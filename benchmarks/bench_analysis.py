"""The whole pattern analysis of 2,481 images of 91 × 90 with 1,200 coefficients, after import.

Peer: the same steps with PyWavelets, SciPy and scikit-learn, as a script would take them. On the CT images
where WAVELENS_DATA names their folder, else on 1/f textures of the same shape.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pywt
import scipy.linalg
from _measure import alternate, arguments, gemm_rate, print_header, print_table, verdict
from sklearn.metrics.pairwise import euclidean_distances, rbf_kernel

from wavelens.patterns import PatternAnalysis


def dataset(quick: bool) -> tuple[str, np.ndarray, np.ndarray]:
    folder = os.environ.get("WAVELENS_DATA")
    if folder and not quick:
        with np.load(Path(folder) / "sars_cov2_ct.npz") as archive:
            return "SARS-CoV-2 CT", archive["images"], archive["labels"]
    n, height, width = (300, 32, 32) if quick else (2481, 91, 90)
    rng = np.random.default_rng(0)
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None]) + 1 / height
    spectrum = np.fft.rfft2(rng.standard_normal((n, height, width))) / frequency
    textures = np.fft.irfft2(spectrum, s=(height, width))
    textures = 255 * (textures - textures.min()) / np.ptp(textures)
    return "1/f textures", textures.astype(np.uint8), np.arange(n) % 2


def ours(images: np.ndarray, labels: np.ndarray, k: int) -> dict[str, Any]:
    analysis = PatternAnalysis(n_coefficients=k).fit(images, labels)
    analysis.similarity_to_classes()
    spectrum = analysis.spectrum(0, 1)
    return {"columns": analysis.coefficients_, "sigma": analysis.sigma_, "spectrum": spectrum.values}


def peer(images: np.ndarray, labels: np.ndarray, k: int) -> dict[str, Any]:
    parts = pywt.wavedec2(images.astype(np.float64), "db3", "periodization", axes=(1, 2))
    flat = [parts[0], *(detail for level in parts[1:] for detail in level)]
    coefficients = np.hstack([part.reshape(len(images), -1) for part in flat])
    _, order = scipy.linalg.qr(coefficients, mode="r", pivoting=True)
    chosen = coefficients[:, order[:k]]
    classes = [chosen[labels == label] for label in (0, 1)]
    grams = [block.T @ block for block in classes]
    quotients = [grams[i] @ np.linalg.inv(grams[1 - i]) for i in (0, 1)]
    _, v = np.linalg.eig((quotients[0] + quotients[1]) / 2)
    v = v.real
    rows = np.linalg.solve(v, chosen.T).T
    sigma = np.array([np.linalg.norm(rows[labels == label], axis=0) for label in (0, 1)])
    sample = rows[:: max(1, len(rows) // 500)]
    bandwidth = np.median(euclidean_distances(sample)[np.triu_indices(len(sample), 1)])
    similarity = rbf_kernel(rows, gamma=1 / (2 * bandwidth**2))
    means = np.array([similarity[:, labels == label].mean(axis=1) for label in (0, 1)])
    return {"columns": order[:k], "sigma": sigma, "spectrum": (means[0] - means[1]) / means.sum(axis=0)}


def left_out(coefficients: np.ndarray, columns: np.ndarray) -> float:
    q = np.linalg.qr(coefficients[:, columns])[0]
    return float(np.linalg.norm(coefficients - q @ (q.T @ coefficients)))


def main() -> None:
    options = arguments(__doc__)
    name, images, labels = dataset(options.quick)
    k = 60 if options.quick else 1200
    seconds = alternate(
        {
            "wavelens": lambda: ours(images, labels, k),
            "SciPy and scikit-learn": lambda: peer(images, labels, k),
        },
        1 if options.quick else min(options.repeats, 3),
    )
    print_header(f"Whole analysis of {len(images):,} {name} images {images.shape[1:]}, {k:,} coefficients")
    # Floor: the products of the column choice (2npk), of the decomposition (5nk² + 15k³) and of the similarities
    # (n²k), at the rate of BLAS.
    n, p = len(images), images[0].size
    floor = (2 * n * p * k + 5 * n * k**2 + 15 * k**3 + n**2 * k) / gemm_rate()
    analysis = PatternAnalysis(n_coefficients=k).fit(images, labels)
    coefficients = analysis.basis_.forward(images)
    residual = left_out(coefficients, analysis.coefficients_)
    quality = residual / left_out(coefficients, peer(images, labels, k)["columns"])
    chosen = coefficients[:, analysis.coefficients_]
    error = np.linalg.norm(analysis.embedding_ @ analysis.gsvd_.v.T - chosen) / np.linalg.norm(chosen)
    time = seconds["wavelens"]
    target = "" if options.quick else verdict(time, 1.5, at_most=True)
    print_table(
        ["", "seconds", "ratio", "target", "over floor"],
        [
            ["wavelens", time, 1.0, target, time / floor],
            [
                "SciPy and scikit-learn",
                seconds["SciPy and scikit-learn"],
                seconds["SciPy and scikit-learn"] / time,
                "",
                "",
            ],
        ],
    )
    print(
        f"Part of the coefficients that the chosen columns leave out, ours over geqp3's: {quality:.4f}. "
        f"Backward error of the decomposition: {error:.1e}."
    )


if __name__ == "__main__":
    main()
