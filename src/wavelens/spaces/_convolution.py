"""Convolution layers: their kernels as rows of a matrix, and the operator that they are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from wavelens._arguments import check_choice, check_integer, check_progress
from wavelens.spaces._conv_arguments import as_layer, checked_geometry, checked_kernels
from wavelens.spaces._conv_inverse import convolution_extremes
from wavelens.spaces._conv_operator import ConvolutionOperator
from wavelens.spaces._conv_rejection import FrequencyProjector, signal_by_iteration, split_images
from wavelens.spaces._conv_spectrum import FrequencyBlocks, spectrum
from wavelens.spaces._decomposition import Decomposition
from wavelens.spaces._extreme import ExtremeSingularValues, exact_extremes, lanczos
from wavelens.spaces._layer_arguments import checked_bias, checked_rtol
from wavelens.spaces._patches import PatchSpaces
from wavelens.spaces._project import read_rows, refuse_nonfinite, working_dtype
from wavelens.spaces._signal_spaces import SignalSpaces

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
        Singular values up to rtol·σ₁ count as zero. None is max(n_out, n_in)·eps of the kernels' dtype, n_out and
        n_in being those of the operator, or of the matrix of kernels.

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
        self.kernels = checked_kernels(kernels)
        self.geometry = checked_geometry(self.kernels, input_shape, stride, padding, dilation, groups)
        self.input_shape, self.output_shape = self.geometry.input_shape, self.geometry.output_shape
        self.shape = (self.geometry.n_out, self.geometry.n_in)
        self.groups = self.geometry.groups
        self.bias = (
            None if bias is None else checked_bias(bias, len(self.kernels), self.kernels.dtype, "channel")
        )
        self.rtol = checked_rtol(rtol, self.shape, self.kernels.dtype)
        self._given_rtol = rtol
        self._cache: dict[str, _Doubles] = {}
        # All is computed with kernels whose largest entry is about 1, of which no square leaves the range.
        self._exponent = int(np.frexp(np.abs(self.kernels).max())[1])
        self._unit = np.ldexp(self.kernels.astype(np.float64), -self._exponent)

    @cached_property
    def kernels_as_rows(self) -> SignalSpaces:
        """Spaces of the matrix whose rows are the c_out·c_in/groups kernels, (kh·kw) each: the paper's view."""
        kh, kw = self.kernels.shape[2:]
        return SignalSpaces(self.kernels.reshape(-1, kh * kw), input_shape=(kh, kw), rtol=self._given_rtol)

    @cached_property
    def filters_as_rows(self) -> SignalSpaces:
        """Spaces of the matrix whose rows are the c_out filters, (c_in/groups·kh·kw) each: what a patch meets.

        With groups the filters of all groups are rows of one matrix; `patch_energy` keeps them apart.
        """
        rows = self.kernels.reshape(len(self.kernels), -1)
        return SignalSpaces(rows, input_shape=self.kernels.shape[1:], rtol=self._given_rtol)

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
        if self.geometry.block_circulant and method == "gram":
            return self._scaled(spectrum(self._blocks(merge_axes=True), method, progress))
        if self.geometry.block_circulant or self._is_small:
            return self._scaled(self._unit_values(progress))
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

        Notes
        -----
        Lanczos pins down the largest in a few dozen products. The smallest of a square operator crowd near zero,
        out of its reach: they come from a sparse LU decomposition where that takes at most some 400 MB and no more
        work than `max_products` (16 channels on 32 × 32), unless it tells that the operator has no full rank.
        """
        count = check_integer(k, "k", low=1, high=min(self.shape), why="the smaller side of the operator")
        tolerance = checked_rtol(rtol, self.shape, np.float64)
        size = check_integer(basis_size, "basis_size", low=2 * count + 4)
        limit = check_integer(max_products, "max_products", low=2)
        seed = check_integer(random_state, "random_state", low=0)
        if self._is_small or "values" in self._cache:
            found = exact_extremes(self._unit_values(), count, self.rtol)
        else:
            search = {"size": size, "max_products": limit, "seed": seed}
            found = convolution_extremes(self._operator64, count, self.rtol, rtol=tolerance, **search)
        return found.scaled(self._exponent)

    @property
    def rank(self) -> int:
        """Singular values above rtol·σ₁; needs all of them, as `singular_values` does."""
        values = self._unit_values()
        return int((values > self.rtol * values[0]).sum())

    @property
    def condition(self) -> float:
        """σ₁ over the smallest singular value above rtol·σ₁; NaN for zeros. Needs all of them."""
        values = self._unit_values()
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
        rtol = checked_rtol(rtol, self.shape, np.float64)
        check_integer(max_steps, "max_steps", low=1)
        if self._is_small and not self.geometry.block_circulant:
            return self._dense.decompose(array, progress=progress)
        return split_images(
            array,
            lambda x: self._split(x, rtol, max_steps),
            dtype=working_dtype(array, self.kernels.dtype),
            step=max(1, _CHUNK_ENTRIES // self.shape[1]),
            exact=self.geometry.block_circulant,
            progress=progress,
        )

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
        x = read_rows(images, "images", None, self.input_shape)
        x = x.astype(np.float64 if x.dtype.kind == "f" and x.itemsize >= 8 else np.float32, copy=False)
        refuse_nonfinite(x.reshape(len(x), -1), "images", 0, self.input_shape)
        return self._patches.shares(x)

    def __repr__(self) -> str:
        c_out, c_in, kh, kw = self.kernels.shape
        return (
            f"ConvolutionSpaces({c_out} × {c_in} × {kh} × {kw}, groups {self.groups}, "
            f"{self.input_shape} to {self.output_shape}, {self.kernels.dtype})"
        )

    @property
    def _is_small(self) -> bool:
        return self.shape[0] * self.shape[1] <= _DENSE_ENTRIES

    def _scaled(self, values: _Doubles) -> _Doubles:
        """Return what is known of the kernels scaled to about 1 for the kernels as they are."""
        with np.errstate(over="ignore", under="ignore"):
            return np.asarray(np.ldexp(values, self._exponent))

    @cached_property
    def _operator64(self) -> ConvolutionOperator:
        return ConvolutionOperator(self._unit, self.geometry)

    @cached_property
    def _dense(self) -> SignalSpaces:
        return SignalSpaces(
            self._operator64.dense().astype(self.kernels.dtype), input_shape=self.input_shape, rtol=self.rtol
        )

    @cached_property
    def _largest(self) -> float:
        if "values" in self._cache:
            return float(self._cache["values"][0])
        search: dict[str, Any] = {"rtol": 1e-3, "size": 20, "max_products": 200, "seed": 0}
        values, bounds, _ = lanczos(self._operator64, 1, "largest", **search)
        return float(values[0] + bounds[0]) if len(values) else 0.0

    @cached_property
    def _patches(self) -> PatchSpaces:
        return PatchSpaces(as_layer(self.kernels, self.geometry), self._given_rtol)

    @cached_property
    def _projector(self) -> FrequencyProjector:
        return FrequencyProjector(self._blocks(merge_axes=False), self.rtol * self._largest)

    def _blocks(self, *, merge_axes: bool) -> FrequencyBlocks:
        return FrequencyBlocks.of(self._unit, self.geometry, merge_axes=merge_axes)

    def _unit_values(self, progress: Callable[[float], None] | None = None) -> _Doubles:
        """Return all singular values with the kernels scaled to about 1; `singular_values` refuses some."""
        if not self.geometry.block_circulant:
            return self._dense.singular_values if self._is_small else self.singular_values()
        if "values" not in self._cache:
            self._cache["values"] = spectrum(self._blocks(merge_axes=True), "svd", progress)
        return self._cache["values"]

    def _split(self, x: _Doubles, rtol: float, max_steps: int) -> tuple[_Doubles, _Doubles, _Doubles]:
        if self.geometry.block_circulant:
            rejected = self._projector.rejected(x)
            return x - rejected, rejected, np.zeros(len(x))
        signal, leak = signal_by_iteration(self._operator64, x, self._largest, rtol, max_steps)
        return signal, x - signal, leak
