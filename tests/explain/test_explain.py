from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from reference import mask as twin
from tiny_models import MLP, OnlyPredicts, objective_of, random_mlp, sure_digits

import wavelens
from wavelens.exceptions import DataError
from wavelens.explain import CartoonX, Explanations, PixelRDE

both = pytest.mark.parametrize("make", [CartoonX, PixelRDE])


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).uniform(0, 1, (3, 12, 10, 3)).astype(np.float32)


@pytest.fixture(scope="module")
def model():
    return random_mlp((3, 12, 10))


def same(a, b, rows=slice(None), other=slice(None)):
    np.testing.assert_array_equal(a.masks[rows], b.masks[other])
    for name in ("distortions", "objectives", "rates", "residuals", "n_evaluations"):
        np.testing.assert_array_equal(getattr(a, name)[rows], getattr(b, name)[other])


@both
def test_a_batch_is_its_images_one_by_one(make, images, model):
    explainer = make(model, lam=1.0, n_steps=40)
    together = explainer.explain(images)
    for i in range(len(images)):
        same(together, explainer.explain(images[i : i + 1]), slice(i, i + 1))


@both
def test_threads_memory_and_order_change_nothing(make, images, model, threads):
    first = make(model, lam=1.0, n_steps=30, n_samples=3).explain(images)
    again = make(model, lam=1.0, n_steps=30, n_samples=3, memory_limit=40_000).explain(images[::-1])
    same(first, again, slice(None), slice(None, None, -1))
    if not hasattr(test_threads_memory_and_order_change_nothing, "seen"):
        test_threads_memory_and_order_change_nothing.seen = {}
    seen = test_threads_memory_and_order_change_nothing.seen.setdefault(make, first)
    same(first, seen)


@both
def test_seeds_change_the_noise_and_uint8_is_the_same_as_floats(make, images, model):
    bytes_ = np.round(images * 255).astype(np.uint8)
    a = make(model, lam=0.02, n_steps=20).explain(bytes_)
    same(a, make(model, lam=0.02, n_steps=20).explain(bytes_.astype(np.float32) / np.float32(255)))
    assert not np.array_equal(
        a.masks, make(model, lam=0.02, n_steps=20, random_state=1).explain(bytes_).masks
    )


@pytest.mark.parametrize("preset", ["published", "waveletx"])
def test_presets_are_the_published_schedules(preset, images, model):
    # The twin does all of it in float64: Adam, projection after each step, noise, transform as a matrix.
    explainer = CartoonX(model, preset=preset, n_steps=6, n_samples=3)
    full = CartoonX(model, preset=preset)
    expected = {"published": (20.0, 2000, 64, 1e-3, 0.0), "waveletx": (2.0, 300, 16, 0.1, 10.0)}[preset]
    assert (full.lam, full.n_steps, full.n_samples, full.learning_rate, full.spatial) == expected
    assert full.init == "ones"
    one = images[:1]
    found = explainer.explain(one)
    o = objective_of(explainer, one)
    k = o.k
    synthesis = o.basis.pictures(np.eye(k, dtype=np.float32)[:, None]).reshape(k, -1).astype(float).T
    h = o.coefficients[0].astype(float)
    mean, deviation = (
        np.broadcast_to(a[0], h.shape).astype(float) for a in (o.noise.mean, o.noise.deviation)
    )
    grey = o._grey[0].astype(float)
    s = free = np.ones(k)
    first = second = np.zeros(k)
    for t in range(6):
        v = twin.noise(mean, deviation, 0, int(o._keys[0]), t, range(3))
        u = twin.mix(s, h, v) @ synthesis.T
        z = np.clip(u, 0, 1)
        logits, pullback = model.forward(z.reshape(3, 3, 12, 10).astype(np.float32))
        p = np.exp(logits.astype(float))
        p /= p.sum(1, keepdims=True)
        by_p = np.zeros_like(p)
        y = o.targets[0]
        by_p[:, y] = -1 if preset == "waveletx" else 2 * (p[:, y] - o.probabilities[0, y])
        cotangent = p * (by_p - (p * by_p).sum(1, keepdims=True))
        g = pullback(cotangent).reshape(3, 3, -1) * ((u > 0) & (u < 1))
        gradient = twin.reduce(h, v, g @ synthesis) / 3 + full.lam / k
        if full.spatial:
            gradient += full.spatial * grey * (np.sign(synthesis @ (s * grey)) @ synthesis) / 120
        s, free, first, second = twin.adam(
            s, free, first, second, gradient, t + 1, full.learning_rate, 0.9, 0.999, 1e-8, 0.0
        )
    np.testing.assert_allclose(found.masks[0], s, rtol=0, atol=2e-3 if full.spatial else 2e-5)
    assert found.n_evaluations[0] == 18


@both
def test_pixel_preset(make, model):
    full = PixelRDE(model, preset="published")
    assert (full.lam, full.n_steps, full.n_samples, full.learning_rate) == (4.0, 2000, 64, 1e-3)


@pytest.mark.parametrize("lam", [0.2, 2.0])
@both
def test_the_default_beats_the_published_schedule_on_digits(make, lam):
    model, digits = sure_digits(4)
    few = digits[:4]
    ours = make(model, lam=lam, distortion="probability").explain(few)
    theirs = make(model, lam=lam, preset="published", n_samples=4).explain(few)
    slack = 2 * np.hypot(ours.distortion_errors, theirs.distortion_errors)
    assert (ours.objectives <= theirs.objectives * 1.02 + slack).all()
    assert (ours.n_evaluations * 100 <= 2000 * 64).all()
    assert (ours.rates > 0).all()
    assert (ours.distortions < ours.empty_distortions / 2).all()


@both
def test_what_is_reported_is_what_it_says(make):
    model, digits = sure_digits(4)
    found = make(model, lam=0.5, n_steps=200, n_test=128).explain(digits[:3])
    np.testing.assert_allclose(found.rates, found.masks.mean(1), rtol=1e-6)
    np.testing.assert_allclose(found.objectives, found.distortions + 0.5 * found.rates, rtol=1e-9)
    assert found.stopped == ("finished",) * 3
    pictures = found.pictures()
    assert pictures.shape == (3, 8, 8)
    assert pictures.min() >= 0
    assert pictures.max() <= 1
    # The distortion, from pictures that anyone can make.
    shown = found.obfuscations(400, random_state=5)
    assert shown.shape == (3, 400, 8, 8)
    for i in range(3):
        logits = model.predict(shown[i][:, None])
        p = np.exp(logits - logits.max(1, keepdims=True))
        p = (p / p.sum(1, keepdims=True))[:, found.targets[i]]
        d = (p - found.probabilities[i]) ** 2
        error = np.hypot(d.std() / 20, found.distortion_errors[i])
        assert abs(d.mean() - found.distortions[i]) <= 5 * error + 1e-6
    energy = found.energy_by_scale()
    np.testing.assert_allclose(energy.image.sum(1), 1, rtol=1e-6)
    assert (energy.kept <= energy.image + 1e-12).all()
    assert sum(part.size for _, part in found.band_masks()) == found.masks.size
    steps = found.history[0]
    assert len(steps["distortion"]) == len(steps["rate"]) == len(steps["lam"]) >= 200
    assert (found.residuals - 3 * found.residual_errors <= 0.1 * found.objectives).all()


def test_pictures_keep_their_colours(images, model):
    found = CartoonX(model, n_steps=10, init="ones", optimizer="adam", learning_rate=1e-6).explain(images)
    np.testing.assert_allclose(found.pictures(color=True), images, atol=1e-3)
    np.testing.assert_allclose(found.pictures(), images.mean(3), atol=1e-3)
    assert found.obfuscations(2).shape == (3, 2, 12, 10, 3)


@both
def test_a_path_falls_and_recommends(make):
    model, digits = sure_digits(4)
    path = make(model, n_steps=150).path(digits[:3], [0.1, 3.0, 0.5])
    assert path.lambdas == (3.0, 0.5, 0.1)
    rates = np.array([each.rates for each in path])
    assert (np.diff(rates, axis=0) >= 0).all()
    assert [each.lam for each in path] == [3.0, 0.5, 0.1]
    for i, best in enumerate(path.recommended):
        upper = [each.distortions[i] + 2 * each.distortion_errors[i] for each in path]
        limit = path.tolerance * path[0].empty_distortions[i]
        fits = [j for j, value in enumerate(upper) if value <= limit]
        assert best == (fits[0] if fits else int(np.argmin(upper)))
    # Each from the one before, in half as many steps; the best of all is not worse than a search of its own.
    assert (path[2].n_evaluations < path[0].n_evaluations).all()


@both
def test_rates_never_rise_with_lambda(make):
    # Searches this short miss masks that others of the path find; then these are taken.
    model, digits = sure_digits(12)
    lambdas = (40.0, 20.0, 8.0, 4.0, 2.0, 1.0, 0.5, 0.2)
    path = make(model, n_steps=50).path(digits, lambdas)
    rates = np.array([each.rates for each in path])
    assert (np.diff(rates, axis=0) >= 0).all()
    for lam, each in zip(lambdas, path, strict=True):
        np.testing.assert_array_equal(each.rates, each.masks.mean(1, dtype=np.float64))
        np.testing.assert_allclose(each.objectives, each.distortions + lam * each.rates, rtol=1e-9)
    alone = make(model, n_steps=50).path(digits[5:6], lambdas)
    for one, each in zip(alone, path, strict=True):
        same(one, each, slice(None), slice(5, 6))


@both
def test_no_more_images_at_once_than_the_model_takes(make, images):
    class Counts:
        """As the adapters do: with more than batch_size images the pullback runs the network again."""

        outputs, has_gradient, batch_size = "logits", True, 4

        def __init__(self):
            self.model = random_mlp((3, 12, 10))
            self.input_shape = self.model.input_shape
            self.most = 0

        def predict(self, x):
            return self.model.predict(x)

        def forward(self, x):
            self.most = max(self.most, len(x))
            return self.model.forward(x)

    model = Counts()
    found = make(model, n_steps=3, n_samples=9).explain(images)
    assert model.most == 4
    same(found, make(model.model, n_steps=3, n_samples=9).explain(images))


def test_they_are_told_in_a_line(images, model):
    path = CartoonX(model, n_steps=3).path(images, [2.0, 0.5])
    assert repr(path) == "ExplanationPath('cartoonx', 3 images, lambdas=(2, 0.5))"
    assert repr(path[0]).startswith("Explanations('cartoonx', 3 images, lam=2, rates ")
    assert len(repr(path[0])) < 120


@both
def test_a_model_without_gradient(make):
    model, digits = sure_digits(4)
    found = make(OnlyPredicts(model), lam=0.3, n_steps=100).explain(digits[:2])
    assert found.gradient.startswith("none: the model only predicts")
    assert np.isnan(found.residuals).all()
    assert (found.objectives < 0.3 + 2 * found.distortion_errors).all()  # the whole image
    assert (found.distortions < found.empty_distortions / 2).all()
    assert (found.n_evaluations <= 500).all()
    same_again = make(OnlyPredicts(model), lam=0.3, n_steps=100).explain(digits[1:2])
    np.testing.assert_array_equal(same_again.masks[0], found.masks[1])


@pytest.mark.parametrize("noise", ["gaussian", "global", "zero", "blur", "mean"])
@pytest.mark.parametrize("distortion", ["probability", "relative", "l2", "kl", "maximize"])
@both
def test_all_options_lower_the_objective(make, noise, distortion, images, model):
    found = make(model, lam=0.1, noise=noise, distortion=distortion, n_steps=60).explain(images[:1])
    assert np.isfinite(found.objectives).all()
    start = make(
        model,
        lam=0.1,
        noise=noise,
        distortion=distortion,
        n_steps=1,
        init="ones",
        optimizer="adam",
        learning_rate=1e-9,
    ).explain(images[:1])
    assert found.objectives[0] <= start.objectives[0] + 3 * found.distortion_errors[0]


@both
def test_a_relative_distortion_is_that_of_the_share_of_the_answer(make, images, model):
    mask = np.random.default_rng(1).uniform(0, 1, make(model)._basis((12, 10)).k)
    still = {"init": mask, "optimizer": "adam", "n_steps": 1, "learning_rate": 1e-12}
    plain = make(model, distortion="probability", **still).explain(images)
    relative = make(model, **still).explain(images)
    np.testing.assert_array_equal(plain.masks, relative.masks)
    for name in ("distortions", "distortion_errors", "empty_distortions"):
        expected = getattr(plain, name) / plain.probabilities**2
        np.testing.assert_allclose(getattr(relative, name), expected, rtol=1e-9)
    assert relative.distortion == "relative"


def test_an_unsure_answer_has_a_relative_explanation():
    # Six more classes are almost as likely as the digit: D(0) is below 0.03 under "probability".
    model, digits = sure_digits(1)
    (first, second), (a, b) = model.weights, model.biases
    near = model.predict(digits[:, None]).max() - 0.05
    unsure = MLP(
        [first, np.pad(second, ((0, 0), (0, 6)))], [a, np.append(b, np.full(6, near))], (1, 8, 8), "relu"
    )
    plain, relative = (
        CartoonX(unsure, lam=2.0, distortion=d, n_steps=200).explain(digits)
        for d in ("probability", "relative")
    )
    assert plain.targets == relative.targets == model.predict(digits[:, None]).argmax()
    assert plain.probabilities[0] < 0.16
    assert plain.rates[0] <= plain.empty_distortions[0] < 0.03
    assert relative.empty_distortions[0] > 0.5
    assert relative.distortions[0] < relative.empty_distortions[0] / 4
    assert relative.rates[0] > 2 * plain.rates[0]


@both
def test_adam_starts_each_lambda_of_a_path_from_the_given_mask(make, images, model):
    lambdas, init = (5.0, 1.0, 0.2), np.linspace(1, 0, make(model)._basis((12, 10)).k)
    options = {"optimizer": "adam", "init": init, "n_steps": 12}
    path = make(model, **options).path(images, lambdas)
    for lam, each in zip(lambdas, path, strict=True):
        same(each, make(model, lam=lam, **options).explain(images))


def test_custom_distortions(images, model):
    def squared(p, reference, target):
        difference = p[:, target] - reference[target]
        gradient = np.zeros_like(p)
        gradient[:, target] = 2 * difference
        return difference**2, gradient

    from numba import njit

    expected = CartoonX(model, distortion="probability", n_steps=10).explain(images[:1])
    for each in (squared, njit(squared)):
        same(expected, CartoonX(model, distortion=each, n_steps=10).explain(images[:1]))


def test_a_torch_distortion(images, model):
    pytest.importorskip("torch", reason="needs the extra torch")
    from wavelens.explain import torch_distortion

    function = torch_distortion(lambda p, reference, target: (p[:, target] - reference[target]) ** 2)
    expected = CartoonX(model, distortion="probability", n_steps=10).explain(images[:1])
    found = CartoonX(model, distortion=function, n_steps=10).explain(images[:1])
    np.testing.assert_allclose(found.masks, expected.masks, atol=1e-5)


def test_files(tmp_path, images, model):
    for make in (CartoonX, PixelRDE):
        found = make(model, n_steps=10).explain(images)
        found.save(tmp_path / "a.npz")
        back = Explanations.load(tmp_path / "a.npz")
        same(found, back)
        np.testing.assert_array_equal(found.pictures(), back.pictures())
        np.testing.assert_array_equal(found.obfuscations(2), back.obfuscations(2))
        assert found.stopped == back.stopped
        assert found.header == back.header
        for a, b in zip(found.history, back.history, strict=True):
            np.testing.assert_array_equal(a["distortion"], b["distortion"])
    (tmp_path / "b.npz").write_bytes((tmp_path / "a.npz").read_bytes()[:500])
    with pytest.raises(DataError, match="damaged"):
        Explanations.load(tmp_path / "b.npz")
    with pytest.raises(FileNotFoundError):
        Explanations.load(tmp_path / "none.npz")


class Squares:
    """Cheap at any number of images; remembers how many bytes it has taken at once."""

    outputs, has_gradient, input_shape = "probabilities", True, (3, None, None)
    most = 0

    def predict(self, x):
        p = x[:, :, ::8, ::8].mean((1, 2, 3))
        return np.stack([p, 1 - p], axis=1)

    def forward(self, x):
        shape = x.shape
        self.most = max(self.most, 2 * x.nbytes)

        def pullback(g):
            found = np.zeros(shape, dtype=np.float32)
            found[:, :, ::8, ::8] = (g[:, 0] - g[:, 1])[:, None, None, None] / 192
            return found

        return self.predict(x), pullback


class Breaks:
    """Returns NaN for bright left corners, from some call on."""

    outputs, has_gradient = "logits", True

    def __init__(self, model, after):
        self.model, self.after, self.calls = model, after, 0
        self.input_shape = model.input_shape

    def _spoil(self, x, out):
        self.calls += 1
        if self.calls > self.after:
            out[x[:, 0, :2, :2].mean((1, 2)) > 0.9] = np.nan
        return out

    def predict(self, x):
        return self._spoil(x, self.model.predict(x))

    def forward(self, x):
        out, pullback = self.model.forward(x)
        return self._spoil(x, out), pullback


@both
@pytest.mark.parametrize("after", [0, 10])
def test_where_the_model_fails_the_other_images_finish(make, after, images, model):
    spoilt = images.copy()
    spoilt[1, :2, :2] = 1
    options = {"lam": 1e-3, "n_steps": 30, "noise": "mean", "init": "ones"}
    found = make(Breaks(model, after), **options).explain(spoilt)
    assert found.stopped[1].startswith("failed: the model returned NaN")
    expected = make(model, **options).explain(spoilt)
    keep = [0, 2]
    np.testing.assert_array_equal(found.masks[keep], expected.masks[keep])
    assert np.isfinite(found.masks).all()
    assert np.isnan(found.objectives[1])
    with pytest.raises(DataError, match=r"NaN or infinity for every image|no image could be explained"):
        make(Breaks(model, after), **options).explain(spoilt[1:2])


@both
def test_bad_input(make, images, model):
    explain = make(model, n_steps=2).explain
    with pytest.raises(ValueError, match=r"must be uint8 \(0 to 255\) or floats in \[0, 1\].*divide by 255"):
        explain(images * 255)
    with pytest.raises(ValueError, match=r"floats in \[0, 1\], got values from -"):
        explain(images * 2 - 1)
    with pytest.raises(TypeError, match="got dtype int64"):
        explain((images * 255).astype(np.int64))
    with pytest.raises(ValueError, match="must be finite, got NaN in image 1"):
        explain(np.where(np.arange(3)[:, None, None, None] == 1, np.nan, images))
    with pytest.raises(ValueError, match=r"model's size, 3 × 12 × 10 .*got height 11"):
        explain(images[:, :11])
    with pytest.raises(ValueError, match="got channels 1"):
        explain(images[..., 0])
    with pytest.raises(ValueError, match="must have shape"):
        explain(images[0, :, :, 0])
    with pytest.raises(
        ValueError, match=r"`target` must be between 0 and 3 \(the model has 4 outputs\), got 4"
    ):
        explain(images, target=4)
    with pytest.raises(ValueError, match="one for each image"):
        explain(images, target=[0, 1])
    with pytest.raises(TypeError, match="class numbers"):
        explain(images, target=0.5)
    for lam in (0, -1, np.nan, np.inf):
        with pytest.raises(ValueError, match="`lam` must be a finite number above 0"):
            make(model, lam=lam)
        with pytest.raises(ValueError, match="`lambdas` must be a finite number above 0"):
            make(model).path(images, [1.0, lam])
    with pytest.raises(ValueError, match="at least one number"):
        make(model).path(images, [])
    with pytest.raises(TypeError, match="`lam` must be a number, got '3'"):
        make(model, lam="3")
    with pytest.raises(ValueError, match="`noise` must be one of"):
        make(model, noise="pink")
    with pytest.raises(ValueError, match="`distortion` must be one of"):
        make(model, distortion="entropy")
    with pytest.raises(ValueError, match="`preset` must be one of"):
        make(model, preset="fast")
    with pytest.raises(ValueError, match="`init` must be 'gradient', 'ones' or masks"):
        make(model, n_steps=1, init=np.ones(3)).explain(images)
    with pytest.raises(TypeError, match="`init` must be 'gradient', 'ones' or an array of numbers"):
        make(model, n_steps=1, init=object()).explain(images)
    with pytest.raises(ValueError, match="`memory_limit`"):
        make(model, memory_limit="much")
    with pytest.raises(TypeError, match="has no `predict`"):
        make(lambda x: x)
    with pytest.raises(TypeError, match="`distortion` must return two arrays"):
        make(model, distortion=lambda p, r, t: p, n_steps=1).explain(images)
    with pytest.raises(ValueError, match=r"must return arrays of shapes"):
        make(model, distortion=lambda p, r, t: (p, p), n_steps=1).explain(images)


def test_bad_transforms(images, model):
    with pytest.raises(ValueError, match="`level` must be at least 1, got 0"):
        CartoonX(model, level=0)
    with pytest.raises(
        ValueError, match=r"`level` must be between 1 and 4 \(the shorter side has 10 pixels\)"
    ):
        CartoonX(model, level=5).explain(images)
    with pytest.raises(ValueError, match="`wavelet` must be"):
        CartoonX(model, wavelet="db99")
    line = random_mlp((1, 1, 9))
    with pytest.raises(ValueError, match="`images` must have at least 2 rows and 2 columns"):
        CartoonX(line).explain(images[:, :1, :9, 0])
    assert PixelRDE(line, n_steps=2).explain(images[:, :1, :9, 0]).masks.shape == (3, 9)


def test_models_that_are_none(images, model):
    class Strange(OnlyPredicts):
        def __init__(self, answer, outputs="logits"):
            super().__init__(model)
            self.answer, self.outputs = answer, outputs

        def predict(self, x):
            return self.answer(x)

    for answer in (lambda x: np.zeros(len(x)), lambda x: np.zeros((len(x), 1)), lambda x: np.zeros((1, 4))):
        with pytest.raises(DataError, match="one row of at least two classes"):
            CartoonX(Strange(answer)).explain(images)
    with pytest.raises(DataError, match="NaN or infinity for every image; is the preprocessing right"):
        CartoonX(Strange(lambda x: np.full((len(x), 4), np.nan))).explain(images)
    with pytest.raises(DataError, match="open it with outputs='logits'"):
        CartoonX(Strange(lambda x: np.full((len(x), 4), 3.0), "probabilities")).explain(images)


def test_images_of_one_row_of_blocks_and_odd_sizes():
    for shape in ((5, 7), (2, 3), (33, 2)):
        model = random_mlp((1, *shape))
        images = np.random.default_rng(0).uniform(0, 1, (1, *shape))
        for each in (
            CartoonX(model, n_steps=5),
            CartoonX(OnlyPredicts(model), n_steps=5),
            PixelRDE(model, n_steps=5),
        ):
            found = each.explain(images)
            assert found.pictures().shape == (1, *shape)


def test_progress_and_threads_are_left_alone(images, model, capsys):
    before = wavelens.num_threads()
    CartoonX(model, n_steps=3, progress=True).explain(images)
    assert wavelens.num_threads() == before


def test_memory_is_bounded_by_the_option():
    tracemalloc.start()
    try:
        images = np.random.default_rng(0).uniform(0, 1, (12, 64, 64, 3)).astype(np.float32)
        model = Squares()
        peaks = []
        for limit in (4_000_000, 16_000_000):
            before = tracemalloc.get_traced_memory()[0]
            tracemalloc.reset_peak()
            CartoonX(model, n_steps=3, n_samples=40, memory_limit=limit).explain(images)
            peaks.append(tracemalloc.get_traced_memory()[1] - before)
    finally:
        tracemalloc.stop()
    # Images and masks, which the result holds, come on top, and what the model itself takes.
    result = 2 * images.nbytes + 12 * 4 * 5_000
    assert peaks[0] <= 4_000_000 + result + model.most
    assert peaks[1] <= 16_000_000 + result + model.most
    assert peaks[0] < peaks[1]
