"""The compiled engine. Arguments are positional-or-keyword; dtypes are checked by the face."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

_Floats = npt.NDArray[np.floating[Any]]

version: str
compiler: str

# engine
def isa() -> str: ...
def available_isas() -> list[str]: ...
def set_isa(name: str) -> None: ...
def num_threads() -> int: ...
def set_num_threads(count: int) -> None: ...

# finite
def first_nonfinite(a: _Floats) -> tuple[int, int] | None: ...

# ho_gsvd
def ho_gsvd(
    matrices: list[_Floats],
    ridge: float,
    weights: list[float],
    rtol: float,
    unit: bool,
    progress: Callable[[float], None] | None = None,
) -> tuple[Any, ...]: ...
def ho_gsvd_rows(solver: tuple[Any, ...], x: _Floats) -> _Floats: ...
