from __future__ import annotations

import subprocess
import sys

import pytest

import wavelens
from wavelens import workflows


def test_every_workflow_is_there():
    for name in workflows.__all__:
        assert getattr(workflows, name).__doc__
    assert set(workflows.__all__) <= set(dir(workflows))
    assert wavelens.analyze is workflows.analyze
    assert wavelens.check is workflows.check
    with pytest.raises(AttributeError, match="nonsense"):
        _ = workflows.nonsense


@pytest.mark.parametrize("module", ["wavelens", "wavelens.workflows", "wavelens.cli"])
def test_nothing_heavy_is_imported_before_a_workflow_is_used(module):
    code = f"import sys, {module}; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert not {"numpy", "scipy", "matplotlib", "sklearn", "torch", "tqdm"} & set(loaded.split())
