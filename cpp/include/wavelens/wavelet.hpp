// Two-dimensional discrete wavelet transform of many images, its inverse, and the adjoint of the inverse.
//
// The coefficients of a plane (one channel of one image) are contiguous: the approximation of the coarsest
// level, then from the coarsest level to the finest the horizontal, vertical and diagonal details, each row
// by row. Sizes, order and values are PyWavelets'. Results are the same, to the bit, for any number of
// threads, and for a plane alone or among others.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "wavelens/monitor.hpp"

namespace wavelens {

// How a signal goes on past its ends. `periodization` is periodic too, but makes an odd number of entries
// even and yields half as many coefficients as entries, whatever the filter.
enum class Extension {
  zero,
  constant,
  symmetric,
  reflect,
  periodic,
  smooth,
  antisymmetric,
  antireflect,
  periodization
};

Extension extension_named(const std::string& name);  // std::invalid_argument if there is none

// Filters of one even length, as PyWavelets has them.
struct Wavelet {
  std::vector<double> dec_lo, dec_hi, rec_lo, rec_hi;
};

struct WaveletOptions {
  int level = 1;
  Extension mode = Extension::periodization;
};

// Images that somebody else owns, with strides in entries: (images, channels, rows, cols).
template <class T>
struct Planes {
  T* data = nullptr;
  std::ptrdiff_t images = 0, channels = 0, rows = 0, cols = 0;
  std::ptrdiff_t image_stride = 0, channel_stride = 0, row_stride = 0, col_stride = 0;
};

// (images, channels, coefficients), the last contiguous.
template <class T>
struct PlaneCoefficients {
  T* data = nullptr;
  std::ptrdiff_t image_stride = 0, channel_stride = 0;
};

// Number of coefficients along a side of n entries, one level down.
std::ptrdiff_t wavelet_count(std::ptrdiff_t n, std::ptrdiff_t filter_length, Extension mode);

// Number of coefficients of a plane. std::invalid_argument if it would overflow or the level is below one.
std::ptrdiff_t wavelet_coefficients(std::ptrdiff_t rows, std::ptrdiff_t cols, std::ptrdiff_t filter_length,
                                    const WaveletOptions& options);

// Source is T, or unsigned char with T = double. False if a coefficient of the coarsest approximation is not
// finite, which is so wherever a pixel is not: every pixel has a share in it, and 0·∞ is NaN.
template <class T, class Source>
bool wavelet_forward(const Wavelet& wavelet, const WaveletOptions& options,
                     const Planes<const Source>& images, const PlaneCoefficients<T>& out, Monitor& monitor);

template <class T>
void wavelet_inverse(const Wavelet& wavelet, const WaveletOptions& options,
                     const PlaneCoefficients<const T>& coefficients, const Planes<T>& images,
                     Monitor& monitor);

// ⟨inverse(c), g⟩ = ⟨c, inverse_adjoint(g)⟩ for all c and g, in every mode and for every filter.
template <class T>
void wavelet_inverse_adjoint(const Wavelet& wavelet, const WaveletOptions& options,
                             const Planes<const T>& images, const PlaneCoefficients<T>& out,
                             Monitor& monitor);

}  // namespace wavelens
