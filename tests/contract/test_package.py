from __future__ import annotations

import doctest
import importlib
import pkgutil
import subprocess
import sys

import numpy as np
import pytest

import wavelens


def modules():
    return [wavelens.__name__] + [
        each.name
        for each in pkgutil.walk_packages(wavelens.__path__, "wavelens.")
        if "__main__" not in each.name
    ]


@pytest.mark.parametrize("name", modules())
def test_examples_in_docstrings_run(name):
    if name.startswith("wavelens.distributed"):
        pytest.importorskip("dask")
    module = importlib.import_module(name)
    result = doctest.testmod(module, optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS)
    assert result.failed == 0


@pytest.mark.parametrize(
    "package",
    [
        "linalg",
        "wavelets",
        "data",
        "distributed",
        "models",
        "patterns",
        "hierarchy",
        "explain",
        "plotting",
        "quality",
        "report",
        "spaces",
        "workflows",
    ],
)
def test_everything_public_is_documented(package):
    if package == "distributed":
        pytest.importorskip("dask")
    module = importlib.import_module(f"wavelens.{package}")
    for name in module.__all__:
        each = getattr(module, name)
        assert each.__doc__, name
        if callable(each) and not isinstance(each, type):
            for section in ("Parameters", "Returns"):
                assert section in each.__doc__, f"{name} lacks {section}"


def test_import_is_cheap():
    code = "import sys, wavelens; print([m for m in sys.modules])"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    for heavy in ("numpy", "scipy", "matplotlib", "numba", "sklearn", "torch", "pywt", "wavelens._core"):
        assert f"'{heavy}'" not in loaded


@pytest.mark.parametrize("package", ["linalg", "wavelets", "data", "models"])
def test_lower_floors_stay_light(package):
    code = f"import sys, wavelens.{package}; print([m for m in sys.modules])"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    for heavy in ("matplotlib", "numba", "sklearn", "torch"):
        assert f"'{heavy}'" not in loaded


def test_build_info_tells_what_runs():
    info = wavelens.build_info()
    assert info.version == wavelens.__version__
    assert info.instruction_set in info.available_instruction_sets
    assert info.blas != "unknown"
    assert len(str(info).splitlines()) == 6


def test_threads_can_be_set():
    before = wavelens.num_threads()
    try:
        wavelens.set_num_threads(3)
        assert wavelens.num_threads() == 3
        with pytest.raises(ValueError, match="`count` must be between 1 and 1024"):
            wavelens.set_num_threads(0)
        with pytest.raises(ValueError, match="`count` must be between 1 and 1024"):
            wavelens.set_num_threads(10**6)
        with pytest.raises(TypeError, match=r"`count` must be an integer, got 2\.5"):
            wavelens.set_num_threads(2.5)
        assert wavelens.num_threads() == 3
    finally:
        wavelens.set_num_threads(before)


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"WAVELENS_NUM_THREADS": "3", "OMP_NUM_THREADS": "2"}, "3"),
        ({"OMP_NUM_THREADS": "5,2"}, "5"),
        ({"OMP_NUM_THREADS": "none"}, None),
    ],
)
def test_threads_follow_the_environment(variables, expected, monkeypatch):
    for name in ("WAVELENS_NUM_THREADS", "OMP_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    code = "import os, wavelens; print(wavelens.num_threads(), len(os.sched_getaffinity(0)))"
    threads, cpus = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert threads == (expected or cpus)


def test_an_instruction_set_can_be_chosen(monkeypatch):
    monkeypatch.setenv("WAVELENS_ISA", "baseline")
    code = "import wavelens; print(wavelens.build_info().instruction_set)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert found.strip() == "baseline"


def test_unknown_attributes_are_refused():
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = wavelens.nonsense
    assert "patterns" in dir(wavelens)


def test_the_engine_refuses_what_the_face_would_not_pass():
    from wavelens import _core

    for bad in (np.ones(3), np.ones((2, 2), dtype=int), np.ones((2, 2), dtype=">f8")):
        with pytest.raises((TypeError, ValueError), match="`a`"):
            _core.first_nonfinite(bad)
