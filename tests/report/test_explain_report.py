from __future__ import annotations

import base64
import io
import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from explained import CLASSES, LAMBDAS, digit_images, digit_model, digit_paths
from PIL import Image

from wavelens.explain import evaluate
from wavelens.report import summarize_explanations, usual_explanations, write_explain_report
from wavelens.report._explain_pictures import Quality, choose_quality, encode, mosaic
from wavelens.report._explain_story import probabilities
from wavelens.wavelets import WaveletTransform

hostile = ("</script><script>alert(1)</script>", '"><img src=x onerror=alert(2)>', "{{ 7 * 7 }}")


class Page(HTMLParser):
    """Tags with their attributes, and the text of the page without style and script."""

    def __init__(self, path):
        super().__init__()
        self.tags, self.text, self._inside = [], "", []
        self.html = path.read_text(encoding="utf-8")
        self.feed(self.html)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag in ("style", "script"):
            self._inside.append(tag)

    def handle_endtag(self, tag):
        if self._inside and self._inside[-1] == tag:
            self._inside.pop()

    def handle_data(self, data):
        if not self._inside:
            self.text += data

    def all(self, tag, **wanted):
        return [
            a for t, a in self.tags if t == tag and all(wanted[k] in (a.get(k) or "").split() for k in wanted)
        ]


@pytest.fixture(scope="module")
def evaluation():
    return evaluate(
        [usual_explanations(path) for path in digit_paths()], digit_model(), n_samples=2, progress=False
    )


@pytest.fixture(scope="module")
def page(tmp_path_factory, evaluation):
    folder = tmp_path_factory.mktemp("explained")
    names = ("a.png", "b.png", "c.png")
    path = write_explain_report(
        folder,
        digit_paths(),
        digit_model(),
        image_names=names,
        class_names=CLASSES,
        evaluation=evaluation,
        n_samples=4,
        command="wavelens explain a.png",
    )
    return Page(path)


def test_everything_is_in_the_file(page):
    for tag, attributes in page.tags:
        for name in ("src", "href"):
            value = attributes.get(name)
            assert value is None or value.startswith(("data:", "#")), (tag, name, value)
    assert not re.search(r"https?://", page.html)


def test_each_image_has_its_steps_and_pictures(page):
    assert len(page.all("figure")) == 3
    steps = page.all("div", **{"class": "step"})
    # Two ways of explaining, and the masks in the wavelet domain.
    assert len(steps) == 3 * 3 * len(LAMBDAS)
    assert sum("hidden" not in each for each in steps) == 3 * 3
    sliders = page.all("input", type="range")
    assert [(each["min"], each["max"]) for each in sliders] == [("0", "2")] * 3
    assert all(each["aria-valuetext"].startswith("λ ") for each in sliders)
    assert all(attributes.get("alt") is not None for tag, attributes in page.tags if tag == "img")


def test_the_slider_begins_at_the_recommended_place(page):
    wavelets, _ = digit_paths()
    ascending = sorted(wavelets.lambdas)
    for slider, place in zip(page.all("input", type="range"), wavelets.recommended, strict=True):
        assert ascending[int(slider["value"])] == wavelets.lambdas[place]


def test_pictures_are_those_of_the_explanations(page):
    wavelets, pixels = digit_paths()
    shown = [a["src"] for t, a in page.tags if t == "img" and "kept" in (a.get("class") or "")]
    expected = [
        found.pictures()[i]
        for i in range(3)
        for path in (wavelets, pixels)
        for found in sorted(path.explanations, key=lambda each: each.lam)
    ]
    assert len(shown) == len(expected)
    for uri, picture in zip(shown, expected, strict=True):
        stored = np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.split(",", 1)[1]))))
        assert np.abs(stored / 255.0 - picture).max() < 0.003


def test_it_tells_answers_figures_and_measures(page, evaluation):
    text = " ".join(page.text.split())
    first = digit_paths()[0].explanations[0]
    for target in first.targets:
        assert f"The network says “digit {target}”" in text
    for heading in (
        "How to read it",
        "What the picture does not say",
        "Method and sources",
        "How far to trust it",
    ):
        assert heading in text
    for column in evaluation.columns:
        shown = np.isfinite([evaluation.summary(row, column.key).mean for row in evaluation.rows]).any()
        assert (column.meaning[1:] in text) == shown
    assert "wavelens explain a.png" in text
    assert "nan" not in text.lower().replace("explanation", "")


def test_answers_are_those_to_noise_in_the_rest(tmp_path):
    """The mean answer on the page is what the model says to the obfuscations, drawn anew."""
    path = digit_paths()[0]
    found = min(path.explanations, key=lambda each: each.lam)
    shown = found.obfuscations(4, 7)
    expected = probabilities(digit_model(), shown.reshape(-1, 8, 8)).reshape(3, 4, 10).mean(axis=1)
    written = write_explain_report(
        tmp_path, path, digit_model(), class_names=CLASSES, n_samples=4, random_state=7
    ).read_text(encoding="utf-8")
    tells = re.findall(r'data-tells="λ 0.5, [^"]*digit \d\u2069 (?:&lt; |&gt; )?(\d+(?:\.\d+)?)%"', written)
    targets = np.asarray(found.targets)
    own = 100 * expected[np.arange(3), targets]
    assert len(tells) == 3
    np.testing.assert_allclose([float(each) for each in tells], own, atol=1.0)


def test_hostile_names_stay_text(tmp_path):
    names = [f"{each}{i}" for i, each in enumerate((*hostile, *hostile, *hostile, hostile[0]))]
    path = write_explain_report(
        tmp_path,
        digit_paths(),
        digit_model(),
        image_names=hostile,
        class_names=names,
        full_class_names=names,
        n_samples=2,
        notes=[hostile[1]],
        command=hostile[0],
    )
    page = Page(path)
    assert page.html.count("<script>") == 1
    assert page.html.count("</script>") == 1
    assert not page.all("img", src="x")
    assert "{{ 7 * 7 }}" in page.text
    assert {each.parent for each in (tmp_path / "figures").iterdir()} == {tmp_path / "figures"}


def test_one_image_one_method_one_lambda(tmp_path):
    path = digit_paths()[0]
    first = path.explanations[0]
    arrays = {
        name: value[:1]
        for name, value in vars(first).items()
        if isinstance(value, np.ndarray | tuple) and len(value) == 3
    }
    alone = replace(
        path, lambdas=path.lambdas[:1], explanations=(replace(first, **arrays),), recommended=np.zeros(1, int)
    )
    page = Page(write_explain_report(tmp_path, alone, digit_model(), n_samples=2))
    assert not page.all("input", type="range")
    assert "Why " in page.text
    assert "slider" not in page.text
    assert "the probability of the explained class moves, as a share of itself, squared" in page.text
    assert "D(s) is the mean over noise v of ((p(z) − p(x))/p(x))²" in page.text
    assert "Noise is Gaussian" in page.text
    other = replace(alone, explanations=(replace(alone.explanations[0], distortion="kl", noise="zero"),))
    text = Page(write_explain_report(tmp_path / "kl", other, digit_model(), n_samples=2)).text
    assert "Distortion is the mean Kullback–Leibler divergence of the answer" in text
    assert "how far the probability" not in text
    assert "mean over noise v of Σ p(x)·log(p(x)/p(z)) over all classes" in text
    assert "In place of noise there is zero." in text


def test_a_model_that_fails_on_an_image(tmp_path):
    """The page tells it, and shows the others."""
    wavelets = digit_paths()[0]
    masks, rates = wavelets.explanations[0].masks.copy(), wavelets.explanations[0].rates.copy()

    def broken(found):
        figures = {}
        for name in (
            "probabilities",
            "distortions",
            "distortion_errors",
            "masked_probabilities",
            "objectives",
        ):
            figures[name] = np.array(getattr(found, name))
            figures[name][1] = np.nan
        stopped = (found.stopped[0], "failed: the model returned NaN", found.stopped[2])
        return replace(found, masks=masks, rates=rates, stopped=stopped, **figures)

    class Failing:
        name, outputs = "failing", "probabilities"

        def predict(self, x):
            answers = np.array(digit_model().predict(x))
            second = np.abs(x[:, 0] - digit_images()[1].astype(np.float32)).max(axis=(1, 2)) < 1e-6
            answers[second] = np.nan
            return answers

    path = replace(wavelets, explanations=tuple(broken(each) for each in wavelets.explanations))
    page = Page(write_explain_report(tmp_path, path, Failing(), class_names=CLASSES, n_samples=2))
    assert "the network gives no numbers for it" in page.text
    assert "failed: the model returned NaN" in page.text
    assert "The network says “digit 0”" in page.text


def test_bad_arguments(tmp_path):
    wavelets, pixels = digit_paths()
    with pytest.raises(ValueError, match="`image_names` must name the 3 images, got 1 names"):
        write_explain_report(tmp_path, wavelets, digit_model(), image_names=["a"])
    with pytest.raises(ValueError, match="`paths` must hold at least one path"):
        write_explain_report(tmp_path, [], digit_model())
    fewer = replace(pixels, lambdas=pixels.lambdas[:2], explanations=pixels.explanations[:2])
    with pytest.raises(ValueError, match="as many λ each, got 3 and 2"):
        write_explain_report(tmp_path, [wavelets, fewer], digit_model())
    moved = tuple(replace(each, targets=each.targets + 1) for each in pixels.explanations)
    with pytest.raises(ValueError, match="same images and targets"):
        write_explain_report(tmp_path, [wavelets, replace(pixels, explanations=moved)], digit_model())


def test_the_summary_is_json_with_every_step(evaluation):
    said = summarize_explanations(
        digit_paths(), image_names=["a", "b", "c"], class_names=CLASSES, evaluation=evaluation
    )
    said = json.loads(json.dumps(said, allow_nan=False))
    first = digit_paths()[0].explanations[0]
    assert [each["image"] for each in said["images"]] == ["a", "b", "c"]
    for i, each in enumerate(said["images"]):
        assert each["class"] == f"digit {first.targets[i]}"
        steps = each["methods"]["cartoonx"]["steps"]
        assert [step["rate"] for step in steps] == [float(e.rates[i]) for e in digit_paths()[0].explanations]
        assert each["methods"]["cartoonx"]["recommended_lambda"] in LAMBDAS
    assert len(said["evaluation"]["rows"]) == len(evaluation.rows)


def test_the_usual_lambda_is_that_of_most_images():
    path = digit_paths()[0]
    for recommended, place in (([1, 1, 0], 1), ([0, 1, 2], 2)):
        assert (
            usual_explanations(replace(path, recommended=np.array(recommended))) is path.explanations[place]
        )


@pytest.mark.parametrize("mode", ["zero", "periodization"])
@pytest.mark.parametrize("shape", [(16, 16), (21, 30)])
def test_the_mosaic_holds_every_entry_of_the_mask(shape, mode):
    transform = WaveletTransform(shape, "db2", 2, mode)
    mask = np.zeros(transform.n_coefficients)
    lit = np.random.default_rng(0).choice(len(mask), len(mask) // 3, replace=False)
    mask[lit] = 1
    picture = mosaic(mask, transform.bands)
    assert (picture == 255).sum() == len(lit)
    # The approximation is top left, the finest diagonal details bottom right.
    approximation, diagonal = transform.bands[0], transform.bands[-1]
    rows, columns = approximation.shape
    assert np.array_equal(
        picture[:rows, :columns] == 255, mask[approximation.slice].reshape(approximation.shape) == 1
    )
    rows, columns = diagonal.shape
    assert np.array_equal(
        picture[-rows:, -columns:] == 255, mask[diagonal.slice].reshape(diagonal.shape) == 1
    )


def test_small_pictures_are_exact_and_large_ones_shrink():
    small = np.arange(64, dtype=np.uint8).reshape(8, 8)
    stored = Image.open(io.BytesIO(base64.b64decode(encode(small, 200, 50).split(",")[1])))
    assert np.array_equal(np.asarray(stored), small)
    large = np.random.default_rng(0).integers(0, 255, (400, 300, 3)).astype(np.uint8)
    assert max(Image.open(io.BytesIO(base64.b64decode(encode(large, 200, 50).split(",")[1]))).size) == 200


def test_many_images_get_smaller_pictures():
    def sample(quality):
        return quality.side * quality.kept

    sides = [choose_quality(sample, n, 1_000_000).side for n in (1, 50, 100, 10_000)]
    assert sides == sorted(sides, reverse=True)
    assert sides[0] == 320
    assert choose_quality(sample, 10_000, 1_000_000) == Quality(96, 40, 0)
