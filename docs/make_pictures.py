"""Make the pictures of the README: the top of a report and a pair of classes, as headless Chromium shows them.

Run it by hand after the report has changed, with Chromium installed and Wavelens in the environment:

    python docs/make_pictures.py

It analyses the digits that come with scikit-learn, so it needs no other data, and writes `docs/report.png` and
`docs/between.png`. With `--charts` it makes the charts of the reproduction page instead, `docs/association.svg` and
`docs/residuals.svg`, from the SARS-CoV-2 set in the folder that WAVELENS_DATA names; these hold no images, as its
licence does not allow that.

With `--hierarchy [FEATURES.npz]` it makes the pictures of the hierarchy page: `docs/mmf_graph.svg` and
`docs/storage.svg` from scikit-learn's digits and made matrices, and, where there is a file of features as
`wavelens features` writes it, `docs/flow.svg` of its layers, and `docs/classes.svg` where WAVELENS_DATA names the
folder of the real data; both hold names and numbers, no images.

With `--explain` it makes the pictures of the guide to explanations, `docs/explained.png` and `docs/mask_path.png`, from
scikit-learn's digits.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter
from PIL import Image

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests"))

from chromium import Chromium, find_chromium  # noqa: E402  (the tests' way to Chromium)

WIDTH = 1200
# Each picture: where on the page its top is, and its height.
PICTURES = {"report": ("overview", 1000), "between": ("pair-1", 810)}
COLORS = 128


def make_charts() -> None:
    """Draw the charts of docs/reproduction.md."""
    from wavelens.data import load
    from wavelens.patterns import PatternAnalysis, compare_bases
    from wavelens.plotting import AssociationDisplay

    where = os.environ.get("WAVELENS_DATA") or sys.exit("WAVELENS_DATA must name the folder of the real data")
    ct = load(Path(where) / "sars_cov2_ct.npz")
    mpl.rcParams.update({"svg.hashsalt": "wavelens", "svg.fonttype": "none", "font.size": 9})
    many, few = (PatternAnalysis(n_coefficients=m).fit(ct.images, ct.labels) for m in (1200, 300))

    figure = Figure(figsize=(7.4, 2.7), layout="constrained", facecolor="white")
    for ax, analysis in zip(figure.subplots(1, 2), (many, few), strict=True):
        AssociationDisplay(analysis.association_test(200)).plot(ax)
        ax.set_title(f"{len(analysis.coefficients_):,} coefficients", loc="left")
    _save(figure, "association")

    comparison = compare_bases(ct.images, ct.labels, many)
    figure = Figure(figsize=(7.4, 3.2), layout="constrained", facecolor="white")
    ax = figure.add_subplot()
    for side, color in ((comparison.wavelet, "#0072b2"), (comparison.pixel, "#d55e00")):
        name = {"wavelet": "wavelets", "pixel": "pixels"}[side.analysis.basis]
        ax.plot(
            side.n_patterns, np.median(side.chosen, axis=0), color=color, label=f"{name}, by contribution"
        )
        by_size = np.median(_residuals_by_size(side.analysis, comparison.sample), axis=0)[side.n_patterns]
        ax.plot(
            side.n_patterns,
            by_size,
            color=color,
            ls=(0, (4, 2)),
            lw=1,
            label=f"{name}, by size of coefficient",
        )
    ax.set_xlabel("patterns")
    ax.set_ylabel("residual (median of 24 images)")
    ax.set_ylim(0, 1.05)
    ax.grid(color="#d5dae1", lw=0.6)
    ax.spines[["top", "right"]].set_visible(False)
    ax.legend(frameon=False)
    _save(figure, "residuals")


def _residuals_by_size(analysis, images: np.ndarray) -> np.ndarray:
    """Return the residual of images with the patterns of their largest coefficients, from none to all."""
    out = []
    for row in analysis.embedding_[images]:
        order = np.argsort(-np.abs(row))
        terms = analysis.gsvd_.v[:, order] * row[order]
        whole = terms.sum(axis=1)
        missing = whole[:, None] - np.cumsum(terms, axis=1)
        out.append(np.r_[1, np.linalg.norm(missing, axis=0) / np.linalg.norm(whole)])
    return np.array(out)


def make_hierarchy() -> None:
    """Draw the pictures of docs/hierarchy.md."""
    from sklearn.datasets import load_digits

    from wavelens.hierarchy import ClassHierarchy, layer_flow
    from wavelens.models import load_features
    from wavelens.plotting import LayerFlowDisplay, MMFGraphDisplay

    # Text as paths: ellipses and bands are as wide as the names of this font.
    mpl.rcParams.update({"svg.hashsalt": "wavelens", "svg.fonttype": "path"})
    pixels, labels = load_digits(return_X_y=True)
    hierarchy = ClassHierarchy(order=3, center=True, correlation=True).fit(pixels, labels)
    _save(MMFGraphDisplay.from_graph(hierarchy.graph()).plot().figure_, "mmf_graph")
    _save(_storage(), "storage")
    if os.environ.get("WAVELENS_DATA"):
        _save(_thousand_classes(Path(os.environ["WAVELENS_DATA"]) / "models"), "classes")
    for file in sys.argv[2:3]:
        features = load_features(file)
        names = np.array(features.class_names)[features.labels]
        layers = {name: features.layers[name] for name in features.layers if name != "logits"}
        flow = layer_flow(layers, names, order=3, center=True, n_resamples=50)
        print("\n".join(flow.words()))
        _save(LayerFlowDisplay.from_flow(flow).plot().figure_, "flow")


def _thousand_classes(models: Path) -> Figure:
    """Draw the first compositions of ImageNet's classes, a photo each."""
    from wavelens.hierarchy import ClassHierarchy
    from wavelens.models import read_class_names
    from wavelens.plotting import MMFGraphDisplay

    names = read_class_names(models / "imagenet_labels.json").names
    features = np.load(models / "mobilenet_one_per_class_outputs.npz")["features"]
    hierarchy = ClassHierarchy(order=3, center=True).fit(features, np.arange(len(names)))
    return MMFGraphDisplay.from_graph(hierarchy.mmf_.graph(names)).plot().figure_


def _storage() -> Figure:
    """Draw the errors of MMF, low rank and Nyström over the bytes they take."""
    sys.path.insert(0, str(HERE.parent / "benchmarks"))
    from bench_mmf_quality import ORDERS, PEERS, cases, storage_rows

    chosen = {
        "Gaussian kernel, plane, width 0.3": "smooth kernel: points in a\nsquare, width 0.3",
        "Gaussian kernel, digits, γ as scikit-learn's SVC": "smooth kernel: digits",
        "blocks of blocks": "blocks of blocks, with noise",
        "Gaussian kernel, plane, width 0.05": "rough kernel: points in a\nsquare, width 0.05",
        "tree, shared way from the root": "tree: way shared from the root",
        "Laplacian, grid": "Laplacian of a grid",
    }
    budgets = (0.03, 0.05, 0.08, 0.12, 0.18, 0.26)
    colors = dict(zip(PEERS, ("#d55e00", "#cc79a7", "#e69f00"), strict=True))
    figure = Figure(figsize=(7.4, 4.6), layout="constrained", facecolor="white")
    panels = dict(zip(chosen, figure.subplots(2, 3, sharex=True).flat, strict=True))
    for case in cases(512):
        if case.name not in panels:
            continue
        ax = panels[case.name]
        rows = storage_rows(case, budgets)
        ours = [min(e for e in row[3 : 3 + len(ORDERS)] if isinstance(e, float)) for row in rows]
        ax.semilogy(budgets, ours, color="#0072b2", lw=2, marker="o", ms=3.5, label="MMF, best order")
        for i, peer in enumerate(PEERS):
            errors = [row[3 + len(ORDERS) + i] for row in rows]
            ax.semilogy(budgets, errors, color=colors[peer], marker=".", label=peer)
        ax.set_title(chosen[case.name], loc="left", fontsize=9)
        ax.xaxis.set_major_formatter(lambda x, _: f"{100 * x:.0f} %")
        ax.set_ylim(bottom=max(ax.get_ylim()[0], 1e-7))
        ax.yaxis.set_minor_formatter(NullFormatter())
        ax.tick_params(labelsize=8.5)
        ax.grid(color="#d5dae1", lw=0.6)
        ax.spines[["top", "right"]].set_visible(False)
    bottom = list(panels.values())[3:]
    bottom[1].set_xlabel("bytes, as a share of those of the matrix", fontsize=9)
    for ax in (bottom[0], panels[next(iter(chosen))]):
        ax.set_ylabel("relative error", fontsize=9)
    bottom[2].set_ylim(0.1, 1.1)  # a power of ten to read the others by
    handles, names = bottom[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside upper left", ncols=4, frameon=False, fontsize=9)
    return figure


def make_explained() -> None:
    """Draw the pictures of docs/explain.md with the guide's own code."""
    import re

    from wavelens.plotting import ExplanationDisplay, MaskPathDisplay

    text = (HERE / "explain.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)[:2]
    names: dict = {}
    with tempfile.TemporaryDirectory() as scratch:
        os.chdir(scratch)
        for block in blocks:
            exec(block, names)
    display = ExplanationDisplay.from_explanations(names["wavelets"], names["pixels"])
    _save_pixels(display.plot().figure_, "explained")
    _save_pixels(MaskPathDisplay.from_path(names["path"], index=1).plot().figure_, "mask_path")


def _save_pixels(figure: Figure, name: str) -> None:
    target = HERE / f"{name}.png"
    with tempfile.TemporaryDirectory() as scratch:
        figure.savefig(Path(scratch) / "picture.png", dpi=100, bbox_inches="tight", pad_inches=0.1)
        picture = Image.open(Path(scratch) / "picture.png").convert("RGB")
    picture.quantize(COLORS, dither=Image.Dither.NONE).save(target, optimize=True)
    print(f"{target}: {picture.width} × {picture.height}, {target.stat().st_size / 1000:.0f} kB")


def _save(figure: Figure, name: str) -> None:
    target = HERE / f"{name}.svg"
    figure.savefig(target, metadata=dict.fromkeys(("Creator", "Date", "Format", "Type")))
    text = target.read_text(encoding="utf-8")
    target.write_text("\n".join(line.rstrip() for line in text.splitlines()) + "\n", encoding="utf-8")
    print(f"{target}: {target.stat().st_size / 1000:.0f} kB")


def main() -> None:
    """Analyse, photograph, and write the pictures with few colours."""
    if sys.argv[1:] == ["--charts"]:
        make_charts()
        return
    if sys.argv[1:2] == ["--hierarchy"]:
        make_hierarchy()
        return
    if sys.argv[1:] == ["--explain"]:
        make_explained()
        return
    if find_chromium() is None:
        sys.exit("Chromium is needed (Debian: apt-get install chromium)")
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        subprocess.run([sys.executable, "-m", "wavelens", "analyze", "digits"], cwd=folder, check=True)
        with Chromium(find_chromium(), folder / "profile") as browser:
            browser.media(scheme="light")
            for name, (place, height) in PICTURES.items():
                browser.resize(WIDTH, height)
                browser.open(folder / "wavelens-report-digits" / "report.html")
                browser.run(f"document.getElementById('{place}').scrollIntoView({{behavior: 'instant'}})")
                browser.run("new Promise((done) => setTimeout(done, 500))")
                browser.screenshot(folder / "picture.png")
                picture = Image.open(folder / "picture.png").convert("RGB")
                target = HERE / f"{name}.png"
                picture.quantize(COLORS, dither=Image.Dither.NONE).save(target, optimize=True)
                print(f"{target}: {picture.width} × {picture.height}, {target.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
