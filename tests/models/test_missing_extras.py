"""What happens without the extras: each test runs where imports of them fail, whether they are installed or not."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from classifiers import need_onnx, need_torch, write_onnx

BLOCK = """
import sys
from importlib.abc import MetaPathFinder

class Blocked(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {blocked!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Blocked())
import numpy as np
import wavelens
from wavelens.models import *
"""


def run(code: str, *blocked: str) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "always", "-c", BLOCK.format(blocked=set(blocked)) + code],
        capture_output=True,
        text=True,
        check=False,
        env=dict(os.environ),
    )
    return done.stdout + done.stderr


def test_importing_brings_in_none_of_them():
    code = """
extras = {'torch', 'torchvision', 'onnx', 'onnxruntime', 'onnx2torch', 'sklearn'}
print(sorted({m.partition('.')[0] for m in sys.modules} & extras))
"""
    assert run(code).strip() == "[]"


def test_everything_else_works_without_torch_and_onnx():
    code = """
from sklearn.linear_model import LogisticRegression
rng = np.random.default_rng(0)
x, y = rng.random((40, 16)), rng.integers(0, 3, 40)
for model in (
    open_model(LogisticRegression().fit(x, y)),
    NumpyMLP([rng.random((16, 3))], [rng.random(3)]),
    open_model(lambda x: np.stack([x.mean((1, 2, 3)), x.max((1, 2, 3))], 1), input_shape=(1, 4, 4)),
):
    images = x.reshape(40, 1, 4, 4)
    print(model.predict(images).shape[0], len(check_range(model, images, warn=False).names[0]))
"""
    out = run(code, "torch", "onnx", "onnxruntime", "onnx2torch")
    assert "Traceback" not in out, out
    assert out.splitlines() == ["40 3", "40 3", "40 2"]


def test_a_pt2_file_without_torch(tmp_path: Path):
    (tmp_path / "n.pt2").write_bytes(b"")
    out = run(f"open_model({str(tmp_path / 'n.pt2')!r})", "torch")
    assert (
        'ImportError: reading .pt2 files needs torch; install it with: pip install "wavelens[torch]"' in out
    )


def test_an_onnx_file_without_onnxruntime(tmp_path: Path):
    (tmp_path / "n.onnx").write_bytes(b"")
    out = run(f"open_model({str(tmp_path / 'n.onnx')!r})", "onnxruntime")
    assert (
        'ImportError: reading .onnx files needs onnxruntime; install it with: pip install "wavelens[onnx]"'
        in out
    )


@pytest.mark.parametrize("missing", ["torch", "onnx", "onnx2torch"])
def test_an_onnx_file_without_what_gradients_need(tmp_path: Path, missing: str):
    need_onnx()
    path = write_onnx(tmp_path / "n.onnx")
    code = f"""
model = open_model({str(path)!r})
print(model.has_gradient, model.predict(np.zeros((1, 3, 6, 6))).shape)
open_model({str(path)!r}, gradient=True)
"""
    out = run(code, missing)
    assert "False (1, 4)" in out
    assert "WavelensWarning: n.onnx is opened for predictions alone: gradients of .onnx files need" in out
    how = 'pip install "wavelens[torch,onnx]" and then pip install --no-deps onnx2torch'
    assert out.count(how) == 2  # the warning and the error
    assert out.rstrip().splitlines()[-1].startswith("ImportError: gradients of .onnx files need")
    assert f"{missing}" in out.rstrip().splitlines()[-1].partition(" missing here")[0]


def test_a_module_without_torchvision(tmp_path: Path):
    need_torch()
    need_onnx(gradients=True)
    path = write_onnx(tmp_path / "n.onnx")
    code = f"""
print(open_model({str(path)!r}).has_gradient)
import torchvision
"""
    out = run(code, "torchvision")
    assert out.startswith("True")
    assert "No module named 'torchvision'" in out  # nobody else meets the stand-in
