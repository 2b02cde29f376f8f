"""torch modules by hooks and exported programs by their graph: the same values, and nothing left behind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from networks import NEEDS_TORCH, make_module, photos, reference

from wavelens.exceptions import ModelError
from wavelens.models import (
    Preprocessing,
    extract_features,
    list_layers,
    open_network,
    recognise_preprocessing,
)

try:
    import torch
except ImportError:
    torch = None

pytestmark = [pytest.mark.networks, pytest.mark.skipif(torch is None, reason=NEEDS_TORCH)]
RULE = Preprocessing(size=(8, 8), resize="none", value_range=(0, 1))


def export(module: Any) -> Any:
    example = torch.zeros(2, 3, 8, 8)
    free = {"x": {0: torch.export.Dim("n", min=1, max=512)}}
    return torch.export.export(module.eval(), (example,), dynamic_shapes=free)


@pytest.fixture
def expected() -> dict[str, np.ndarray[Any, Any]]:
    return reference(photos().transpose(0, 3, 1, 2) / 255)


def test_hooks_give_what_each_module_gives(expected: dict[str, Any]) -> None:
    found = extract_features(
        make_module(),
        photos(),
        ["body.0", "body.1", "body", "head", "output"],
        preprocessing=RULE,
        pool="none",
    )
    # The ReLU works in place: the convolution's own values must have been taken before.
    for name, truth in [("body.0", "conv_z"), ("body.1", "conv"), ("body", "conv"), ("head", "logits")]:
        np.testing.assert_allclose(
            found.layers[name], expected[truth].reshape(7, -1), rtol=1e-4, atol=1e-5, err_msg=name
        )
    np.testing.assert_array_equal(found.layers["head"], found.layers["output"])


def test_the_module_is_left_as_it_was(expected: dict[str, Any]) -> None:
    module = make_module().train()
    module.head.eval()
    modes, threads = [each.training for each in module.modules()], torch.get_num_threads()
    found = extract_features(module, photos(), preprocessing=RULE, threads=1)
    # Dropout was off.
    np.testing.assert_allclose(found.layers["output"], expected["logits"], rtol=1e-4, atol=1e-5)
    assert [each.training for each in module.modules()] == modes
    assert torch.get_num_threads() == threads
    assert not any(each._forward_hooks for each in module.modules())
    assert all(each.grad is None for each in module.parameters())
    with pytest.raises(ModelError, match="torch cannot run it on a batch of shape"):
        extract_features(module, photos(), preprocessing=Preprocessing(size=(8, 8), color="grey"))
    assert [each.training for each in module.modules()] == modes
    assert not any(each._forward_hooks for each in module.modules())


def test_a_layer_that_is_never_called_or_unknown() -> None:
    with pytest.raises(ModelError, match="the layer 'unused' is never called"):
        extract_features(make_module(), photos(), "unused", preprocessing=RULE)
    with pytest.raises(ModelError, match=r"no layer 'body\.O'; the nearest names are .*body\.0"):
        extract_features(make_module(), photos(), "body.O", preprocessing=RULE)
    layers = {each.name: each.shape for each in list_layers(make_module(), size=(8, 8))}
    assert layers == {
        "body": (4, 8, 8),
        "body.0": (4, 8, 8),
        "body.1": (4, 8, 8),
        "drop": (4,),
        "head": (5,),
        "unused": None,
        "output": (5,),
    }


def test_exported_programs_by_node_and_by_module(tmp_path: Path, expected: dict[str, Any]) -> None:
    program = export(make_module())
    torch.export.save(program, tmp_path / "small.pt2")
    for model in (program, tmp_path / "small.pt2"):
        found = extract_features(
            model, photos(), ["body.0", "body", "head", "mean"], preprocessing=RULE, pool="none"
        )
        for name, truth in [("body.0", "conv_z"), ("body", "conv"), ("head", "logits"), ("mean", "features")]:
            np.testing.assert_allclose(
                found.layers[name], expected[truth].reshape(7, -1), rtol=1e-4, atol=1e-5, err_msg=name
            )
        outputs = extract_features(model, photos(), preprocessing=RULE, batch_size=1)
        np.testing.assert_allclose(
            next(iter(outputs.layers.values())), expected["logits"], rtol=1e-4, atol=1e-5
        )


def test_an_exported_program_is_listed(tmp_path: Path) -> None:
    layers = list_layers(export(make_module()))
    last = layers[-1]
    assert last.is_output
    assert last.shape == (5,)
    assert "head" in last.aliases
    named = {alias: each for each in layers for alias in (each.name, *each.aliases)}
    assert named["body.0"].kind == "Conv2d"
    assert named["body.0"].shape == (4, 8, 8)


@pytest.mark.parametrize(("scale", "shift", "expected"), [(2 / 255, -1, (0, 255)), (4.4, -2, (0, 1))])
def test_the_first_steps_of_an_exported_program_tell_the_range(
    scale: float, shift: float, expected: tuple[float, float]
) -> None:
    class Wrapped(torch.nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.inner = make_module()
            self.register_buffer("scale", torch.full((1, 3, 1, 1), scale))

        def forward(self, x: Any) -> Any:
            return self.inner(x * self.scale + shift)

    rule = recognise_preprocessing(open_network(export(Wrapped())))
    assert rule.value_range == expected
    assert rule.size == (8, 8)


def test_what_timm_writes_is_heard() -> None:
    module = make_module()
    module.pretrained_cfg = {
        "mean": (0.5, 0.5, 0.5),
        "std": (0.5, 0.5, 0.5),
        "input_size": (3, 16, 16),
        "crop_pct": 0.8,
        "interpolation": "bicubic",
    }
    rule = recognise_preprocessing(open_network(module))
    assert (rule.size, rule.side, rule.filter, rule.mean) == ((16, 16), 20, "bicubic", (0.5,) * 3)
    assert rule.reasons["mean"] == "the module's pretrained_cfg"


def test_damaged_files(tmp_path: Path) -> None:
    (tmp_path / "bad.pt2").write_bytes(b"PK\3\4 nothing")
    with pytest.raises(ModelError, match=r"bad\.pt2: torch cannot open it"):
        open_network(tmp_path / "bad.pt2")
