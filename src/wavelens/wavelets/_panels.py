"""A signal by frequency (Fourier) and by place and scale (wavelets), as arrays to look at."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import fft

from wavelens._arguments import FloatArray, as_array, check_choice, check_integer

__all__ = ["FourierPanel", "WaveletPanel", "fourier_panel", "wavelet_panel"]

Complex = npt.NDArray[np.complex128]


@dataclass(frozen=True, eq=False)
class FourierPanel:
    """Result of `fourier_panel`.

    Attributes
    ----------
    time : array of shape (n,)
        Where the signal was sampled, in `unit`, from 0.
    signal : array of shape (n,), float64
    frequency : array of shape (n // 2 + 1,)
        In cycles per `unit`, from 0 to half the sampling rate.
    transform : array of complex, shape (n // 2 + 1,)
        The Fourier integral as a sum over the samples, in the signal's unit times `unit`.
    amplitude : array of shape (n // 2 + 1,)
        In the signal's unit: a sine of amplitude 1 that fits whole periods into the signal has 1 at its
        frequency; frequency 0 has the size of the mean.
    unit : str
    """

    time: FloatArray
    signal: FloatArray
    frequency: FloatArray
    transform: Complex
    amplitude: FloatArray
    unit: str


@dataclass(frozen=True, eq=False)
class WaveletPanel:
    """Result of `wavelet_panel`.

    Attributes
    ----------
    time : array of shape (n,)
        Positions b, in `unit`, from 0.
    signal : array of shape (n,), float64
    scale : array of shape (n_scales,)
        Scales a, in `unit`, the finest first.
    frequency : array of shape (n_scales,)
        Where the wavelet of each scale answers most, in cycles per `unit`.
    coefficients : array of shape (n_scales, n), complex for Morlet, else float64
        Wf(a, b), in the signal's unit times the root of `unit`.
    reach : array of shape (n_scales,)
        95 % of the energy of the wavelet lies within this distance from b, in `unit`. Nearer to an end,
        coefficients depend on how the signal was extended.
    wavelet, unit : str
    """

    time: FloatArray
    signal: FloatArray
    scale: FloatArray
    frequency: FloatArray
    coefficients: FloatArray | Complex
    reach: FloatArray
    wavelet: str
    unit: str


def fourier_panel(signal: npt.ArrayLike, dt: float = 1.0, unit: str = "samples") -> FourierPanel:
    """Take a signal apart into frequencies: which occur, but not where.

    Parameters
    ----------
    signal : array of shape (n,)
        Real and finite, sampled at even steps, n ≥ 2.
    dt : float, default 1.0
        Step from one sample to the next, in `unit`.
    unit : str, default "samples"
        What the signal runs along, for labels: "years", "seconds".

    Returns
    -------
    FourierPanel
        Frequencies, transform and amplitudes, with the signal itself.

    Raises
    ------
    ValueError, TypeError
        If the signal is no finite real vector of two or more samples or `dt` not positive.

    Notes
    -----
    ``transform = dt Σ_t exp(-2πi ξ t) f(t)``, the sum for the integral f̂(ξ). Cost: O(n log n).

    Source: R. Bracewell, *The Fourier Transform and Its Applications*, McGraw-Hill 2000.

    Examples
    --------
    >>> import numpy as np
    >>> from wavelens.wavelets import fourier_panel
    >>> months = np.arange(240)
    >>> panel = fourier_panel(3 * np.sin(2 * np.pi * months / 12), dt=1 / 12, unit="years")
    >>> round(float(panel.frequency[panel.amplitude.argmax()]), 6), round(float(panel.amplitude.max()), 6)
    (1.0, 3.0)
    """
    values, step = _checked(signal, dt)
    n = len(values)
    transform = fft.rfft(values)
    amplitude = np.abs(transform) / n
    amplitude[1 : (n + 1) // 2] *= 2  # the negative frequencies' half
    time = step * np.arange(n)
    return FourierPanel(time, values, fft.rfftfreq(n, step), step * transform, amplitude, unit)


@dataclass(frozen=True)
class _Mother:
    """A wavelet ψ of unit energy by its Fourier transform ∫ψ(t) exp(-iωt) dt."""

    transform: Callable[[FloatArray], npt.NDArray[np.inexact]]
    peak: float  # ω > 0 at which it answers most
    reach: float  # 95 % of ∫|ψ|² lies within it
    is_complex: bool = False


_morlet_omega = 6.0


def _morlet(omega: FloatArray) -> FloatArray:
    # The second term makes the mean exactly zero.
    lobes = np.exp(-((omega - _morlet_omega) ** 2) / 2) - np.exp(-(omega**2 + _morlet_omega**2) / 2)
    return np.asarray(math.sqrt(2 * math.pi) * math.pi**-0.25 * lobes)


def _mexican_hat(omega: FloatArray) -> FloatArray:
    return np.asarray(
        2 / math.sqrt(3) * math.pi**-0.25 * math.sqrt(2 * math.pi) * omega**2 * np.exp(-(omega**2) / 2)
    )


def _shannon(omega: FloatArray) -> FloatArray:
    size = np.abs(omega)
    return np.where((size >= math.pi) & (size < 2 * math.pi), 1.0, 0.0)


def _poisson(omega: FloatArray) -> FloatArray:
    size = np.abs(omega)
    return np.asarray(2 * math.sqrt(math.pi) * size * np.exp(-size))


def _haar(omega: FloatArray) -> Complex:
    # 1 on [-1/2, 0), -1 on [0, 1/2): 4i sin²(ω/4)/ω
    quarter = omega / 4
    return np.asarray(1j * np.sin(quarter) * np.sinc(quarter / math.pi))


_mothers = {
    "morlet": _Mother(_morlet, _morlet_omega, 1.3859038243496775, is_complex=True),
    "mexican_hat": _Mother(_mexican_hat, math.sqrt(2), 2.25218759933983),
    "shannon": _Mother(_shannon, 1.5 * math.pi, 3.924),
    "poisson": _Mother(_poisson, 1.0, 1.92795),
    "haar": _Mother(_haar, 4.662244740828845, 0.475),
}


def wavelet_panel(
    signal: npt.ArrayLike,
    dt: float = 1.0,
    wavelet: str = "morlet",
    *,
    scales: npt.ArrayLike | None = None,
    n_scales: int = 96,
    boundary: str = "symmetric",
    unit: str = "samples",
) -> WaveletPanel:
    """Take a signal apart by place and scale: which frequencies occur, and where.

    Parameters
    ----------
    signal : array of shape (n,)
        Real and finite, sampled at even steps, n ≥ 2.
    dt : float, default 1.0
        Step from one sample to the next, in `unit`.
    wavelet : {"morlet", "mexican_hat", "shannon", "poisson", "haar"}, default "morlet"
        Complex Morlet (ω₀ = 6): best for the strength of oscillations. The others are real: Mexican hat, a
        smooth bump; Shannon, sharp in frequency and wide in time; Poisson, a sharper bump with wide feet;
        Haar, which answers to steps.
    scales : array of float or None, default None
        Scales a, in `unit`. None: `n_scales` of them at even ratios, from the one that answers to half the
        sampling rate to the one that answers to two periods in the whole signal.
    n_scales : int, default 96
        Number of scales if `scales` is None.
    boundary : {"symmetric", "zero", "periodic"}, default "symmetric"
        How the signal goes on past its ends: mirrored, nothing, again from its beginning.
    unit : str, default "samples"
        What the signal runs along, for labels: "years", "seconds".

    Returns
    -------
    WaveletPanel
        Coefficients with their times, scales and frequencies, and the signal itself.

    Raises
    ------
    ValueError, TypeError
        If the signal is no finite real vector of two or more samples, `dt` or a scale not positive, or a
        name unknown.

    Notes
    -----
    ``Wf(a, b) = a^(-1/2) ∫ ψ̄((t - b)/a) f(t) dt`` with ∫|ψ|² = 1, computed by frequency from the closed form of
    ψ's Fourier transform: exact for the trigonometric interpolation of the samples, extended as `boundary`
    says. Cost: O(n_scales · n log n).

    Source: S. Mallat, *A Wavelet Tour of Signal Processing*, Academic Press 2009, chapter 4; M. Holschneider,
    *Wavelets: an Analysis Tool*, Oxford 1995 (Poisson: ``ψ(t) ∝ (1 - t²)/(1 + t²)²``).

    Examples
    --------
    >>> import numpy as np
    >>> from wavelens.wavelets import wavelet_panel
    >>> t = np.arange(1000) * 0.01
    >>> signal = np.where(t < 5, np.sin(2 * np.pi * 3 * t), np.sin(2 * np.pi * 12 * t))
    >>> panel = wavelet_panel(signal, dt=0.01, unit="seconds")
    >>> strongest = panel.frequency[np.abs(panel.coefficients).argmax(axis=0)]
    >>> [round(float(strongest[i])) for i in (250, 750)]
    [3, 12]
    """
    values, step = _checked(signal, dt)
    mother = _mothers[check_choice(wavelet, "wavelet", tuple(_mothers))]
    check_choice(boundary, "boundary", ("symmetric", "zero", "periodic"))
    n = len(values)
    if scales is None:
        count = check_integer(n_scales, "n_scales", low=1)
        frequencies = np.geomspace(0.5 / step, min(2 / n, 0.5) / step, count)
        a = mother.peak / (2 * math.pi * frequencies)
    else:
        a = np.sort(_vector(scales, "scales"))
        if a[0] <= 0:
            raise ValueError(f"`scales` must be positive, got {a[0]}")
    extended = _extended(values, boundary)
    spectrum = fft.fft(extended)
    omega = 2 * math.pi * fft.fftfreq(len(extended), step)
    rows: FloatArray | Complex
    rows = np.empty((len(a), n)) if not mother.is_complex else np.empty((len(a), n), dtype=np.complex128)
    for row, scale in zip(rows, a, strict=True):
        response = math.sqrt(scale) * np.conj(mother.transform(scale * omega))
        if len(extended) % 2 == 0:
            # Half the sampling rate stands for both signs of its frequency.
            middle = len(extended) // 2
            other = math.sqrt(scale) * np.conj(mother.transform(-scale * omega[middle : middle + 1]))
            response[middle] = (response[middle] + other[0]) / 2
        filtered = fft.ifft(spectrum * response)[:n]
        row[:] = filtered if mother.is_complex else filtered.real
    frequency = mother.peak / (2 * math.pi * a)
    return WaveletPanel(step * np.arange(n), values, a, frequency, rows, mother.reach * a, wavelet, unit)


def _extended(values: FloatArray, boundary: str) -> FloatArray:
    """Lay the signal out on a circle."""
    n = len(values)
    if boundary == "periodic":
        return values
    if boundary == "symmetric":
        return np.concatenate([values, values[::-1]])
    # The circle's other side is as far as the widest wavelets reach.
    return np.concatenate([values, np.zeros(fft.next_fast_len(4 * n) - n)])


def _checked(signal: npt.ArrayLike, dt: float) -> tuple[FloatArray, float]:
    values = _vector(signal, "signal")
    if len(values) < 2:
        raise ValueError(f"`signal` must have at least 2 samples, got {len(values)}")
    if isinstance(dt, bool) or not isinstance(dt, int | float | np.floating | np.integer):
        raise TypeError(f"`dt` must be a number, got {dt!r}")
    if not (dt > 0 and math.isfinite(dt)):
        raise ValueError(f"`dt` must be positive and finite, got {dt}")
    return values, float(dt)


def _vector(values: npt.ArrayLike, name: str) -> FloatArray:
    array = as_array(values, name)
    if array.dtype.kind not in "fiub":
        raise TypeError(f"`{name}` must hold real numbers, got dtype {array.dtype}")
    if array.ndim != 1 or len(array) == 0:
        raise ValueError(f"`{name}` must be a vector of at least one entry, got shape {array.shape}")
    vector = array.astype(np.float64)
    bad = np.flatnonzero(~np.isfinite(vector))
    if len(bad):
        raise ValueError(f"`{name}` must be finite, got {vector[bad[0]]} at {bad[0]}")
    return vector
