"""What happens to an image before a network, against pillow and arithmetic."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from networks import photos
from PIL import Image

from wavelens.models import IMAGENET_MEAN, IMAGENET_STD, Preprocessing


def test_the_usual_rule_is_that_of_torchvision() -> None:
    image = np.random.default_rng(0).integers(0, 256, (300, 400, 3), dtype=np.uint8)
    rule = Preprocessing(size=(224, 224), value_range=(0, 1), mean=IMAGENET_MEAN, std=IMAGENET_STD)
    resized = Image.fromarray(image).resize((341, 256), Image.Resampling.BILINEAR)
    cut = np.asarray(resized)[16:240, 58:282]
    expected = ((cut / 255 - IMAGENET_MEAN) / IMAGENET_STD).transpose(2, 0, 1)
    assert rule(image).shape == rule.shape == (3, 224, 224)
    np.testing.assert_allclose(rule(image), expected, atol=2e-6)


@given(
    height=st.integers(1, 40),
    width=st.integers(1, 40),
    size=st.tuples(st.integers(1, 20), st.integers(1, 20)),
    resize=st.sampled_from(["crop", "stretch"]),
    color=st.sampled_from(["rgb", "bgr", "grey"]),
    layout=st.sampled_from(["nchw", "nhwc"]),
    channels=st.sampled_from([None, 3]),
    floats=st.booleans(),
)
def test_a_plain_image_stays_plain_whatever_is_done(
    height, width, size, resize, color, layout, channels, floats
) -> None:
    rule = Preprocessing(size=size, resize=resize, color=color, layout=layout, value_range=(-1, 1))
    shape = (height, width) if channels is None else (height, width, channels)
    image = np.full(shape, 51, np.float32 if floats else np.uint8)
    done = rule(image)
    assert done.shape == rule.shape
    assert done.dtype == np.float32
    assert done.flags.c_contiguous
    np.testing.assert_allclose(done, -0.6, atol=1e-5)


def test_channels_and_ranges() -> None:
    image = photos(1)[0]
    as_is = {"size": (8, 8), "resize": "none"}
    rgb = Preprocessing(**as_is)(image)
    np.testing.assert_array_equal(rgb, image.transpose(2, 0, 1))
    np.testing.assert_array_equal(Preprocessing(**as_is, color="bgr")(image), rgb[::-1])
    np.testing.assert_array_equal(Preprocessing(**as_is, layout="nhwc")(image), image)
    grey = Preprocessing(**as_is, color="grey")(image)
    np.testing.assert_allclose(grey[0], image @ [0.299, 0.587, 0.114], rtol=1e-5)
    np.testing.assert_array_equal(Preprocessing(**as_is)(image[..., 0])[2], image[..., 0])
    whole = Preprocessing(**as_is, dtype="uint8")(image)
    assert whole.dtype == np.uint8
    np.testing.assert_array_equal(whole, rgb)
    # The same image on another scale.
    np.testing.assert_allclose(Preprocessing(**as_is)(image / 255, (0, 1)), rgb, atol=1e-4)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"size": (0, 8)}, "`size` must be at least 1"),
        ({"size": 8}, "`size` must hold 2 numbers"),
        ({"size": (8, 8), "resize": "fit"}, "`resize` must be one of"),
        ({"size": (8, 8), "filter": "box"}, "`filter` must be one of"),
        ({"size": (8, 8), "color": "hsv"}, "`color` must be one of"),
        ({"size": (8, 8), "value_range": (1, 0)}, "`value_range` must ascend"),
        ({"size": (8, 8), "mean": (1, 2)}, "`mean` must hold 1 or 3 numbers"),
        ({"size": (8, 8), "std": (1, 0, 1)}, "`std` must be above 0"),
        ({"size": (8, 8), "std": (1, float("nan"), 1)}, "`std` must be finite"),
        ({"size": (8, 8), "shorter_side": 7}, "`shorter_side` must be at least 8"),
        ({"size": (8, 8), "shorter_side": 9, "resize": "none"}, "`shorter_side` is given, but"),
    ],
)
def test_impossible_rules(arguments, message) -> None:
    with pytest.raises(ValueError, match=message):
        Preprocessing(**arguments)


def test_an_image_of_another_size_is_refused_where_nothing_may_be_resized() -> None:
    with pytest.raises(ValueError, match="takes 9 × 9 pixels and an image has 8 × 8"):
        Preprocessing(size=(9, 9), resize="none")(photos(1)[0])


def test_it_tells_what_it_does() -> None:
    rule = Preprocessing(size=(224, 224), value_range=(0, 1), mean=IMAGENET_MEAN, std=IMAGENET_STD)
    assert rule.describe() == (
        "shorter side to 256, bilinear, the middle 224 × 224 of it; RGB, values 0 to 1, minus (0.485, 0.456, "
        "0.406), divided by (0.229, 0.224, 0.225); NCHW, float32"
    )
    changed = rule.replace(color="bgr")
    assert changed.reasons == {"color": "given"}
    assert Preprocessing(**changed.to_dict()).describe() == changed.describe()
