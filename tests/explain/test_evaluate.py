"""Each measure by its closed form or its extreme cases; the whole by what a table promises."""

from __future__ import annotations

import json

import numpy as np
import pytest
from explain.toy_models import LinearModel, Masks, PredictOnly, RegionModel
from hypothesis import given, settings
from hypothesis import strategies as st

from wavelens.explain import CartoonX, PixelRDE, evaluate, random_wavelet_mask
from wavelens.explain._again import chosen
from wavelens.explain._curves import area, rank
from wavelens.explain._evaluation import Summary
from wavelens.explain._measures import conciseness_preciseness, edges, hallucination, information, overlap
from wavelens.explain._parts import ImageParts
from wavelens.explain._randomized import randomized
from wavelens.wavelets import WaveletTransform

SIZE = 12
REGION = np.add.outer(np.arange(SIZE), np.zeros(SIZE)) < 3  # a quarter of the pixels


def pictures(n=4, seed=0):
    """Bright where the model looks."""
    rng = np.random.default_rng(seed)
    return np.where(REGION, 0.7, 0.1) + 0.2 * rng.random((n, SIZE, SIZE))


def region_masks(n=4):
    return np.broadcast_to(REGION.ravel().astype(float), (n, SIZE * SIZE))


def evaluated(masks, *, model=None, n=4, **options):
    explanations = Masks(pictures(n), masks, np.zeros(n, int), lam=0.01)
    options = {"baselines": (), "random_model": False, "n_seeds": 0, **options}
    return evaluate({"it": explanations}, model or RegionModel(REGION), **options)


def test_a_perfect_mask():
    found = evaluated(region_masks())
    assert found.summary("it", "rate").mean == 0.25
    assert found.summary("it", "distortion").mean == pytest.approx(0, abs=1e-12)
    curve = found.curves["rate_distortion"]
    assert np.all(curve.values[0][:, curve.shares >= 0.25] < 1e-12)
    assert np.all(curve.values[0][:, 0] > 0.05)
    # In and out: the probability runs from the mean colour's to the image's within the first quarter.
    shares = found.curves["insertion"].shares
    inside = found.curves["insertion"].values[0][:, shares >= 0.25]
    np.testing.assert_allclose(inside, np.broadcast_to(found.probabilities[:, None], inside.shape), rtol=1e-5)
    outside = found.curves["deletion"].values[0][:, shares >= 0.25]
    np.testing.assert_allclose(
        outside, np.broadcast_to(pictures().mean(axis=(1, 2))[:, None], outside.shape), rtol=1e-5
    )


def test_the_empty_and_the_full_mask():
    full = evaluated(np.ones((4, SIZE * SIZE)))
    assert full.summary("it", "distortion").mean == pytest.approx(0, abs=1e-12)
    assert full.summary("it", "conciseness_preciseness").mean == pytest.approx(1, abs=1e-6)
    assert full.summary("it", "hallucination").mean == 0
    empty = evaluated(np.zeros((4, SIZE * SIZE)), n_samples=200)
    assert empty.summary("it", "conciseness_preciseness").mean == 0
    assert empty.summary("it", "hallucination").mean == 0
    x, n = pictures(), REGION.sum()
    p = x[:, REGION].mean(axis=1)
    # D(0) in closed form: bias² + variance of the mean of n independent draws.
    expected = (x.mean(axis=(1, 2)) - p) ** 2 + x.var(axis=(1, 2)) / n
    np.testing.assert_allclose(empty.values["distortion"][0], expected, rtol=0.1)


def test_the_order_reversed_is_worse_everywhere():
    x = pictures()
    order = x.reshape(4, -1) * REGION.ravel()
    right = evaluated(order / order.max())
    wrong = evaluated(1 - order / order.max())
    for key, better in (("rate_distortion", -1), ("insertion", 1), ("deletion", -1)):
        assert np.all(better * (right.values[key] - wrong.values[key]) > 0), key


def test_insertion_and_deletion_are_mirror_images():
    rng = np.random.default_rng(3)
    masks = rng.permuted(np.tile(np.linspace(0, 1, SIZE * SIZE), (4, 1)), axis=1)
    shares = np.linspace(0, 1, 9)
    ahead, back = evaluated(masks, shares=shares), evaluated(1 - masks, shares=shares)
    # Taking out the most relevant leaves what putting in the least relevant has put in.
    np.testing.assert_allclose(
        ahead.curves["deletion"].values, back.curves["insertion"].values[..., ::-1], atol=1e-6
    )


def test_information_and_conciseness_preciseness():
    x = pictures(1)[0]
    assert information(x, x) == 1
    assert information(x, 0 * x) == 0
    assert information(x, 0.5 * x) == pytest.approx(0.5)
    assert information(0 * x, 0 * x) == 0
    assert conciseness_preciseness(0.8, 0.8, 1.0) == 1
    assert conciseness_preciseness(0.8, 0.4, 0.1) == pytest.approx(5)
    assert conciseness_preciseness(0.8, 0.8, 0.0) == 0
    assert conciseness_preciseness(0.1, 0.9, 0.5) == 2
    assert conciseness_preciseness(0.0, 0.4, 0.1) == pytest.approx(10)


def test_edges_lie_where_grey_jumps():
    x = np.zeros((20, 20))
    x[:, 10:] = 1
    found = edges(x)
    assert set(np.flatnonzero(found.any(axis=0))) <= {9, 10}
    assert found.any(axis=1).all()
    assert not edges(np.full((20, 20), 0.5)).any()
    assert not edges(np.linspace(0, 0.3, 20)[None].repeat(20, 0)).any()


def test_hallucination_counts_made_up_edges_only():
    x = np.zeros((24, 24))
    x[:, 8:] = 0.8
    assert hallucination(x, x) == 0
    assert hallucination(x, 0 * x) == 0
    blacked = x.copy()
    blacked[:, 16:] = 0  # a second edge, as long as the first
    assert hallucination(x, blacked) == pytest.approx(1, abs=0.2)
    assert hallucination(np.zeros((24, 24)), x) == np.count_nonzero(edges(x))


@given(st.integers(0, 10**6))
@settings(max_examples=20, deadline=None)
def test_overlap(seed):
    a, b = np.random.default_rng(seed).random((2, 30))
    assert overlap(a, a) == 1
    assert overlap(a, b) == overlap(b, a)
    assert 0 <= overlap(a, b) <= 1
    assert overlap(a, 0 * a) == 0
    assert overlap(0 * a, 0 * a) == 1


def test_equals_come_in_random_order():
    order = rank(np.zeros(1000), 0)
    assert sorted(order) == list(range(1000))
    assert abs(np.corrcoef(order, np.arange(1000))[0, 1]) < 0.15
    np.testing.assert_array_equal(rank(np.arange(5), 0), [4, 3, 2, 1, 0])


def test_area_of_straight_lines():
    shares = np.array([0, 0.1, 0.5, 1])
    assert area(shares, np.ones(4)) == pytest.approx(1)
    assert area(shares, 1 - shares) == pytest.approx(0.5)


@pytest.mark.parametrize("basis", ["wavelet", "pixel"])
def test_parts_at_the_extremes(basis):
    rng = np.random.default_rng(0)
    x = 0.2 + 0.6 * rng.random((3, 13, 11))
    transform = WaveletTransform((13, 11), "db3", 2, "zero") if basis == "wavelet" else None
    parts = ImageParts(x, transform)
    ones, zeros = np.ones(parts.size), np.zeros(parts.size)
    for rebuilt in (parts.obscure(ones, 2, 0, 0), parts.insert(ones[None]), parts.keep(ones)):
        np.testing.assert_allclose(rebuilt, np.broadcast_to(x, rebuilt.shape), atol=1e-5)
    assert not parts.keep(zeros).any()
    noise = parts.obscure(zeros, 2000, 0, 0)
    np.testing.assert_array_equal(noise[:5], parts.obscure(zeros, 5, 0, 0))
    assert not np.array_equal(noise[:5], parts.obscure(zeros, 5, 0, 1))
    if basis == "pixel":
        np.testing.assert_allclose(parts.insert(zeros[None]), x.mean(), rtol=1e-5)
        np.testing.assert_allclose(noise.mean(), x.mean(), atol=0.01)
        np.testing.assert_allclose(noise.std(axis=0), x.std(), rtol=0.12)
    else:
        # One mean for the approximation, one for the three orientations of each level.
        assert len(np.unique(parts.mean)) == 1 + transform.level
        assert noise.min() == 0
        assert noise.max() <= 1


def test_a_table_with_baselines():
    rng = np.random.default_rng(0)
    model = LinearModel(rng.standard_normal((SIZE * SIZE, 3)))
    x = pictures()

    def again(model, classes, seed):
        return np.random.default_rng(seed).random((4, SIZE * SIZE))

    explanations = Masks(x, again(None, None, 0), [0, 1, 2, 0], again=again)
    found = evaluate(explanations, model, n_seeds=2)
    assert found.rows == (
        "Pixel RDE",
        "integrated gradients",
        "SmoothGrad",
        "gradient × input",
        "random wavelets",
    )
    assert {each.key for each in found.columns} == set(found.values)
    rates = found.values["rate"]
    np.testing.assert_allclose(rates, np.broadcast_to(rates[0], rates.shape), atol=0.01)
    assert found.summary("Pixel RDE", "evaluations").mean == 7
    assert found.summary("integrated gradients", "seeds").mean == 1
    assert found.summary("SmoothGrad", "seeds").mean > 0.5
    assert found.summary("random wavelets", "seeds").mean < 0.5
    assert found.summary("random wavelets", "randomized_model").mean == 1
    assert found.summary("gradient × input", "randomized_model").mean < 0.6
    # The copy with shuffled weights counts its own: three images, and what the baselines ask for each.
    assert model.shown == found.n_evaluations - 3 * (1 + 34 + 33 + 1)
    assert not found.optimality
    read = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert [row["method"] for row in read["rows"]] == list(found.rows)
    text = str(found)
    for each in (*found.rows, *(column.title for column in found.columns), "4 images"):
        assert each in text
    assert len(found.cells()) == 1 + len(found.rows)
    assert found.best("rate_distortion") in found.rows
    assert found.best("rate") is None
    assert found.best("seeds") is None, "two repeat exactly"


def test_it_repeats_to_the_bit():
    first, second = (evaluated(region_masks() * 0.5, baselines=("smooth_grad",)) for _ in range(2))
    assert first.to_dict() == second.to_dict()


def test_images_one_by_one_give_the_same():
    """Noise belongs to the image, wherever it stands; so do the baselines and the masks found again."""
    model, x = LinearModel(np.random.default_rng(0).standard_normal((SIZE * SIZE, 3))), pictures()
    explainer = PixelRDE(model, lam=0.02, n_steps=40, n_test=4)
    targets = [0, 1, 2, 0]
    explanations = explainer.explain(x, targets)
    options = {"explainers": [explainer], "n_again": None, "n_samples": 2}
    both = evaluate(explanations, model, **options)
    for i in (2, 3):
        alone = evaluate(explainer.explain(x[[i]], targets[i]), model, **options)
        assert alone.rows == both.rows
        for key, values in alone.values.items():
            np.testing.assert_allclose(
                values[:, 0], both.values[key][:, i], rtol=1e-4, atol=1e-6, err_msg=key
            )


def test_pictures_wait_for_a_large_batch():
    class Batches(RegionModel):
        sizes = ()
        batch_size = 16

        def predict(self, x):
            self.sizes += (len(x),)
            return super().predict(x)

    model = Batches(REGION)
    found = evaluated(region_masks(), model=model, baselines=("random_wavelet",), n_samples=2)
    # 49 for each of two methods, 9 for each basis, and the image itself.
    assert sum(model.sizes) == found.n_evaluations
    assert max(model.sizes) == 64
    assert len(model.sizes) <= 2 + 2 * -(-found.n_evaluations // 64)


def test_the_cost_is_as_told():
    """One image, 10 shares, 4 draws: 65 predictions a method, 17 a basis, one for the image."""
    one = evaluated(region_masks(1), n=1)
    assert one.n_evaluations == 65 + 17 + 1
    both = evaluated(
        region_masks(1), n=1, baselines=("smooth_grad", "gradient_times_input", "random_wavelet")
    )
    assert both.n_evaluations == 4 * 65 + 2 * 17 + 1 + 33 + 1


def test_images_are_spread():
    usable = np.array([0, 2, 3, 5, 7, 8])
    np.testing.assert_array_equal(chosen(usable, 3), [0, 3, 7])
    np.testing.assert_array_equal(chosen(usable, 1), [0])
    np.testing.assert_array_equal(chosen(usable, 0), [])
    for n in (6, 9, None):
        np.testing.assert_array_equal(chosen(usable, n), usable)


def test_masks_are_found_again_for_some_images_by_short_searches():
    x, model = pictures(4), LinearModel(np.random.default_rng(0).standard_normal((SIZE * SIZE, 3)))
    explainer = PixelRDE(model, lam=0.02, n_steps=80, n_test=2)
    explanations = explainer.explain(x, 0)
    told = []
    short = evaluate(explanations, model, explainers=[explainer], n_again=2, n_samples=1, told=told.append)
    for key in ("seeds", "randomized_model"):
        np.testing.assert_array_equal(np.isfinite(short.values[key]).all(axis=0), [True, False, True, False])
    assert explainer.n_steps == 80
    (note,) = [each for each in short.notes if "of the usual length" in each]
    assert "2 of the 4 images (no. 1, 3)" in note
    assert "25 %" in note
    assert told == sorted(told)
    assert told[-1] == 1
    full = evaluate(explanations, model, explainers=[explainer], n_again=None, again_share=1.0, n_samples=1)
    assert not any("usual length" in each for each in full.notes)
    assert full.n_evaluations > 2 * short.n_evaluations
    for found in (short, full):
        seeds, chance = (found.summary("Pixel RDE", key).mean for key in ("seeds", "randomized_model"))
        assert seeds > chance


def test_a_random_model_that_always_says_the_same_is_told():
    x, model = pictures(2), RegionModel(REGION)
    explainer = PixelRDE(model, lam=0.02, n_steps=40, n_test=2)
    explanations = explainer.explain(x, 0)

    class Same(PredictOnly):
        def predict(self, x):
            return np.broadcast_to([1.0, 0.0], (len(x), 2))

    found = evaluate(explanations, Same(model), explainers=[explainer], baselines=(), n_seeds=0, n_samples=1)
    assert any("likeliest other class" in each for each in found.notes)
    assert any("2 of 2 masks are next to empty" in each for each in found.notes)


def test_predictions_alone_leave_out_what_needs_gradients():
    found = evaluated(
        region_masks(), model=PredictOnly(RegionModel(REGION)), baselines=("smooth_grad", "random_wavelet")
    )
    assert found.rows == ("it", "random wavelets")
    assert not found.optimality
    assert any("SmoothGrad were left out" in note for note in found.notes)


def test_an_image_without_explanation_does_not_count():
    masks = np.array(region_masks())
    masks[2] = np.nan
    found = evaluated(masks, baselines=("random_wavelet",))
    assert np.isnan(found.values["distortion"][:, 2]).all()
    assert found.summary("it", "distortion").n == 3
    assert np.isfinite(found.curves["insertion"].mean).all()
    assert any("1 of 4 images have no explanation" in note for note in found.notes)
    json.dumps(found.to_dict(), allow_nan=False)


def test_summaries():
    values = np.array([1.0, 2.0, 3.0, np.nan])
    found = Summary.of(values, 0.95)
    assert found.n == 3
    assert found.mean == 2
    assert found.high - 2 == pytest.approx(4.3027 / np.sqrt(3), rel=1e-4)
    assert np.isnan(Summary.of(values[:1], 0.95).low)
    assert np.isnan(Summary.of(values[3:], 0.95).mean)


def test_a_random_model_keeps_the_distribution_of_weights():
    model = LinearModel(np.random.default_rng(0).random((10, 3)))
    before = model.weights[0].copy()
    other = randomized(model, 0)
    np.testing.assert_array_equal(model.weights[0], before)
    assert not np.array_equal(other.weights[0], before)
    np.testing.assert_array_equal(np.sort(other.weights[0].ravel()), np.sort(before.ravel()))
    assert randomized(PredictOnly(model), 0) is None


def test_bad_input():
    masks, model, x = region_masks(), RegionModel(REGION), pictures()
    good = Masks(x, masks, np.zeros(4, int))
    with pytest.raises(TypeError, match="`explanations` must be Explanations"):
        evaluate([masks], model)
    with pytest.raises(ValueError, match="at least one"):
        evaluate([], model)
    with pytest.raises(ValueError, match="of the same images"):
        evaluate([good, Masks(x + 0.01, masks, np.zeros(4, int))], model)
    with pytest.raises(ValueError, match="of the same targets"):
        evaluate([good, Masks(x, masks, np.ones(4, int))], model)
    with pytest.raises(ValueError, match=r"must have shape \(4, 144\)"):
        evaluate(Masks(x, masks[:, :100], np.zeros(4, int)), model)
    with pytest.raises(ValueError, match="`shares` must rise from 0 to 1"):
        evaluate(good, model, shares=[0, 0.5])
    with pytest.raises(ValueError, match="`baselines` must be one of"):
        evaluate(good, model, baselines=("lime",))
    with pytest.raises(ValueError, match="`again_share` must be above 0"):
        evaluate(good, model, again_share=0)
    with pytest.raises(ValueError, match="`n_again` must be"):
        evaluate(good, model, n_again=-1)
    with pytest.raises(ValueError, match="`confidence` must be between 0 and 1"):
        evaluate(good, model, confidence=95)
    found = evaluated(masks)
    with pytest.raises(ValueError, match="`row` must be one of 'it'"):
        found.summary("that", "rate")
    with pytest.raises(ValueError, match="`key` must be one of"):
        found.summary("it", "speed")


def test_wavelet_masks_too():
    x = pictures()
    random = random_wavelet_mask(x, np.zeros(4, int), wavelet="haar", level=2)
    explanations = Masks(
        x, np.ones_like(random.values), np.zeros(4), transform=random.transform, method="cartoonx"
    )
    explanations.targets = random.targets
    found = evaluate([explanations, random], RegionModel(REGION), baselines=(), random_model=False, n_seeds=0)
    assert found.rows == ("CartoonX", "random wavelets")
    assert found.summary("CartoonX", "distortion").mean == pytest.approx(0, abs=1e-10)
    assert found.summary("CartoonX", "hallucination").mean == 0


class CountedExplainer:
    """Remembers how it was asked."""

    def __init__(self, masks):
        self.masks, self.asked = masks, []
        self.model, self.random_state, self.progress = None, 0, None

    def explain(self, images, target):
        self.asked.append((self.model, self.random_state))
        return Masks(images, self.masks[: len(images)] * 0.5, target)


def test_explainers_are_asked_again():
    rng = np.random.default_rng(0)
    model = LinearModel(rng.standard_normal((SIZE * SIZE, 3)))
    explainer = CountedExplainer(region_masks())
    found = evaluate(
        Masks(pictures(), region_masks(), np.zeros(4, int)),
        model,
        explainers=[explainer],
        baselines=(),
        n_seeds=2,
    )
    assert [seed for _, seed in explainer.asked] == [0, 1, 2]
    assert explainer.asked[0][0] is not model
    assert explainer.asked[1][0] is model
    assert explainer.model is None, "the explainer itself stays as it was"
    # Half of each entry is kept: what is in common is half of what is in either.
    assert found.summary("Pixel RDE", "seeds").mean == pytest.approx(0.5)
    assert found.summary("Pixel RDE", "randomized_model").mean == pytest.approx(0.5)
    with pytest.raises(ValueError, match="`explainers` must be 1, one for each explanation, got 2"):
        evaluate(Masks(pictures(), region_masks(), np.zeros(4, int)), model, explainers=[explainer] * 2)


def test_real_explanations_with_their_optimality():
    x, model = pictures(2), RegionModel(REGION)
    options = {"n_steps": 60, "n_test": 8, "lam": 0.02}
    explainers = [CartoonX(model, wavelet="haar", level=2, **options), PixelRDE(model, **options)]
    explanations = [each.explain(x, 0) for each in explainers]
    found = evaluate(explanations, model, explainers=explainers, baselines=("random_wavelet",), n_samples=4)
    assert found.rows == ("CartoonX", "Pixel RDE", "random wavelets")
    for name, each in zip(found.rows, explanations, strict=False):
        for i, report in enumerate(found.optimality[name]):
            assert report.rate == pytest.approx(each.masks[i].mean())
            assert report.rate_bound == pytest.approx(report.empty_distortion / 0.02)
            assert report.residual_low <= report.residual <= report.residual_high
        better, random = (found.summary(row, "rate_distortion").mean for row in (name, "random wavelets"))
        assert better < random
        assert f"{name}: on fresh noise" in str(found)
    # Without them, others with the same λ are asked, and that is said.
    default = evaluate(explanations[1], model, baselines=(), n_seeds=1, random_model=False, n_samples=1)
    assert any("default search" in note for note in default.notes)
    assert 0 < default.summary("Pixel RDE", "seeds").mean <= 1


def test_a_failed_image_does_not_count():
    masks = Masks(pictures(), np.array(region_masks()), np.zeros(4, int))
    masks.stopped = ("finished", "failed: the model returned NaN", "finished", "settled")
    found = evaluate(masks, RegionModel(REGION), baselines=(), random_model=False, n_seeds=0)
    assert np.isnan(found.values["distortion"][0, 1])
    assert found.summary("Pixel RDE", "distortion").n == 3


def test_a_random_model_of_torch_leaves_the_other_alone():
    torch = pytest.importorskip("torch", reason="the extra `torch` is not installed")
    module = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(16, 3))

    class Adapter:
        def __init__(self):
            self.module = module

    model = Adapter()
    before = module[1].weight.detach().clone()
    other = randomized(model, 0)
    assert other is not model
    assert torch.equal(module[1].weight, before)
    assert not torch.equal(other.module[1].weight, before)
    assert torch.equal(
        other.module[1].weight.detach().flatten().sort().values, before.flatten().sort().values
    )
    assert torch.equal(other.module[1].bias, module[1].bias)
