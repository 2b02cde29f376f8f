"""Without the extra: a message that names it, and all else as before."""

from __future__ import annotations

import subprocess
import sys

BLOCK = """
import sys
from importlib.abc import MetaPathFinder

class Blocked(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("dask", "distributed"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Blocked())
"""


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", BLOCK + code], capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


def test_importing_names_the_extra():
    assert 'pip install "wavelens[dask]"' in run("import wavelens; wavelens.distributed")
    assert "Traceback" not in run("from wavelens import *; import wavelens.patterns")


def test_asking_for_a_scheduler_names_the_extra():
    out = run(
        "from wavelens.patterns import PatternAnalysis\n"
        "PatternAnalysis(n_coefficients=10).fit('digits', scheduler='tcp://127.0.0.1:9')"
    )
    assert "ImportError: work on a cluster needs Dask" in out
    out = run(
        "from wavelens.cli import main\n"
        "print(main(['analyze', 'digits', '--scheduler', 'tcp://127.0.0.1:9', '--out', 'nowhere']))"
    )
    assert "wavelens: error: work on a cluster needs Dask" in out
    assert "Traceback" not in out
