"""The four fundamental spaces of a layer: what it keeps of its input, what it rejects, and what it can reach."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.linalg
from scipy.sparse.linalg import LinearOperator

from wavelens._arguments import FloatArray, as_float_matrix, check_integer, check_progress
from wavelens._threads import blas_threads
from wavelens.spaces._chance import SpectrumAgainstChance, spectrum_against_chance
from wavelens.spaces._complement import Complement, dense_or_operator
from wavelens.spaces._decomposition import Decomposition, Projection, as_decomposition
from wavelens.spaces._layer_arguments import checked_bias, checked_rtol, checked_shape
from wavelens.spaces._project import SplitRows, read_rows, split_rows, working_dtype

__all__ = ["SignalSpaces"]


class SignalSpaces:
    """The four fundamental spaces of a linear layer y = Wx + b.

    The signal space is the row space of W, spanned by V_r; the rejected space its null space, orthogonal to
    it, whose images change no output. On the other side U_r spans the outputs that can be reached, the signal
    out, and its complement those that cannot.

    Parameters
    ----------
    weights : (n_out, n_in) array_like
        W. float32 and float64 stay; float16 becomes float32, other real dtypes float64.
    bias : (n_out,) array_like, optional
        Absorbed if given: W becomes [W b] and every sample gets a last entry 1, so that bases and parts have
        n_in + 1 entries. Without it the bias is left out of account, as it moves outputs alone.
    input_shape : tuple of int, optional
        Shape of one sample, such as (28, 28) or (3, 32, 32): samples may come, and images are given, in it.
    rtol : float, optional
        The rank is the number of singular values above rtol·σ₁. None is max(n_out, n_in)·eps of the weights'
        dtype, as in `numpy.linalg.matrix_rank`.

    Attributes
    ----------
    shape : tuple of int
        (n_out, n_in) of the matrix, with its column of biases if absorbed.
    input_shape : tuple of int or None
        As given.
    dtype : dtype
        float32 or float64: of bases, and of parts where the samples' allow.
    rank : int
        r, numerically.
    singular_values : (min(n_out, n_in),) ndarray of float64
        All of them, descending.
    condition : float
        σ₁/σ_r; NaN for a matrix of zeros, which has no signal.

    Raises
    ------
    TypeError
        If weights or bias hold complex numbers or objects.
    ValueError
        If `weights` is no matrix, is empty, or holds NaN or infinities (the place is named); if `bias` or
        `input_shape` do not fit it.

    Notes
    -----
    The decomposition is computed in float64 whatever the dtype of the weights, and costs about 6 n_out n_in
    min(n_out, n_in) + 20 min(n_out, n_in)³ flops. Signs of the singular vectors are such that the entry of
    largest modulus of every v_i is positive.

    References
    ----------
    R. Pattichis, M. S. Pattichis, "Understanding neural network systems for image analysis using vector
    spaces", 2024, sections 2.1–2.3, eqs. 1–4.

    Examples
    --------
    A layer of two neurons on images of 2 × 2 pixels, which looks at the upper row only:

    >>> import numpy as np
    >>> from wavelens.spaces import SignalSpaces
    >>> layer = SignalSpaces([[3.0, 0, 0, 0], [0, 1, 0, 0]], input_shape=(2, 2))
    >>> layer.rank, layer.condition
    (2, 3.0)
    >>> parts = layer.decompose([[[1.0, 1], [2, 0]]])
    >>> parts.rejected[0]
    array([[0., 0.],
           [2., 0.]])
    >>> round(float(parts.energy[0]), 3)
    0.667
    """

    def __init__(
        self,
        weights: npt.ArrayLike,
        *,
        bias: npt.ArrayLike | None = None,
        input_shape: Sequence[int] | None = None,
        rtol: float | None = None,
    ) -> None:
        w = as_float_matrix(weights, "weights")
        self.input_shape = checked_shape(input_shape, w.shape[1])
        self.dtype = w.dtype
        self._has_bias = bias is not None
        if bias is not None:
            w = np.concatenate([w, checked_bias(bias, len(w), w.dtype)[:, None]], axis=1)
        self._weights = w
        self.shape: tuple[int, int] = w.shape
        self._u, self.singular_values, self._v = _svd(w)
        self.rank = int(
            (self.singular_values > checked_rtol(rtol, w.shape, w.dtype) * self.singular_values[0]).sum()
        )
        self.condition = (
            float(self.singular_values[0] / self.singular_values[self.rank - 1])
            if self.rank
            else float("nan")
        )

    @property
    def weights(self) -> FloatArray:
        """W, (n_out, n_in), without an absorbed bias; read-only."""
        view = self._weights[:, : self._n_in].view()
        view.setflags(write=False)
        return view

    @property
    def signal(self) -> FloatArray:
        """V_r, (n_in, r): orthonormal columns that span what the layer keeps, the strongest first."""
        return self._v[:, : self.rank].astype(self.dtype)

    @property
    def rejected(self) -> FloatArray | LinearOperator:
        """Orthonormal columns that span what the layer rejects, (n_in, n_in − r).

        An array where it takes at most 128 MiB in float64, else a `scipy.sparse.linalg.LinearOperator` of
        Householder reflections, with products and adjoint.
        """
        return dense_or_operator(Complement(self._v[:, : self.rank], self.dtype))

    @property
    def signal_out(self) -> FloatArray:
        """U_r, (n_out, r): orthonormal columns that span the outputs that can be reached."""
        return self._u[:, : self.rank].astype(self.dtype)

    @property
    def rejected_out(self) -> FloatArray | LinearOperator:
        """Orthonormal columns that span the outputs that no input reaches, (n_out, n_out − r); as `rejected`."""
        return dense_or_operator(Complement(self._u[:, : self.rank], self.dtype))

    def decompose(
        self, samples: npt.ArrayLike, *, progress: Callable[[float], None] | None = None
    ) -> Decomposition:
        """Split samples into what the layer keeps and what it rejects.

        Parameters
        ----------
        samples : (n_samples, n_in) or (n_samples, *input_shape) array_like
            Of any real dtype; read where they are if of the dtype of the result, else converted in chunks.
        progress : callable, optional
            Called with the share of the work done, in [0, 1].

        Returns
        -------
        Decomposition
            Parts of the shape of the samples, (n_samples, n_in + 1) with an absorbed bias. float32 where the
            weights are and the samples fit it (float16, float32, integers of up to 16 bits), else float64.
            The energies add up to the sample's, to 1e-12 in float64 and 1e-6 in float32.

        Raises
        ------
        TypeError
            If `samples` hold complex numbers or objects.
        ValueError
            If `samples` are of another shape, or hold NaN or infinities (the place is named).

        Notes
        -----
        4 n_samples n_in min(r, n_in − r) flops: of the two bases the smaller one makes its part, the other
        part is the difference. Where that is a small difference of large numbers it is projected once more.
        Results are the same for any number of threads.
        """
        rows = read_rows(samples, "samples", self._n_in, self.input_shape)
        check_progress(progress)
        return self._decomposition(self._split(rows, "samples", True, progress), rows)

    def energy(
        self, samples: npt.ArrayLike, *, progress: Callable[[float], None] | None = None
    ) -> npt.NDArray[np.float64]:
        """Return the rejected share of every sample's energy without its parts: half the work, no memory.

        Parameters
        ----------
        samples : (n_samples, n_in) or (n_samples, *input_shape) array_like
            As in `decompose`.
        progress : callable, optional
            Called with the share of the work done, in [0, 1].

        Returns
        -------
        (n_samples,) ndarray of float64
            `Decomposition.energy`, to rounding; NaN for a sample of zeros.
        """
        rows = read_rows(samples, "samples", self._n_in, self.input_shape)
        check_progress(progress)
        split = self._split(rows, "samples", False, progress)
        return split.inside_share if self._by_rejected else split.outside_share

    def decompose_outputs(self, outputs: npt.ArrayLike) -> Decomposition:
        """Split outputs into what some input reaches (the column space of W) and what none does.

        Parameters
        ----------
        outputs : (n_samples, n_out) array_like
            Without the bias, unless it is absorbed.

        Returns
        -------
        Decomposition
            `signal` is the nearest output that can be reached, `rejected` what is missing.
        """
        rows = read_rows(outputs, "outputs", self.shape[0], None)
        dtype = working_dtype(rows, self.dtype)
        swap = 2 * self.rank > self.shape[0]
        basis = self._u[:, : self.rank]
        if swap:
            basis = Complement(basis).dense().astype(np.float64)
        split = split_rows(basis.astype(dtype, copy=False), rows, "outputs")
        return as_decomposition(split, swap, rows.shape)

    def project(self, unit: int, samples: npt.ArrayLike) -> Projection:
        """Return what one neuron sees of the samples, p = (wᵀx/‖w‖²)w, and the residual x − p (eq. 3).

        Parameters
        ----------
        unit : int
            The neuron: a row of W, from 0. One whose weights are all zero sees nothing.
        samples : (n_samples, n_in) or (n_samples, *input_shape) array_like
            As in `decompose`.

        Returns
        -------
        Projection
        """
        row = check_integer(
            unit, "unit", low=0, high=self.shape[0] - 1, why=f"there are {self.shape[0]} units"
        )
        rows = read_rows(samples, "samples", self._n_in, self.input_shape)
        w = self._weights[row].astype(np.float64)
        w = np.ldexp(w, -int(np.frexp(np.abs(w).max())[1]))
        norm = float(np.sqrt((w * w).sum()))
        basis = (w / norm)[:, None] if norm > 0 else np.empty((len(w), 0))
        split = split_rows(
            basis.astype(working_dtype(rows, self.dtype)), rows, "samples", append_one=self._has_bias
        )
        parts = as_decomposition(split, False, self._shape_of_parts(rows))
        return Projection(parts.signal, parts.rejected, parts.energy)

    def signal_images(self, n: int | None = None) -> FloatArray:
        """Return σ_i v_i, what the layer keeps, as images (eq. 4).

        Parameters
        ----------
        n : int, optional
            The first so many; None is all r of them.

        Returns
        -------
        (n, *input_shape) ndarray
            (n, n_in) without an input shape; the constant's entry of an absorbed bias is left out.
        """
        count = self.rank if n is None else check_integer(n, "n", low=0, high=self.rank, why="the rank")
        images = (self._v[: self._n_in, :count] * self.singular_values[:count]).T
        return np.ascontiguousarray(
            images.reshape(count, *(self.input_shape or (self._n_in,))), dtype=self.dtype
        )

    def against_chance(self, *, n_samples: int | None = None, random_state: int = 0) -> SpectrumAgainstChance:
        """Return the spectrum beside that of random matrices of the layer's shape.

        Parameters
        ----------
        n_samples, random_state
            As in `spectrum_against_chance`.

        Returns
        -------
        SpectrumAgainstChance
        """
        return spectrum_against_chance(
            self.singular_values, self.shape, rank=self.rank, n_samples=n_samples, random_state=random_state
        )

    def __repr__(self) -> str:
        return (
            f"SignalSpaces({self.shape[0]} × {self.shape[1]}, {self.dtype}, rank {self.rank}, "
            f"condition {self.condition:.4g})"
        )

    @property
    def _n_in(self) -> int:
        return self.shape[1] - self._has_bias

    @property
    def _by_rejected(self) -> bool:
        return 2 * self.rank > self.shape[1]

    @cached_property
    def _bases(self) -> dict[np.dtype[Any], FloatArray]:
        return {}

    def _basis(self, dtype: np.dtype[Any]) -> FloatArray:
        """Return the smaller of the two bases of the inputs."""
        if dtype not in self._bases:
            basis = self._v[:, : self.rank]
            if self._by_rejected:
                basis = Complement(basis).dense().astype(np.float64)
            self._bases[dtype] = np.ascontiguousarray(basis, dtype=dtype)
        return self._bases[dtype]

    def _split(
        self, rows: npt.NDArray[Any], name: str, parts: bool, progress: Callable[[float], None] | None
    ) -> SplitRows:
        return split_rows(
            self._basis(working_dtype(rows, self.dtype)),
            rows,
            name,
            inside=parts,
            outside=parts,
            append_one=self._has_bias,
            progress=progress,
        )

    def _shape_of_parts(self, rows: npt.NDArray[Any]) -> tuple[int, ...]:
        return (len(rows), self.shape[1]) if self._has_bias else rows.shape

    def _decomposition(self, split: SplitRows, rows: npt.NDArray[Any]) -> Decomposition:
        return as_decomposition(split, self._by_rejected, self._shape_of_parts(rows))


def _svd(
    w: FloatArray,
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return U, σ and V of the economic decomposition in float64, with the sign that the class promises."""
    with blas_threads(1):
        try:
            u, values, vt = scipy.linalg.svd(w.astype(np.float64), full_matrices=False, check_finite=False)
        except scipy.linalg.LinAlgError:  # gesdd has been seen to fail where gesvd does not
            u, values, vt = scipy.linalg.svd(
                w.astype(np.float64), full_matrices=False, check_finite=False, lapack_driver="gesvd"
            )
    v = vt.T
    signs = np.where(v[np.abs(v).argmax(axis=0), np.arange(v.shape[1])] < 0, -1.0, 1.0)
    return u * signs, values, v * signs
