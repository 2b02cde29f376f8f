"""Convolution layers: their kernels as rows of a matrix, and the operator that they are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from wavelens._arguments import (
    FloatArray,
    as_array,
    check_choice,
    check_finite,
    check_integer,
    check_progress,
)
from wavelens.spaces._conv_operator import ConvolutionOperator, Geometry
from wavelens.spaces._conv_patches import patch_energy
from wavelens.spaces._conv_rejection import FrequencyProjector, signal_by_iteration
from wavelens.spaces._conv_spectrum import FrequencyBlocks, spectrum
from wavelens.spaces._extreme import ExtremeSingularValues, lanczos
from wavelens.spaces._project import read_rows, working_dtype
from wavelens.spaces._signal_spaces import Decomposition, SignalSpaces

__all__ = ["ConvolutionSpaces"]

_Doubles = npt.NDArray[np.float64]
_DENSE_ENTRIES = 2**22
_CHUNK_ENTRIES = 2**22


class ConvolutionSpaces:
    """The spaces of a two-dimensional convolution layer, as kernels and as the linear operator it is.

    Parameters
    ----------
    kernels : (c_out, c_in/groups, kh, kw) array_like
        float32 and float64 stay; float16 becomes float32, other real dtypes float64.
    input_shape : (c_in, height, width)
        Shape of one input.
    stride : int or (int, int)
        Of rows and columns.
    padding : "circular", "zero", "valid", int, (int, int) or ((top, bottom), (left, right))
        "circular" continues the input periodically, "zero" by zeros, both so that with stride 1 the output
        has the input's size (where the reach is even, the odd pixel goes to the end, as PyTorch does).
        "valid" pads nothing; numbers are zeros around the input.
    dilation : int or (int, int)
        Distance between taps.
    groups : int
        Channels are cut into so many groups that don't see each other; c_in groups are a depthwise layer.
    bias : (c_out,) array_like, optional
        Kept for whoever asks; it moves outputs alone and enters no space.
    rtol : float, optional
        Singular values up to rtol·σ₁ count as zero. None is max(n_out, n_in)·eps of the kernels' dtype.

    Attributes
    ----------
    kernels : (c_out, c_in/groups, kh, kw) ndarray
        float32 or float64.
    bias : (c_out,) ndarray or None
        As given.
    input_shape, output_shape : tuple of int
        (channels, height, width).
    shape : tuple of int
        (n_out, n_in) of the operator.
    groups : int
        As given.

    Raises
    ------
    TypeError
        If the kernels hold complex numbers or objects.
    ValueError
        If shapes don't fit, the kernels hold NaN or infinities, or reach beyond the padded input.

    References
    ----------
    R. Pattichis, M. S. Pattichis, "Understanding neural network systems for image analysis using vector
    spaces", 2024, section 2.3.1 (kernels as rows). H. Sedghi, V. Gupta, P. M. Long, "The singular values of
    convolutional layers", ICLR 2019 (periodic convolutions of stride 1).

    Examples
    --------
    A blur that halves neighbours' difference: the checkerboard is what it cannot see.

    >>> import numpy as np
    >>> from wavelens.spaces import ConvolutionSpaces
    >>> blur = ConvolutionSpaces(np.full((1, 1, 2, 2), 0.25), input_shape=(1, 4, 4))
    >>> values = blur.singular_values()
    >>> len(values), float(values[0]), blur.rank
    (16, 1.0, 9)
    >>> checkerboard = np.indices((4, 4)).sum(axis=0)[None, None] % 2 - 0.5
    >>> round(float(blur.decompose(checkerboard).energy[0]), 12)
    1.0
    """

    def __init__(
        self,
        kernels: npt.ArrayLike,
        *,
        input_shape: Sequence[int],
        stride: int | Sequence[int] = 1,
        padding: str | int | Sequence[Any] = "circular",
        dilation: int | Sequence[int] = 1,
        groups: int = 1,
        bias: npt.ArrayLike | None = None,
        rtol: float | None = None,
    ) -> None:
        self.kernels = _checked_kernels(kernels)
        self.geometry = _geometry(self.kernels, input_shape, stride, padding, dilation, groups)
        self.input_shape, self.output_shape = self.geometry.input_shape, self.geometry.output_shape
        self.shape = (self.geometry.n_out, self.geometry.n_in)
        self.groups = self.geometry.groups
        self.bias = None if bias is None else _checked_bias(bias, self.kernels)
        if rtol is not None and not 0 <= rtol < 1:
            raise ValueError(f"`rtol` must be at least 0 and below 1, got {rtol}")
        self.rtol = float(max(self.shape) * np.finfo(self.kernels.dtype).eps) if rtol is None else float(rtol)

    @cached_property
    def kernels_as_rows(self) -> SignalSpaces:
        """Spaces of the matrix whose rows are the c_out·c_in/groups kernels, (kh·kw) each: the paper's view."""
        kh, kw = self.kernels.shape[2:]
        return SignalSpaces(self.kernels.reshape(-1, kh * kw), input_shape=(kh, kw))

    @cached_property
    def filters_as_rows(self) -> SignalSpaces:
        """Spaces of the matrix whose rows are the c_out filters, (c_in/groups·kh·kw) each: what a patch meets.

        With groups the filters of all groups are rows of one matrix; `patch_energy` keeps them apart.
        """
        return SignalSpaces(self.kernels.reshape(len(self.kernels), -1), input_shape=self.kernels.shape[1:])

    def singular_values(
        self, *, method: str = "svd", progress: Callable[[float], None] | None = None
    ) -> _Doubles:
        """Return all singular values of the operator.

        Parameters
        ----------
        method : "svd" or "gram"
            "gram" takes eigenvalues of AᴴA at every frequency, about twice as fast; the error of σ grows to
            eps·σ₁²/σ, so that what is below 1e-8·σ₁ is lost.
        progress : callable, optional
            Called with the share of the work done, in [0, 1].

        Returns
        -------
        (min(n_out, n_in),) ndarray of float64
            Descending; exact to rounding of σ₁ in float64, whatever the dtype of the kernels.

        Raises
        ------
        ValueError
            If the operator is neither periodic (nor of unpadded patches that don't overlap, such as 1 × 1)
            with a stride that divides the input's size, nor small enough for a dense matrix (4,194,304
            entries): then `extreme_singular_values` gives its ends.

        Notes
        -----
        For periodic operators, one complex SVD of (c_out/groups) × (stride²·c_in/groups) for each group and
        each of about half of the frequencies of the output; in threads, some 32 MiB at a time in each. Layers
        of 1 × 1 kernels take one for all frequencies.
        """
        check_choice(method, "method", ("svd", "gram"))
        check_progress(progress)
        if self.geometry.block_circulant:
            if method == "gram":
                return spectrum(self._blocks(merge_axes=True), method, progress)
            return self._exact_values(progress)
        if self.shape[0] * self.shape[1] <= _DENSE_ENTRIES:
            return self._dense.singular_values
        raise ValueError(
            "all singular values are only known for periodic convolutions (padding='circular') whose stride "
            f"divides the input's size, and for small ones, got an operator of {self.shape[0]:,} × "
            f"{self.shape[1]:,}; `extreme_singular_values` gives the largest and smallest"
        )

    def extreme_singular_values(
        self,
        k: int = 1,
        *,
        rtol: float = 1e-6,
        basis_size: int = 100,
        max_products: int = 4000,
        random_state: int = 0,
    ) -> ExtremeSingularValues:
        """Return the k largest and k smallest nonzero singular values, for any padding and stride.

        Parameters
        ----------
        k : int
            How many of each end.
        rtol : float
            Lanczos ends when every bound is at most rtol·σ₁.
        basis_size : int
            Lanczos vectors kept; memory is basis_size·(n_out + n_in)·8 bytes.
        max_products : int
            Products with the operator and its adjoint, for each end, after which it gives up: see `converged`
            and the bounds.
        random_state : int
            Seed of the starting vector.

        Returns
        -------
        ExtremeSingularValues
            Exact where all singular values are cheap to have: small operators and, where it has been asked
            before, those of `singular_values`.
        """
        count = check_integer(k, "k", low=1, high=min(self.shape), why="the smaller side of the operator")
        size = check_integer(basis_size, "basis_size", low=2 * count + 4)
        limit = check_integer(max_products, "max_products", low=2)
        if self.shape[0] * self.shape[1] <= _DENSE_ENTRIES or "values" in self._cache:
            values = self.singular_values()
            positive = values[values > self.rtol * values[0]]
            bounds = np.full(min(count, len(positive)), 1e-15 * max(self.shape) ** 0.5 * values[0])
            return ExtremeSingularValues(
                positive[:count], positive[::-1][:count], bounds, bounds, True, True, 0
            )
        operator = self._operator64
        found = [
            lanczos(
                operator,
                count,
                end,
                rtol=rtol,
                size=size,
                max_products=limit,
                seed=check_integer(random_state, "random_state", low=0),
            )
            for end in ("largest", "smallest")
        ]
        (largest, high, first), (smallest, low, second) = found
        converged = bool(len(largest) and max(high.max(), low.max()) <= rtol * largest[0])
        return ExtremeSingularValues(largest, smallest, high, low, False, converged, first + second)

    @property
    def rank(self) -> int:
        """Singular values above rtol·σ₁; needs all of them, as `singular_values` does."""
        values = self.singular_values()
        return int((values > self.rtol * values[0]).sum())

    @property
    def condition(self) -> float:
        """σ₁ over the smallest singular value above rtol·σ₁; NaN for zeros. Needs all of them."""
        values = self.singular_values()
        positive = values[values > self.rtol * values[0]]
        return float(positive[0] / positive[-1]) if len(positive) else float("nan")

    def as_operator(self) -> ConvolutionOperator:
        """Return the layer, without bias, as a `scipy.sparse.linalg.LinearOperator` of `shape`.

        Returns
        -------
        ConvolutionOperator
            Of flattened images, in the dtype of the kernels.
        """
        return ConvolutionOperator(self.kernels, self.geometry)

    def decompose(
        self,
        images: npt.ArrayLike,
        *,
        rtol: float = 1e-10,
        max_steps: int = 500,
        progress: Callable[[float], None] | None = None,
    ) -> Decomposition:
        """Split images into what the operator keeps and what it rejects.

        Parameters
        ----------
        images : (n_images, c_in, height, width) array_like
            Of any real dtype.
        rtol : float
            Where the split is found by iteration: it ends when ‖A·rejected‖ ≤ rtol·σ₁‖x‖.
        max_steps : int
            And after so many steps at the latest; `Decomposition.leak` tells how far it came.
        progress : callable, optional
            Called with the share of the work done, in [0, 1].

        Returns
        -------
        Decomposition
            Exact for periodic operators whose stride divides the size (by frequencies) and for small ones
            (densely). Else by conjugate gradients: `signal` lies in the signal space, `rejected` still holds
            `leak`, so that `energy` is an upper bound.

        Notes
        -----
        By frequencies, one SVD with vectors for each of about half of the frequencies, once where what they
        give takes at most 512 MiB, else again for every 4,194,304 entries of images; by iteration, two
        products of the operator a step.
        """
        array = read_rows(images, "images", None, self.input_shape)
        check_progress(progress)
        check_integer(max_steps, "max_steps", low=1)
        if self.shape[0] * self.shape[1] <= _DENSE_ENTRIES and not self.geometry.block_circulant:
            return self._dense.decompose(array, progress=progress)
        dtype = working_dtype(array, self.kernels.dtype)
        signal, rejected = np.empty(array.shape, dtype), np.empty(array.shape, dtype)
        energies, leaks = np.empty((2, len(array))), np.empty(len(array))
        step = max(1, _CHUNK_ENTRIES // self.shape[1])
        for first in range(0, len(array), step):
            here = slice(first, first + step)
            x = array[here].astype(np.float64)
            check_finite(x.reshape(len(x), -1), "images")
            kept, rest, leaks[here] = self._split(x, rtol, max_steps)
            signal[here], rejected[here] = kept, rest
            for i, part in enumerate((kept, rest)):
                energies[i, here] = np.einsum("nchw,nchw->n", part, part)
            if progress is not None:
                progress(min(1.0, (first + step) / len(array)))
        with np.errstate(invalid="ignore"):
            share = energies[1] / energies.sum(axis=0)
        leak = None if self.geometry.block_circulant else leaks
        return Decomposition(signal, rejected, share, energies[0], energies[1], leak)

    def energy(self, images: npt.ArrayLike) -> _Doubles:
        """Return the rejected share of every image's energy, as `decompose` has it.

        Parameters
        ----------
        images : (n_images, c_in, height, width) array_like
            Of any real dtype.

        Returns
        -------
        (n_images,) ndarray of float64
            NaN for an image of zeros.
        """
        return self.decompose(images).energy

    def patch_energy(self, images: npt.ArrayLike) -> _Doubles:
        """Return the share of the energy of every image's patches that the filters reject.

        Each output pixel sees a patch of c_in/groups × kh × kw inputs, padding included; what lies outside
        the span of the filters (of the patch's group) does not reach the pixel. A layer may reject much of
        every patch and nothing of the image, as patches overlap.

        Parameters
        ----------
        images : (n_images, c_in, height, width) array_like
            Of any real dtype.

        Returns
        -------
        (n_images,) ndarray of float64
            Rejected energy of all patches over their energy; NaN where that is zero.
        """
        array = read_rows(images, "images", None, self.input_shape)
        return patch_energy(self.as_operator(), array)

    def __repr__(self) -> str:
        c_out, c_in, kh, kw = self.kernels.shape
        return (
            f"ConvolutionSpaces({c_out} × {c_in} × {kh} × {kw}, groups {self.groups}, "
            f"{self.input_shape} to {self.output_shape}, {self.kernels.dtype})"
        )

    @cached_property
    def _cache(self) -> dict[str, _Doubles]:
        return {}

    @cached_property
    def _operator64(self) -> ConvolutionOperator:
        return ConvolutionOperator(self.kernels.astype(np.float64), self.geometry)

    @cached_property
    def _dense(self) -> SignalSpaces:
        return SignalSpaces(
            self._operator64.dense().astype(self.kernels.dtype), input_shape=self.input_shape, rtol=self.rtol
        )

    @cached_property
    def _largest(self) -> float:
        if "values" in self._cache:
            return float(self._cache["values"][0])
        values, bounds, _ = lanczos(
            self._operator64, 1, "largest", rtol=1e-3, size=20, max_products=200, seed=0
        )
        return float(values[0] + bounds[0]) if len(values) else 0.0

    @cached_property
    def _projector(self) -> FrequencyProjector:
        return FrequencyProjector(self._blocks(merge_axes=False), self.rtol * self._largest)

    def _blocks(self, *, merge_axes: bool) -> FrequencyBlocks:
        return FrequencyBlocks.of(self.kernels.astype(np.float64), self.geometry, merge_axes=merge_axes)

    def _exact_values(self, progress: Callable[[float], None] | None = None) -> _Doubles:
        if "values" not in self._cache:
            self._cache["values"] = spectrum(self._blocks(merge_axes=True), "svd", progress)
        return self._cache["values"].copy()

    def _split(self, x: _Doubles, rtol: float, max_steps: int) -> tuple[_Doubles, _Doubles, _Doubles]:
        if self.geometry.block_circulant:
            rejected = self._projector.rejected(x)
            return x - rejected, rejected, np.zeros(len(x))
        signal, leak = signal_by_iteration(self._operator64, x, self._largest, rtol, max_steps)
        return signal, x - signal, leak


def _checked_kernels(kernels: npt.ArrayLike) -> FloatArray:
    array = as_array(kernels, "kernels")
    if array.dtype.kind not in "fiub":
        raise TypeError(f"`kernels` must hold real numbers, got dtype {array.dtype}")
    if array.ndim != 4 or array.size == 0:
        raise ValueError(
            f"`kernels` must have shape (c_out, c_in/groups, height, width), none of them 0, got {array.shape}"
        )
    single = array.dtype in (np.float16, np.float32)
    found: FloatArray = np.ascontiguousarray(array, dtype=np.float32 if single else np.float64)
    if not np.isfinite(found).all():
        place = tuple(map(int, np.argwhere(~np.isfinite(found))[0]))
        raise ValueError(f"`kernels` must be finite, got {found[place]} at {place}")
    return found


def _checked_bias(bias: npt.ArrayLike, kernels: FloatArray) -> FloatArray:
    array = as_array(bias, "bias")
    if array.shape != (len(kernels),):
        raise ValueError(f"`bias` must have shape ({len(kernels)},), one entry a channel, got {array.shape}")
    return array.astype(kernels.dtype)


def _pair(value: int | Sequence[int], name: str, low: int) -> tuple[int, int]:
    values = (value, value) if isinstance(value, int | np.integer) else tuple(value)
    if len(values) != 2:
        raise ValueError(f"`{name}` must be an integer or two, of rows and columns, got {value!r}")
    return check_integer(values[0], name, low=low), check_integer(values[1], name, low=low)


def _geometry(
    kernels: FloatArray,
    input_shape: Sequence[int],
    stride: int | Sequence[int],
    padding: str | int | Sequence[Any],
    dilation: int | Sequence[int],
    groups: int,
) -> Geometry:
    sizes = tuple(check_integer(each, "input_shape", low=1) for each in input_shape)
    if len(sizes) != 3:
        raise ValueError(f"`input_shape` must be (channels, height, width), got {sizes}")
    count = check_integer(groups, "groups", low=1)
    if kernels.shape[1] * count != sizes[0] or kernels.shape[0] % count:
        raise ValueError(
            f"`kernels` of shape {kernels.shape} with groups={count} see {kernels.shape[1] * count} channels "
            f"and make a multiple of {count}, got {sizes[0]} channels in `input_shape` and {len(kernels)} out"
        )
    steps = _pair(dilation, "dilation", 1)
    spans = [(taps - 1) * step for taps, step in zip(kernels.shape[2:], steps, strict=True)]
    geometry = Geometry(
        kernels=kernels.shape,
        input_shape=(sizes[0], sizes[1], sizes[2]),
        stride=_pair(stride, "stride", 1),
        padding=_padding(padding, spans),
        dilation=steps,
        groups=count,
        circular=padding == "circular",
    )
    if min(geometry.output_shape) < 1:
        raise ValueError(
            f"kernels that reach over {geometry.reach} pixels are larger than the padded input, "
            f"{sizes[1:]} with padding {geometry.padding}"
        )
    return geometry


def _padding(padding: str | int | Sequence[Any], spans: list[int]) -> tuple[tuple[int, int], tuple[int, int]]:
    if isinstance(padding, str):
        if check_choice(padding, "padding", ("circular", "zero", "valid")) == "valid":
            return (0, 0), (0, 0)
        before = [span // 2 for span in spans]
        return (before[0], spans[0] - before[0]), (before[1], spans[1] - before[1])
    if isinstance(padding, int | np.integer):
        padding = (padding, padding)
    values = list(padding)
    if len(values) != 2:
        raise ValueError(
            '`padding` must be "circular", "zero", "valid", an integer, two, or ((top, bottom), '
            f"(left, right)), got {padding!r}"
        )
    return _pair(values[0], "padding", 0), _pair(values[1], "padding", 0)
