"""The report of the patterns system as a page: whole, self-contained, safe with any names, and robust."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pytest
from html_page import Page, check_page
from sklearn.datasets import load_digits

from wavelens.patterns import PatternAnalysis
from wavelens.report import write_patterns_report
from wavelens.report._words import count, joined, number, percent, pvalue, said, signed, times


@dataclass(frozen=True)
class Images:
    images: np.ndarray
    labels: np.ndarray
    class_names: tuple[str, ...]
    image_names: tuple[str, ...]
    skipped: tuple = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Skipped:
    path: str
    reason: str


def dataset(images, labels, class_names=None, **more):
    labels = np.asarray(labels)
    names = class_names or tuple(f"class {i}" for i in range(labels.max() + 1))
    image_names = more.pop("image_names", tuple(f"{names[k]}/image {i}.png" for i, k in enumerate(labels)))
    return Images(np.asarray(images), labels, names, image_names, **more)


def write(folder, data, n_coefficients, **options):
    analysis = PatternAnalysis(n_coefficients=n_coefficients).fit(data.images, data.labels)
    path = write_patterns_report(folder, analysis, data, **options)
    return path.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    images, labels = load_digits(n_class=2, return_X_y=True)
    data = dataset(
        images.reshape(-1, 8, 8),
        labels,
        ("zero", "one"),
        skipped=(Skipped("zero/broken.png", "is cut short"),),
        notes=("The alpha channel was dropped.",),
    )
    folder = tmp_path_factory.mktemp("two")
    steps = []
    html = write(folder, data, 20, command="wavelens analyze x", progress=lambda *step: steps.append(step))
    return folder, html, steps


@pytest.fixture(scope="module")
def ten(tmp_path_factory):
    images, labels = load_digits(return_X_y=True)
    folder = tmp_path_factory.mktemp("ten")
    return folder, write(folder, dataset(images[:500].reshape(-1, 8, 8), labels[:500]), 30)


def test_page_of_two_classes(two):
    folder, html, steps = two
    page, text = check_page(html)
    for expected in (
        "What 360 images of 2 classes are made of",
        "zero",
        "1 file was left out",
        "is cut short",
        "The alpha channel was dropped.",
        "wavelens analyze x",
        "rank correlation",
        "Nothing here is a diagnosis",
        "8 × 8 pixels, grey",
        "20 of 64",
        "they do not say how well new images would be told apart",
    ):
        assert expected in text
    shares = [share for share, _ in steps]
    assert shares == sorted(shares)
    assert shares[0] == 0
    assert shares[-1] == 1
    for name in ("influence", "singular-values", "angles", "residual-curve", "similarity-zero"):
        assert (folder / "figures" / f"{name}.svg").stat().st_size > 1000
    for name in ("patterns-one", "least-complex", "most-complex", "isolated-zero", "borderline-zero-one"):
        assert (folder / "figures" / f"{name}.png").stat().st_size > 1000
    assert len(page.all("img")) > 40


def test_page_of_ten_classes(ten):
    _, html = ten
    page, text = check_page(html)
    assert len(page.all("details")) > 5
    assert "All 45 pairs in a table" in text
    # Digestible: not a figure for each of the 45 pairs.
    assert len(page.all("svg")) < 40
    assert len(html) < 4_000_000


def test_contents_name_every_section(ten):
    page = Page(ten[1])
    links = {attributes["href"][1:] for attributes in page.all("a")}
    sections = {attributes["id"] for attributes in page.all("section") if "id" in attributes}
    assert sections
    assert sections <= links


def test_charts_follow_the_theme(two):
    rules = dict(re.findall(r"^\.(s\d+) \{ (.*) \}$", two[1], flags=re.MULTILINE))
    for drawing in re.findall(r"<svg class=\"drawn\".*?</svg>", two[1], flags=re.DOTALL):
        assert any("var(--ink)" in rules[name] for name in re.findall(r'class="(s\d+)"', drawing))
        assert "style=" not in drawing
        sheet = drawing.split("axes_1", 1)[0]
        assert not any("fill: #ffffff" in rules[name] for name in re.findall(r'class="(s\d+)"', sheet))
        assert "xmlns" not in drawing


def test_strip_shows_every_image_in_order(two):
    page = Page(two[1])
    (slider,) = [attributes for _, attributes in page.tags if attributes.get("role") == "slider"]
    dots = page.all("circle")
    assert len(dots) == int(slider["aria-valuemax"]) == 250
    assert 1 <= int(slider["aria-valuenow"]) <= 250
    assert slider["tabindex"] == "0"
    x = [float(dot["cx"]) for dot in dots]
    assert x == sorted(x)
    assert min(x) >= 0
    assert max(x) <= 1000
    # No dot hides another, and the border lies between those of its two sides.
    assert len({(dot["cx"], dot["cy"]) for dot in dots}) == len(dots)
    for dot in dots:
        assert dot["data-source"].startswith("data:image/")
        value = float(dot["data-about"].rsplit(", ", 1)[1].replace("−", "-"))
        assert abs(value) < 0.006 or (value > 0) == (float(dot["cx"]) > 500)
    assert sum("class" in dot for dot in dots) == 1


def test_nothing_global_remains(two):
    assert plt.get_fignums() == []
    assert matplotlib.rcParams["svg.fonttype"] == matplotlib.rcParamsDefault["svg.fonttype"]


def test_same_report_twice(tmp_path):
    images, labels = random_images(12, 2)
    data = dataset(images, labels)
    assert write(tmp_path / "a", data, 4) == write(tmp_path / "b", data, 4)


hostile = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(2)>',
    "'; DROP -- {{ 7*7 }} ${x}",
    "a&amp;b </svg></style>",
    "$\\frac{1}$",
    "_hidden",
    "名前 \U0001f600",
    "bell\x07 and \udcff surrogate\u2028",
)


@pytest.mark.parametrize("pair", [hostile[0:2], hostile[2:4], hostile[4:6], hostile[6:8]])
def test_hostile_names_stay_text(tmp_path, pair):
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1], 12)
    data = dataset(
        rng.normal(size=(24, 8, 8)) + labels[:, None, None],
        labels,
        pair,
        image_names=tuple(f"{pair[k]}/../{pair[1 - k]}{i}" for i, k in enumerate(labels)),
        notes=pair,
        skipped=(Skipped(pair[0], pair[1]),),
    )
    page, text = check_page(write(tmp_path, data, 6, command=pair[0] + pair[1]))
    assert len(page.all("script")) == 1
    assert len(page.all("style")) == 1
    assert all(attributes["src"].startswith("data:") for attributes in page.all("img"))
    assert "49" not in re.findall(r"DROP -- (\S+)", text)
    shown = " ".join(pair[0].split())
    if shown.isprintable():
        assert shown in text
    for file in (tmp_path / "figures").iterdir():
        assert re.fullmatch(r"[a-z0-9.-]+", file.name)


def test_colour(tmp_path):
    rng = np.random.default_rng(0)
    labels = np.arange(60) % 3
    images = rng.integers(0, 200, (60, 16, 12, 3)).astype(np.uint8)
    images[labels == 1, :, :, 0] += 50
    _, text = check_page(write(tmp_path, dataset(images, labels), 12))
    assert "12 × 16 pixels, colour" in text


def test_large_images_are_made_smaller(tmp_path):
    rng = np.random.default_rng(0)
    labels = np.arange(8) % 2
    html = write(tmp_path, dataset(rng.random((8, 400, 300)), labels), 4)
    check_page(html)
    assert len(html) < 12_000_000


def random_images(n, n_classes, size=8, seed=0):
    return np.random.default_rng(seed).normal(size=(n, size, size)), np.arange(n) % n_classes


@pytest.mark.parametrize(("n", "n_classes", "k"), [(4, 2, 1), (10, 2, 5), (6, 3, 2), (30, 15, 2)])
def test_few_images_few_coefficients_many_classes(tmp_path, n, n_classes, k):
    images, labels = random_images(n, n_classes)
    check_page(write(tmp_path, dataset(images, labels), k))


@pytest.mark.filterwarnings("ignore:An input array is constant")
def test_all_images_alike(tmp_path):
    images = np.random.default_rng(0).normal(size=(1, 8, 8)) + np.zeros((12, 1, 1))
    images = images + 1e-9 * np.random.default_rng(1).normal(size=(12, 8, 8))
    check_page(write(tmp_path, dataset(images, np.arange(12) % 2), 2))


@pytest.mark.parametrize("bandwidth", [1e12, 1e-6])
def test_equal_similarities(tmp_path, bandwidth):
    images, labels = random_images(20, 2)
    data = dataset(images, labels)
    analysis = PatternAnalysis(n_coefficients=4, bandwidth=bandwidth).fit(images, labels)
    check_page(write_patterns_report(tmp_path, analysis, data).read_text("utf-8"))


def test_labels_that_are_names_and_tied_strengths(tmp_path):
    images, codes = random_images(40, 2)
    data = dataset(images, codes, ("left", "right"))
    labels = np.array(data.class_names)[codes]
    analysis = PatternAnalysis(n_coefficients=6, normalization="csd").fit(images, labels)
    _, text = check_page(write_patterns_report(tmp_path, analysis, data).read_text("utf-8"))
    assert "left and right" in text
    assert "is no finding here" in text


def test_classes_of_like_names_have_files_of_their_own(tmp_path):
    images, labels = random_images(30, 3)
    write(tmp_path, dataset(images, labels, ("a b", "a-b", "A/B")), 4)
    assert len(list((tmp_path / "figures").glob("patterns-*.png"))) == 3


def test_other_data_are_refused(tmp_path):
    images, labels = random_images(20, 2)
    analysis = PatternAnalysis(n_coefficients=4).fit(images, labels)
    with pytest.raises(ValueError, match=r"`data.images` must be of the 20 images .* got 19"):
        write_patterns_report(tmp_path, analysis, dataset(images[:19], labels[:19]))
    short = replace(dataset(images, labels), image_names=("one",))
    with pytest.raises(ValueError, match=r"`data.image_names` must be of the 20 images"):
        write_patterns_report(tmp_path, analysis, short)


def test_words():
    assert count(1, "image") == "1 image"
    assert count(2481, "image") == "2,481 images"
    assert count(0, "class", "classes") == "no classes"
    assert [percent(x) for x in (0, 0.0032, 0.061, 0.48, 1)] == ["0%", "0.32%", "6.1%", "48%", "100%"]
    assert number(-0.5) == "−0.50"
    assert number(-1e-9) == "0.00"
    assert [signed(x) for x in (0.123, -0.3, -1e-9)] == ["+0.12", "−0.30", "+0.00"]
    assert [times(x) for x in (0.871, 2.41, 9.99, 31.2)] == ["0.87 ×", "2.4 ×", "10 ×", "31 ×"]
    assert pvalue(1e-30) == "p < 0.001"
    assert joined(["a"]) == "a"
    assert joined(["a", "b", "c"]) == "a, b and c"
    assert joined(list("abcde"), 2) == "a, b and 3 more"
    assert said("cat") == "cat"
    assert said("7") == "“7”"
