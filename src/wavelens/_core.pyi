"""The compiled engine. Arguments are positional-or-keyword; dtypes are checked by the face."""

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

# pivoted_qr
def pivoted_qr(
    a: _Floats,
    k: int,
    method: str,
    rtol: float,
    with_q: bool,
    with_r: bool,
    seed: int,
    progress: Any = None,
) -> tuple[npt.NDArray[np.intp], _Floats, _Floats | None, _Floats | None]: ...
