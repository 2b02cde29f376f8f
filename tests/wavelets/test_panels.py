from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wavelens.wavelets import fourier_panel, wavelet_panel
from wavelens.wavelets._panels import _mothers

WAVELETS = sorted(_mothers)
in_time = {
    "morlet": lambda t: np.pi**-0.25 * (np.exp(6j * t) - np.exp(-18)) * np.exp(-(t**2) / 2),
    "mexican_hat": lambda t: 2 / np.sqrt(3) * np.pi**-0.25 * (1 - t**2) * np.exp(-(t**2) / 2),
    "shannon": lambda t: 2 * np.sinc(2 * t) - np.sinc(t),
    "poisson": lambda t: 2 / np.sqrt(np.pi) * (1 - t**2) / (1 + t**2) ** 2,
    "haar": lambda t: np.where((t >= -0.5) & (t < 0), 1.0, 0.0) - np.where((t >= 0) & (t < 0.5), 1.0, 0.0),
}


@settings(deadline=None, max_examples=40)
@given(n=st.integers(2, 60), dt=st.floats(0.01, 100), seed=st.integers(0, 99))
def test_the_fourier_panel_is_its_sum(n, dt, seed):
    signal = np.random.default_rng(seed).standard_normal(n)
    panel = fourier_panel(signal, dt)
    np.testing.assert_allclose(panel.time, dt * np.arange(n))
    waves = np.exp(-2j * np.pi * np.outer(panel.frequency, panel.time))
    np.testing.assert_allclose(panel.transform, dt * waves @ signal, atol=1e-10 * dt)
    # The amplitudes are those of the cosines that the signal is a sum of.
    phases = np.angle(panel.transform)[:, None]
    cosines = np.cos(2 * np.pi * np.outer(panel.frequency, panel.time) + phases)
    np.testing.assert_allclose(panel.amplitude @ cosines, signal, atol=1e-10)


@pytest.mark.parametrize("wavelet", WAVELETS)
@pytest.mark.parametrize("n", [240, 241])
def test_an_oscillation_meets_the_closed_form(wavelet, n):
    dt, cycles = 0.25, 13
    omega = 2 * np.pi * cycles / (n * dt)
    t = dt * np.arange(n)
    panel = wavelet_panel(np.cos(omega * t + 0.3), dt, wavelet, boundary="periodic")
    a = panel.scale[:, None]
    psi = _mothers[wavelet].transform
    wave = np.exp(1j * (omega * t + 0.3))
    expected = np.sqrt(a) / 2 * (np.conj(psi(a * omega)) * wave + np.conj(psi(-a * omega) * wave))
    np.testing.assert_allclose(panel.coefficients, expected, atol=1e-12 * np.abs(expected).max())


@pytest.mark.parametrize("wavelet", ["morlet", "mexican_hat", "poisson"])
def test_a_spike_draws_the_wavelet(wavelet):
    dt, n, place = 0.5, 400, 190
    signal = np.zeros(n)
    signal[place] = 1
    scales = np.array([3.0, 4.0, 7.0])
    panel = wavelet_panel(signal, dt, wavelet, scales=scales, boundary="zero")
    a = scales[:, None]
    expected = dt / np.sqrt(a) * np.conj(in_time[wavelet]((panel.time[place] - panel.time) / a))
    # Poisson's wavelet has a kink in frequency and thus far feet, which meet around the circle.
    atol = 1e-3 if wavelet == "poisson" else 1e-9
    np.testing.assert_allclose(panel.coefficients, expected, atol=atol * np.abs(expected).max())


@pytest.mark.parametrize("wavelet", WAVELETS)
def test_the_wavelets_are_what_they_are_said_to_be(wavelet):
    mother = _mothers[wavelet]
    omega, step = np.linspace(-3000, 3000, 6_000_001, retstep=True)
    psi = mother.transform(omega)
    assert mother.transform(np.zeros(1))[0] == 0
    assert abs((np.abs(psi) ** 2).sum() * step / (2 * np.pi) - 1) < 2e-3
    if wavelet != "shannon":  # which is flat at its peak
        assert abs(abs(omega[np.abs(psi).argmax()]) - mother.peak) < 0.01
    t, step = np.linspace(-400, 400, 4_000_001, retstep=True)
    energy = np.abs(in_time[wavelet](t)) ** 2 * step
    assert abs(energy.sum() - 1) < 2e-3
    assert abs(energy[np.abs(t) <= mother.reach].sum() - 0.95) < 3e-3


@pytest.mark.parametrize("wavelet", WAVELETS)
def test_a_constant_has_no_coefficients_and_the_rest_is_linear(wavelet):
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((2, 77))
    for boundary in ("symmetric", "periodic"):
        flat = wavelet_panel(np.full(77, 5.0), wavelet=wavelet, boundary=boundary).coefficients
        assert np.abs(flat).max() < 1e-12
    panels = [wavelet_panel(each, 0.1, wavelet, n_scales=9).coefficients for each in (x, y, 2 * x - y)]
    np.testing.assert_allclose(2 * panels[0] - panels[1], panels[2], atol=1e-12)


def test_scales_and_frequencies_are_in_units():
    panel = wavelet_panel(np.arange(100.0), 0.25, n_scales=20, unit="years")
    assert panel.coefficients.shape == (20, 100)
    assert np.all(np.diff(panel.scale) > 0)
    np.testing.assert_allclose(panel.frequency[[0, -1]], [2.0, 2 / 25])
    np.testing.assert_allclose(panel.frequency * panel.scale, 6 / (2 * np.pi))
    assert panel.unit == "years"
    assert wavelet_panel([1, 2], wavelet="haar").coefficients.shape == (96, 2)
    with pytest.raises(dataclasses.FrozenInstanceError):
        panel.unit = "days"


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"signal": [1.0]}, ValueError, "`signal` must have at least 2 samples, got 1"),
        ({"signal": np.ones((3, 2))}, ValueError, r"`signal` must be a vector .* got shape \(3, 2\)"),
        ({"signal": [1.0, np.nan]}, ValueError, "`signal` must be finite, got nan at 1"),
        ({"signal": ["a", "b"]}, TypeError, "`signal` must hold real numbers"),
        ({"signal": [1.0, 2.0], "dt": 0}, ValueError, "`dt` must be positive"),
        ({"signal": [1.0, 2.0], "dt": "1"}, TypeError, "`dt` must be a number"),
        ({"signal": [1.0, 2.0], "wavelet": "db3"}, ValueError, "`wavelet` must be one of"),
        ({"signal": [1.0, 2.0], "boundary": "mirror"}, ValueError, "`boundary` must be one of"),
        ({"signal": [1.0, 2.0], "scales": [0.0, 1.0]}, ValueError, "`scales` must be positive, got 0"),
        ({"signal": [1.0, 2.0], "n_scales": 0}, ValueError, "`n_scales` must be at least 1"),
    ],
)
def test_bad_input(arguments, error, message):
    with pytest.raises(error, match=message):
        wavelet_panel(**arguments)
