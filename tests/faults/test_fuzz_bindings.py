"""Every function of the compiled module survives any argument: a result, or an error with a sentence.

Arguments start valid and are then spoiled: other dtypes, strides, shapes, sizes that only claim to be there,
NaN, indices out of range, misaligned, read-only or overlapping memory. Arrays lie between guard bytes, so that a
write past an end is seen; a read past one is seen by the address sanitizer, under which `.ci/run` runs this file.
"""

from __future__ import annotations

import os
import random
import resource
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from campaign import examples
from hypothesis import HealthCheck, settings
from hypothesis import given as hypothesis_given
from hypothesis import strategies as st

from wavelens import _core

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="limits memory and time by signals")

GUARD = 256  # bytes on each side of an array
PATTERN = 0xA5
SPOILS = [
    "dtype",
    "strides",
    "reversed",
    "transposed",
    "shape",
    "claims",
    "zero",
    "misaligned",
    "value",
    "swapped",
]
SPOILS += ["read-only", "overlap", "same", "none", "list", "text", "number", "extra axis", "cut"]
LARGE = 2**20  # bytes: no array is so large but one that only claims it
HUGE = [(2**31 + 7, 3), (3, 2**31 + 7), (2**40, 2), (2**20, 2**20), (2**15, 2**15), (0, 2**40)]
INTEGERS = [-(2**63), -(2**31), -2, -1, 0, 1, 2, 7, 8, 1000, 2**31 - 1, 2**31, 2**32, 2**62, 2**63 - 1, 2**64]
NUMBERS = [np.nan, np.inf, -np.inf, -1.0, 0.0, 5e-324, 1e-300, 1e308]
if "libasan" in os.environ.get("LD_PRELOAD", ""):
    # There operator new ends the process where there is no memory.
    SPOILS.remove("claims")
    INTEGERS.remove(2**31 - 1)


class RandomDraws:
    """Choices by a seed, a hundred times as fast as Hypothesis's, which shrinks what fails."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def one_of(self, values: Sequence[Any]) -> Any:
        return self.random.choice(values)

    def integer(self, low: int, high: int) -> int:
        return self.random.randint(low, high)


class HypothesisDraws:
    def __init__(self, data: st.DataObject) -> None:
        self.data = data

    def one_of(self, values: Sequence[Any]) -> Any:
        return values[self.integer(0, len(values) - 1)]

    def integer(self, low: int, high: int) -> int:
        return self.data.draw(st.integers(low, high))


Draws = RandomDraws | HypothesisDraws


class Arguments:
    """Random arguments, arrays between guards."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng
        self.memory: list[np.ndarray] = []
        self.dtype = rng.choice([np.float32, np.float64])

    def size(self, high: int = 12, low: int = 1) -> int:
        return int(self.rng.integers(low, high + 1))

    def guarded(self, a: np.ndarray, offset: int = 0) -> np.ndarray:
        """Return a copy of `a`, in its order, between guard bytes."""
        if a.dtype == object:
            return a.copy()
        memory = np.full(a.nbytes + 2 * GUARD + offset, PATTERN, np.uint8)
        fortran = a.flags.f_contiguous and not a.flags.c_contiguous
        inner = memory[GUARD + offset : GUARD + offset + a.nbytes].view(a.dtype)
        inner = inner.reshape(a.shape, order="F" if fortran else "C")
        inner[...] = a
        self.memory.append(memory)
        return inner

    def floats(self, *shape: int, dtype: Any = None, order: str = "C") -> np.ndarray:
        values = self.rng.standard_normal(shape).astype(dtype or self.dtype)
        return self.guarded(np.asarray(values, order=order))

    def integers(self, low: int, high: int, *shape: int, dtype: Any = np.int64) -> np.ndarray:
        return self.guarded(self.rng.integers(low, max(high, low + 1), shape).astype(dtype))

    def chunk(self, *shape: int) -> np.ndarray:
        kind = self.rng.choice([np.uint8, np.float32, np.float64])
        return self.guarded((self.rng.random(shape) * 200).astype(kind))

    def guards_hold(self) -> bool:
        return all((m[:GUARD] == PATTERN).all() and (m[-GUARD:] == PATTERN).all() for m in self.memory)


def first_nonfinite(a: Arguments) -> dict[str, Any]:
    return {"a": a.floats(a.size(), a.size())}


def row_checksums(a: Arguments) -> dict[str, Any]:
    return {"rows": a.integers(0, 256, a.size(low=0), a.size(70, low=0), dtype=np.uint8)}


def gemm(a: Arguments) -> dict[str, Any]:
    k = a.size(low=0)
    return {"a": a.floats(a.size(), k), "b": a.floats(k, a.size())}


def pivoted_qr(a: Arguments) -> dict[str, Any]:
    n, p = a.size(40), a.size(40)
    method = a.rng.choice(["blocked", "exact", "strong", "sketch"])
    flags = {"with_q": bool(a.rng.integers(2)), "with_r": bool(a.rng.integers(2))}
    return {
        "a": a.floats(n, p),
        "k": a.size(min(n, p)),
        "method": str(method),
        "rtol": -1.0,
        **flags,
        "seed": 0,
    }


def project(a: Arguments) -> dict[str, Any]:
    m, n, k = a.size(), a.size(), a.size()
    inside = a.floats(m, n) if a.rng.integers(2) else None
    outside = a.floats(m, n) if a.rng.integers(2) else None
    return {"basis": a.floats(n, k), "rows": a.floats(m, n), "inside": inside, "outside": outside}


def ho_gsvd(a: Arguments) -> dict[str, Any]:
    m, count = a.size(), a.size(4, 2)
    matrices = [a.floats(a.size(15), m) for _ in range(count)]
    ridge = float(a.rng.choice([0.0, 1e-3]))
    return {"matrices": matrices, "ridge": ridge, "weights": [1.0] * count, "rtol": -1.0, "unit": True}


def ho_gsvd_streamed(a: Arguments) -> dict[str, Any]:
    m = a.size(8)
    matrices = [a.floats(a.size(10), m) for _ in range(3)]
    factor = np.triu(np.linalg.qr(np.vstack([*matrices, np.eye(m, dtype=a.dtype)]))[1]).astype(a.dtype)
    return {
        "count": 3,
        "load": matrices,
        "factor": a.guarded(factor),
        "ridge": 1e-3,
        "weights": [1.0] * 3,
        "rtol": 1e-6,
        "unit": False,
    }


def ho_gsvd_rows(a: Arguments) -> dict[str, Any]:
    m = a.size()
    r = a.size(m)
    exact = bool(a.rng.integers(2)) and r == m
    solver = [
        a.guarded(np.exp2(a.rng.integers(-3, 4, m)).astype(a.dtype)),
        a.guarded(a.rng.permutation(m)[: r if exact else 0].astype(np.intp)),
        a.floats(0 if exact else m, 0 if exact else r, order="F"),
        a.floats(r, r, order="F"),
        a.floats(r, r, order="F"),
    ]
    return {"solver": solver, "x": a.floats(a.size(), m)}


def pairwise(a: Arguments) -> dict[str, Any]:
    m = a.size()
    return {"x": a.floats(a.size(30), m), "y": a.floats(a.size(30), m) if a.rng.integers(2) else None}


def rows_of_y(sides: dict[str, Any]) -> int:
    return len(sides["x"] if sides["y"] is None else sides["y"])


def pairwise_distances(a: Arguments) -> dict[str, Any]:
    return {**pairwise(a), "squared": bool(a.rng.integers(2)), "metric": 0}


def gaussian_similarity(a: Arguments) -> dict[str, Any]:
    sides = pairwise(a)
    p = a.guarded(a.rng.random(len(sides["x"])))
    return {**sides, "p": p, "q": a.guarded(a.rng.random(rows_of_y(sides)))}


def k_nearest(a: Arguments) -> dict[str, Any]:
    sides = pairwise(a)
    x_classes = a.integers(0, 4, len(sides["x"]))
    y_classes = x_classes if sides["y"] is None else a.integers(0, 4, len(sides["y"]))
    of = str(a.rng.choice(["any", "other", "same"]))
    classes = {"x_classes": x_classes, "y_classes": y_classes}
    return {**sides, "k": a.size(), "of": of, **classes, "metric": 0}


def class_sums(a: Arguments) -> dict[str, Any]:
    given = gaussian_similarity(a)
    return {**given, "classes": a.integers(0, 4, rows_of_y(given)), "n_classes": 4, "symmetric": False}


def symmetric(a: Arguments, m: int) -> np.ndarray:
    x = a.rng.standard_normal((m, m))
    return a.guarded(x + x.T)


def mmf_factor(a: Arguments) -> dict[str, Any]:
    m = a.size(10, 2)
    k = a.size(min(m, 5), 2)
    method, rotation = a.rng.choice(["exhaustive", "topk", "random"]), a.rng.choice(["eigen", "gram", "opt"])
    options = {"method": str(method), "rotation": str(rotation), "seed": 3}
    return {"c": symmetric(a, m), "order": k, "n_levels": a.size(m - k + 1), **options}


def factored(a: Arguments, n_new: int) -> tuple[np.ndarray, tuple[Any, ...]]:
    c = symmetric(a, 8)
    return c, _core.mmf_factor(np.ascontiguousarray(c[: 8 - n_new, : 8 - n_new]), 3, 3, "topk", "opt", 0)


def mmf_insert(a: Arguments) -> dict[str, Any]:
    n_new = a.size(2, 0)
    c, (tuples, wavelets, *_) = factored(a, n_new)
    lists = {"tuples": a.guarded(tuples), "wavelets": a.guarded(wavelets)}
    return {"c": c, "n_new": n_new, **lists, "rotation": "opt"}


def mmf_apply(a: Arguments) -> dict[str, Any]:
    _, (tuples, _, rotations, *_) = factored(a, 0)
    x = a.floats(8, a.size(), dtype=np.float64)
    arrays = {"tuples": a.guarded(tuples), "rotations": a.guarded(rotations), "x": x}
    return {**arrays, "transpose": bool(a.rng.integers(2))}


def slabs(a: Arguments, cols: int) -> np.ndarray:
    slab = 256 // np.dtype(a.dtype).itemsize
    return a.floats(-(-cols // slab), 8 * a.size(3), slab)


def row_sketch_add(a: Arguments) -> dict[str, Any]:
    cols = a.size(100)
    return {"sums": slabs(a, cols), "chunk": a.chunk(a.size(), cols), "first": 5, "seed": 1}


def row_sketch_squares(a: Arguments) -> dict[str, Any]:
    cols = a.size(100)
    squares = a.floats(cols, dtype=np.float64)
    return {"squares": squares, "chunk": a.chunk(a.size(), cols), "single": bool(a.rng.integers(2))}


def row_sketch_matrix(a: Arguments) -> dict[str, Any]:
    cols = a.size(100)
    return {"sums": slabs(a, cols), "cols": cols, "factor": 0.5}


def triangular_factor_update(a: Arguments) -> dict[str, Any]:
    m = a.size()
    return {"r": a.floats(m, m, order="F"), "chunk": a.chunk(a.size(), m), "upper": bool(a.rng.integers(2))}


def wavelet(a: Arguments, images: str, out: str, written: str) -> dict[str, Any]:
    shape = (a.size(3), a.size(3), 2 * a.size(6), 2 * a.size(6))
    planes = a.floats(*shape)
    flat = a.floats(shape[0], shape[1], shape[2] * shape[3])
    filters = [[0.5, 0.5], [-0.5, 0.5], [0.5, 0.5], [0.5, -0.5]]
    arrays = {images: planes, out: flat}
    assert written in arrays
    return {**arrays, "filters": filters, "level": 1, "mode": str(a.rng.choice(["periodization", "zero"]))}


def wavelet_forward(a: Arguments) -> dict[str, Any]:
    return wavelet(a, "images", "out", "out")


def wavelet_inverse(a: Arguments) -> dict[str, Any]:
    return wavelet(a, "out", "coefficients", "out")


def wavelet_inverse_adjoint(a: Arguments) -> dict[str, Any]:
    return wavelet(a, "images", "out", "out")


def mask_batch(a: Arguments) -> tuple[dict[str, Any], tuple[int, ...]]:
    count, channels, k = a.size(3), a.size(3), a.size(40)
    deviation = a.floats(count, 1, k) if a.rng.integers(2) else None
    batch = {
        "masks": a.floats(count, k),
        "coefficients": a.floats(count, channels, k),
        "mean": a.floats(count, channels if a.rng.integers(2) else 1, k),
        "deviation": deviation,
        "seed": 7,
        "images": a.integers(0, 100, count, dtype=np.uint32),
        "streams": a.integers(0, 100, count, dtype=np.uint32),
        "first_sample": 0,
    }
    return batch, (count, a.size(3), channels, k)


def mask_mix(a: Arguments) -> dict[str, Any]:
    batch, shape = mask_batch(a)
    return {**batch, "out": a.floats(*shape)}


def mask_reduce(a: Arguments) -> dict[str, Any]:
    batch, shape = mask_batch(a)
    return {**batch, "gradients": a.floats(*shape), "out": a.floats(shape[0], shape[3])}


def mask_clamp(a: Arguments) -> dict[str, Any]:
    return {"values": a.floats(a.size(), a.size())}


def mask_gate(a: Arguments) -> dict[str, Any]:
    shape = a.size(), a.size()
    return {"clamped": a.floats(*shape), "gradient": a.floats(*shape)}


def mask_update(a: Arguments) -> dict[str, Any]:
    k = a.size(40)
    arrays = {name: a.floats(k) for name in ("mask", "sum", "first", "second", "free")}
    numbers = ("rate", "beta1", "beta2", "epsilon", "correction1", "correction2", "slack", "scale", "shift")
    return {**arrays, **dict.fromkeys(numbers, 0.5)}


def mask_normals(a: Arguments) -> dict[str, Any]:
    return {"seed": 1, "image": 2, "stream": 3, "sample": 4, "channel": 0, "n": a.size(50)}


BUILDERS = {
    build.__name__: build
    for build in (
        first_nonfinite,
        row_checksums,
        gemm,
        pivoted_qr,
        project,
        ho_gsvd,
        ho_gsvd_streamed,
        ho_gsvd_rows,
        pairwise_distances,
        gaussian_similarity,
        k_nearest,
        class_sums,
        mmf_factor,
        mmf_insert,
        mmf_apply,
        row_sketch_add,
        row_sketch_squares,
        row_sketch_matrix,
        triangular_factor_update,
        wavelet_forward,
        wavelet_inverse,
        wavelet_inverse_adjoint,
        mask_mix,
        mask_reduce,
        mask_clamp,
        mask_gate,
        mask_update,
        mask_normals,
    )
}
WITHOUT_ARRAYS = {"isa", "available_isas", "set_isa", "num_threads", "set_num_threads"}


def spoiled_array(draws: Draws, a: np.ndarray, others: list[np.ndarray], given: Arguments) -> Any:
    """Return an array that is wrong, or unusual, in one way."""
    kind = draws.one_of(SPOILS)
    if a.nbytes > LARGE and kind not in ("reversed", "transposed", "extra axis"):
        return a
    if kind == "dtype":
        types = ["f2", "f4", "f8", "g", "i1", "u1", "i4", "i8", "u8", "c16", "?", "O", "S3", "M8[s]"]
        return given.guarded(np.zeros(a.shape, draws.one_of(types)))
    if kind == "strides" and a.ndim:
        return given.guarded(np.repeat(a, 2, axis=-1))[..., ::2]
    if kind == "reversed" and a.ndim:
        return a[tuple(slice(None, None, draws.one_of([1, -1])) for _ in range(a.ndim))]
    if kind == "transposed":
        return a.T
    if kind == "shape":
        shape = tuple(draws.integer(0, 13) for _ in range(draws.integer(0, 5)))
        return given.guarded(np.zeros(shape, a.dtype))
    if kind == "claims":
        # No memory stands behind it: it must be refused, or only be read, and then it can be interrupted.
        shape = draws.one_of([shape for shape in HUGE if np.prod(shape, dtype=object) * 8 < 2**63])
        shape = shape + (1,) * (a.ndim - 2) if a.ndim > 2 else shape[: a.ndim]
        one = np.zeros(1, a.dtype)
        return np.lib.stride_tricks.as_strided(
            one, shape, (0,) * len(shape), writeable=draws.one_of([True, False])
        )
    if kind == "zero" and a.ndim:
        return a[tuple(slice(0, draws.one_of([0, 1, None])) for _ in range(a.ndim))]
    if kind == "misaligned":
        return given.guarded(a, offset=draws.integer(1, 7))
    if kind == "value" and a.size and a.flags.writeable:
        values = NUMBERS if a.dtype.kind == "f" else [-1, 8, 127, -(2**63), 2**63 - 1]
        with np.errstate(all="ignore"):
            value = np.array(draws.one_of(values)).astype(a.dtype)
        a.flat[draws.integer(0, a.size - 1)] = value
        return a
    if kind == "swapped":
        return given.guarded(a.astype(a.dtype.newbyteorder()))
    if kind == "read-only":
        a = a.view()
        a.flags.writeable = False
        return a
    if kind == "overlap" and others and a.dtype != object:
        # As much memory of another argument as there is.
        memory = others[draws.integer(0, len(others) - 1)].base
        if (
            isinstance(memory, np.ndarray)
            and memory.dtype == np.uint8
            and memory.nbytes - 2 * GUARD >= a.nbytes
        ):
            start = GUARD + draws.integer(0, (memory.nbytes - 2 * GUARD - a.nbytes) // 8) * 8
            return memory[start : start + a.nbytes].view(a.dtype).reshape(a.shape)
    if kind == "same" and others:
        return others[draws.integer(0, len(others) - 1)]
    if kind == "extra axis":
        return a[None]
    if kind == "cut" and a.ndim:
        return a[tuple(slice(0, n - draws.integer(0, 1)) for n in a.shape)]
    if kind == "list" and a.nbytes <= LARGE:
        return a.tolist()
    return {"none": None, "text": "x", "number": 3}.get(kind, a)


def spoiled(draws: Draws, value: Any, others: list[np.ndarray], given: Arguments) -> Any:
    if isinstance(value, np.ndarray):
        return spoiled_array(draws, value, others, given)
    if isinstance(value, list) and value:
        at = draws.integer(0, len(value) - 1)
        if draws.one_of([True, False]):
            return value[:at]
        return [*value[:at], spoiled(draws, value[at], others, given), *value[at + 1 :]]
    if isinstance(value, bool):
        return draws.one_of([None, 3, "x"])
    if isinstance(value, int):
        return draws.one_of([*INTEGERS, 1.5, None, "x"])
    if isinstance(value, float):
        return draws.one_of([*NUMBERS, None, "x"])
    return draws.one_of([None, "", "x", "zero", 3])


def arrays_in(values: Any) -> list[np.ndarray]:
    if isinstance(values, np.ndarray):
        return [values]
    if isinstance(values, dict):
        return arrays_in(list(values.values()))
    if isinstance(values, list | tuple):
        return [array for each in values for array in arrays_in(each)]
    return []


class TookLongError(Exception):
    pass


@contextmanager
def interrupted_after(seconds: float) -> Iterator[None]:
    def interrupt(*_: object) -> None:
        raise TookLongError

    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@pytest.fixture(autouse=True, scope="module")
def _little_memory() -> Iterator[None]:
    """Let allocations fail that are larger than any of these arguments needs."""
    with open("/proc/self/statm") as file:
        now = int(file.read().split()[0]) * resource.getpagesize()
    before = resource.getrlimit(resource.RLIMIT_AS)
    if now < 2**40:  # the address sanitizer reserves terabytes
        resource.setrlimit(resource.RLIMIT_AS, (now + 2**30, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, before)


def call(name: str, arguments: dict[str, Any]) -> Any:
    if name == "ho_gsvd_streamed" and isinstance(arguments["load"], list):
        matrices = arguments["load"]
        arguments = {**arguments, "load": lambda i: matrices[i % len(matrices)] if matrices else None}
    if name == "ho_gsvd_rows" and isinstance(arguments["solver"], list):
        arguments = {**arguments, "solver": tuple(arguments["solver"])}
    with np.errstate(all="ignore"):
        return getattr(_core, name)(**arguments)


def test_every_function_is_fuzzed() -> None:
    functions = {name for name in dir(_core) if not name.startswith("_") and callable(getattr(_core, name))}
    assert functions - WITHOUT_ARRAYS == set(BUILDERS)


@pytest.mark.parametrize("name", BUILDERS)
def test_valid_arguments_give_a_result(name: str) -> None:
    for seed in range(5):
        arguments = Arguments(np.random.default_rng(seed))
        call(name, BUILDERS[name](arguments))
        assert arguments.guards_hold()


def check_one(draws: Draws) -> None:
    name = draws.one_of(sorted(BUILDERS))
    given = Arguments(np.random.default_rng(draws.integer(0, 2**32 - 1)))
    arguments = BUILDERS[name](given)
    for _ in range(draws.integer(1, 3)):
        key = draws.one_of(sorted(arguments))
        if key == "metric":
            continue  # the address of a function: what it is cannot be checked
        others = arrays_in([value for other, value in arguments.items() if other != key])
        arguments[key] = spoiled(draws, arguments[key], others, given)
    claims = any(a.nbytes > LARGE for a in arrays_in(arguments)) or name == "mask_normals"
    try:
        with interrupted_after(0.02 if claims else 60):
            call(name, arguments)
    except TookLongError:
        message = "interrupted" if claims else ""
    except (ValueError, TypeError, MemoryError) as error:
        message = str(error)
    else:
        message = "a result"
    assert message
    assert "std::" not in message
    assert "vector::" not in message
    assert given.guards_hold()


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck), print_blob=True)
@hypothesis_given(data=st.data())
def test_any_argument_ends_in_a_result_or_an_error(data: st.DataObject) -> None:
    check_one(HypothesisDraws(data))


def test_many_arguments_end_in_a_result_or_an_error(tmp_path: Path) -> None:
    # A crash leaves the seed behind: the last one in the file.
    first = random.SystemRandom().randrange(2**40)
    with open(tmp_path / "seeds", "wb", buffering=0) as seeds:
        for seed in range(first, first + examples(500, 100_000)):
            seeds.write(b"%d\n" % seed)
            try:
                check_one(RandomDraws(seed))
            except BaseException as error:
                error.add_note(f"check_one(RandomDraws({seed}))")
                raise
