"""The compiled engine. Arguments are positional-or-keyword; dtypes are checked by the face."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

_Floats = npt.NDArray[np.floating[Any]]
_Doubles = npt.NDArray[np.float64]
_Codes = npt.NDArray[np.int64]
_Progress = Callable[[float], object] | None

version: str
compiler: str

# engine
def isa() -> str: ...
def available_isas() -> list[str]: ...
def set_isa(name: str) -> None: ...
def num_threads() -> int: ...
def set_num_threads(count: int) -> None: ...

# row_checksums
def row_checksums(rows: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint64]: ...

# finite
def first_nonfinite(a: _Floats) -> tuple[int, int] | None: ...

# mmf: tuples, wavelets, rotations, level errors, core, core indices, frequencies
_Indices = npt.NDArray[np.intp]
_MmfParts = tuple[_Indices, _Indices, _Doubles, _Doubles, _Doubles, _Indices, _Doubles]

def mmf_factor(
    c: _Doubles,
    order: int,
    n_levels: int,
    method: str,
    rotation: str,
    seed: int,
    progress: _Progress = None,
) -> _MmfParts: ...
def mmf_insert(
    c: _Doubles,
    n_new: int,
    tuples: _Indices,
    wavelets: _Indices,
    rotation: str,
    progress: _Progress = None,
) -> _MmfParts: ...
def mmf_apply(tuples: _Indices, rotations: _Doubles, x: _Doubles, transpose: bool) -> None: ...

# pairwise; `metric` is the address of a C function (0: Euclidean), `of` one of any, other, same
def pairwise_distances(
    x: _Floats, y: _Floats | None, squared: bool, metric: int, progress: _Progress = None
) -> _Floats: ...
def gaussian_similarity(
    x: _Floats, y: _Floats | None, p: _Doubles, q: _Doubles, progress: _Progress = None
) -> _Floats: ...
def k_nearest(
    x: _Floats,
    y: _Floats | None,
    k: int,
    of: str,
    x_classes: _Codes | None,
    y_classes: _Codes | None,
    metric: int,
    progress: _Progress = None,
) -> tuple[_Codes, _Floats]: ...
def class_sums(
    x: _Floats,
    y: _Floats | None,
    classes: _Codes,
    n_classes: int,
    p: _Doubles,
    q: _Doubles,
    symmetric: bool,
    progress: _Progress = None,
) -> _Doubles: ...

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

# gemm: a @ b, threaded
def gemm(a: _Floats, b: _Floats) -> _Floats: ...

# project: energies of the parts of every row inside and outside the span of the columns of `basis`
def project(
    basis: _Floats,
    rows: _Floats,
    inside: _Floats | None,
    outside: _Floats | None,
    progress: _Progress = None,
) -> tuple[_Doubles, _Doubles]: ...

# ho_gsvd
def ho_gsvd(
    matrices: list[_Floats],
    ridge: float,
    weights: list[float],
    rtol: float,
    unit: bool,
    progress: Callable[[float], None] | None = None,
) -> tuple[Any, ...]: ...
def ho_gsvd_streamed(
    count: int,
    load: Callable[[int], _Floats],
    factor: _Floats,
    ridge: float,
    weights: list[float],
    rtol: float,
    unit: bool,
    progress: Callable[[float], None] | None = None,
) -> tuple[Any, ...]: ...
def ho_gsvd_rows(solver: tuple[Any, ...], x: _Floats) -> _Floats: ...

# streaming; chunks are uint8, float32 or float64; sums (slabs, n_rows, slab) and r (m, m, Fortran order) are changed
# in place
def row_sketch_add(sums: _Floats, chunk: npt.NDArray[Any], first: int, seed: int) -> None: ...
def row_sketch_squares(squares: _Doubles, chunk: npt.NDArray[Any], single: bool) -> None: ...
def row_sketch_matrix(sums: _Floats, cols: int, factor: float) -> _Floats: ...
def triangular_factor_update(r: _Floats, chunk: npt.NDArray[Any], upper: bool) -> None: ...

# wavelet; images are (images, channels, rows, cols) of any strides, uint8 too in `wavelet_forward`, coefficients
# (images, channels, coefficients); `filters` are dec_lo, dec_hi, rec_lo and rec_hi
def wavelet_forward(
    images: npt.NDArray[Any],
    filters: list[list[float]],
    level: int,
    mode: str,
    out: _Floats,
    progress: _Progress = None,
) -> bool: ...
def wavelet_inverse(
    coefficients: _Floats,
    filters: list[list[float]],
    level: int,
    mode: str,
    out: _Floats,
    progress: _Progress = None,
) -> None: ...
def wavelet_inverse_adjoint(
    images: _Floats,
    filters: list[list[float]],
    level: int,
    mode: str,
    out: _Floats,
    progress: _Progress = None,
) -> None: ...

# mask; masks (images, k), coefficients (images, channels, k), mean and deviation (images, channels or 1, k), samples
# (images, samples, channels, k); all C-contiguous and of one dtype
_Words = npt.NDArray[np.uint32]

def mask_mix(
    masks: _Floats,
    coefficients: _Floats,
    mean: _Floats,
    deviation: _Floats | None,
    seed: int,
    images: _Words,
    streams: _Words,
    first_sample: int,
    out: _Floats,
) -> None: ...
def mask_reduce(
    masks: _Floats,
    coefficients: _Floats,
    mean: _Floats,
    deviation: _Floats | None,
    seed: int,
    images: _Words,
    streams: _Words,
    first_sample: int,
    gradients: _Floats,
    out: _Floats,
) -> None: ...
def mask_clamp(values: _Floats) -> None: ...
def mask_gate(clamped: _Floats, gradient: _Floats) -> None: ...
def mask_update(
    mask: _Floats,
    sum: _Floats,
    first: _Floats,
    second: _Floats,
    free: _Floats,
    rate: float,
    beta1: float,
    beta2: float,
    epsilon: float,
    correction1: float,
    correction2: float,
    slack: float,
    scale: float,
    shift: float,
) -> None: ...
def mask_normals(
    seed: int, image: int, stream: int, sample: int, channel: int, n: int
) -> npt.NDArray[np.float32]: ...
