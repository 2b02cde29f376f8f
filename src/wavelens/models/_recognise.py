"""Choosing the preprocessing: what is given, else what the network tells, else what is usual, and saying which."""

from __future__ import annotations

import math
from typing import Any

from wavelens.exceptions import ModelError
from wavelens.models._network import Fact, Network
from wavelens.models._preprocessing import IMAGENET_MEAN, IMAGENET_STD, Preprocessing

__all__ = ["check_fits", "pixels_of_row", "recognise_preprocessing"]


def recognise_preprocessing(network: Network, **given: Any) -> Preprocessing:
    """Choose what to do with images before a network.

    Parameters
    ----------
    network : Network
        As `open_network` gives it.
    **given
        Attributes of `Preprocessing` that are known; they are not questioned.

    Returns
    -------
    Preprocessing
        Its `reasons` say of each attribute whether it was given, what in the file says so (the shape and type
        of the input; ONNX image metadata; first steps that only scale and shift; timm's ``pretrained_cfg``),
        or that it is assumed. Assumed for colour without any hint: ImageNet's mean and standard deviation on
        0–1; for grey: 0–1.

    Raises
    ------
    ModelError
        If the network takes no images, or images of any size and `size` is not given.
    ValueError, TypeError
        If what is given is not possible, or does not fit the network's input.
    """
    values: dict[str, Fact] = {name: Fact(value, "given") for name, value in given.items()}
    values = dict(network.facts) | _from_input(network, given) | values
    if "size" not in values:
        raise ModelError(
            f"{network.name}: the network does not tell the size of its images; give it (`size`, --size)"
        )
    if given.get("value_range") is not None or "mean" in given or "std" in given:
        # Whoever states a range means the values that enter the network, unless mean and std are stated too.
        for name, neutral in (("mean", (0.0,)), ("std", (1.0,))):
            if name not in given:
                values[name] = Fact(neutral, "given with the others")
        values.setdefault("value_range", Fact((0.0, 1.0), "assumed: mean and std are usually for 0–1"))
    grey = "color" in values and values["color"].value == "grey"
    for name, fact in _usual(grey, "value_range" in values).items():
        values.setdefault(name, fact)
    rule = Preprocessing(
        **{name: fact.value for name, fact in values.items()},
        reasons={name: fact.reason for name, fact in values.items()},
    )
    check_fits(network, rule)
    return rule


def _usual(grey: bool, has_range: bool) -> dict[str, Fact]:
    usual = {"color": Fact("rgb", "assumed: the usual order")}
    if has_range:
        return usual
    if grey:
        return usual | {"value_range": Fact((0.0, 1.0), "assumed: usual for grey images")}
    reason = "assumed: the usual one of networks trained on ImageNet"
    return usual | {
        "value_range": Fact((0.0, 1.0), reason),
        "mean": Fact(IMAGENET_MEAN, reason),
        "std": Fact(IMAGENET_STD, reason),
    }


def _from_input(network: Network, given: dict[str, Any]) -> dict[str, Fact]:
    """Conclude from the shape of the input."""
    facts = {"dtype": Fact(network.input.dtype, "the input's type")}
    shape = network.input.shape
    if shape is None:
        return facts
    if len(shape) == 2:
        return facts | _from_row(network, shape[1], given)
    if len(shape) != 4:
        written = " × ".join("?" if each is None else str(each) for each in shape)
        raise ModelError(
            f"{network.name}: expected an input of images (batch, channels, height, width), or of their values in a "
            f"row, got {written}"
        )
    reason = "the input's shape"
    layout = given.get("layout")
    if layout is None:
        layout = "nhwc" if shape[3] in (1, 3) and shape[1] not in (1, 3) else "nchw"
        facts["layout"] = Fact(layout, reason)
    channels, *sides = (shape[1], shape[2], shape[3]) if layout == "nchw" else (shape[3], shape[1], shape[2])
    if channels == 1:
        facts["color"] = Fact("grey", reason)
    elif channels not in (3, None):
        raise ModelError(f"{network.name}: expected an input of 1 or 3 channels, got {channels}")
    if None not in sides:
        facts["size"] = Fact(tuple(sides), reason)
    return facts


def pixels_of_row(n: int, size: tuple[int, int] | None = None) -> tuple[int, tuple[int, int]] | None:
    """Return channels and size of the images that have `n` values; squares unless `size` is given, None if none.

    No number is both a square and three times one, so that there is one answer at most.
    """
    for channels in (1, 3):
        side = math.isqrt(n // channels)
        height, width = (side, side) if size is None else size
        if channels * height * width == n:
            return channels, (height, width)
    return None


def _from_row(network: Network, n: int | None, given: dict[str, Any]) -> dict[str, Fact]:
    """Conclude from how many values a network takes in a row."""
    found = None if n is None else pixels_of_row(n, given.get("size"))
    if n is None or found is None:
        of = "any number of values" if n is None else f"{n:,} values"
        more = "" if n is None else ", neither the pixels of a square grey image nor of a square coloured one"
        if given.get("size") is not None:
            more = f", which {' × '.join(map(str, given['size']))} pixels do not have"
        raise ModelError(
            f"{network.name}: it takes {of} in a row{more}; give height and width of its images (`size`, --size), if "
            "it takes images"
        )
    channels, (height, width) = found
    what = "grey" if channels == 1 else "coloured"
    reason = f"the input's {n:,} values in a row: {height} × {width} {what} pixels"
    if channels == 3 and "layout" not in given:
        raise ModelError(
            f"{network.name}: it takes {n:,} values in a row, as {height} × {width} coloured pixels have; whether "
            "channel after channel or pixel after pixel it does not tell: give it (`layout`, --layout nchw or nhwc)"
        )
    facts = {"size": Fact((height, width), reason), "flat": Fact(True, reason)}
    return facts | ({"color": Fact("grey", reason), "layout": Fact("nchw", reason)} if channels == 1 else {})


def check_fits(network: Network, rule: Preprocessing) -> None:
    """Raise ValueError where a preprocessing gives other shapes than the network takes."""
    shape = network.input.shape
    if shape is None:
        return
    if len(shape) - 1 != len(rule.shape):
        written = " × ".join("any" if each is None else str(each) for each in shape[1:])
        raise ValueError(
            f"{network.name} takes {written} values of each image; this preprocessing gives "
            f"{' × '.join(map(str, rule.shape))} (flat={rule.flat})"
        )
    for expected, got in zip(shape[1:], rule.shape, strict=True):
        if expected is not None and expected != got:
            written = " × ".join("any" if each is None else str(each) for each in shape[1:])
            raise ValueError(
                f"{network.name} takes images of {written}; this preprocessing gives "
                f"{' × '.join(map(str, rule.shape))} ({rule.layout.upper()})"
            )
